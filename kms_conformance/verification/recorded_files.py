"""The files of a report directory against what the run that they are about writes, and against their manifest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kms_conformance.errors import ReportDirError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import allure, html, html_blocks, manifest
from kms_conformance.outputs.files import digest_and_size, prepare, read_file
from kms_conformance.outputs.writers import WRITERS, write
from kms_conformance.verification.two_processes import side_by_side


def complaints(directory: Path, run: Run, *, large: bool) -> Iterator[str]:
    """Compare every file of the directory with what a run writes, and with the manifest.

    The files of a ``large`` run are made by two processes: a report takes as long as all the others.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        try:
            _write(run, place, large=large)
        except ReportDirError as error:
            yield f"results.json: no run writes such a record ({error.sentence.rpartition(': ')[2]})"
            return
        expected = json.loads((place / manifest.NAME).read_text(encoding="utf-8"))["files"]
        try:
            recorded = json.loads(read_file(directory / manifest.NAME).decode("utf-8"))
            listed = recorded["files"]
            yield from _form(directory)
            if recorded != {
                **recorded,
                "run_id": str(run.meta["run_id"]),
                "schema_version": manifest.SCHEMA_VERSION,
            } or set(recorded) != {"schema_version", "run_id", "files"}:
                yield "manifest.json: it is of another run"
        except OSError as error:
            yield f"manifest.json cannot be read: {error.strerror}"
            listed = {}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            yield f"manifest.json is no manifest ({error!r})"
            listed = {}
        if _packed_otherwise(directory / html.NAME, place / html.NAME):
            expected[html.NAME] = manifest.entry(directory / html.NAME)
        yield from _compared(directory, expected, listed if isinstance(listed, dict) else {})


def _write(run: Run, place: Path, *, large: bool) -> None:
    others = [writer for writer in WRITERS if writer is not html]
    prepare(place)
    try:
        written, report = side_by_side(
            lambda: write(run, place, others), lambda: write(run, place, [html]), worthwhile=large
        )
        manifest.write(run, place, [*written, *report], allure.SHARED)
    except OSError as error:
        raise ReportDirError(str(place), error.strerror or str(error)) from error


def _packed_otherwise(recorded: Path, made: Path) -> bool:
    """Tell whether a report holds what this run's does: another build of zlib packs the same texts into other bytes."""
    try:
        if digest_and_size(recorded) == digest_and_size(made):
            return False
        return html_blocks.same(*(read_file(path).decode("utf-8") for path in (recorded, made)))
    except (OSError, ValueError):
        return False


def _compared(directory: Path, expected: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*expected, *map(str, listed)}):
        if name not in expected:
            yield f"manifest.json: files.{name} is none that this run writes"
            continue
        if listed and listed.get(name) != expected[name]:
            yield f"manifest.json: files.{name} is not the digest of what the evidence gives"
        try:
            digest, _ = digest_and_size(directory / name)
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
            continue
        if digest != expected[name]["sha256"]:
            yield f"{name} is not what the evidence gives, byte for byte"
    for folder in sorted({name.rpartition("/")[0] for name in expected if "/" in name}):
        if (directory / folder).is_dir():
            for path in manifest.files_in(directory / folder, frozenset(allure.SHARED)):
                if f"{folder}/{path.name}" not in expected:
                    yield f"{folder}/{path.name} is none that this run has written"


def digest_complaints(directory: Path) -> list[str]:
    """Return a sentence for each file whose content is not that of the manifest: a check that plays nothing again."""
    try:
        problems = list(_form(directory))
        document = json.loads(read_file(directory / manifest.NAME).decode("utf-8"))
        problems += [
            f"{name} has another digest than manifest.json says"
            for name, entry in document["files"].items()
            if manifest.entry(directory / name) != entry
        ]
    except OSError as unread:
        return [f"{unread.filename or manifest.NAME} cannot be read: {unread.strerror}"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as unread:
        return [f"manifest.json is no manifest ({unread!r})"]
    return problems


def _form(directory: Path) -> Iterator[str]:
    """Yield a sentence where the manifest is written in another way than a run writes it."""
    text = read_file(directory / manifest.NAME).decode("utf-8")
    if text != manifest.text_of(json.loads(text)):
        yield "manifest.json is not written the way that a run writes it"
