"""``kms-conformance merge``: one run out of shards."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kms_conformance.cli.table_options import click_option, named
from kms_conformance.outputs import write_all
from kms_conformance.outputs.shards import merge
from kms_conformance.outputs.terminal import print_summary
from kms_conformance.run.option_table import RUN_OPTIONS


@click.command("merge")
@click.argument(
    "directories", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR..."
)
@click_option(named(RUN_OPTIONS, "report_dir"))
def command(directories: tuple[Path, ...], report_dir: Path) -> None:
    """Make one run of the report directories of all shards, and write its reports.

    The exit code is that of the run: see `kms-conformance run --help`.
    """
    run = merge(directories)
    write_all(run, report_dir)
    print_summary(run, report_dir, sys.stdout)
    sys.exit(int(run.exit_code))
