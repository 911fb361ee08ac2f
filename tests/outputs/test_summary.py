"""The summary page: verdict first, and no text that acts as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run, headline
from kms_conformance.outputs import html, summary


def test_page_tells_what_a_reviewer_asks(realistic: Callable[[int, int], Run]) -> None:
    """Verdict line, counts, causes with links into the report, what to add, failed sections, how the run was made."""
    run = realistic(40, 2)
    page = summary.render(run)
    assert page.startswith(f"**{summary._plain(headline(run))}**\n")
    for part in (
        "| failed | 1 |",
        "## What failed: 1 case, 1 cause",
        "### 1 case: The body of request 4 is missing",
        "- evidence: [x00171](report.html#x00171)",
        "- again: `kms-conformance run --target t.toml -k demo/bodies/test_body_17_is_missing`",
        "- expected: `400 NO_BODY_ERR`",
        "- got: `400 with code 'BAD_BODY_ERR'`",
        r"| needs \[identities.reader\] | 1 |",
        "1 section of 10 failed; all are in [report.html](report.html#sections).",
        "| Demo KMS | [The body of request 4 is missing](report.html#section-5) | 4 of 4 | 1 |",
        "## Left behind",
        "| Requests | 90, 3 answered by 429 and sent again after 4.5 s in all |",
        "| Command | kms-conformance run --target t.toml --report-dir out -k body |",
        "Rows: 37 of 38 judged, 2 excluded with a reason.",
        "## Errors of the suite",
        "## Inconclusive",
        "## Warnings",
    ):
        assert part in page
    assert "The body of request 0 is missing" not in page
    report = html.render(run)
    for place in re.findall(r"\(report\.html#([\w-]+)\)", page):
        assert f'id="{place}"' in report
    assert "The body of request 0 is missing" not in page
    report = html.render(run)
    for place in re.findall(r"\(report\.html#([\w-]+)\)", page):
        assert f'id="{place}"' in report


def test_many_failures_are_counted(realistic: Callable[[int, int], Run]) -> None:
    """A job's summary has room for so much; the rest is a number."""
    failed = [
        replace(
            case,
            verdict=Verdict.FAILED,
            message=f"cause of {'abcdefghij'[number // 6]}{'uvwxyz'[number % 6]}",
            findings=(),
        )
        for number, case in enumerate(realistic(60, 1).cases)
    ]
    assert "And 10 more causes" in summary.render(replace(realistic(1, 1), cases=tuple(failed)))


def test_hostile_text_is_only_text() -> None:
    """Backticks, pipes, markup and line breaks of a server change neither table nor list."""
    text = "`` | <img src=x> [a](b)\n# **bold** \x1b[0m"
    case = CaseResult(
        text,
        text,
        "one",
        Verdict.FAILED,
        (),
        text,
        findings=(Finding(text, Verdict.FAILED, text, text, text, text),),
    )
    lazy = CaseResult(text, text, "one", Verdict.NOT_TESTED, (), missing=text)
    page = summary.render(
        Run(Profile.GATE, (case, lazy), (Row("r", "one", text, "MUST", "documented", link="x> y"),))
    )
    assert "\x1b" not in page
    assert "- expected: ```" in page
    assert r"| \`\` \| \<img src=x\> \[a\](b) \# \*\*bold\*\* \\x1b\[0m | 1 |" in page
