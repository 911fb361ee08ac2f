"""A history of requests that were under way at the same time, drawn: as text for terminals, as SVG for the report.

Time runs to the right, one row for each request. Distances are not to scale: each sending and each answer has a column
of its own, so that one sees which request was sent before which answer came; the milliseconds stand next to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import escape

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.histories import TimedExchange, history_of, lanes
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.text import shorten

_COLUMN = 3
"""Characters between two moments."""
_STEP, _ROW, _TEXT, _BAR = 26, 24, 250, 14
"""Pixels: between two moments, between two rows, of the words on the left, of a bar's height."""
_LONGEST = 24
_COLOURS = ("#3b6ea5", "#b8602b", "#4f8a4c", "#8a5aa3", "#8a7a2f")


@dataclass(frozen=True, slots=True)
class Bar:
    """One request of a drawing: its columns, its words, and when it was sent and answered, in ms from the first one."""

    first: int
    last: int
    client: int
    what: str
    answer: str
    when: str


def bars(history: Sequence[TimedExchange]) -> tuple[list[Bar], int]:
    """Return the bars in the order of sending, and the number of columns. One that was not answered yet has no end."""
    moments = sorted(
        {one.exchange.started for one in history} | {_end(one.exchange) for one in history if one.answered}
    )
    columns = {moment: number for number, moment in enumerate(moments)}
    begin = moments[0] if moments else 0.0
    made = []
    for client, one in zip(lanes(history), history, strict=True):
        exchange = one.exchange
        sent, end = exchange.started, _end(exchange)
        made.append(
            Bar(
                columns[sent],
                columns[end] if one.answered else len(moments),
                client,
                f"{exchange.operation or exchange.step} ({exchange.identity})",
                exchange.outcome if one.answered else "not answered yet",
                f"{_ms(sent - begin)} to {_ms(end - begin)} ms"
                if one.answered
                else f"{_ms(sent - begin)} ms",
            )
        )
    return sorted(made, key=lambda bar: bar.first), len(moments)


def of_finding(case: CaseResult, finding: Finding) -> list[TimedExchange]:
    """Return the history that a finding is about; none where it is about a single exchange."""
    return history_of(case.expectations, finding.exchange, case.exchanges)


def of_group(run: Run, group: FindingGroup) -> list[TimedExchange]:
    """Return the history that the first finding of a group is about; none where it is about a single exchange."""
    cases = [case for case in run.cases if case.id == group.case]
    return history_of(cases[0].expectations, group.exchange, cases[0].exchanges) if cases else []


def text(history: Sequence[TimedExchange]) -> list[str]:
    """Return the drawing as lines of text; none for no history."""
    drawn, columns = bars(history)
    what = max((len(shorten(bar.what, _LONGEST)) for bar in drawn), default=0)
    lines = []
    for bar in drawn:
        width = (bar.last - bar.first) * _COLUMN - 1
        end = "|" if bar.last < columns else ">"
        line = " " * (bar.first * _COLUMN) + "|" + "=" * width + end
        label = shorten(bar.what, _LONGEST).ljust(what)
        lines.append(
            f"client {bar.client}  {label}  {line.ljust(columns * _COLUMN + 1)}  {bar.answer}, {bar.when}"
        )
    return lines


def svg(history: Sequence[TimedExchange]) -> str:
    """Return the drawing as an SVG element without style or script; empty for no history."""
    drawn, columns = bars(history)
    if not drawn:
        return ""
    width, height = _TEXT + (columns + 1) * _STEP + _TEXT, len(drawn) * _ROW + 8
    parts = [
        (
            f'<svg class="history" role="img" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
        ),
        "<title>Who asked when, and was answered when; not to scale</title>",
    ]
    for row, bar in enumerate(drawn):
        top = row * _ROW + 4
        left, right = _TEXT + bar.first * _STEP, _TEXT + bar.last * _STEP
        colour, line = _COLOURS[(bar.client - 1) % len(_COLOURS)], top + _BAR - 3
        parts += [
            f'<text x="0" y="{line}" fill="currentColor">client {bar.client}: {escape(bar.what)}</text>',
            (
                f'<rect x="{left}" y="{top}" width="{right - left}" height="{_BAR}" rx="3" fill="{colour}"'
                f' fill-opacity="{"1" if bar.last < columns else "0.4"}"/>'
            ),
            f'<text x="{right + 6}" y="{line}" fill="currentColor">{escape(bar.answer)}, {escape(bar.when)}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _end(exchange: Exchange) -> float:
    return exchange.started + exchange.duration


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
