"""A rate limit is used to the full: each request takes one turn, and there are cases enough for the turns."""

from __future__ import annotations

import heapq

import pytest
from runs import run_cases, served_target

from kms_conformance.run.expected import Requests, counts_of
from kms_conformance.run.jobs import jobs_for
from kms_conformance.transport import rate_limit
from kms_conformance.transport.rate_limit import RateLimit
from kms_reference.server import Server
from tools.request_counts import SHIPPED

MOST = 1.15
"""So many times as long as the requests take at the rate a run may take, unless one case alone takes longer."""
LATE = 0.002
"""Seconds that a thread sleeps too long."""


class FalseTime:
    """A clock that goes on only while somebody waits for a turn."""

    def __init__(self) -> None:
        self.now = self.begun = 1000.0

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Sleep a little too long."""
        self.now += seconds + LATE


def simulated(clock: FalseTime, chains: list[int], per_second: float, round_trip: float) -> float:
    """Return the seconds of a run of cases that send so many requests each, one after the other, the longest first."""
    limit = RateLimit(per_second)
    waiting = sorted(chains)
    jobs = jobs_for(round_trip, per_second)
    # When each case sends its next request, and how many it has left.
    under_way = [(clock.now, waiting.pop()) for _ in range(min(jobs, len(waiting)))]
    heapq.heapify(under_way)
    while under_way:
        ready, left = heapq.heappop(under_way)
        clock.now = max(clock.now, ready)
        limit.take()
        following = left - 1 or (waiting.pop() if waiting else 0)
        if following:
            heapq.heappush(under_way, (clock.now + round_trip, following))
    return clock.now + round_trip - clock.begun


@pytest.mark.parametrize(
    ("per_second", "round_trip"), [(5, 0.02), (20, 0.08), (20, 0.3), (50, 0.2), (100, 0.08), (200, 0.02)]
)
def test_a_run_takes_as_long_as_its_rate_asks_for(
    monkeypatch: pytest.MonkeyPatch, per_second: float, round_trip: float
) -> None:
    """With as many cases at once as the suite chooses, its own cases use the rate, or the longest one is what takes the time."""
    clock = FalseTime()
    monkeypatch.setattr(rate_limit, "time", clock)
    shipped: dict[str, Requests] = counts_of(SHIPPED.read_text(encoding="ascii"))
    chains = [counts.all for name, counts in shipped.items() if not name.startswith("fuzz.")]
    assert len(chains) > 1000
    seconds = simulated(clock, chains, per_second, round_trip)
    assert seconds <= max(MOST * sum(chains) / per_second, max(chains) * (round_trip + 1 / per_second))


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_request_takes_one_turn(reference: Server, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """The turns of a run last no longer than its requests at the rate: none takes two, and none is lost."""
    clock, per_second = FalseTime(), 50.0
    monkeypatch.setattr(rate_limit, "time", clock)
    target = served_target(reference, requests_per_second=per_second)
    run = run_cases(target, "-k", "aliases and not laws", jobs=jobs)
    sent = sum(len(case.exchanges) for case in run.cases)
    assert sent > 50
    assert run.meta["requests"]["sent"] >= sent
    assert sent / per_second <= clock.now - clock.begun
    assert clock.now - clock.begun <= MOST * run.meta["requests"]["sent"] / per_second
