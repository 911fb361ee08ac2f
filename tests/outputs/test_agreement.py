"""All outputs say the same of the same run, and none says more than the run has shown."""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from kms_conformance.contract.schemas import load_schema
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ExitCode
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, RunVerdict, headline
from kms_conformance.outputs import allure, har, junit, manifest, results, summary
from kms_conformance.outputs.html import NAME as REPORT
from kms_conformance.outputs.terminal import summary_lines
from kms_conformance.outputs.text import visible
from kms_conformance.outputs.write import WRITERS, write_all

EXAMPLES = int(os.environ.get("KMS_EXAMPLES", "60"))
SCHEMA = jsonschema_rs.validator_for(load_schema("results"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
RUNS = st.from_type(Run)
GREEN = {"passed", "warned"}


@pytest.fixture(scope="module", name="directory")
def directory_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one report directory that all runs of the property share, as nightly runs do."""
    return tmp_path_factory.mktemp("report")


@BOUNDED
@given(run=RUNS)
def test_all_outputs_agree(run: Run, directory: Path) -> None:
    """Verdict, counts and cases are the same in every format, and in the exit code."""
    paths = write_all(run, directory)
    written = [writer.NAME for writer in WRITERS if (directory / writer.NAME).exists()]
    assert [path.name for path in paths] == [*written, manifest.NAME]
    document = json.loads((directory / results.NAME).read_text())
    assert not [error.message for error in SCHEMA.iter_errors(document)]
    conformant = document["verdict"] == "conformant"

    assert document["verdict"] == run.verdict
    assert document["counts"] == run.counts
    assert +Counter(document["counts"]) == Counter(case["verdict"] for case in document["cases"])
    assert document["exit_code"] == run.exit_code
    assert (run.exit_code is ExitCode.CONFORMANT) == conformant
    assert (run.exit_code is ExitCode.NON_CONFORMANT) == (document["verdict"] == "non-conformant")

    assert junit.read_counts(directory / junit.NAME) == run.counts
    assert junit_is_green(directory) == conformant

    statuses = allure_statuses(directory)
    counts = run.counts
    unexplained = statuses.pop("run", 0)
    assert statuses["failed"] == counts["failed"] - len(run.accepted)
    assert statuses["broken"] == counts["error"] + counts["inconclusive"]
    assert statuses["skipped"] == counts["not-tested"] + counts["not-applicable"] + len(run.accepted)
    assert statuses["passed"] == counts["passed"] + counts["warned"]
    assert (not statuses["failed"] + statuses["broken"] + unexplained) == conformant

    page = (directory / summary.NAME).read_text()
    assert page.splitlines()[0].replace("\\", "").strip("*") == headline(run).replace("\\", "")
    assert dict(re.findall(r"^\| ([a-z-]+) \| (\d+) \|$", page, re.MULTILINE)).items() >= {
        (name, str(number)) for name, number in counts.items()
    }
    lines = summary_lines(run, directory)
    assert lines[0] == lines[-1] == headline(run)
    assert lines[-2] == f"report: {(directory / REPORT).as_uri()}"

    report = (directory / REPORT).read_text()
    assert f'<header class="{run.verdict.value}">' in report
    assert html.escape(headline(run), quote=True).replace("&#x27;", "&#39;") in report
    assert Counter(re.findall(r'class="case" id="case-\d+" data-verdict="([a-z-]+)"', report)) == Counter(
        case["verdict"] for case in document["cases"]
    )
    read = [exchange for exchange, _ in har.read(directory / har.NAME)]
    assert [exchange.started for exchange in read] == sorted(exchange.started for exchange in read)
    assert Counter(exchange.id for exchange in read) == Counter(
        exchange for case in document["cases"] for exchange in case["exchanges"]
    )
    assert document["requests"]["kept"] == len(read)

    failing = {case["id"] for case in document["cases"] if case["verdict"] == "failed"} - set(run.accepted)
    grouped = [group for group in document["groups"] if group["severity"] == "failed"]
    assert {case for group in grouped for case in group["cases"]} == failing
    assert report.count('<li class="cause failed">') == len(grouped)
    assert sum(line.startswith("FAILED ") for line in lines) == min(len(grouped), 10)
    for line in document["left_behind"] or ():  # null: the run does not say
        assert all(visible(line) in text for text in (" ".join(lines), page, html.unescape(report)))


def junit_is_green(directory: Path) -> bool:
    """Tell whether a reader that only counts elements sees no failure and no error; check the counters."""
    root = ET.parse(directory / junit.NAME).getroot()
    counts = {tag: len(list(root.iter(tag))) for tag in ("testcase", "failure", "error", "skipped")}
    for attribute, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert root.get(attribute) == str(counts[tag])
        assert sum(int(suite.get(attribute, "")) for suite in root) == counts[tag]
    return not counts["failure"] + counts["error"]


def allure_statuses(directory: Path) -> Counter[str]:
    """Count the statuses of the results; the result of the run itself counts as ``run``."""
    counts: Counter[str] = Counter()
    for path in (directory / allure.NAME).glob("*-result.json"):
        result = json.loads(path.read_bytes())
        labels = {label["name"]: label["value"] for label in result["labels"]}
        counts["run" if "run-verdict" in labels else result["status"]] += 1
    return counts


@BOUNDED
@given(run=RUNS)
def test_nothing_empty_skipped_or_partial_is_conformant(run: Run) -> None:
    """Green needs a complete run with a judged case that passed, and no case that is bad or unknown."""
    if run.verdict is not RunVerdict.CONFORMANT:
        return
    verdicts = {case.verdict.value for case in run.cases}
    assert any(case.verdict.value in GREEN and case.checks for case in run.cases)
    assert not verdicts & {"error", "inconclusive"}
    assert all(case.id in run.accepted for case in run.cases if case.verdict is Verdict.FAILED)
    assert not any(entry.breaks_run for entry in run.baseline)
    assert not run.incomplete
    assert not run.trouble
    for broken in (
        replace(run, cases=()),
        replace(run, rows=()),
        replace(run, interrupted="Ctrl-C"),
        replace(run, partial="1 case was left out by the selection"),
        replace(run, trouble="a worker died"),
        replace(run, cases=tuple(replace(case, verdict=Verdict.NOT_TESTED) for case in run.cases)),
        replace(run, cases=tuple(replace(case, checks=0) for case in run.cases)),
    ):
        assert broken.verdict is not RunVerdict.CONFORMANT
        assert broken.exit_code is not ExitCode.CONFORMANT


@BOUNDED
@given(run=RUNS, data=st.data())
def test_a_failure_never_improves_a_verdict(run: Run, data: st.DataObject) -> None:
    """One more failed case, or one case that fails instead, makes every run non-conformant; no baseline knows them."""
    failed = CaseResult("more", "", "one", Verdict.FAILED, ("r0",))
    assert replace(run, cases=(*run.cases, failed)).verdict is RunVerdict.NON_CONFORMANT
    if not run.cases:
        return
    place = data.draw(st.integers(0, len(run.cases) - 1))
    changed = [*run.cases]
    changed[place] = replace(changed[place], verdict=Verdict.FAILED)
    unknown = {case_id: why for case_id, why in run.accepted.items() if case_id != changed[place].id}
    assert replace(run, cases=tuple(changed), accepted=unknown).verdict is RunVerdict.NON_CONFORMANT
    if run.cases[place].verdict is Verdict.PASSED and run.verdict is not RunVerdict.CONFORMANT:
        changed[place] = replace(changed[place], verdict=Verdict.NOT_TESTED)
        assert replace(run, cases=tuple(changed)).verdict is not RunVerdict.CONFORMANT


@pytest.mark.parametrize("wanted", RunVerdict)
def test_the_property_is_not_vacuous(wanted: RunVerdict) -> None:
    """Random runs reach each of the three verdicts."""
    assert (
        find(
            RUNS,
            lambda run: run.verdict is wanted,
            settings=settings(max_examples=2000, database=None, phases=[Phase.generate]),
        ).verdict
        is wanted
    )
