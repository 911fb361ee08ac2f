"""How long an endpoint took to answer, and how far its clock is from ours: from the evidence alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from kms_conformance.evidence.outline import Outline

_HALF_A_SECOND = 0.5


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the answers to one operation took, in seconds: median, 95th and 99th percentile, and of how many.

    Percentiles are by the nearest rank, so each is a duration that was measured. ``operation`` is the id that the
    contract gives it; ``""`` is what belongs to no operation.
    """

    operation: str
    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How many seconds the endpoint's clock is ahead of ours: the median, the least and the most of ``answers``.

    From the ``Date`` of each answer, which counts whole seconds, so half a second of it says nothing. Where a control
    protocol moves the endpoint's clock, the most is how far it was moved.
    """

    median: float
    least: float
    most: float
    answers: int


def latencies(exchanges: Iterable[Outline]) -> tuple[Latency, ...]:
    """Return the latency of each operation, by its name; what got no answer is left out."""
    taken: dict[str, list[float]] = {}
    for exchange in exchanges:
        if exchange.status is not None:
            taken.setdefault(exchange.operation or "", []).append(exchange.duration)
    return tuple(_latency(operation, sorted(taken[operation])) for operation in sorted(taken))


def clock_skew(exchanges: Iterable[Outline]) -> ClockSkew | None:
    """Return how far the endpoint's clock is from ours; ``None`` where no answer has a ``Date`` that can be read."""
    ahead = [seconds for exchange in exchanges if (seconds := _ahead(exchange)) is not None]
    if not ahead:
        return None
    return ClockSkew(median(ahead), min(ahead), max(ahead), len(ahead))


def _latency(operation: str, taken: Sequence[float]) -> Latency:
    def rank(percent: int) -> float:
        return taken[max(-(-len(taken) * percent // 100) - 1, 0)]

    return Latency(operation, len(taken), rank(50), rank(95), rank(99))


def _ahead(exchange: Outline) -> float | None:
    """Return the seconds by which the server's date is after the middle of the exchange."""
    if exchange.date is None:
        return None
    return exchange.date + _HALF_A_SECOND - (exchange.started + exchange.duration / 2)
