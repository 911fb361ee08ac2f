"""The rate limit: never exceeded, and used to the full although threads wake late."""

from __future__ import annotations

import threading
import time

import pytest

from kms_conformance.transport.pipeline import in_flight
from kms_conformance.transport.rate_limit import RateLimit


class FalseTime:
    """A clock that goes on only while somebody sleeps, and lets him sleep too long."""

    def __init__(self, late: float) -> None:
        self.now, self._late = 1000.0, late

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Sleep too long."""
        self.now += seconds + self._late


def turns(monkeypatch: pytest.MonkeyPatch, per_second: float, late: float, number: int = 400) -> list[float]:
    """Return the moments of so many turns."""
    clock = FalseTime(late)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    limit = RateLimit(per_second)
    moments = []
    for _ in range(number):
        limit.take()
        moments.append(clock.now)
    return moments


@pytest.mark.parametrize(("per_second", "late"), [(5, 0.015), (20, 0.01), (100, 0.004)])
def test_used_to_the_full(monkeypatch: pytest.MonkeyPatch, per_second: float, late: float) -> None:
    """Turns that come late, as they do on a busy machine, cost the run no more than the margin."""
    moments = turns(monkeypatch, per_second, late)
    assert (moments[-1] - moments[0]) * per_second / len(moments) < 1.1


@pytest.mark.parametrize(
    ("per_second", "late"), [(5, 0.015), (20, 0.01), (20, 0.3), (100, 0.004), (100, 0.05)]
)
def test_never_exceeded(monkeypatch: pytest.MonkeyPatch, per_second: int, late: float) -> None:
    """In no second are there more turns than allowed, even after a thread has slept far too long."""
    moments = turns(monkeypatch, per_second, late)
    assert all(later - earlier >= 1 for earlier, later in zip(moments, moments[per_second:], strict=False)), (
        "more turns in a second than the limit allows"
    )


def test_those_who_wait_are_counted() -> None:
    """The progress line says that the rate bounds the run when requests wait for it."""
    limit = RateLimit(0.5)
    limit.take()
    waiting = threading.Thread(target=limit.take, daemon=True)
    waiting.start()
    until = time.monotonic() + 60
    while not limit.queued:
        assert time.monotonic() < until
        time.sleep(0.001)
    waiting.join()
    assert limit.queued == 0


@pytest.mark.parametrize(
    ("round_trip", "per_second", "wanted"),
    [
        (float("inf"), None, 16),
        (0.002, None, 16),
        (0.08, None, 40),
        (1.0, None, 64),
        (0.1, 20, 4),
        (0.001, 20, 2),
    ],
)
def test_requests_in_flight(round_trip: float, per_second: float | None, wanted: int) -> None:
    """A corpus has as many requests under way as rate and round trip ask for, also under a rate limit."""
    assert in_flight(round_trip, per_second) == wanted
