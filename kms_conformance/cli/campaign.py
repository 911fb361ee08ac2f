"""``kms-conformance campaign``: many endpoints, on this machine or on many; see docs/campaigns.md."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kms_conformance.campaign.certificates import make_certificates
from kms_conformance.campaign.conduct import conclude, conduct, lines_of, run_lane, settled_plan
from kms_conformance.campaign.description import Campaign, read_campaign
from kms_conformance.campaign.dispatch import WorkersGoneError
from kms_conformance.campaign.emit import Emitted
from kms_conformance.campaign.emit import emit as emitted
from kms_conformance.campaign.errors import SchedulerError
from kms_conformance.campaign.local import LocalWorkers
from kms_conformance.campaign.plan import Task, lanes
from kms_conformance.campaign.remote import DaskWorkers
from kms_conformance.campaign.store import durations_name, open_store, shard_place
from kms_conformance.campaign.work import command_of
from kms_conformance.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

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
@click.option(
    "--load", is_flag=True, help="Put load on each endpoint instead, and judge the cases of [load] meanwhile."
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
    load: bool,
    quiet: bool,
) -> None:
    """Run a campaign, or what is left of it, then merge it.

    Exit code, as of `run`, the first that an endpoint has: 1 non-conformant, 5 an error of the suite, 2 a wrong target,
    4 not reachable, 3 not verified, 0 all conformant. 4 also where the scheduler is gone.
    """
    if local and scheduler:
        raise click.UsageError("--local and --scheduler exclude each other.")
    campaign = read_campaign(file)
    if results:
        campaign = replace(campaign, results=results)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def says(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    if load:
        sys.exit(_load(campaign, report_dir, says))
    if scheduler:
        try:
            conduct(campaign, DaskWorkers(scheduler, campaign.results, state, certificates), says)
        except WorkersGoneError as error:
            raise SchedulerError(scheduler, str(error)) from None
    else:
        conduct(campaign, LocalWorkers(local or 2, campaign.results, state), says)
    result = conclude(campaign.results, report_dir, local or 1)
    _print(lines_of(result, report_dir))
    sys.exit(result.exit_code)


def _load(campaign: Campaign, report_dir: Path, says: Callable[[str], None]) -> int:
    """Put load on one endpoint after the other; return the worst exit code."""
    from kms_conformance.campaign.load import lines_of, load_endpoint  # noqa: PLC0415 - loaded when it is used

    codes = []
    for endpoint in campaign.endpoints:
        result = load_endpoint(campaign, endpoint, report_dir / "load" / endpoint.name, says)
        _print(lines_of(result))
        codes.append(result.exit_code)
    return ExitCode.NON_CONFORMANT if ExitCode.NON_CONFORMANT in codes else max(codes)


@command.command("plan")
@click.argument("file", type=_FILE)
@_RESULTS
@click.option(
    "--emit",
    type=click.Choice(("kubernetes", "github", "gitlab", "slurm")),
    help="Print a job file for such a system instead of the commands.",
)
@click.option(
    "--at-once", type=click.IntRange(1), default=16, show_default=True, help="Jobs at once, in a job file."
)
@click.option("-q", "--quiet", is_flag=True, help="Write the plan, and print nothing.")
def plan(file: Path, results: str | None, emit: str | None, at_once: int, *, quiet: bool) -> None:
    """Write the plan into the results, and print one plain command for each shard, or a job file that runs them.

    Nothing is sent to an endpoint. Exit code: 0, or 2 where something is wrong with the file.
    """
    campaign = read_campaign(file)
    store = open_store(results or campaign.results)
    settled = settled_plan(campaign, store)
    if emit:
        number = len(lanes(settled.tasks))
        job = Emitted(campaign.name, str(file), results or campaign.results, number, at_once)
        click.echo(emitted(emit, job), nl=False)
    elif not quiet:
        _print(shell_lines(settled.tasks, store.place))


def shell_lines(tasks: Sequence[Task], place: str) -> list[str]:
    """Return one plain command for each task, as a shell takes it; endpoints without a target file need ``campaign work``."""
    lines = []
    for task in tasks:
        words = command_of(
            task,
            target=task.target if isinstance(task.target, str) else f"{task.endpoint}.toml",
            report=f"{place}/{shard_place(task.id)}",
            journal=f".kms-conformance/campaign/journals/{task.id.replace('/', '.')}.sqlite",
            durations=f"{place}/{durations_name(task.endpoint)}",
        )
        lines.append(shlex.join(["kms-conformance", *words]))
    return lines


@command.command("work")
@click.argument("place", metavar="RESULTS")
@click.argument("lane", type=click.IntRange(0))
@click.option("--state", default="", metavar="DIR", help="Where journals are kept.")
@click.option("--attempts", type=click.IntRange(1, 10), default=2, show_default=True)
def work(place: str, lane: int, state: str, attempts: int) -> None:
    """Run one lane of the plan in RESULTS, shard after shard: what an index of a job file does.

    Exit code: 0 when each of its shards has a complete report, whatever the verdict; 3 when one has not.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    complete = run_lane(place, lane, state, attempts, lambda line: click.echo(line, err=True))
    sys.exit(ExitCode.CONFORMANT if complete else ExitCode.NOT_VERIFIED)


@command.command("certs")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("localhost", "127.0.0.1"),
    show_default=True,
    metavar="NAME",
    help="Name or address of the scheduler or of a worker.",
)
@click.option(
    "--days", type=click.IntRange(1, 398), default=30, show_default=True, help="How long they hold."
)
def certs(folder: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make certificates by which scheduler, workers and client know each other.

    Whoever has one of their keys can run programs on the workers. Exit code: 0, or 2 where DIR cannot be written to.
    """
    make_certificates(folder, hosts, days)
    place = shlex.quote(str(folder))
    _print(
        [
            f"dask scheduler --protocol tls --tls-ca-file {place}/ca.pem --tls-cert {place}/scheduler.pem --tls-key {place}/scheduler.key",
            f"dask worker tls://SCHEDULER:8786 --nthreads 1 --no-dashboard --tls-ca-file {place}/ca.pem --tls-cert {place}/worker.pem --tls-key {place}/worker.key",
            f"kms-conformance campaign campaign.toml --scheduler tls://SCHEDULER:8786 --certificates {place}",
        ]
    )


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
