"""``kms-conformance sweep``: remove what killed runs have left behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli.flags import flags_document, names_endpoint, target_options
from kms_conformance.cli.table_options import click_option, named
from kms_conformance.errors import ExitCode, MissingTargetError
from kms_conformance.run.option_table import RUN_OPTIONS
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import read_target


@click.command("sweep")
@target_options
@click_option(named(RUN_OPTIONS, "journal"))
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def command(journal: Path, *, dry_run: bool, **flags: Any) -> None:
    """Remove what killed runs have left on a target, and restore what they had changed.

    Only what the journal names is touched: nothing is removed because of its name alone. Exit code 0 when nothing is
    left, 3 when something could not be removed.
    """
    document = flags_document(flags)
    if not names_endpoint(flags):
        raise MissingTargetError("sweep")
    target = read_target(flags.get("target"), document)
    session = Session(Options(journal=journal, contracts=target.contracts), target)
    try:
        session.check()
        things = session.left_behind()
        for thing in things:
            click.echo(
                f"{thing.kind:12}  {thing.name or thing.ref}  (instance {thing.instance}, run {thing.run})"
            )
        if dry_run or not things:
            click.echo(f"{len(things)} things left behind." if things else "Nothing is left behind.")
            return
        trouble = session.recover()
    finally:
        session.close()
    for line in trouble:
        click.echo(f"could not remove {line}", err=True)
    click.echo(f"{len(things) - len(trouble)} of {len(things)} things removed.")
    sys.exit(ExitCode.NOT_VERIFIED if trouble else ExitCode.CONFORMANT)
