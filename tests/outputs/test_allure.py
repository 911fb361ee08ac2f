"""Allure: what Allure's readers need, under names that tell whose files they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.serialization import to_document
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import allure

TELLING = """
import json
from pathlib import Path

import pytest
from kms_conformance.outputs.allure import add_steps
from kms_conformance.evidence.serialization import from_document
from kms_conformance.judging.results import CaseResult

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        add_steps(item, from_document(CaseResult, json.loads(Path("case.json").read_text())))
    return report
"""


def results(run: Run) -> list[dict[str, Any]]:
    """Return the result documents."""
    return [json.loads(text) for name, text in allure.render(run).items() if name.endswith("-result.json")]


def test_result_of_a_failed_case(realistic: Callable[[int, int], Run]) -> None:
    """Status, labels, links, steps and attachments tell the case without any other file of ours."""
    run = realistic(40, 3)
    files = allure.render(run)
    (failed,) = (result for result in results(run) if result["status"] == "failed")
    labels = {(label["name"], label["value"]) for label in failed["labels"]}
    assert {
        ("epic", "Demo KMS"),
        ("feature", "The body of request 4 is missing"),
        ("story", "rule-17"),
        ("severity", "normal"),
        ("verdict", "failed"),
    } <= labels
    assert failed["links"] == [
        {"type": "link", "url": "https://docs.example.test/errors#section-4", "name": "section-4"}
    ]
    assert failed["statusDetails"]["message"] == (
        "failed: The body of request 4 is missing: expected 400 NO_BODY_ERR, got 400 with code 'BAD_BODY_ERR'"
    )
    assert "curl -sS" in failed["statusDetails"]["trace"]
    assert [step["status"] for step in failed["steps"]] == ["passed", "passed", "failed"]
    assert [len(step.get("attachments", ())) for step in failed["steps"]] == [0, 0, 2]
    sources = [made["source"] for made in (*failed["attachments"], *failed["steps"][2]["attachments"])]
    assert [len(json.loads(files[source])) for source in sources] == [3, 5, 3]
    assert failed["start"] <= failed["stop"]


def test_passed_cases_have_no_attachments(realistic: Callable[[int, int], Run]) -> None:
    """A full run stays under 2,000 files: what passed is in the report and in the transcript."""
    run = realistic(400, 3)
    files = allure.render(run)
    for result in results(run):
        apart = {"name": "verdict", "value": "passed"} not in result["labels"]
        assert apart or not result.get("attachments")
        assert len(result.get("steps", ())) in {0, 3}
    assert len(files) < 2 * len(run.cases)


def test_allure_3(realistic: Callable[[int, int], Run]) -> None:
    """The configuration for Allure 3 has the same categories, and the verdict in the report's name."""
    files = allure.render(realistic(40, 1))
    text = files["allurerc.mjs"].decode("ascii")
    document = json.loads(text.partition("export default ")[2].rstrip(";\n"))
    assert document["categories"] == json.loads(files["categories.json"])
    name = "KMS conformance: non-conformant, 2025-10-09"
    assert document["name"] == json.loads(files["executor.json"])["reportName"] == name


def test_one_cause_has_one_message(realistic: Callable[[int, int], Run]) -> None:
    """Allure puts cases with the same message together: ids in it would make a cause of each case."""
    run = realistic(40, 2)
    failed = next(case for case in run.cases if case.verdict is Verdict.FAILED)
    names = ("9cbb439b-aaaa-4aaa-8aaa-0123456789ab", "1aff080c-732a-4a1d-85d5-40150a2a5772")
    cases = tuple(
        replace(
            failed,
            id=name,
            findings=(replace(failed.findings[0], got=f"200 with resources.0.id = {name!r}"),),
        )
        for name in names
    )
    (message,) = {result["statusDetails"]["message"] for result in results(replace(run, cases=cases))}
    assert message.endswith("got 200 with resources.<n>.id = '<id>'")


def test_ids_are_stable_between_runs_and_differ_between_cases(realistic: Callable[[int, int], Run]) -> None:
    """History follows a case; no two cases share one."""
    first, second = results(realistic(40, 1)), results(realistic(40, 2))
    assert [result["historyId"] for result in first] == [result["historyId"] for result in second]
    assert len({result["historyId"] for result in first}) == len({result["uuid"] for result in first}) == 40


def test_files_are_named_as_ours(realistic: Callable[[int, int], Run]) -> None:
    """Everything begins with our prefix, except what Allure knows by one name only."""
    names = set(allure.render(realistic(40, 1)))
    assert {name for name in names if not name.startswith("kms-")} == set(allure.SHARED)


def test_environment_is_a_properties_file(realistic: Callable[[int, int], Run]) -> None:
    """Colons and other characters with a meaning are escaped."""
    text = allure.render(realistic(40, 1))["environment.properties"].decode("ascii")
    assert "Verdict=non-conformant\n" in text
    assert "Endpoint=http\\u003a//127.0.0.1\\u003a8080\n" in text
    assert "Left.behind=key kmsct-1 in instance 7f1d\\u003a it is still there (403)\n" in text
    assert "Latency.createKey=p50 12 ms, p95 12 ms, p99 12 ms, 38 answers\n" in text
    assert "Left.behind=key kmsct-1 in instance 7f1d\\u003a it is still there (403)\n" in text
    assert "Latency.createKey=p50 12 ms, p95 12 ms, p99 12 ms, 38 answers\n" in text


def test_categories_match_the_messages(realistic: Callable[[int, int], Run]) -> None:
    """Each case that is not a plain pass falls into exactly one category."""
    run = realistic(40, 1)
    categories = json.loads(allure.render(run)["categories.json"])
    for result in results(run):
        message = result.get("statusDetails", {}).get("message", "")
        fitting = [
            category["name"]
            for category in categories
            if result["status"] in category["matchedStatuses"]
            and re.fullmatch(category["messageRegex"], message)
        ]
        assert len(fitting) == (1 if message else 0)


def test_steps_reach_allure_pytest(tmp_path: Path, realistic: Callable[[int, int], Run]) -> None:
    """A test's own Allure result gets the case's steps, times, status and labels."""
    case = next(case for case in realistic(40, 2).cases if case.verdict is Verdict.INCONCLUSIVE)
    (tmp_path / "case.json").write_text(json.dumps(to_document(case)))
    (tmp_path / "conftest.py").write_text(TELLING)
    (tmp_path / "test_it.py").write_text("import pytest\n\n\ndef test_one():\n    pytest.fail('no')\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--alluredir=found",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=60)
    (result,) = [json.loads(path.read_text()) for path in (tmp_path / "found").glob("*-result.json")]
    assert result["status"] == "broken"
    assert result["statusDetails"]["message"].startswith("inconclusive: ")
    assert result["stop"] - result["start"] == 84
    assert {"name": "verdict", "value": "inconclusive"} in result["labels"]
    sources = [attachment["source"] for attachment in result["attachments"]]
    assert len(sources) == 1
    assert all((tmp_path / "found" / source).exists() for source in sources)


def test_without_allure_pytest_nothing_happens(
    request: pytest.FixtureRequest, realistic: Callable[[int, int], Run]
) -> None:
    """Where allure-pytest does not write, there is nobody to tell."""
    if request.config.pluginmanager.has_plugin("allure_listener"):
        pytest.skip("this very run writes Allure results")
    allure.add_steps(request.node, realistic(1, 1).cases[0])
