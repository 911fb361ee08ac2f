"""All report formats of a run, written one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from kms_conformance.errors import ReportDirError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import allure, badge, har, html, junit, manifest, repro, results, summary
from kms_conformance.outputs.files import BUNDLE, clear, clear_temporary, prepare

__all__ = ["WRITERS", "ReportDirError", "prepare", "write", "write_all"]

# The verdict as data first: whatever happens to the others, it is there.
WRITERS = (results, junit, summary, badge, har, html, allure, repro)


def write_all(run: Run, directory: Path) -> list[Path]:
    """Write every output into the directory and return their paths.

    What an older run left there under our names goes first, so that no old file passes for a new one; other files
    stay. Raises :class:`ReportDirError` when the directory cannot be written to.
    """
    prepare(directory)
    try:
        clear_temporary(directory)
        for writer in WRITERS:
            clear(directory / writer.NAME, getattr(writer, "SHARED", ()))
        for name in (manifest.NAME, BUNDLE):
            clear(directory / name)
        written = write(run, directory, WRITERS)
        return [*written, manifest.write(run, directory, written, allure.SHARED)]
    except OSError as error:
        raise ReportDirError(str(directory), error.strerror or str(error)) from error


def write(run: Run, directory: Path, writers: Iterable[ModuleType]) -> list[Path]:
    """Write some of the outputs and return their paths."""
    return [path for writer in writers if (path := writer.write(run, directory)).exists()]
