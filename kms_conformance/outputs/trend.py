"""Many runs on one static page: verdicts, counts, latency of each operation, and the cases that change their minds. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

from kms_conformance.contract.severity import Verdict
from kms_conformance.outputs.pages import page
from kms_conformance.outputs.stored import StoredRun
from kms_conformance.outputs.text import duration_text

MOST_OPERATIONS, MOST_FLAKY = 60, 60
_WIDTH, _HEIGHT, _LEFT, _TOP = 960, 220, 46, 10
_SMALL_WIDTH, _SMALL_HEIGHT = 300, 70
_STACK = (
    Verdict.PASSED,
    Verdict.NOT_APPLICABLE,
    Verdict.WARNED,
    Verdict.NOT_TESTED,
    Verdict.INCONCLUSIVE,
    Verdict.FAILED,
    Verdict.ERROR,
)
_SAID = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR})


@dataclass(frozen=True, slots=True)
class Flaky:
    """A case that has not always ended alike: ``score`` is the share of nights on which it changed, from 0 to 1."""

    case: str
    title: str
    score: float
    verdicts: tuple[str, ...]


def render(runs: Sequence[StoredRun]) -> str:
    """Return the page; the runs may come in any order."""
    nights = sorted(runs, key=lambda run: str(run.record["finished"]))
    return page(
        "trend.html.j2",
        nights=[_night(run) for run in nights],
        counts=_counts(nights),
        latency=[(name, growth, _line(values)) for name, growth, values in _latency(nights)],
        flaky=flaky(nights)[:MOST_FLAKY],
        first=nights[0].record["finished"][:10],
        last=nights[-1].record["finished"][:10],
    )


def _night(run: StoredRun) -> dict[str, Any]:
    record = run.record
    return {
        "name": run.name,
        "finished": record["finished"][:16].replace("T", " "),
        "verdict": record["verdict"],
        "headline": record["headline"],
        "took": duration_text(record["duration_s"]),
        "suite": record["suite"]["version"],
    }


def flaky(nights: Sequence[StoredRun]) -> list[Flaky]:
    """Return the cases that changed between good and bad, the least steady first.

    A change from one night to the next counts, not the number of bad nights: a case that fails every night since a release
    is broken and has changed once.
    """
    names = dict.fromkeys(name for run in nights for name in run.cases)
    cases = []
    for name in names:
        verdicts = [str(run.cases[name]["verdict"]) if name in run.cases else "" for run in nights]
        judged = [verdict for verdict in verdicts if verdict in _SAID]
        changes = sum(_good(one) is not _good(other) for one, other in pairwise(judged))
        if changes:
            title = next(run.cases[name]["title"] for run in reversed(nights) if name in run.cases)
            cases.append(Flaky(name, title, changes / (len(judged) - 1), tuple(verdicts)))
    return sorted(cases, key=lambda case: (-case.score, case.case))


def _good(verdict: str) -> bool:
    return verdict in {Verdict.PASSED, Verdict.WARNED}


def _counts(nights: Sequence[StoredRun]) -> Markup:
    """Return stacked bars, one for each night; the bad ones stand on top."""
    most = max((sum(run.record["counts"].values()) for run in nights), default=0) or 1
    step = (_WIDTH - _LEFT) / len(nights)
    parts = [_grid(str(most), 1.0), _grid(str(most // 2), 0.5), _grid("0", 0.0)]
    for number, run in enumerate(nights):
        left, below = _LEFT + number * step, 0.0
        for verdict in _STACK:
            count = run.record["counts"].get(verdict.value, 0)
            if not count:
                continue
            # A single failure among thousands has to be seen.
            height = max(count / most * _HEIGHT, 2.0 if verdict is not Verdict.PASSED else 0)
            top = _TOP + _HEIGHT - below - height
            label = f"{run.record['finished'][:10]}: {count} {verdict.value}"
            parts.append(
                f'<rect class="{verdict.value}" x="{left:.1f}" y="{top:.1f}" width="{max(step - 2, 1):.1f}" height="{height:.1f}">'
                f"<title>{escape(label)}</title></rect>"
            )
            below += height
    return _svg(_WIDTH, _HEIGHT + 2 * _TOP, "Number of cases by verdict, a bar for each run", parts)


def _grid(label: str, share: float) -> str:
    at = _TOP + _HEIGHT * (1 - share)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="quiet" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _latency(nights: Sequence[StoredRun]) -> Iterator[tuple[str, str, list[float | None]]]:
    """Yield operation, first and last value in words, and a value for each night; what has grown most comes first."""
    by_night = [
        {block["operation"]: float(block["p95_s"]) for block in run.record["latency"]} for run in nights
    ]
    asked = Counter(
        {
            str(block["operation"]): int(block["count"])
            for run in nights
            for block in run.record["latency"]
            if block["operation"]
        }
    )
    series = {name: [night.get(name) for night in by_night] for name, _ in asked.most_common(MOST_OPERATIONS)}
    for name, values in sorted(series.items(), key=lambda entry: -_growth(entry[1])):
        measured = [value for value in values if value is not None]
        yield name, f"{duration_text(measured[0])} to {duration_text(measured[-1])}", values


def _growth(values: Sequence[float | None]) -> float:
    measured = [value for value in values if value is not None]
    half = len(measured) // 2
    if not half:
        return 0.0
    first, last = sorted(measured[:half]), sorted(measured[-half:])
    return last[len(last) // 2] / max(first[len(first) // 2], 0.001)


def _line(values: Sequence[float | None]) -> Markup:
    """Return a small plot of values, gaps left out; its height is its own greatest value."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (_SMALL_WIDTH - 8) / max(len(values) - 1, 1)
    points = [
        (4 + number * step, 6 + (1 - value / most) * (_SMALL_HEIGHT - 12))
        for number, value in enumerate(values)
        if value is not None
    ]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [
        f'<line class="grid" x1="0" x2="{_SMALL_WIDTH}" y1="{_SMALL_HEIGHT - 6}" y2="{_SMALL_HEIGHT - 6}"/>',
        f'<polyline class="line" points="{drawn}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" class="line"/>' for x, y in points[-1:]),
    ]
    return _svg(_SMALL_WIDTH, _SMALL_HEIGHT, f"95th percentile, at most {duration_text(most)}", parts)


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> Markup:
    inner = "".join([f"<title>{escape(title)}</title>", *parts])
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'<svg role="img" {size}>{inner}</svg>')  # noqa: S704 - numbers and escaped words
