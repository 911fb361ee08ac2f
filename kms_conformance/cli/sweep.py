"""``kms-conformance sweep``: remove what killed runs have left behind."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli.flags import flags_document, names_endpoint, target_options
from kms_conformance.cli.table_options import click_option, named
from kms_conformance.errors import BadValueError, ExitCode, MissingTargetError, PreflightRefusedError
from kms_conformance.outputs.text import plural
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.option_table import RUN_OPTIONS
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import read_target

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command("sweep")
@target_options
@click_option(named(RUN_OPTIONS, "journal"))
@click.option("--yes", is_flag=True, help="Remove it; without, sweep only lists what it would remove.")
@click.option("--dry-run", is_flag=True, hidden=True, help="As without --yes.")
@click.option("--older-than", metavar="AGE", help="Only what is older than 90m, 12h or 3d.")
@click.option(
    "--by-name",
    is_flag=True,
    help="Also what the journal does not know, by the full shape of the names that the suite gives.",
)
def command(
    journal: Path, *, yes: bool, dry_run: bool, older_than: str | None, by_name: bool, **flags: Any
) -> None:
    """Remove what killed runs have left on a target, and restore what they had changed.

    Only what the journal names is touched, unless --by-name is given: then also keys, rings and adapters whose names have
    the full shape of ours. Runs that are at work are named, and what is theirs stays. Exit code 0 when nothing is left, 3
    when something is, or could not be removed.
    """
    document = flags_document(flags)
    if not names_endpoint(flags):
        raise MissingTargetError("sweep")
    age = _seconds(older_than) if older_than else 0.0
    target = read_target(flags.get("target"), document)
    if by_name and target.fresh:
        raise BadValueError(
            "--by-name", "fresh", "what to look through is one instance", "give --instance ID."
        )
    session = Session(Options(journal=journal, contracts=target.contracts), target)
    try:
        is_let_in = _is_let_in(session)
        for run in session.living():
            click.echo(f"run {run} is at work; what it has made stays.")
        things = session.left_behind()
        journalled = {(entry.instance, entry.ref or entry.name) for entry in things}
        if by_name and is_let_in:
            things += [
                entry for entry in session.named_like_ours() if (entry.instance, entry.ref) not in journalled
            ]
        if age:  # by itself the clock of the endpoint may be ahead of ours, and what it has just made not be old at all
            things = [entry for entry in things if entry.at <= time.time() - age]
        _list(things)
        if not yes or dry_run or not things:
            message = (
                f"{plural(len(things), 'thing')} left behind; `sweep --yes` removes what it can."
                if things
                else "Nothing is left behind."
            )
            click.echo(message)
            sys.exit(ExitCode.NOT_VERIFIED if things else ExitCode.CONFORMANT)
        trouble = session.put_right(things)
    finally:
        session.close()
    for line in trouble:
        click.echo(f"could not remove {line}", err=True)
    click.echo(f"{len(things) - len(trouble)} of {plural(len(things), 'thing')} removed.")
    sys.exit(ExitCode.NOT_VERIFIED if trouble else ExitCode.CONFORMANT)


def _is_let_in(session: Session) -> bool:
    """Tell whether the endpoint lets us in; raise what its preflight raises where no dead run can be the reason."""
    try:
        session.check()
    except PreflightRefusedError:
        if not session.left_behind():
            raise
        return False
    return True


def _list(things: Sequence[JournalEntry]) -> None:
    for entry in things:
        since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.at))
        click.echo(
            f"{entry.kind:12}  {entry.name or entry.ref}  (instance {entry.instance}, run {entry.run}, {since} UTC)"
        )


def _seconds(age: str) -> float:
    """Return an age in seconds; raise :class:`BadValueError` where it is none."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", age)
    if parts is None:
        raise BadValueError("--older-than", age, "that is no age", "write 90m, 12h or 3d.")
    return float(parts[1]) * _UNITS[parts[2]]
