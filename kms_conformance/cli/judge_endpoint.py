"""What ``kms-conformance run`` does. A module of its own, so that ``run --help`` does not load the engine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from kms_conformance.cli.checks import check_contracts, check_edition, check_names, check_reference
from kms_conformance.cli.flags import flags_document, names_endpoint
from kms_conformance.cli.progress import ProgressReporter, reporter
from kms_conformance.cli.signing import Signing, signing_of
from kms_conformance.contract.case_index import packages
from kms_conformance.doctor.examination import demand_readiness, of_instance
from kms_conformance.doctor.findings import Finding, Level, lines_of
from kms_conformance.errors import BadValueError, ReportDirError
from kms_conformance.judging.verdict import Profile, headline
from kms_conformance.outputs import github
from kms_conformance.outputs.baseline import dump, proposed, read_baseline
from kms_conformance.outputs.files import prepare
from kms_conformance.outputs.openmetrics import write_metrics
from kms_conformance.outputs.shards import read_durations, read_shard
from kms_conformance.outputs.terminal import print_summary
from kms_conformance.outputs.text import one_line
from kms_conformance.pytest_plugin.plugin import State
from kms_conformance.run.option_table import HOME
from kms_conformance.run.options import Options, fuzz_options
from kms_conformance.run.plan import Plan
from kms_conformance.run.plan import plan as plan_of
from kms_conformance.run.session import Session
from kms_conformance.system import system_of
from kms_conformance.target.target import contracts_by_default, read_target


def judge_endpoint(
    profile: str,
    edition: str,
    report_dir: Path,
    baseline: Path | None,
    journal: Path,
    defects: tuple[str, ...],
    variations: tuple[str, ...],
    expression: str | None,
    workers: str | None,
    shard: str,
    shard_durations: Path | None,
    jobs: int | None,
    mode: str | None,
    *,
    write_baseline: bool,
    exitfirst: bool,
    last_failed: bool,
    plan: bool,
    quiet: bool,
    progress: str,
    metrics: Path | None,
    sign: Path | None,
    product: Path | None,
    challenge: str,
    **flags: Any,
) -> None:
    """Judge an endpoint as the flags say, and end with the exit code of the verdict."""
    read_shard(shard)
    document = flags_document(flags)
    named = names_endpoint(flags)
    if not named and (stray := sorted(set(document) - {"limits", "contract"})):
        raise BadValueError(
            stray[0], "", "it belongs to an endpoint, but no endpoint is named", "add --base-url or --target."
        )
    target = read_target(flags.get("target"), document) if named else None
    if target is not None and (defects or variations):
        raise BadValueError(
            "--defect",
            ", ".join(defects + variations),
            "only the embedded reference can be broken",
            "leave out the target, or use `serve --defect`.",
        )
    check_names("--defect", defects, "kms_reference.defects:ALL_DEFECTS")
    check_names("--variation", variations, "kms_reference.variations:VARIATIONS")
    asked = tuple(part.strip() for part in (flags.get("contract") or "").split(",") if part.strip())
    contracts = check_contracts(asked or contracts_by_default(target))
    if target is None:
        check_reference(contracts)
    arguments = [*(["-x"] if exitfirst else []), *(["--lf"] if last_failed else [])]
    arguments += ["-k", expression] if expression else []
    signing = signing_of(sign, product, profile, target, arguments, shard)
    options = Options(
        profile=Profile(profile),
        edition=check_edition(edition, contracts),
        contracts=contracts,
        report_dir=report_dir,
        journal=journal,
        max_wait=document.get("limits", {}).get("max_wait") if target is None else None,
        defects=defects,
        variations=variations,
        baseline=read_baseline(baseline) if baseline else None,
        fuzz=fuzz_options(flags, profile),
        shard=shard,
        shard_durations=read_durations(shard_durations) if shard_durations else {},
        jobs=jobs,
        mode=mode or "",
        command_line=tuple(sys.argv),
        challenge=challenge,
        product=signing.product.about if signing else {},
    )
    arguments += ["-n", check_workers(workers), "--dist", "loadgroup"] if workers else []
    if not plan:
        prepare(report_dir)  # no run shall be lost for want of a place for its report
    # A CI system cancels a job by SIGTERM, a closing terminal by SIGHUP: the run ends as with Ctrl-C,
    # clean-up and reports included. A run started with nohup keeps ignoring SIGHUP.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    session = Session(options, target)
    try:
        tell(demand_readiness(session))
        if target is not None and target.in_clear:
            click.echo(f"note: tokens travel in clear to {', '.join(target.in_clear)}; use https.", err=True)
        if plan:
            sys.exit(print_plan(session, arguments))
        for line in session.recover():
            click.echo(f"could not remove what a killed run has left: {line}", err=True)
        shown = Shown("none" if quiet and progress == "lines" else progress, quiet, write_baseline, metrics)
        session.read_premises()
        tell(of_instance(session))
        code = judge(session, report_dir, arguments, shown, signing=signing)
        if write_baseline:
            click.echo(dump(proposed(session.outcome().cases, options.baseline or ())), nl=False)
        sys.exit(code)
    finally:
        session.close()


def tell(findings: Iterable[Finding]) -> None:
    """Print what a run should know beforehand, on standard error."""
    for line in lines_of([finding for finding in findings if finding.level is not Level.PROBLEM]):
        click.echo(line, err=True)


def check_workers(workers: str) -> str:
    """Return the number of processes if it is one; raise :class:`BadValueError` otherwise."""
    if not (workers.isdecimal() or workers in {"auto", "logical"}):
        raise BadValueError("-n", workers, "that is no number of processes", "write -n 2, or -n auto.")
    return workers


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run shows: its ``progress``, only the verdict line, the summary on standard error, a file of ``metrics``."""

    progress: str = "lines"
    verdict_only: bool = False
    to_stderr: bool = False
    metrics: Path | None = None


USUALLY = Shown()


def judge(
    session: Session,
    report_dir: Path,
    arguments: list[str],
    shown: Shown = USUALLY,
    *,
    signing: Signing | None = None,
) -> int:
    """Run the cases, print the summary and sign the run; return the exit code.

    Raises :class:`KeyboardInterrupt` where the run was stopped by hand before there was a verdict.
    """
    state = State(lambda: session, report_dir, progress_reporter=reporter(shown.progress, session.pace))
    code = collect(session, state, arguments)
    if code == pytest.ExitCode.USAGE_ERROR and "-k" in arguments:
        return _explain_selection()
    if state.run is None and state.is_stopped_by_hand:
        raise KeyboardInterrupt
    if state.run is None:
        click.echo(f"error: no verdict was formed (pytest ended with {code}).", err=True)
        return 5
    if shown.metrics is not None:
        try:
            write_metrics(state.run, shown.metrics)
        except ReportDirError as error:
            state.unwritten = error
    if shown.verdict_only:
        click.echo(one_line(headline(state.run)), err=shown.to_stderr)
    else:
        print_summary(state.run, report_dir, sys.stderr if shown.to_stderr else sys.stdout)
    for line in github.tell(state.run, os.environ):
        click.echo(line, err=shown.to_stderr)
    for sentence, hint in ([session.refused] if session.refused else []) + (
        [(state.unwritten.sentence, state.unwritten.hint)] if state.unwritten is not None else []
    ):
        click.echo(f"error: {sentence}\nhint: {hint}", err=True)
    if signing is None or signing.signer is None or state.unwritten is not None:
        return state.exit_code
    return signing.conclude(state.run, report_dir)


def planned(session: Session, arguments: list[str]) -> tuple[Plan, int]:
    """Return what a run would do, and with which code pytest has collected the cases."""
    state = State(lambda: session, None, progress_reporter=ProgressReporter())
    code = collect(session, state, [*arguments, "--collect-only"])
    return plan_of(session, state.chosen), code


def print_plan(session: Session, arguments: list[str]) -> int:
    """Print what a run would do; return the exit code."""
    plan, code = planned(session, arguments)
    if code == pytest.ExitCode.USAGE_ERROR and "-k" in arguments:
        return _explain_selection()
    for line in plan.lines():
        click.echo(line)
    return 0 if code == pytest.ExitCode.OK else 5


def _explain_selection() -> int:
    """Say how to select cases, once pytest has said what is wrong; return the exit code."""
    click.echo("hint: -k takes words of case ids, with and, or, not and parentheses.", err=True)
    return 2


def collect(session: Session, state: State, arguments: list[str]) -> int:
    """Have pytest collect the cases of a session and, unless the arguments say otherwise, run them."""
    quiet = [
        "-p",
        "no:terminal",
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:schemathesis",
        "-p",
        "no:allure_pytest",
        "-s",
    ]
    # The user's own pytest configuration has no say in a verdict.
    settings = [
        "-c",
        os.devnull,
        "--rootdir",
        str(Path.cwd()),
        "-o",
        f"cache_dir={HOME / 'pytest'}",
        "--import-mode=importlib",
        # Cases state what they expect on answers; rewriting their asserts would take a second of every start.
        "--assert=plain",
    ]
    with suppress(OSError):  # where nothing can be written, nothing is kept
        HOME.mkdir(mode=0o700, exist_ok=True)
    places = [place for contract in session.options.contracts for place in packages(contract)]
    if session.options.fuzz.replay:
        # One request of the fuzzer is tried again, so the cases that name what they send stay away.
        named = {place for contract in session.options.contracts for place in system_of(contract).scenarios}
        places = [place for place in places if place not in named]
    return int(pytest.main([*quiet, *settings, *arguments, "--pyargs", *places], plugins=[state]))
