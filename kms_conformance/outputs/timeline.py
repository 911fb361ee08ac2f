"""When each case of a run was under way, drawn: lanes of what ran at the same time, one colour for each verdict. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.text import duration_text

_WIDTH, _AXIS, _LANE, _TALLEST, _THINNEST = 1000.0, 18, 9.0, 360.0, 0.6
_MARKS = 5


def lanes(cases: Sequence[CaseResult]) -> list[tuple[CaseResult, int]]:
    """Return the cases that ran, in the order of time, each with the first lane that was free."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    placed, count = [], 0
    for case in sorted((case for case in cases if case.started), key=lambda case: (case.started, case.id)):
        while busy and busy[0][0] <= case.started:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        heapq.heappush(busy, (case.started + case.duration, lane))
        placed.append((case, lane))
    return placed


def svg(run: Run) -> str:
    """Return the drawing as an SVG element without style or script, one path for each verdict; empty for no case."""
    placed = lanes(run.cases)
    if not placed:
        return ""
    begin = min(run.started, placed[0][0].started)
    end = max(run.finished, *(case.started + case.duration for case, _ in placed))
    scale = _WIDTH / max(end - begin, 0.001)
    height = min(_LANE, _TALLEST / (1 + max(lane for _, lane in placed)))
    bars: dict[Verdict, list[str]] = defaultdict(list)
    waits: list[str] = []
    for case, lane in placed:
        left, width = (case.started - begin) * scale, max(case.duration * scale, _THINNEST)
        bars[case.verdict].append(_bar(left, lane * height, width, height * 0.8))
        waited = min(case.waited, case.duration)
        if waited * scale > _THINNEST:
            waits.append(
                _bar(left + width - waited * scale, (lane + 0.4) * height, waited * scale, height * 0.2)
            )
    below = (1 + max(lane for _, lane in placed)) * height
    parts = [
        f'<path class="{verdict.value}" d="{"".join(shapes)}"/>' for verdict, shapes in sorted(bars.items())
    ]
    parts += [f'<path class="waits" d="{"".join(waits)}"/>'] if waits else []
    for mark in range(_MARKS + 1):
        at, anchor = mark / _MARKS * _WIDTH, "start" if not mark else "end" if mark == _MARKS else "middle"
        label = duration_text(mark / _MARKS * (end - begin)) if mark else "0"
        parts.append(f'<text x="{at:g}" y="{below + _AXIS - 5:.1f}" text-anchor="{anchor}">{label}</text>')
    title = (
        f"{len(placed)} cases in {duration_text(end - begin)}, {1 + max(lane for _, lane in placed)} at once"
    )
    return (
        f'<svg class="timeline" role="img" viewBox="0 0 {_WIDTH:g} {below + _AXIS:.1f}"><title>{title}</title>'
        f"{''.join(parts)}</svg>"
    )


def _bar(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"
