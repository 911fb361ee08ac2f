"""``kms-conformance doctor``: what stands in the way of a run, by symptom, cause and resolution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli.flags import names_endpoint, target_options
from kms_conformance.cli.table_options import click_option, named
from kms_conformance.errors import MissingTargetError
from kms_conformance.run.option_table import RUN_OPTIONS


@click.command("doctor")
@target_options
@click_option(named(RUN_OPTIONS, "profile"))
@click_option(named(RUN_OPTIONS, "mode"))
@click_option(named(RUN_OPTIONS, "journal"))
@click.option("--json", "as_json", is_flag=True, help="Print a document instead of text.")
def command(profile: str, mode: str | None, journal: Path, *, as_json: bool, **flags: Any) -> None:
    """Say what stands in the way of a run, and what to do about it; nothing is changed.

    Looks at tokens, network, TLS, the endpoint, identities, the instance and what earlier runs have left. Exit code: 0
    ready, 3 ready with warnings, 2 the command line or the target is wrong, 4 the endpoint cannot be judged.
    """
    from kms_conformance.cli.examine_endpoint import examine_endpoint  # noqa: PLC0415 - `doctor --help` takes half the time

    if not names_endpoint(flags):
        raise MissingTargetError("doctor")
    sys.exit(examine_endpoint(flags, profile, mode or "", journal, as_json=as_json))
