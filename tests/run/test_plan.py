"""What a run says of itself beforehand: requests, time, what will not be tested; and what it keeps for the next one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from runs import run_cases, served_target, session_and_context, target_of

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.expected import ExpectedRequests, counts_of, requests_of
from kms_conformance.run.pace import Pace, forecast_duration
from kms_conformance.run.plan import plan
from kms_reference.server import Server
from kms_reference.target import target_text
from tools.request_counts import SHIPPED, chosen_cases

CASE = CaseInfo("key_protect.own.quick", "a case", "key_protect", ("list-keys",))


def test_what_will_not_be_tested() -> None:
    """A plan names what the target lacks, asks nobody for it, and counts the requests of the others."""
    session, _ = session_and_context(target_of("http://127.0.0.1:9"))
    infos = [
        CASE,
        replace(CASE, id="waits", waits=60.0),
        replace(CASE, id="identity", identities=("approver",)),
        replace(CASE, id="control", control=True),
    ]
    try:
        made = plan(session, infos)
        assert made.cases == 1
        assert made.requests == session.requests_of(CASE.id)
        assert made.left_out.total() == 3
        text = "\n".join(made.lines())
        assert "[identities.approver]" in text
        assert "[control] url" in text
        assert session.sent == 0
    finally:
        session.close()


def test_the_command(command: Command, reference: Server, tmp_path: Path) -> None:
    """``run --plan`` tells it of every case, leaves no report and creates nothing."""
    (tmp_path / "target.toml").write_text(target_text(reference))
    ended = command("run", "--plan", "--target", "target.toml", "--report-dir", "report", "-k", "aliases")
    assert ended.code == 0, ended.output
    assert "cases, about" in ended.out
    assert "bound by" in ended.out
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("requests", "longest", "limits", "bound"),
    [
        (1000, 10, {"round_trip": 0.0, "per_second": None, "jobs": 1, "waits": 0.0}, "own work"),
        (1000, 10, {"round_trip": 0.2, "per_second": None, "jobs": 4, "waits": 0.0}, "latency"),
        (1000, 900, {"round_trip": 0.1, "per_second": None, "jobs": 32, "waits": 0.0}, "latency"),
        (1000, 10, {"round_trip": 0.2, "per_second": 5, "jobs": 4, "waits": 0.0}, "rate"),
        (1000, 10, {"round_trip": 0.2, "per_second": 5, "jobs": 4, "waits": 3600.0}, "waits"),
    ],
)
def test_what_bounds_it(requests: int, longest: int, limits: dict[str, float], bound: str) -> None:
    """The slowest of own work, latency, rate and waits bounds a run."""
    assert forecast_duration(requests, longest, **limits).bound == bound  # type: ignore[arg-type]  # a table of numbers


def test_counts_of_the_last_run(reference: Server, tmp_path: Path) -> None:
    """A run keeps beside its journal how many requests each case has sent, and the next run expects as many."""
    journal = tmp_path / "j.sqlite"
    run = run_cases(served_target(reference), "-k", "aliases", journal=journal)
    case = next(case for case in run.cases if case.verdict is Verdict.PASSED)
    assert ExpectedRequests(journal).of(case.id) == len(case.exchanges)
    (tmp_path / "requests.json").write_text("[nothing of ours")
    assert ExpectedRequests(journal).of(case.id) > 0


def test_shipped_counts_are_of_cases() -> None:
    """The shipped file holds a number for each case of a run, and for none that is gone.

    Where it fails: make a run against ``serve``, then ``python -m tools.request_counts`` with its ``requests.json``.
    """
    shipped = counts_of(SHIPPED.read_text(encoding="ascii"))
    assert shipped.keys() == json.loads(SHIPPED.read_text(encoding="ascii")).keys()
    chosen = chosen_cases()
    functions = {case_id.partition("[")[0] for case_id in chosen}
    assert sorted(chosen - shipped.keys()) == []
    gone = {case_id for case_id in shipped.keys() - chosen if case_id.partition("[")[0] in functions}
    assert sorted(gone) == []
    expected, name = ExpectedRequests(None), "fuzz.corpus.replay[keys]"
    assert expected.of(name) == shipped[name].all
    assert expected.of(name, clean_up=False) == shipped[name].all - shipped[name].clean_up < expected.of(name)


def test_shipped_counts_are_fresh(reference: Server, tmp_path: Path) -> None:
    """What cases send today is what the shipped file says, three in a hundred more or less in all, control calls included."""
    shipped = counts_of(SHIPPED.read_text(encoding="ascii"))
    run = run_cases(served_target(reference), "-k", "aliases or rings", journal=tmp_path / "j")
    sent = {case.id: requests_of(case) for case in run.cases if case.verdict is Verdict.PASSED}
    assert len(sent) > 20
    said = sum(shipped[case_id].all for case_id in sent)
    total = sum(counts.all for counts in sent.values())
    assert 0.97 * said < total < 1.03 * said
    assert any(counts.clean_up for counts in sent.values())
    # Besides its cases, a run asks for tokens and looks whether the endpoint is there.
    assert total <= run.meta["requests"]["sent"] < 1.03 * total + 30


def test_a_file_that_cannot_be_written_is_no_harm(tmp_path: Path) -> None:
    """Counts are a convenience: a run does not end for want of a place for them."""
    result = CaseResult("a.case", "a case", "key_protect", Verdict.PASSED, ("list-keys",))
    ExpectedRequests(tmp_path / "nowhere" / "j.sqlite").keep([result])
    assert not (tmp_path / "nowhere").exists()


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has sent a quarter in ten seconds has thirty left; what bounds it is what is waited for most of the time."""
    now = [100.0]
    monkeypatch.setattr("kms_conformance.run.pace.time.monotonic", lambda: now[0])
    monkeypatch.setattr("kms_conformance.run.pace.time.process_time", lambda: now[0] / 100)
    queued = [0]
    awaited = [0.0]
    pace = Pace(lambda: 25, lambda: 100, lambda: queued[0], lambda: awaited[0])
    assert pace.left() is None
    now[0] += 10
    left = pace.left()
    assert left is not None
    assert math.isclose(left, 30)
    awaited[0] += 9
    assert pace.bound() == "latency"
    now[0] += 10
    awaited[0] += 2
    assert pace.bound() == "own work"
    now[0] += 10
    queued[0] = 3
    assert pace.bound() == "rate"
