"""An outage is not a verdict: what nobody answered is inconclusive; what is never answered fails."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from outages import Decide, Served, failing_proxy
from runs import Silent, run_cases, served_target

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ExitCode
from kms_conformance.evidence.exchange import OUTAGE, UNSURE
from kms_conformance.judging.verdict import Run, RunVerdict, headline
from kms_conformance.target.target import Target, read_target
from kms_reference.server import Server

SOME = ("-k", "states and not views")
"""Some cases that make keys, change and read them."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a reference in a process of its own."""
    with Served(tmp_path) as running:
        yield running


def through(reference: Server, decide: Decide, **limits: float) -> Run:
    """Run some cases through a proxy that decides what becomes of each request."""
    with failing_proxy(reference.base_url, decide) as url:
        target = replace(served_target(reference), base_url=url, **limits)
        return run_cases(target, *SOME, jobs=1)


def failed(run: Run) -> list[str]:
    """Return the ids of the cases that failed."""
    return [case.id for case in run.cases if case.verdict is Verdict.FAILED]


def unsure(run: Run) -> int:
    """Return how many exchanges say nothing because of an outage."""
    return sum(exchange.notes.get(OUTAGE) == UNSURE for case in run.cases for exchange in case.exchanges)


class Then(Silent):
    """Does something, once, in a thread of its own, when so many cases are done."""

    def __init__(self, cases: int, act: Callable[[], object]) -> None:
        self._cases, self._thread = cases, threading.Thread(target=act)

    def case_done(self, results: object) -> None:
        """Count the cases."""
        assert isinstance(results, dict)
        if len(results) >= self._cases and self._thread.ident is None:
            self._thread.start()

    def end(self) -> None:
        """Wait until it is done."""
        self._thread.join()


def run_while(target: Target, act: Callable[[], object]) -> Run:
    """Run some cases; after the third of them, something happens."""
    watcher = Then(3, act)
    run = run_cases(target, *SOME, jobs=2, watcher=watcher)
    watcher.end()
    return run


def test_a_server_that_is_killed_and_restarted_is_not_failed(served: Served) -> None:
    """The run waits until it is back; the cases that it broke off are inconclusive, all others are judged."""

    def restart() -> None:
        served.kill()
        time.sleep(0.5)
        served.start()

    run = run_while(read_target(str(served.target_file), {}, {}), restart)
    assert failed(run) == []
    assert run.interrupted == ""
    assert run.counts["passed"] > run.counts["inconclusive"]
    assert run.counts["error"] == 0


def test_a_server_that_stays_away_ends_the_run(served: Served) -> None:
    """The verdict line says when it went away and how many cases that touched; nothing failed."""
    target = replace(read_target(str(served.target_file), {}, {}), patience=1.0)
    run = run_while(target, served.kill)
    assert failed(run) == []
    assert run.exit_code is ExitCode.NOT_VERIFIED
    assert re.search(r"the endpoint went away at \d\d:\d\d:\d\d UTC, \d+ cases? touched", headline(run))
    assert run.counts["not-tested"] > 0
    assert run.counts["error"] == 0


def test_a_stall_is_not_failed(served: Served) -> None:
    """A server that stands still for longer than the time limit is waited for."""

    def stall() -> None:
        assert served.process is not None
        served.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        served.process.send_signal(signal.SIGCONT)

    run = run_while(replace(read_target(str(served.target_file), {}, {}), timeout=1.0), stall)
    assert failed(run) == []
    assert run.interrupted == ""
    assert run.counts["passed"] > run.counts["inconclusive"]


def test_maintenance_is_not_failed(reference: Server) -> None:
    """A time in which everything is answered by 503 fails nothing, and what follows it is judged."""
    run = through(reference, lambda _, __, number: "503" if 20 <= number < 30 else "pass")
    assert failed(run) == []
    assert unsure(run) <= 1
    assert run.counts["passed"] > 0


def test_maintenance_without_end_is_told(reference: Server) -> None:
    """Where it does not end, the run does, and is not verified."""
    run = through(reference, lambda _, __, number: "503" if number >= 20 else "pass", patience=1.0)
    assert failed(run) == []
    assert run.verdict is RunVerdict.NOT_VERIFIED
    assert "the endpoint went away at " in run.interrupted


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v2/keys/"), ("DELETE", "/api/v2/keys/")], ids=["read", "change"]
)
def test_an_operation_that_is_never_answered_fails(reference: Server, method: str, path: str) -> None:
    """An endpoint that answers some requests and drops those of one operation every time is at fault."""

    def decide(asked: str, where: str, _: int) -> str:
        # A key's own address and nothing below it; the harmless question for an unknown key is another operation's.
        return "drop" if asked == method and where.startswith(path) and where.count("/") == 4 else "pass"

    run = through(reference, decide)
    assert run.verdict is RunVerdict.NON_CONFORMANT
    rows = {finding.requirement for case in run.cases for finding in case.findings}
    assert "wire-complete-answer" in rows


@pytest.mark.parametrize("what", ["drip", "reset"])
def test_an_answer_that_breaks_off_is_not_failed(reference: Server, what: str) -> None:
    """Neither a body that comes too slowly nor one whose connection is reset, for a while; always, for one operation, it is."""
    run = through(reference, lambda _, __, number: what if number in {12, 13} else "pass", timeout=1.0)
    assert failed(run) == []
    assert run.counts["passed"] > run.counts["inconclusive"]


def test_an_issuer_that_goes_away_ends_the_run(reference: Server) -> None:
    """Who gets no token any more has seen an outage: the run is not verified, and nothing failed."""
    with failing_proxy(reference.iam_url, lambda _, __, number: "pass" if number == 1 else "drop") as url:
        target = replace(served_target(reference), iam_url=f"{url}/identity/token", patience=1.0)
        run = run_cases(target, "-k", "test_registrations or test_roles", jobs=1)
    assert failed(run) == []
    assert run.counts["error"] == 0
    assert "the endpoint went away at " in run.interrupted


@pytest.mark.parametrize("what", ["drop", "503"])
def test_a_control_protocol_that_goes_away_is_no_error(reference: Server, what: str) -> None:
    """Cases that need the clock or a fault are inconclusive and say so; all others are judged."""
    with failing_proxy(reference.base_url, lambda *_: what) as url:
        target = replace(served_target(reference), control_url=f"{url}/_control")
        run = run_cases(target, "-k", "states and not views", jobs=1)
    assert failed(run) == []
    assert run.counts["error"] == 0
    assert run.counts["inconclusive"] > 0
    assert run.counts["passed"] > run.counts["inconclusive"]
    told = {case.message for case in run.cases if case.verdict is Verdict.INCONCLUSIVE}
    assert all("the control protocol" in text for text in told)


def test_one_dropped_answer_is_not_failed(reference: Server) -> None:
    """A change that got no answer is not known to be done; a read is asked again."""
    run = through(reference, lambda _, __, number: "drop" if number in {12, 25} else "pass")
    assert failed(run) == []
    assert unsure(run) <= 2
