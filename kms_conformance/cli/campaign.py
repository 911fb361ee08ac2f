"""``kms-conformance campaign``: many endpoints, on this machine or on many; see docs/campaigns.md."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

_REPORTS = Path("reports") / "campaign"
_FILE = click.Path(path_type=Path, dir_okay=False)
_RESULTS = click.option(
    "--results", metavar="PLACE", help="A folder, file://... or s3://...; the campaign file's, unless given."
)


class _CampaignCommands(click.Group):
    """Takes ``campaign FILE`` for ``campaign run FILE``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"--help", "-h"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("campaign", cls=_CampaignCommands)
def command() -> None:
    """Judge many endpoints by a campaign file: `campaign FILE` is `campaign run FILE`."""


@command.command("run")
@click.argument("file", type=_FILE)
@click.option(
    "--local", type=click.IntRange(1, 64), metavar="N", help="Use N workers on this machine (default: 2)."
)
@click.option(
    "--scheduler", metavar="URL", help="Use the workers of a Dask scheduler: tcp://HOST:PORT or tls://..."
)
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="With tls://: the folder of `campaign certs`.",
)
@_RESULTS
@click.option(
    "--state",
    default="",
    metavar="DIR",
    help="Where workers keep journals (default: .kms-conformance/campaign where they run).",
)
@click.option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_REPORTS,
    show_default=True,
    help="Where the merged reports and the page go.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run(
    file: Path,
    local: int | None,
    scheduler: str | None,
    certificates: Path | None,
    results: str | None,
    state: str,
    report_dir: Path,
    *,
    quiet: bool,
) -> None:
    """Run a campaign, or what is left of it, then merge it.

    Exit code, as of `run`, the first that an endpoint has: 1 non-conformant, 5 an error of the suite, 2 a wrong target,
    4 not reachable, 3 not verified, 0 all conformant. 4 also where the scheduler is gone.
    """
    from kms_conformance.campaign.conduct import conclude, conduct, lines_of  # noqa: PLC0415 - loaded when it is used
    from kms_conformance.campaign.description import read_campaign  # noqa: PLC0415 - same
    from kms_conformance.campaign.dispatch import WorkersGoneError  # noqa: PLC0415 - same
    from kms_conformance.campaign.errors import SchedulerError  # noqa: PLC0415 - same
    from kms_conformance.campaign.local import LocalWorkers  # noqa: PLC0415 - same

    if local and scheduler:
        raise click.UsageError("--local and --scheduler exclude each other.")
    campaign = read_campaign(file)
    if results:
        campaign = replace(campaign, results=results)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def says(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    if scheduler:
        from kms_conformance.campaign.remote import DaskWorkers  # noqa: PLC0415 - same

        try:
            conduct(campaign, DaskWorkers(scheduler, campaign.results, state, certificates), says)
        except WorkersGoneError as error:
            raise SchedulerError(scheduler, str(error)) from None
    else:
        conduct(campaign, LocalWorkers(local or 2, campaign.results, state), says)
    result = conclude(campaign.results, report_dir, lambda _: None)
    _print(lines_of(result, report_dir))
    sys.exit(result.exit_code)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
