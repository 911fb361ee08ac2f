"""``kms-conformance compare``: two runs side by side."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from kms_conformance.errors import ExitCode
from kms_conformance.outputs.compare import compare, demand_alike
from kms_conformance.outputs.compare_text import WIDTH, lines, markdown
from kms_conformance.outputs.stored import read_run


@click.command("compare")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--anyway", is_flag=True, help="Compare runs of other contracts, profiles or editions too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="JSON fits schemas/compare.schema.json.",
)
@click.option(
    "--live",
    is_flag=True,
    help="BEFORE and AFTER are target files: judge both first, with the same requests.",
)
@click.option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports") / "compared",
    show_default=True,
    help="Where the reports of both go, with --live.",
)
@click.option(
    "-k", "expression", default="", metavar="EXPR", help="With --live: only the cases whose name matches."
)
def command(
    before: Path, after: Path, form: str, report_dir: Path, expression: str, *, anyway: bool, live: bool
) -> None:
    """Compare the runs in the report directories BEFORE and AFTER.

    Exit code: 0 the same, 16 different, 2 usage, or runs that were judged by different measures. That an operation became
    slower is told and is no difference.
    """
    if live:
        from kms_conformance.cli.live import judge_both  # noqa: PLC0415 - only who judges anew pays for it

        before, after = judge_both(before, after, report_dir, expression)
    runs = read_run(before), read_run(after)
    if not anyway:
        demand_alike(*runs)
    document = compare(*runs)
    if form == "json":
        click.echo(json.dumps(document, indent=1))
    elif form == "markdown":
        click.echo(markdown(document), nl=False)
    else:
        columns = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        for line in lines(document, width=columns):
            click.echo(line)
    sys.exit(ExitCode.CONFORMANT if document["same"] else ExitCode.DIFFERENT)
