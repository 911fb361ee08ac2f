"""``kms-conformance trend``: many runs on one page."""

from __future__ import annotations

from pathlib import Path

import click

from kms_conformance.outputs.files import put
from kms_conformance.outputs.stored import read_run
from kms_conformance.outputs.trend import render


@click.command("trend")
@click.argument(
    "directories", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR..."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="trend.html",
    show_default=True,
    help="Where the page goes.",
)
def command(directories: tuple[Path, ...], output: Path) -> None:
    """Write one static page of the runs in the report directories DIR...: verdicts, counts, latency, unsteady cases.

    Exit code: 0 written, 2 a directory holds no run.
    """
    put(output, render([read_run(directory) for directory in directories]))
    click.echo(f"{output}: {len(directories)} runs, {output.stat().st_size // 1024} KiB")
