"""``kms-conformance judge``: judge a stored run again, without any network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kms_conformance.cli.contradictions import show_contradictions
from kms_conformance.errors import ExitCode
from kms_conformance.verification.check import examine


@click.command("judge")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Judge the run in DIRECTORY again, from its evidence alone, and say whether everything in it is as recorded.

    Exit code: that of the run when everything is as recorded; 6 with a sentence for each thing that is not; 2 when
    DIRECTORY holds no run that can be read.
    """
    examination = examine(directory)
    click.echo(f"{examination.headline} ({examination.scope})")
    for note in examination.notes:
        click.echo(f"note: {note}")
    show_contradictions("not as recorded", examination.problems)
    if not examination.problems:
        click.echo("judged again: the same verdict, findings and counts as recorded")
    sys.exit(ExitCode.NOT_AS_RECORDED if examination.problems else examination.exit_code)
