"""What the terminal shows: the verdict first and last, between them what is wrong, by cause, and what is not known.

The lines are made without looking at the world; only :func:`print_summary` knows whether it writes to a terminal.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.verdict import Run, RunVerdict, headline
from kms_conformance.outputs import history
from kms_conformance.outputs.about import identities_text, left_behind, requests_text, skew_text
from kms_conformance.outputs.overview import (
    failure_groups,
    first_of,
    group_title,
    rule_of,
    unjudged_rows,
    untested,
    warning_groups,
    with_verdict,
)
from kms_conformance.outputs.progress import Progress
from kms_conformance.outputs.rerun import rerun_command
from kms_conformance.outputs.text import one_line, plural, shorten, visible, wrapped

__all__ = ["Progress", "print_summary", "summary_lines"]

MOST_GROUPS = 10
MOST_LINES = 10
MOST_NAMES = 3
WIDTH = 100
_NARROWEST = 40
_MOST_PARTS = 3
_LEFT = 13
_STYLES = {
    RunVerdict.CONFORMANT.value: "bold green",
    RunVerdict.NON_CONFORMANT.value: "bold red",
    RunVerdict.NOT_VERIFIED.value: "bold yellow",
    Verdict.FAILED.value: "bold red",
    Verdict.ERROR.value: "bold magenta",
    Verdict.INCONCLUSIVE.value: "magenta",
    Verdict.WARNED.value: "yellow",
    Verdict.NOT_TESTED.value: "cyan",
    "name": "dim",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of which the first ``length`` characters have a style."""

    text: str
    style: str = ""
    length: int = 0


def print_summary(run: Run, report_dir: Path | str, stream: TextIO) -> None:
    """Print the summary: in colour and as wide as the window where ``stream`` is a terminal, else plain.

    ``NO_COLOR`` (no-color.org) and ``TERM=dumb`` keep a terminal plain as well.
    """
    if not stream.isatty():
        stream.write("".join(f"{line}\n" for line in summary_lines(run, report_dir)))
        return
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    lines = [
        part for line in _lines(run, report_dir, width) for part in _folded(line, max(width, _NARROWEST))
    ]
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        stream.write("".join(f"{line.text}\n" for line in lines))
        return
    console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text(line.text)
        text.stylize(_STYLES.get(line.style, ""), 0, line.length)
        console.print(text, soft_wrap=True)


def _folded(line: _Line, width: int) -> list[_Line]:
    """Return the verdict line on lines of the window, which would break it inside a word; others as they are."""
    if line.style not in set(RunVerdict) or len(line.text) <= width:
        return [line]
    first, *more = wrapped(line.text, width)
    rest = wrapped(" ".join(more), width - 2)
    return [replace(line, text=first), *(_Line(f"  {part}") for part in rest)]


def summary_lines(run: Run, report_dir: Path | str, *, width: int = WIDTH) -> list[str]:
    """Return the lines to print after a run; the first and the last are the verdict line.

    At most ten causes are shown in full. What a server chose is wrapped or cut to ``width`` columns; the verdict line,
    addresses and command lines are never cut, for they are there to be read whole, opened and pasted.
    """
    return [line.text for line in _lines(run, report_dir, width)]


def _lines(run: Run, report_dir: Path | str, width: int) -> list[_Line]:
    width = max(width, _NARROWEST)
    report = _address(report_dir)
    verdict = _Line(one_line(headline(run)), run.verdict.value, len(run.verdict.value))
    lines = [verdict]
    groups = failure_groups(run)
    if groups:
        cases = len({case_id for group in groups for case_id in group.cases})
        lines += [_Line(""), _Line(f"{plural(cases, 'failed case')}, {plural(len(groups), 'cause')}:")]
    rows = {(row.contract, row.id): row for row in run.rows}
    for group in groups[:MOST_GROUPS]:
        lines += [_Line(""), *_group(run, group, rows, report, width)]
    if len(groups) > MOST_GROUPS:
        lines += [
            _Line(""),
            _Line(f"and {plural(len(groups) - MOST_GROUPS, 'more cause')}; the report has them all"),
        ]
    for part in (_others(run, width), _about(run, width)):
        if part:
            lines += [_Line(""), *part]
    return [*lines, _Line(""), _Line(f"report: {report}", "name", 7), verdict]


def _group(
    run: Run, group: FindingGroup, rows: dict[tuple[str, str], Row], report: str, width: int
) -> list[_Line]:
    title, _ = group_title(run, group)
    row, rule = rows.get((group.contract, next(iter(group.rows), ""))), rule_of(run, group)
    count = plural(len(group.cases), "case")
    lines = _wrapped("FAILED", f"{count}: {one_line(title or group.contract)}", width, Verdict.FAILED.value)
    if rule:
        lines += _field("rule", rule, width)
    if group.expected:
        lines += _field("expected", one_line(group.expected), width)
    lines += _field("got", one_line(group.got), width)
    lines += [_Line(f"  {visible(line)}") for line in history.text(history.of_group(run, group))]
    lines += _field("rows", _fitting(group.rows, width), width)
    lines += _field("cases", _fitting(group.cases, width), width)
    if group.exchange:
        lines.append(_whole("evidence", f"{report}#{one_line(group.exchange)}"))
    if row is not None and row.link:
        lines.append(_whole("section", one_line(row.link)))
    lines.append(_whole("again", visible(rerun_command(run, group.case))))
    return lines


def _names(names: Sequence[str], most: int = MOST_NAMES) -> str:
    shown = ", ".join(map(one_line, names[:most]))
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def _fitting(names: Sequence[str], width: int) -> str:
    """Return as many of the first names as the lines of a field hold, and how many more there are."""
    room = _room(width, _LEFT + 1)
    for most in range(MOST_NAMES, 1, -1):
        text = _names(names, most)
        if len(wrapped(text, room)) <= _MOST_PARTS:
            return text
    return _names(names, 1)


def _room(width: int, taken: int) -> int:
    return max(width - taken, _NARROWEST // 2)


def _others(run: Run, width: int) -> list[_Line]:
    lines = [
        _Line(shorten(one_line(entry.message), 2 * WIDTH), "failed", 0)
        for entry in run.baseline
        if entry.breaks_run
    ]
    for case in with_verdict(run, Verdict.FAILED):
        if case.id in run.accepted:
            text = f"{one_line(case.id)}: {one_line(run.accepted[case.id])}"
            lines += _wrapped("accepted", text, width, "name")
    for verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE):
        texts = [
            f"{one_line(case.id)}: {one_line(case.message or case.title)}"
            for case in with_verdict(run, verdict)
        ]
        lines += _listed(verdict, texts, width)
    unjudged = [
        f"{plural(len(rows), 'row')} not judged, {_names(rows)}: {one_line(why)}"
        for why, rows in unjudged_rows(run)
    ]
    lines += _listed(Verdict.INCONCLUSIVE, unjudged, width)
    warned = [f"{first_of(group, one_line(group.case))}: {_cause(group)}" for group in warning_groups(run)]
    lines += _listed(Verdict.WARNED, warned, width)
    groups = [f"{plural(len(cases), 'case')}: {one_line(missing)}" for missing, cases in untested(run)]
    return lines + _listed(Verdict.NOT_TESTED, groups, width)


def _cause(group: FindingGroup) -> str:
    sentence = f"expected {group.expected}, got {group.got}" if group.expected else group.got
    return one_line(sentence)


def _listed(verdict: Verdict, texts: Sequence[str], width: int) -> list[_Line]:
    """Return up to three lines for each of the first texts, and how many more there are."""
    lines: list[_Line] = []
    for text in texts[:MOST_LINES]:
        lines += _wrapped(verdict.value, text, width, verdict.value)
    if len(texts) > MOST_LINES:
        lines.append(
            _Line(f"{verdict.value}: and {len(texts) - MOST_LINES} more", verdict.value, len(verdict.value))
        )
    return lines


def _about(run: Run, width: int) -> list[_Line]:
    lines: list[_Line] = []
    for text in left_behind(run):
        lines += _wrapped(
            "left behind", f"{one_line(text)} (`kms-conformance sweep --yes` tries again)", width, "failed"
        )
    for name, text in (
        ("requests", requests_text(run)),
        ("clock", skew_text(run)),
        ("identities", identities_text(run)),
    ):
        if text:
            lines += _wrapped(name, one_line(text), width, "name", left=_LEFT)
    return lines


def _field(name: str, text: str, width: int) -> list[_Line]:
    return _wrapped(f"  {name}", text, width, "name", left=_LEFT)


def _whole(name: str, text: str) -> _Line:
    return _Line(f"{'  ' + name:<{_LEFT}} {text}", "name", _LEFT)


def _wrapped(
    name: str, text: str, width: int, style: str, *, left: int = 0, most: int = _MOST_PARTS
) -> list[_Line]:
    """Return a text after its name, on at most so many lines; those after the first begin under the text."""
    start = f"{name:<{left}} " if left else f"{name} "
    pieces = wrapped(text, _room(width, len(start)), most=most)
    return [
        _Line((start if not place else " " * len(start)) + piece, style, len(name) if not place else 0)
        for place, piece in enumerate(pieces)
    ]


def _address(report_dir: Path | str) -> str:
    """Return the address of the page, which a terminal opens when it is clicked on."""
    return Path(os.path.abspath(report_dir), "report.html").as_uri()  # noqa: PTH100 - a link stays a link, and no file is asked
