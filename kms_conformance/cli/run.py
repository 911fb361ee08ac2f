"""``kms-conformance run``: judge an endpoint and write the reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kms_conformance.cli import table_options
from kms_conformance.cli.flags import target_options
from kms_conformance.run.memory import rare_collections


@click.command("run")
@target_options
@table_options.fuzz_options
@table_options.run_options
@click.option(
    "--write-baseline",
    is_flag=True,
    help="Print a baseline for what fails; the summary goes to standard error.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Private key by which bundle.zip is signed; with --profile certify and --product.",
)
@click.option(
    "--product",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What is judged and who signs (TOML).",
)
@click.option(
    "--challenge", metavar="TEXT", default="", help="The certifier's text, which every request carries."
)
@click.option("--defect", "defects", multiple=True, help="Break the embedded reference in a named way.")
@click.option(
    "--variation", "variations", multiple=True, help="Let the embedded reference differ in a legal way."
)
@click.option(
    "--plan",
    is_flag=True,
    help="Say how many requests, how long and what will not be tested; send nothing but the preflight.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print the verdict line only, and no progress.")
@click.option(
    "--progress",
    type=click.Choice(("lines", "json", "none")),
    default="lines",
    show_default=True,
    help="How progress is shown on standard error: json writes a line for each event.",
)
@click.option(
    "--metrics", type=click.Path(path_type=Path), metavar="FILE", help="Write metrics in OpenMetrics text."
)
@click.option("-k", "expression", metavar="EXPR", help="Run only the cases whose name matches (pytest's -k).")
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@click.option("--lf", "last_failed", is_flag=True, help="Run only what failed last time.")
@click.option("-n", "workers", metavar="WORKERS", help="Run in this many processes.")
def command(
    **flags: Any,
) -> None:
    """Judge an endpoint.

    Without --target, --base-url or KMS_BASE_URL the embedded reference is started and judged. Exit code: 0 conformant,
    1 non-conformant, 2 usage, 3 not verified, 4 not reachable or refused by the preflight, 5 an error of the suite.
    """
    with rare_collections():
        from kms_conformance.cli.judge_endpoint import judge_endpoint  # noqa: PLC0415 - `run --help` takes half the time

        judge_endpoint(**{**flags, "shard": flags["shard"] or ""})
