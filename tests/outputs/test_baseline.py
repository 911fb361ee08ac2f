"""A baseline accepts what it names, for as long as it may, and says when it has become wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.errors import BadValueError, BaselineError
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run, RunVerdict, headline
from kms_conformance.outputs.baseline import (
    Entry,
    accepted,
    as_documents,
    dump,
    entries_of,
    parse,
    proposed,
    settle,
)
from kms_conformance.run.options import Options

TODAY = date(2030, 5, 1)
ROWS = (
    *(Row(name, "one", "s", "MUST", "documented") for name in ("r1", "r2", "r3")),
    Row("everywhere", "one", "wire", "MUST", "documented", every_exchange=True),
)


def entry(case: str = "", requirement: str = "", expiry: date = TODAY) -> Entry:
    """Return an entry with a reason and an owner."""
    return Entry(case, requirement, "under repair", "storage team", "", expiry)


def result(
    name: str, *broken: str, verdict: Verdict | None = None, rows: tuple[str, ...] = ("r1",)
) -> CaseResult:
    """Return a case that found these rows broken."""
    findings = tuple(Finding(row, Verdict.FAILED, "409", "204", "x1") for row in broken)
    return CaseResult(
        name,
        name,
        "one",
        verdict or (Verdict.FAILED if broken else Verdict.PASSED),
        rows,
        checks=1,
        findings=findings,
        judged=rows,
    )


def used(*entries: Entry, cases: tuple[CaseResult, ...], complete: bool = True) -> list[tuple[str, str]]:
    """Return state and message of each entry."""
    case_ids = {"one.a", "one.b", "one.c"}
    return [
        (use.state, use.message)
        for use in settle(entries, cases, case_ids, ROWS, complete=complete, today=TODAY)
    ]


def judged(*entries: Entry, cases: tuple[CaseResult, ...], interrupted: str = "") -> Run:
    """Return the run of these cases with a baseline."""
    return Run(
        profile=Profile.GATE,
        cases=cases,
        rows=ROWS,
        interrupted=interrupted,
        baseline=settle(entries, cases, {"one.a", "one.b"}, ROWS, complete=not interrupted, today=TODAY),
        accepted={case.id: why for case in cases if (why := accepted(case, entries, TODAY))},
    )


@pytest.mark.parametrize(
    "listed",
    [entry("one.a"), entry("one.*"), entry("", "r1"), entry("", "r?"), entry("one.a", "r1"), entry("*", "*")],
    ids=lambda listed: listed.description,
)
def test_listed_deviation_does_not_fail_the_run(listed: Entry) -> None:
    """A deviation that an entry names is accepted; case, counts and rows keep saying that it failed."""
    run = judged(listed, cases=(result("one.a", "r1"), result("one.b", rows=("r2",))))
    assert run.verdict is RunVerdict.CONFORMANT
    assert run.counts["failed"] == 1
    assert run.requirements[0].verdict is Verdict.FAILED
    assert "1 failed accepted by the baseline" in headline(run)
    assert run.baseline[0].state == "used"
    assert run.baseline[0].deviations == ("one.a r1",)


@pytest.mark.parametrize(
    "listed",
    [entry("one.b"), entry("", "r2"), entry("one.a", "r2"), entry("one.a", expiry=date(2030, 4, 30))],
)
def test_other_deviation_fails_the_run(listed: Entry) -> None:
    """What no living entry names fails as ever."""
    assert judged(listed, cases=(result("one.a", "r1"), result("one.b"))).verdict is RunVerdict.NON_CONFORMANT


def test_new_deviation_in_a_listed_case_fails() -> None:
    """An entry for one requirement of a case does not cover what else the case finds."""
    run = judged(entry("one.a", "r1"), cases=(result("one.a", "r1", "r2"), result("one.b")))
    assert run.verdict is RunVerdict.NON_CONFORMANT
    assert not run.accepted


def test_rule_of_every_exchange_can_be_listed() -> None:
    """A wire rule that is listed no longer fails the cases that it fails, nor its own row."""
    run = judged(entry("", "everywhere"), cases=(result("one.a", "everywhere"), result("one.b")))
    assert run.verdict is RunVerdict.CONFORMANT


def test_nothing_but_accepted_failures_is_not_conformant() -> None:
    """A run in which no case passed stays unverified, whatever is accepted."""
    assert judged(entry("one.*"), cases=(result("one.a", "r1"),)).verdict is RunVerdict.NOT_VERIFIED


def test_cut_short_run_is_not_conformant() -> None:
    """A baseline makes no partial run conformant."""
    run = judged(entry("one.a"), cases=(result("one.a", "r1"), result("one.b")), interrupted="Ctrl-C")
    assert run.verdict is RunVerdict.NOT_VERIFIED


@pytest.mark.parametrize(
    ("listed", "state", "sentence"),
    [
        (entry("one.b"), "stale", "no longer occurs"),
        (entry("", "r2"), "stale", "no longer occurs"),
        (entry("one.aa"), "unknown", "did you mean one.a?"),
        (entry("", "rr1"), "unknown", "did you mean r1?"),
        (entry("two.*"), "no-match", "no case matches two.*"),
        (entry("", "x-*"), "no-match", "no requirement matches x-*"),
        (entry("one.a", "r9-*"), "no-match", "no requirement matches r9-*"),
        (entry("one.a", expiry=date(2030, 4, 30)), "expired", "it expired on 2030-04-30"),
    ],
)
def test_entry_that_rots_breaks_the_run(listed: Entry, state: str, sentence: str) -> None:
    """A stale, unknown, matchless or expired entry makes the run non-conformant and says so in a line."""
    cases = (result("one.a"), result("one.b", rows=("r1", "r2")))
    ((entry_state, message),) = used(listed, cases=cases)
    assert entry_state == state
    assert message.startswith("baseline entry 1 (")
    assert sentence in message
    assert judged(listed, cases=cases).verdict is RunVerdict.NON_CONFORMANT


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (entry("one.a"), entry("one.a"), "duplicate"),
        (entry("one.a", "r1"), entry("one.a", "r1"), "duplicate"),
        (entry("one.a"), entry("one.*"), "contradictory"),
        (entry("one.a"), entry("", "r1"), "contradictory"),
        (entry("", "r1"), entry("one.a"), "contradictory"),
        (entry("one.a"), entry("one.a", "r1"), "contradictory"),
        (entry("", "r?"), entry("", "r1"), "contradictory"),
    ],
)
def test_contradiction_breaks_the_run(first: Entry, second: Entry, state: str) -> None:
    """Two entries that both name one deviation contradict each other, in either order."""
    cases = (result("one.a", "r1"), result("one.b", rows=("r2",)))
    (_, (entry_state, message)) = used(first, second, cases=cases)
    assert entry_state == state
    assert "entry 1" in message
    assert judged(first, second, cases=cases).verdict is RunVerdict.NON_CONFORMANT


@pytest.mark.parametrize(
    "verdict", [Verdict.NOT_TESTED, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_APPLICABLE]
)
def test_entry_whose_case_was_not_judged_stays(verdict: Verdict) -> None:
    """Nothing is known of a deviation whose case found nothing out: the entry is neither used nor stale."""
    assert used(entry("one.a"), cases=(result("one.a", verdict=verdict), result("one.b"))) == [
        ("not-tested", "")
    ]


def test_partial_run_calls_nothing_stale() -> None:
    """A run of some cases cannot tell that a deviation is gone."""
    assert used(entry("one.b"), cases=(result("one.a"), result("one.b")), complete=False) == [
        ("not-tested", "")
    ]


def test_brackets_are_no_pattern() -> None:
    """The parameters of a case are named as they are."""
    case = result("one.a[x-1]", "r1")
    assert used(entry("one.a[x-1]"), cases=(case,)) == [("used", "")]
    assert used(entry("one.a[x-2]"), cases=(case, result("one.b")))[0][0] in {
        "unknown",
        "stale",
        "not-tested",
    }


TEXTS = st.text(min_size=1, max_size=30).filter(str.strip)
FINDINGS = st.lists(st.tuples(st.sampled_from(["r1", "r2", "everywhere"]), TEXTS), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(findings_by_case=st.lists(FINDINGS, max_size=4))
def test_written_baseline_round_trips(findings_by_case: list[list[tuple[str, str]]]) -> None:
    """What --write-baseline prints is read back, accepts all it names, and is printed again in the same bytes."""
    cases = tuple(
        CaseResult(
            f"one.{number}",
            "",
            "one",
            Verdict.FAILED,
            ("r1", "r2"),
            checks=1,
            findings=tuple(Finding(row, Verdict.FAILED, "409", got, "x") for row, got in findings),
        )
        for number, findings in enumerate(findings_by_case)
    )
    text = dump(proposed(cases, today=TODAY))
    entries = parse(text)
    assert dump(entries) == text
    assert dump(proposed(cases, entries, today=TODAY)) == text
    assert entries_of(json.loads(json.dumps(as_documents(entries)))) == entries
    assert all(accepted(case, entries, TODAY) for case in cases)
    assert all(use.state == "used" for use in settle(entries, cases, (), ROWS, complete=True, today=TODAY))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1", "not a list"),
        ("- 1", "entry 1: it is not a mapping"),
        ("- {case: a, owner: o, expiry: 2030-01-01}", "entry 1: it has no reason"),
        ("- {case: a, reason: r, expiry: 2030-01-01}", "entry 1: it has no owner"),
        ("- {case: a, reason: r, owner: o}", "entry 1: it has no expiry"),
        ("- {reason: r, owner: o, expiry: 2030-01-01}", "neither a case nor a requirement"),
        ("- {case: a, reason: r, owner: o, expiry: soon}", "expiry"),
        ("- {case: a, reason: r, owner: o, expiry: '2030-02-30'}", "no day of the calendar"),
        ("- {case: a, reason: ' ', owner: o, expiry: 2030-01-01}", "reason"),
        ("- {case: a, reasons: r, owner: o, expiry: 2030-01-01}", "did you mean 'reason'?"),
        ("- {case: [a], reason: r, owner: o, expiry: 2030-01-01}", "case"),
        ("- [", "not YAML"),
    ],
)
def test_broken_file_is_refused(text: str, sentence: str) -> None:
    """A file that is no baseline ends in one sentence that names the entry."""
    with pytest.raises(BaselineError) as caught:
        parse(text)
    assert sentence in caught.value.sentence


def test_empty_file_is_an_empty_baseline() -> None:
    """A file without entries accepts nothing and breaks nothing."""
    assert parse("# nothing known\n") == parse("[]") == ()
    assert parse(dump(())) == ()


def test_certification_takes_no_baseline() -> None:
    """The profile certify refuses even an empty baseline."""
    with pytest.raises(BadValueError, match="certify"):
        Options(profile=Profile.CERTIFY, baseline=())


@pytest.fixture(scope="module", name="defect")
def defect_fixture() -> list[str]:
    """Return the arguments of a run that finds one deviation, in few cases."""
    return ["run", "--contract", "iks", "--defect", "iks-no-credentials-as-200", "--report-dir", "out"]


def test_commands(command: Callable[..., Any], defect: list[str], tmp_path: Path) -> None:
    """The real command line: write a baseline, pass with it, with workers too, fail once it is stale, refuse to certify."""
    written = command(*defect, "--write-baseline")
    assert written.code == 1
    (tmp_path / "known.yaml").write_text(written.out)
    assert parse(written.out)
    again = command(*defect, "--baseline", "known.yaml", "--write-baseline")
    assert (again.code, again.out) == (0, written.out)

    passed = command(*defect, "--baseline", "known.yaml", "-n", "2")
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (passed.code, document["verdict"]) == (0, "conformant")
    assert {entry["state"] for entry in document["baseline"]} == {"used"}
    assert {case["verdict"] for case in document["cases"] if case["accepted"]} == {"failed"}

    stale = command("run", "--contract", "iks", "--report-dir", "out", "--baseline", "known.yaml")
    assert stale.code == 1
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["state"] for entry in document["baseline"]] == ["stale"] * len(parse(written.out))
    assert stale.out.count("no longer occurs") == len(parse(written.out))

    refused = command(*defect, "--baseline", "known.yaml", "--profile", "certify")
    assert refused.code == 2
    assert "certify" in refused.first_line
