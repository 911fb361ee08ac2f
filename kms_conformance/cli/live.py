"""Two endpoints judged one after the other with the same cases, corpus and seed, for ``compare --live``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from kms_conformance.errors import BadValueError, ExitCode

_VERDICTS = frozenset({ExitCode.CONFORMANT, ExitCode.NON_CONFORMANT, ExitCode.NOT_VERIFIED})


def judge_both(first: Path, second: Path, report_dir: Path, expression: str = "") -> tuple[Path, Path]:
    """Judge the endpoints of two target files, by the cases whose name matches; return the report directories.

    Raises :class:`BadValueError` where one of the runs came to no verdict.
    """
    places = (report_dir / "before", report_dir / "after")
    for target, place in zip((first, second), places, strict=True):
        click.echo(f"judging {target} ...", err=True)
        words = ["run", "--target", str(target), "--report-dir", str(place)]
        words += ["-k", expression] if expression else []
        # A process each: a run takes the whole of pytest for itself.
        ended = subprocess.run(  # noqa: S603 - this program itself
            [sys.executable, "-m", "kms_conformance", *words], check=False, stdout=subprocess.DEVNULL
        )
        if ended.returncode not in _VERDICTS:
            why = f"the run ended with {ended.returncode} and has no verdict"
            raise BadValueError("--live", str(target), why, "what is wrong stands above.")
    return places
