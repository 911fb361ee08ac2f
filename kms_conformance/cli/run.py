"""``kms-conformance run``: judge an endpoint and write the reports."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from kms_conformance.cli import table_options
from kms_conformance.cli.flags import flags_document, names_endpoint, target_options
from kms_conformance.errors import BadValueError, did_you_mean
from kms_conformance.judging.verdict import Profile
from kms_conformance.run.option_table import HOME


@click.command("run")
@target_options
@table_options.fuzz_options
@table_options.run_options
@click.option(
    "--write-baseline",
    is_flag=True,
    help="Print a baseline for what fails; the summary goes to standard error.",
)
@click.option("--defect", "defects", multiple=True, help="Break the embedded reference in a named way.")
@click.option(
    "--variation", "variations", multiple=True, help="Let the embedded reference differ in a legal way."
)
@click.option("-k", "expression", metavar="EXPR", help="Run only the cases whose name matches (pytest's -k).")
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@click.option("--lf", "last_failed", is_flag=True, help="Run only what failed last time.")
@click.option("-n", "workers", metavar="WORKERS", help="Run in this many processes.")
def command(
    profile: str,
    edition: str,
    report_dir: Path,
    baseline: Path | None,
    journal: Path,
    defects: tuple[str, ...],
    variations: tuple[str, ...],
    expression: str | None,
    workers: str | None,
    shard: str | None,
    *,
    write_baseline: bool,
    exitfirst: bool,
    last_failed: bool,
    **flags: Any,
) -> None:
    """Judge an endpoint.

    Without --target, --base-url or KMS_BASE_URL the embedded reference is started and judged. Exit code: 0 conformant,
    1 non-conformant, 2 usage, 3 not verified, 4 not reachable or refused by the preflight, 5 an error of the suite.
    """
    from kms_conformance.outputs.baseline import dump, proposed, read_baseline  # noqa: PLC0415 - --help stays quick
    from kms_conformance.outputs.files import prepare  # noqa: PLC0415 - --help stays quick
    from kms_conformance.run.options import Options, fuzz_options  # noqa: PLC0415 - same
    from kms_conformance.run.session import Session  # noqa: PLC0415 - same
    from kms_conformance.target.target import contracts_by_default, read_target  # noqa: PLC0415 - same

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
    contracts = asked or contracts_by_default(target)
    options = Options(
        profile=Profile(profile),
        edition=edition,
        contracts=check_contracts(contracts),
        report_dir=report_dir,
        journal=journal,
        max_wait=document.get("limits", {}).get("max_wait") if target is None else None,
        defects=defects,
        variations=variations,
        baseline=read_baseline(baseline) if baseline else None,
        fuzz=fuzz_options(flags, profile),
        shard=check_shard(shard or ""),
    )
    arguments = [*(["-x"] if exitfirst else []), *(["--lf"] if last_failed else [])]
    arguments += ["-k", expression] if expression else []
    arguments += ["-n", check_workers(workers), "--dist", "loadgroup"] if workers else []
    prepare(report_dir)  # no run shall be lost for want of a place for its report
    # A job that a CI system cancels is told so by SIGTERM, one whose terminal closes by SIGHUP: it ends as with Ctrl-C,
    # clean-up and reports included. What was started with nohup ignores SIGHUP, and goes on doing so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    session = Session(options, target)
    try:
        session.check()
        if target is not None and target.in_clear:
            click.echo(f"note: tokens travel in clear to {', '.join(target.in_clear)}; use https.", err=True)
        for line in session.recover():
            click.echo(f"could not remove what a killed run has left: {line}", err=True)
        code = judge(session, report_dir, arguments, quietly=write_baseline)
        if write_baseline:
            click.echo(dump(proposed(session.outcome().cases, options.baseline or ())), nl=False)
        sys.exit(code)
    finally:
        session.close()


def check_shard(shard: str) -> str:
    """Return the shard if it is one; raise :class:`BadValueError` otherwise."""
    from kms_conformance.outputs.shards import read_shard  # noqa: PLC0415 - --help stays quick

    read_shard(shard)
    return shard


def check_workers(workers: str) -> str:
    """Return the number of processes if it is one; raise :class:`BadValueError` otherwise."""
    if not (workers.isdecimal() or workers in {"auto", "logical"}):
        raise BadValueError("-n", workers, "that is no number of processes", "write -n 2, or -n auto.")
    return workers


def check_names(flag: str, fuzz_options: tuple[str, ...], registry: str) -> None:
    """Refuse a name that the reference does not know; raise :class:`BadValueError`."""
    if not fuzz_options:
        return
    module, _, name = registry.partition(":")
    known = getattr(import_module(module), name)
    for choice in fuzz_options:
        if choice not in known:
            near = did_you_mean(choice, known)
            hint = f"did you mean {near!r}?" if near else "`kms-conformance serve --list` shows all."
            raise BadValueError(flag, choice, "the reference knows no such name", hint)


def check_contracts(contracts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the contracts if all are known; raise :class:`BadValueError` otherwise."""
    from kms_conformance.contract.contract import known_contracts  # noqa: PLC0415 - --help stays quick

    known = known_contracts()
    for contract in contracts:
        if contract not in known:
            raise BadValueError(
                "contract", contract, "there is no such contract", f"known: {', '.join(known)}."
            )
    return contracts


def judge(session: Any, report_dir: Path, arguments: list[str], *, quietly: bool = False) -> int:
    """Run the cases and print the summary, ``quietly`` on standard error; return the exit code."""
    import pytest  # noqa: PLC0415 - --help stays quick

    from kms_conformance.cli.progress import Watcher  # noqa: PLC0415 - same
    from kms_conformance.contract.case_index import folders  # noqa: PLC0415 - same
    from kms_conformance.outputs.terminal import summary_lines  # noqa: PLC0415 - same
    from kms_conformance.pytest_plugin.plugin import State  # noqa: PLC0415 - same

    state = State(lambda: session, report_dir, watcher=Watcher())
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
    places = [
        f"kms_conformance.scenarios.{folder}"
        for contract in session.options.contracts
        for folder in folders(contract)
    ]
    if session.options.fuzz.replay:
        places = [place for place in places if not place.endswith(session.options.contracts)]
    code = pytest.main([*quiet, *settings, *arguments, "--pyargs", *places], plugins=[state])
    if code == pytest.ExitCode.USAGE_ERROR and "-k" in arguments:  # pytest has said what is wrong with it
        click.echo("hint: -k takes words of case ids, with and, or, not and parentheses.", err=True)
        return 2
    if state.run is None:
        click.echo(f"error: no verdict was formed (pytest ended with {code}).", err=True)
        return 5
    for line in summary_lines(state.run, report_dir):
        click.echo(line, err=quietly)
    for line in state.left:
        click.echo(f"left behind (`kms-conformance sweep` tries again): {line}", err=True)
    return int(state.run.exit_code)
