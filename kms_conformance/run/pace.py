"""How fast a run can be, what bounds it, and when it will end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

OWN_WORK = 0.003
"""Seconds of this process for each request, on an ordinary machine; only for a forecast."""
_BUSY = 0.7
_REASONS = {
    "rate": "the rate limit",
    "latency": "the time that answers take",
    "waits": "the waits that rules demand",
    "own work": "the suite's own work on this machine",
}
_SHORTEST = 2.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a run takes, in seconds, and by what it is bound: ``rate``, ``latency``, ``waits`` or ``own work``."""

    seconds: float
    bound: str

    @property
    def reason(self) -> str:
        """What it is bound by, in words."""
        return _REASONS[self.bound]


def forecast_duration(
    requests: int, longest: int, *, round_trip: float, per_second: float | None, jobs: int, waits: float
) -> Forecast:
    """Return how long so many requests take.

    ``longest`` is how many of them one case sends, one after the other; ``waits`` the longest wait of a case, in seconds.
    """
    bounds = {
        "own work": requests * OWN_WORK,
        "latency": max(requests * round_trip / jobs, longest * round_trip),
        "rate": requests / per_second if per_second else 0.0,
    }
    bound = max(bounds, key=lambda name: bounds[name])
    if waits > bounds[bound]:
        return Forecast(waits + bounds[bound], "waits")
    return Forecast(bounds[bound], bound)


class Pace:
    """Measures a run that is under way.

    ``sent`` returns how many requests have left, ``expected`` how many there will be, ``queued`` how many wait for the
    rate limit at this moment.
    """

    def __init__(
        self, sent: Callable[[], int], expected: Callable[[], int], queued: Callable[[], int]
    ) -> None:
        self._sent, self._expected, self._queued = sent, expected, queued
        self._begun = self._looked = time.monotonic()
        self._worked = time.process_time()
        self._bound = "own work"

    def bound(self) -> str:
        """Return what has bound the run since the last look, a second ago or more: rate, latency or own work."""
        now, worked = time.monotonic(), time.process_time()
        if now - self._looked < 1:
            return self._bound
        busy = (worked - self._worked) / (now - self._looked)
        self._looked, self._worked = now, worked
        if self._queued():
            self._bound = "rate"
        else:
            self._bound = "own work" if busy > _BUSY else "latency"
        return self._bound

    def left(self) -> float | None:
        """Return the seconds that are left at the pace so far; ``None`` as long as nobody can say."""
        so_far, sent = time.monotonic() - self._begun, self._sent()
        if so_far < _SHORTEST or not sent:
            return None
        return max(self._expected() - sent, 0) * so_far / sent
