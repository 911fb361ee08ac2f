"""``summary.md``: a page to read first, made for a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, counts_told, headline
from kms_conformance.outputs.files import put
from kms_conformance.outputs.overview import (
    Section,
    contract_title,
    gravest,
    rows_told,
    sections,
    untested,
    with_verdict,
)
from kms_conformance.outputs.text import first_line, one_line, plural, rfc3339, told_duration, visible_lines

NAME = "summary.md"
# A job's summary has room for a megabyte; beyond this many the report tells the rest.
MOST_FAILURES = 50
MOST_CASES = 20

_RUN = re.compile("`+")
_MARKUP = re.compile(r"([\\`*_\[\]<>|#~])")


def write(run: Run, directory: Path) -> Path:
    """Write ``summary.md`` and return its path."""
    return put(directory / NAME, render(run))


def render(run: Run) -> str:
    """Return the page in Markdown; its first line is the verdict line."""
    parts = [
        [f"**{_plain(headline(run))}**"],
        _about(run),
        _counts(run),
        _failures(run),
        _accepted(run),
        _others(run),
        _untested(run),
        _sections(run),
        [
            "Every request and answer: `report.html` and `transcript.har`. The verdict as data: `results.json`."
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _about(run: Run) -> list[str]:
    target = run.meta.get("target", {})
    told = [f"Profile {_code(run.profile.value)}, edition {_code(str(run.meta.get('edition', 'page')))}"]
    if target.get("base_url"):
        told.append(f"endpoint {_code(str(target['base_url']))}")
    told.append(f"{rfc3339(run.started)}, {told_duration(run.finished - run.started)}")
    return [", ".join(told) + "."]


def _counts(run: Run) -> list[str]:
    return [
        "| verdict | cases |",
        "|---|---:|",
        *(f"| {name} | {number} |" for name, number in counts_told(run)),
    ]


def _failures(run: Run) -> list[str]:
    failed = [case for case in with_verdict(run, Verdict.FAILED) if case.id not in run.accepted]
    if not failed:
        return []
    lines = ["## Failures"]
    for case in failed[:MOST_FAILURES]:
        lines += ["", *_failure(case)]
    if len(failed) > MOST_FAILURES:
        lines += ["", f"And {plural(len(failed) - MOST_FAILURES, 'more failure')}: see `report.html`."]
    return lines


def _accepted(run: Run) -> list[str]:
    """Return what the baseline accepts, and what is wrong with the baseline itself."""
    lines: list[str] = []
    wrong = [entry for entry in run.baseline if entry.wrong]
    if wrong:
        lines += ["## The baseline is wrong", "", *(f"- {_plain(entry.message)}" for entry in wrong), ""]
    known = [case for case in with_verdict(run, Verdict.FAILED) if case.id in run.accepted]
    if known:
        lines += ["## Failures that the baseline accepts", ""]
        lines += [
            f"- {_code(case.id)}: {_plain(one_line(case.message))}; {_plain(run.accepted[case.id])}"
            for case in known
        ]
    return lines[:-1] if lines and not lines[-1] else lines


def _failure(case: CaseResult) -> list[str]:
    lines = [f"### {_code(case.id)}", "", _plain(first_line(case.rule or case.title))]
    finding = gravest(case)
    if finding is None:
        return [*lines, "", f"- {_plain(one_line(case.message or 'no details'))}"]
    lines += [
        "",
        f"- requirement: {_code(finding.requirement)}",
        f"- expected: {_code(finding.expected)}",
        f"- got: {_code(finding.got)}",
        f"- evidence: exchange {_code(finding.exchange)}",
    ]
    if len(case.findings) > 1:
        lines.append(f"- and {plural(len(case.findings) - 1, 'more finding')}")
    if finding.curl:
        fence = _fence(finding.curl, 3)
        lines += ["", f"{fence}sh", visible_lines(finding.curl), fence]
    return lines


def _others(run: Run) -> list[str]:
    lines: list[str] = []
    for verdict, title in (
        (Verdict.ERROR, "Errors of the suite"),
        (Verdict.INCONCLUSIVE, "Inconclusive: a precondition did not hold"),
        (Verdict.WARNED, "Warnings"),
    ):
        cases = with_verdict(run, verdict)
        if cases:
            lines += ["", f"## {title}", "", *_listed(cases)]
    return lines[1:]


def _listed(cases: Sequence[CaseResult]) -> list[str]:
    lines = [
        f"- {_code(case.id)}: {_plain(one_line(case.message or case.title))}" for case in cases[:MOST_CASES]
    ]
    if len(cases) > MOST_CASES:
        lines.append(f"- and {len(cases) - MOST_CASES} more")
    return lines


def _untested(run: Run) -> list[str]:
    groups = untested(run)
    if not groups:
        return []
    lines = ["## Not tested, and what to add", "", "| what is missing | cases |", "|---|---:|"]
    return lines + [f"| {_plain(one_line(missing))} | {len(cases)} |" for missing, cases in groups]


def _sections(run: Run) -> list[str]:
    found = sections(run)
    if not found:
        return []
    lines = [
        "## By section",
        "",
        f"Rows: {rows_told(run)}.",
        "",
        "| contract | section | state | rows judged | failed |",
        "|---|---|---|---:|---:|",
    ]
    return lines + [_section(run, section) for section in found]


def _section(run: Run, section: Section) -> str:
    title = _plain(one_line(section.title))
    linked = (
        f"[{title}](<{section.link}>)" if section.link and not re.search(r"[<>\s]", section.link) else title
    )
    failed = sum(result.verdict is Verdict.FAILED for result in section.demanded)
    contract = _plain(one_line(contract_title(run, section.contract)))
    return f"| {contract} | {linked} | {section.state} | {len(section.judged)} of {len(section.demanded)} | {failed} |"


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is; a server has chosen part of it."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _code(text: str) -> str:
    """Return a text as a code span."""
    line = one_line(text) or " "
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _fence(text: str, least: int) -> str:
    """Return a row of backticks longer than any in the text."""
    return "`" * max(least, 1 + max((len(run) for run in _RUN.findall(text)), default=0))
