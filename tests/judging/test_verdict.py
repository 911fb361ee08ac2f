"""The algebra of verdicts: nothing that ran no check is green, and nothing bad is outweighed by something good."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_conformance.contract.severity import Row, Verdict, worst
from kms_conformance.errors import ExitCode
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import (
    Profile,
    Run,
    RunVerdict,
    headline,
    judge_rows,
    monotony,
    required_rows,
)

VERDICTS = st.sampled_from(Verdict)
ROWS = ("a", "b", "c")
ALL_ROWS = tuple(Row(name, "one", name, "MUST", "documented") for name in ROWS)
D = Row("d", "one", "d", "MUST", "documented")
WIRE = Row("wire-x", "one", "wire", "MUST", "documented", every_exchange=True)
CASES = st.lists(
    st.builds(
        lambda verdict, rows, checks: (verdict, tuple(sorted(rows)), checks),
        VERDICTS,
        st.sets(st.sampled_from(ROWS), min_size=1),
        st.integers(0, 2),
    ),
    max_size=6,
).map(lambda entries: tuple(case(f"c{n}", *entry) for n, entry in enumerate(entries)))
RUNS = st.builds(
    lambda cases, profile, interrupted, trouble: Run(
        profile, cases, ALL_ROWS, interrupted=interrupted, trouble=trouble
    ),
    CASES,
    st.sampled_from(Profile),
    st.sampled_from(["", "", "stopped"]),
    st.sampled_from(["", "", "broken"]),
)


def case(name: str, verdict: Verdict, rows: tuple[str, ...] = ("a",), checks: int = 1) -> CaseResult:
    """Return a case's result."""
    judged = rows if checks and verdict in {Verdict.PASSED, Verdict.WARNED} else ()
    return CaseResult(name, name, "one", verdict, rows, checks=checks, judged=judged)


def run_of(*cases: CaseResult, profile: Profile = Profile.GATE, **more: str) -> Run:
    """Return a run with these cases and three rows."""
    return Run(profile, cases, ALL_ROWS, **more)


def answered(status: int, number: int, code: str = "") -> Exchange:
    """Return an exchange with this answer; 0 is none."""
    body = {"resources": [{"reasons": [{"code": code}]}]} if code else None
    answer = Received(status, {}, body, body is not None, 9, code=code or None) if status else None
    return Exchange(f"x{number}", "c", "s", None, "manager", Sent("GET", "u", "/", {}), answer, "silence")


@given(st.lists(VERDICTS), st.lists(VERDICTS))
def test_worst(some: list[Verdict], others: list[Verdict]) -> None:
    """The worst of several is one of them, does not depend on order, and gets no better with more; of none: not tested."""
    assert worst([]) is Verdict.NOT_TESTED
    if some:
        assert worst(some) in some
        assert worst(some) is worst(reversed(some)) is worst([worst(some), worst(some)])
        assert worst(some + others).rank >= worst(some).rank


@given(RUNS)
def test_conformant_is_never_vacuous(run: Run) -> None:
    """Conformant means: complete, something was checked and passed, and nothing failed, erred or stayed open."""
    verdicts = {case.verdict for case in run.cases}
    if run.verdict is RunVerdict.CONFORMANT:
        assert not run.interrupted
        assert not run.trouble
        assert not verdicts & {Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR}
        assert any(case.verdict in {Verdict.PASSED, Verdict.WARNED} and case.checks for case in run.cases)
        assert required_rows(run)
    assert (run.verdict is RunVerdict.NON_CONFORMANT) is (Verdict.FAILED in verdicts)
    assert (run.exit_code is ExitCode.CONFORMANT) is (run.verdict is RunVerdict.CONFORMANT)


@given(RUNS, VERDICTS)
def test_a_worse_case_makes_no_better_run(run: Run, verdict: Verdict) -> None:
    """One more case that is not green never turns a run conformant, under a profile that demands every row."""
    order = [RunVerdict.CONFORMANT, RunVerdict.NOT_VERIFIED, RunVerdict.NON_CONFORMANT]
    if verdict in {Verdict.PASSED, Verdict.WARNED, Verdict.NOT_APPLICABLE}:
        return
    certify = replace(run, profile=Profile.CERTIFY)
    more = replace(certify, cases=(*run.cases, case("more", verdict)))
    assert order.index(more.verdict) >= order.index(certify.verdict)


@given(RUNS)
def test_counts(run: Run) -> None:
    """The counts have all seven names and add up."""
    assert list(run.counts) == [str(verdict) for verdict in Verdict]
    assert sum(run.counts.values()) == len(run.cases)


@pytest.mark.parametrize(
    ("run", "verdict", "code"),
    [
        (run_of(), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.PASSED)), RunVerdict.CONFORMANT, 0),
        (run_of(case("x", Verdict.WARNED)), RunVerdict.CONFORMANT, 0),
        (run_of(case("x", Verdict.PASSED, checks=0)), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.NOT_APPLICABLE)), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.NOT_TESTED)), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.PASSED), case("y", Verdict.NOT_TESTED, ("b",))), RunVerdict.CONFORMANT, 0),
        (run_of(case("x", Verdict.PASSED), case("y", Verdict.INCONCLUSIVE)), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.PASSED), case("y", Verdict.ERROR)), RunVerdict.NOT_VERIFIED, 5),
        (run_of(case("x", Verdict.FAILED), case("y", Verdict.ERROR)), RunVerdict.NON_CONFORMANT, 1),
        (run_of(case("x", Verdict.FAILED), interrupted="stopped"), RunVerdict.NON_CONFORMANT, 1),
        (run_of(case("x", Verdict.PASSED), interrupted="stopped"), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.PASSED), trouble="broken"), RunVerdict.NOT_VERIFIED, 5),
        (run_of(case("x", Verdict.PASSED), profile=Profile.CERTIFY), RunVerdict.NOT_VERIFIED, 3),
        (run_of(case("x", Verdict.PASSED, ROWS), profile=Profile.CERTIFY), RunVerdict.CONFORMANT, 0),
        (
            run_of(case("x", Verdict.PASSED, ROWS), case("y", Verdict.NOT_TESTED), profile=Profile.CERTIFY),
            RunVerdict.NOT_VERIFIED,
            3,
        ),
    ],
)
def test_table(run: Run, verdict: RunVerdict, code: int) -> None:
    """Each situation of the design has its verdict and exit code."""
    assert (run.verdict, int(run.exit_code)) == (verdict, code)
    assert headline(run).startswith(f"{verdict.value.upper()}: ")
    assert all(words in headline(run) for words in (run.interrupted, run.trouble))


def test_the_reason_of_the_verdict_comes_first() -> None:
    """What made a run fail is not the last number of the line."""
    good = [case(name, Verdict.PASSED) for name in "abc"]
    assert headline(run_of(*good, case("x", Verdict.NOT_APPLICABLE))).endswith(": 3 passed, 1 not-applicable")
    red = run_of(*good, case("x", Verdict.WARNED), case("y", Verdict.FAILED))
    assert headline(red) == "NON-CONFORMANT: 1 failed, 1 warned, 3 passed"


def test_excluded_rows_are_not_demanded() -> None:
    """A row that is excluded for a reason does not keep anybody from being certified."""
    rows = (ALL_ROWS[0], replace(ALL_ROWS[1], excluded="nobody can provoke it"))
    assert Run(Profile.CERTIFY, (case("x", Verdict.PASSED),), rows).verdict is RunVerdict.CONFORMANT


def test_rows() -> None:
    """A finding decides about the row it names; other rows pass where they were judged, else they are inconclusive."""
    finding = Finding("wire-x", Verdict.FAILED, "e", "g", "x1")
    own = Finding("d", Verdict.FAILED, "e", "g", "x1")
    failed = case("x", Verdict.FAILED, ("a", "b", "d"))
    cases = (
        replace(failed, exchanges=(answered(200, 1),), findings=(finding, own), judged=("b", "d")),
        replace(case("y", Verdict.PASSED, ("a", "b")), exchanges=(answered(200, 2),)),
        case("z", Verdict.NOT_TESTED, ("c",)),
    )
    verdicts = {
        result.row.id: (result.verdict, result.cases) for result in judge_rows((*ALL_ROWS, D, WIRE), cases)
    }
    assert verdicts == {
        "a": (Verdict.INCONCLUSIVE, ("x", "y")),
        "b": (Verdict.PASSED, ("x", "y")),
        "c": (Verdict.NOT_TESTED, ("z",)),
        "d": (Verdict.FAILED, ("x",)),
        "wire-x": (Verdict.FAILED, ("x", "y")),
    }


FINDINGS = st.lists(
    st.builds(
        lambda row, severity: Finding(row, severity, "e", "g", "x1"),
        st.sampled_from(ROWS),
        st.sampled_from([Verdict.PASSED, Verdict.WARNED, Verdict.FAILED]),
    ),
    max_size=4,
)


@given(run=RUNS, findings=st.lists(FINDINGS, min_size=6, max_size=6), judged=st.sets(st.sampled_from(ROWS)))
def test_a_failed_row_is_named_by_a_finding(
    run: Run, findings: list[list[Finding]], judged: set[str]
) -> None:
    """The failed rows are those that a finding which fails names, whatever became of the cases beside it."""
    cases = tuple(
        replace(case, findings=tuple(case_findings), judged=tuple(judged))
        for case, case_findings in zip(run.cases, findings, strict=False)
    )
    failed = {row.row.id for row in judge_rows(ALL_ROWS, cases) if row.verdict is Verdict.FAILED}
    named = {
        finding.requirement
        for case in cases
        for finding in case.findings
        if finding.severity is Verdict.FAILED
    }
    errors = {row for case in cases if case.verdict is Verdict.ERROR for row in case.requirements}
    assert failed <= named
    assert named - errors <= failed


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            [(409, "KEY_DELETED_ERR")] * 9 + [(400, "")],
            "no request ever succeeded (409 KEY_DELETED_ERR, 9 of 10 times)",
        ),
        ([(200, "")] * 10, "every one of 10 requests got the same answer (200)"),
        ([(200, "")] * 39 + [(0, "")], "39 of 40 requests got the same answer (200)"),
        ([(0, "")] * 6, "none of 6 requests got an answer"),
        ([(409, "made up\n<b>")] * 6, "no request ever succeeded (409, 6 of 6 times)"),
        ([(200, ""), (409, "KEY_DELETED_ERR")] * 5, ""),
        ([(404, "")] * 3, ""),
        ([], ""),
    ],
)
def test_monotony(answers: list[tuple[int, str]], sentence: str) -> None:
    """The verdict line says when nothing but refusals, silence or one answer came; a server's own words do not get in."""
    exchanges = tuple(answered(status, number, code) for number, (status, code) in enumerate(answers))
    run = run_of(replace(case("x", Verdict.FAILED), exchanges=exchanges))
    assert monotony(run) == sentence
    assert sentence in headline(run)
