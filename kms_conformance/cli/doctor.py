"""``kms-conformance doctor``: what stands in the way of a run, by symptom, cause and resolution."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli.flags import flags_document, names_endpoint, target_options
from kms_conformance.cli.table_options import click_option, named
from kms_conformance.errors import MissingTargetError, SuiteError
from kms_conformance.run.option_table import RUN_OPTIONS

_PATIENCE = 2.0
"""Seconds that the doctor waits for one answer, however patient the target is."""


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
    from kms_conformance.cli.judge_endpoint import planned  # noqa: PLC0415 - `doctor --help` takes half the time
    from kms_conformance.doctor.examination import examine  # noqa: PLC0415 - same
    from kms_conformance.doctor.findings import document_of, exit_code_of, lines_of, of_error  # noqa: PLC0415 - same
    from kms_conformance.judging.verdict import Profile  # noqa: PLC0415 - same
    from kms_conformance.run.options import Options, fuzz_options  # noqa: PLC0415 - same
    from kms_conformance.run.session import Session  # noqa: PLC0415 - same
    from kms_conformance.target.target import read_target  # noqa: PLC0415 - same

    if not names_endpoint(flags):
        raise MissingTargetError("doctor")
    begun = time.monotonic()
    shown: dict[str, Any] = {}
    try:
        target = read_target(flags.get("target"), flags_document(flags))
    except SuiteError as error:
        if not as_json:
            raise
        findings = [of_error(error, "target")]
    else:
        options = Options(
            profile=Profile(profile),
            contracts=target.contracts,
            journal=journal,
            fuzz=fuzz_options({}, profile),
            mode=mode or "",
        )
        session = Session(options, replace(target, timeout=min(target.timeout, _PATIENCE), patience=0.0))
        try:
            findings = examine(
                session, thoroughly=True, plan=lambda: planned(session, [])[0], profile=profile
            )
            shown = {**session.target.public(), "mode": session.target.mode}
        finally:
            session.close()
    if as_json:
        document = document_of(findings, shown, profile=profile, seconds=time.monotonic() - begun)
        click.echo(json.dumps(document, indent=1))
    else:
        for line in lines_of(findings):
            click.echo(line)
    sys.exit(exit_code_of(findings))
