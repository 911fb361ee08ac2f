"""``kms-conformance merge``: one run out of shards, or one page and a verdict for each endpoint out of a campaign."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kms_conformance.campaign.conduct import conclude, lines_of
from kms_conformance.campaign.store import PLAN
from kms_conformance.cli.table_options import click_option, named
from kms_conformance.outputs.shards import merge
from kms_conformance.outputs.terminal import print_summary
from kms_conformance.outputs.write import write_all
from kms_conformance.run.option_table import RUN_OPTIONS


@click.command("merge")
@click.argument("places", nargs=-1, required=True, metavar="DIR...")
@click_option(named(RUN_OPTIONS, "report_dir"))
@click.option(
    "-n",
    "processes",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Merge so many runs of a campaign at once.",
)
def command(places: tuple[str, ...], report_dir: Path, processes: int) -> None:
    """Make one run of the report directories of all shards, and write its reports.

    Where DIR is the results of a campaign (a folder or s3://...), each endpoint gets a verdict and all of them one page.
    The exit code is that of the run: see `kms-conformance run --help`.
    """
    if len(places) == 1 and ("://" in places[0] or (Path(places[0]) / PLAN).is_file()):
        result = conclude(places[0], report_dir, processes)
        for line in lines_of(result, report_dir):
            click.echo(line)
        sys.exit(result.exit_code)
    run = merge([Path(place) for place in places])
    write_all(run, report_dir)
    print_summary(run, report_dir, sys.stdout)
    sys.exit(int(run.exit_code))
