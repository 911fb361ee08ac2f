"""What ``doctor`` does once its options are read; loaded only then."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli.flags import flags_document
from kms_conformance.doctor.examination import examine
from kms_conformance.doctor.findings import document_of, exit_code_of, lines_of, of_error
from kms_conformance.errors import SuiteError
from kms_conformance.judging.verdict import Profile
from kms_conformance.run.options import Options, fuzz_options
from kms_conformance.run.plan import Plan
from kms_conformance.run.session import Session
from kms_conformance.target.target import read_target

_PATIENCE = 2.0
"""Seconds that the doctor waits for one answer, however patient the target is."""


def examine_endpoint(
    flags: Mapping[str, Any], profile: str, mode: str, journal: Path, *, as_json: bool
) -> int:
    """Examine the endpoint that the flags name and print the findings; return the exit code.

    Raises :class:`SuiteError` where the target cannot be read and no document is asked for.
    """
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
            mode=mode,
        )
        session = Session(options, replace(target, timeout=min(target.timeout, _PATIENCE), patience=0.0))
        try:
            findings = examine(session, thoroughly=True, plan=lambda: _plan(session), profile=profile)
            shown = {**session.target.public(), "mode": session.target.mode}
        finally:
            session.close()
    if as_json:
        document = document_of(findings, shown, profile=profile, seconds=time.monotonic() - begun)
        click.echo(json.dumps(document, indent=1))
    else:
        for line in lines_of(findings):
            click.echo(line)
    return int(exit_code_of(findings))


def _plan(session: Session) -> Plan:
    """Return what a run would do; only where nothing stands in its way is that loaded with which a run is made."""
    from kms_conformance.cli.judge_endpoint import planned  # noqa: PLC0415 - takes longer than all else

    return planned(session, [])[0]
