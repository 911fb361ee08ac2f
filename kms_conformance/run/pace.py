"""How fast a run can be, what bounds it, and when it will end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

OWN_WORK = 0.003
"""Seconds of this process for each request, on an ordinary machine; only for a forecast."""
_BUSY, _AWAITED = 0.7, 0.5
"""From this share of the time on this process is at work all the time, or an answer awaited most of it."""
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
    rate limit at this moment, ``awaited`` how many seconds answers have been awaited by all who ask together.
    """

    def __init__(
        self,
        sent: Callable[[], int],
        expected: Callable[[], int],
        queued: Callable[[], int],
        awaited: Callable[[], float],
    ) -> None:
        self._sent, self._expected, self._queued, self._awaited = sent, expected, queued, awaited
        self._awaited_before = awaited()
        self._begun = self._looked = time.monotonic()
        self._worked = time.process_time()
        self._bound = "own work"

    def bound(self) -> str:
        """Return what has bound the run since the last look, a second ago or more: rate, latency or own work."""
        now, worked = time.monotonic(), time.process_time()
        if now - self._looked < 1:
            return self._bound
        awaited = self._awaited()
        seconds = now - self._looked
        busy, share = (worked - self._worked) / seconds, (awaited - self._awaited_before) / seconds
        self._looked, self._worked, self._awaited_before = now, worked, awaited
        if self._queued():
            self._bound = "rate"
        else:
            # On a machine that is busy with other things this process is seldom at work, and yet is what is waited for.
            self._bound = "own work" if busy > _BUSY or share < _AWAITED else "latency"
        return self._bound

    def left(self) -> float | None:
        """Return the seconds that are left at the pace so far; ``None`` as long as nobody can say."""
        so_far, sent = time.monotonic() - self._begun, self._sent()
        if so_far < _SHORTEST or not sent:
            return None
        return max(self._expected() - sent, 0) * so_far / sent
