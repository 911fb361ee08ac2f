"""One verdict everywhere: for ten thousand random sets of results, every output and the exit code say the same.

``tests/outputs`` proves the formats with rich evidence and fewer sets; here the sets are many and the evidence is thin.
``KMS_SETS`` is the number of sets.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from cases import Case, run_cases
from in_process import reference, without_sockets

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.errors import ExitCode
from kms_conformance.judging.results import CaseResult, Finding, KnownDeviation
from kms_conformance.judging.verdict import Profile, Run, RunVerdict, headline
from kms_conformance.outputs import allure, junit, results, summary
from kms_conformance.outputs.terminal import summary_lines
from kms_conformance.run.context import CaseInfo

SETS = int(os.environ.get("KMS_SETS", "10000"))
CODES = {RunVerdict.CONFORMANT: {0}, RunVerdict.NON_CONFORMANT: {1}, RunVerdict.NOT_VERIFIED: {3, 5}}
GOOD = [Verdict.PASSED] * 6 + [Verdict.WARNED, Verdict.NOT_APPLICABLE]


def random_run(seed: int) -> Run:
    """Return a run of up to eight cases and five rows: any verdicts, profile, baseline, complete or not."""
    rng = random.Random(seed)
    rows = tuple(
        Row(
            f"r{number}",
            "one",
            f"s{number % 2}",
            rng.choice(["MUST", "SHOULD"]),
            "documented",
            excluded="no way" if rng.random() < 0.1 else "",
            every_exchange=rng.random() < 0.1,
        )
        for number in range(rng.randint(0, 5))
    )
    verdicts = rng.choice([GOOD, GOOD, [*GOOD, Verdict.FAILED], list(Verdict)])
    cases = tuple(_random_case(rng, number, rng.choice(verdicts)) for number in range(rng.randint(0, 8)))
    failed = [case.id for case in cases if case.verdict is Verdict.FAILED]
    has_baseline = rng.random() < 0.3
    states = ["used", "used", "used", "not-tested", "stale", "expired"]
    return Run(
        profile=rng.choice(list(Profile)),
        cases=cases,
        rows=rows,
        interrupted=rng.choice(["", "", "", "", "stopped by hand"]),
        trouble=rng.choice(["", "", "", "", "a module cannot be collected"]),
        started=1.0,
        finished=2.0,
        baseline=tuple(
            KnownDeviation("one.*", "", "why", "who", "", "2099-01-01", rng.choice(states), "a sentence")
            for _ in range(rng.randint(1, 2))
        )
        if has_baseline
        else (),
        accepted={case: "why (who)" for case in failed if rng.random() < 0.8} if has_baseline else {},
    )


def _random_case(rng: random.Random, number: int, verdict: Verdict) -> CaseResult:
    rows = tuple(rng.sample([f"r{place}" for place in range(6)], rng.randint(0, 2)))
    findings = (
        (Finding("r0", verdict, "409", "204", "x1"),) if verdict in {Verdict.FAILED, Verdict.WARNED} else ()
    )
    return CaseResult(
        f"one.c{number}",
        "title",
        "one",
        verdict,
        rows,
        message="message",
        checks=rng.randint(0, 2),
        findings=findings,
    )


def test_every_output_says_the_same() -> None:
    """Verdict, counts and exit code agree in all formats, and what was cut short is told in each."""
    for seed in range(SETS):
        says_the_same(random_run(seed))


def says_the_same(run: Run) -> None:
    """Check what all formats say of a run."""
    document, xml, page = results.render(run), junit.render(run), summary.render(run)
    terminal, files = summary_lines(run, "out"), allure.render(run)
    assert document["verdict"] == run.verdict
    assert document["exit_code"] == run.exit_code
    assert int(run.exit_code) in CODES[run.verdict]
    assert +Counter(document["counts"]) == Counter(case["verdict"] for case in document["cases"])

    root = ET.fromstring(xml)
    properties = [element for element in root.iter("property") if element.get("name") == "verdict"]
    assert +Counter(document["counts"]) == Counter(element.get("value") for element in properties)
    red = {tag: len(list(root.iter(tag))) for tag in ("failure", "error")}
    assert (sum(red.values()) == 0) == (run.verdict is RunVerdict.CONFORMANT)
    assert root.get("failures") == str(red["failure"])
    assert root.get("errors") == str(red["error"])
    assert {
        element.get("value") for element in root.iter("property") if element.get("name") == "run-verdict"
    } <= {run.verdict.value}

    statuses = [
        json.loads(content)["status"] for name, content in files.items() if name.endswith("-result.json")
    ]
    assert (not {"failed", "broken"} & set(statuses)) == (run.verdict is RunVerdict.CONFORMANT)
    assert f"Verdict={run.verdict.value}\n".encode() in files["environment.properties"]

    line = headline(run)
    assert terminal[0] == line
    assert page.startswith(f"**{run.verdict.value.upper()}: ")
    assert line.startswith(f"{run.verdict.value.upper()}: ")
    for why in filter(None, (run.interrupted, run.trouble)):
        assert why in line
        assert why in page
        assert why in document["interrupted"] + document["trouble"]
        assert why in xml
        assert why.encode() in files["environment.properties"]


def test_verdicts_are_no_better_than_their_evidence() -> None:
    """Nothing empty, skipped, partial or wrong is conformant; nothing bad that is added improves a verdict."""
    for seed in range(SETS):
        is_no_better(random_run(seed))


def is_no_better(run: Run) -> None:
    """Check that the verdict of a run needs evidence, and that nothing bad improves it."""
    order = [RunVerdict.CONFORMANT, RunVerdict.NOT_VERIFIED, RunVerdict.NON_CONFORMANT]
    worse = CaseResult("one.more", "", "one", Verdict.FAILED, ("r0",), checks=1)
    assert replace(run, cases=(*run.cases, worse)).verdict is RunVerdict.NON_CONFORMANT
    for bad in (Verdict.ERROR, Verdict.INCONCLUSIVE):
        more = replace(run, cases=(*run.cases, replace(worse, verdict=bad)))
        assert order.index(more.verdict) >= order.index(run.verdict)
        assert more.verdict is not RunVerdict.CONFORMANT
    short = replace(run, interrupted="stopped by hand")
    assert short.verdict is not RunVerdict.CONFORMANT
    assert order.index(short.verdict) >= order.index(run.verdict)
    if run.verdict is RunVerdict.CONFORMANT:
        assert any(case.verdict in {Verdict.PASSED, Verdict.WARNED} and case.checks for case in run.cases)
        assert not run.interrupted + run.trouble
        assert not any(entry.breaks_run for entry in run.baseline)
        assert replace(run, cases=()).verdict is RunVerdict.NOT_VERIFIED
        skipped = tuple(replace(case, verdict=Verdict.NOT_TESTED) for case in run.cases)
        assert replace(run, cases=skipped).verdict is RunVerdict.NOT_VERIFIED


@pytest.mark.parametrize("wanted", RunVerdict)
def test_the_sets_are_not_vacuous(wanted: RunVerdict) -> None:
    """Each verdict comes up often among the sets, with and without a baseline, complete and cut short."""
    runs = [run for run in map(random_run, range(4000)) if run.verdict is wanted]
    assert len(runs) > 20
    assert {bool(run.accepted) for run in runs} == {True, False}


def one_case(body: object) -> Run:
    """Run one body of a case against the reference."""
    info = CaseInfo("one.only", "Only this", "key_protect", ("key-deleted-err",))
    with without_sockets(), reference() as (target, _):
        return run_cases(target, {info.id: Case(info, body)}, "key_protect")  # type: ignore[arg-type]  # given as object


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda kms: (kms.create_root_key(), kms.list_keys()), "no expectation"),
        (lambda kms: None, "judged nothing"),
        (lambda kms: kms.list_keys().is_refused("KEY_DELETED_ERR"), "never seen to succeed"),
    ],
    ids=["an answer that nobody judges", "nothing at all", "a refusal without its control"],
)
def test_what_is_not_judged_is_an_error_of_the_suite(body: object, message: str) -> None:
    """An answer without an expectation, a case without one, a refusal without a control: error, exit code 5."""
    run = one_case(body)
    (case,) = run.cases
    assert case.verdict is Verdict.ERROR
    assert message in case.message
    assert run.exit_code is ExitCode.SUITE_ERROR
    assert "error" in headline(run)


def test_missing_cases_cut_a_run_short() -> None:
    """A run that has fewer results than it had selected says so, and is not conformant."""
    good = Run(
        Profile.GATE,
        (CaseResult("one.a", "", "one", Verdict.PASSED, ("r0",), checks=1, judged=("r0",)),),
        (Row("r0", "one", "s", "MUST", "documented"),),
    )
    assert good.verdict is RunVerdict.CONFORMANT
    short = replace(good, interrupted="1 of 2 selected cases did not run")
    assert short.exit_code is ExitCode.NOT_VERIFIED
    assert "cut short: 1 of 2 selected cases did not run" in headline(short)
