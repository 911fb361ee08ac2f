"""``manifest.json``: the SHA-256 of every file that a run has written (``schemas/manifest.schema.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.files import PREFIX, digest_and_size, put

NAME = "manifest.json"
SCHEMA_VERSION = "1.0"


def write(run: Run, directory: Path, written: Iterable[Path], shared: Iterable[str] = ()) -> Path:
    """Write ``manifest.json`` about what was written, and return its path.

    Of a directory that other tools may share those files are listed that are ours: see :func:`files_in`.
    """
    listed = {
        path.relative_to(directory).as_posix(): path
        for place in written
        for path in (files_in(place, frozenset(shared)) if place.is_dir() else [place])
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "run_id": str(run.meta.get("run_id", "")),
        "files": {name: entry(path) for name, path in sorted(listed.items())},
    }
    return put(directory / NAME, text_of(document))


def text_of(document: object) -> str:
    """Return the one text in which a manifest's document is written; another one was written by somebody else."""
    return json.dumps(document, indent=1) + "\n"


def files_in(directory: Path, shared: frozenset[str]) -> list[Path]:
    """Return the files of a directory that are a run's own: those with its prefix, and those that ``shared`` names."""
    return [
        path
        for path in directory.iterdir()
        if path.name.startswith(PREFIX) or path.name in shared or path.suffix == ".py"
    ]


def entry(path: Path) -> dict[str, str | int]:
    """Return what a manifest says of a file."""
    digest, size = digest_and_size(path)
    return {"sha256": digest, "size": size}
