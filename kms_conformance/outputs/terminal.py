"""What the terminal shows: the verdict first, then what is wrong, then what is not known. Pure."""

from __future__ import annotations

import os
from pathlib import Path

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs.overview import gravest, untested, with_verdict
from kms_conformance.outputs.progress import Progress
from kms_conformance.outputs.text import first_line, one_line, plural, shorten, visible

__all__ = ["Progress", "summary_lines"]

MOST_FAILURES = 10
MOST_LINES = 10
WIDTH = 100
LONGEST_CURL = 1000
_NARROWEST = 40
_LEFT = 13


def summary_lines(run: Run, report_dir: Path | str, *, width: int = WIDTH) -> list[str]:
    """Return the lines to print after a run; the first is the verdict line, the last names the report.

    At most ten failures are told in full, each in at most twelve lines; the first and the last line are never cut,
    nor is a curl line, which is there to be pasted; the others fit ``width`` columns where they hold text that a
    server chose.
    """
    width = max(width, _NARROWEST)
    rows = {(row.contract, row.id): row for row in run.rows}
    lines = [one_line(headline(run))]
    failed = [case for case in with_verdict(run, Verdict.FAILED) if case.id not in run.accepted]
    for case in failed[:MOST_FAILURES]:
        lines += ["", *_failure(case, rows, str(report_dir), width)]
    if len(failed) > MOST_FAILURES:
        lines += ["", f"and {plural(len(failed) - MOST_FAILURES, 'more failure')}; the report has them all"]
    others = _others(run, width)
    if others:
        lines += ["", *others]
    return [*lines, "", f"report: {_shown(str(report_dir))}"]


def _failure(case: CaseResult, rows: dict[tuple[str, str], Row], report_dir: str, width: int) -> list[str]:
    finding = gravest(case)
    lines = [f"FAILED {one_line(case.id)}", _field("rule", first_line(case.rule or case.title), width)]
    if finding is None:
        lines.append(_field("got", one_line(case.message or "no details"), width))
        requirement = next(iter(case.requirements), "")
    else:
        requirement = finding.requirement
        lines += [
            _field("requirement", one_line(requirement), width),
            _field("expected", one_line(finding.expected), width),
            _field("got", one_line(finding.got), width),
            _curl(finding.curl),
            f"{'  evidence':<{_LEFT}} {_shown(os.path.join(report_dir, 'report.html'))}#{one_line(finding.exchange)}",  # noqa: PTH118 - a report folder may be relative; it is told as given
        ]
        if len(case.findings) > 1:
            lines.append(
                _field("and", f"{plural(len(case.findings) - 1, 'more finding')} in the report", width)
            )
    row = rows.get((case.contract, requirement))
    if row is not None and row.link:
        lines.append(f"{'  section':<{_LEFT}} {one_line(row.link)}")
    return lines


def _others(run: Run, width: int) -> list[str]:
    lines = [shorten(one_line(entry.message), 2 * WIDTH) for entry in run.baseline if entry.wrong]
    lines += [
        shorten(f"accepted {one_line(case.id)}: {one_line(run.accepted[case.id])}", width)
        for case in with_verdict(run, Verdict.FAILED)
        if case.id in run.accepted
    ]
    for verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARNED):
        cases = with_verdict(run, verdict)
        lines += [
            shorten(f"{verdict.value} {one_line(case.id)}: {one_line(case.message or case.title)}", width)
            for case in cases[:MOST_LINES]
        ]
        if len(cases) > MOST_LINES:
            lines.append(f"{verdict.value}: and {len(cases) - MOST_LINES} more")
    groups = untested(run)
    lines += [
        shorten(f"not-tested ({plural(len(cases), 'case')}): {one_line(missing)}", max(width, 2 * WIDTH))
        for missing, cases in groups[:MOST_LINES]
    ]
    if len(groups) > MOST_LINES:
        rest = sum(len(cases) for _, cases in groups[MOST_LINES:])
        lines.append(f"not-tested: and {plural(rest, 'more case')} for other reasons")
    return lines


def _curl(line: str) -> str:
    """Return the whole line: half of one, or one with escapes in it, does harm where it is pasted."""
    fits = len(line) <= LONGEST_CURL and line == visible(line)
    return f"{'  curl':<{_LEFT}} {line if fits else f'(a line of {len(line)} characters: see the evidence)'}"


def _field(name: str, text: str, width: int) -> str:
    return shorten(f"{'  ' + name:<{_LEFT}} {text}", width)


def _shown(path: str) -> str:
    return one_line(path) if path == " ".join(path.split()) else repr(path)
