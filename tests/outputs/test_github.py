"""What a job of GitHub Actions is told: a summary that fits, few annotations, and no command that a server has written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import summary
from kms_conformance.outputs.github import LARGEST, short_summary, tell, workflow_commands


def failing(causes: int, got: str = "200") -> Run:
    """Return a run of cases that fail for different causes."""
    cases = tuple(
        CaseResult(
            id=f"demo.case_{number}",
            title="a case",
            contract="demo",
            verdict=Verdict.FAILED,
            requirements=("row",),
            findings=(Finding("row", Verdict.FAILED, f"answer {number}xyz", got, ""),),
        )
        for number in range(causes)
    )
    return Run(Profile.GATE, cases, ())


def test_annotations() -> None:
    """Each cause is an annotation; beyond ten the last one says how many are left."""
    assert len(list(workflow_commands(failing(3)))) == 3
    commands = list(workflow_commands(failing(14)))
    assert len(commands) == 10
    assert commands[-1] == "::error title=KMS conformance::and 5 more causes; the report has all"
    assert commands[0].startswith(
        "::error title=1 case%3A demo::expected answer 0xyz, got 200 (first in demo.case_0)"
    )


def test_no_foreign_command() -> None:
    """A line break in what a server says begins no command of its own."""
    (line,) = workflow_commands(failing(1, "x\n::set-output name=a::b%0A"))
    assert "\n" not in line
    assert "%250A" in line


def test_not_verified_is_told() -> None:
    """A run without failures that is not conformant is one annotation; a conformant one is none."""
    assert list(workflow_commands(Run(Profile.GATE, (), ()))) == [
        "::error title=KMS conformance::NOT-VERIFIED: no case ran"
    ]


def test_summary(tmp_path: Path) -> None:
    """The summary is added to the job's own; without a job nothing happens."""
    place = tmp_path / "summary.md"
    place.write_text("before\n")
    run = failing(2)
    assert list(tell(run, {"GITHUB_STEP_SUMMARY": str(place)})) == []
    assert place.read_text() == f"before\n{summary.render(run)}"
    assert len(list(tell(run, {"GITHUB_ACTIONS": "true"}))) == 2
    assert list(tell(run, {})) == []
    (line,) = tell(run, {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert line == "::warning title=KMS conformance::no summary could be added: Is a directory"


def test_long_summary_is_cut(realistic: Callable[[int, int], Run]) -> None:
    """A summary that is too large ends at a line, and says so."""
    run = realistic(40, 2)
    assert short_summary(run) == summary.render(run)
    long = short_summary(replace(run, trouble="x y" * LARGEST))
    assert len(long.encode()) <= LARGEST
    assert long.endswith("has no room for it.\n")
