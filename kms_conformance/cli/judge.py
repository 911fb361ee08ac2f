"""``kms-conformance judge``: judge a stored run again, without any network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kms_conformance.errors import ExitCode
from kms_conformance.verification.rejudge import differences, read_record, rejudge


@click.command("judge")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Judge the run in DIRECTORY again, from its transcript alone, and say whether the verdict is the same.

    Exit code: that of the run when everything is as recorded; otherwise 1, with a line for each difference.
    """
    again = rejudge(directory)
    changed = differences(read_record(directory), again)
    click.echo(again["headline"])
    for line in changed:
        click.echo(f"changed: {line}")
    if not changed:
        click.echo("judged again: the same verdict, findings and counts as recorded")
    sys.exit(ExitCode.NON_CONFORMANT if changed else again["exit_code"])
