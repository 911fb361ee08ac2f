"""Latency and clock skew, from the evidence alone."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.evidence.latency import clock_skew, latencies
from kms_conformance.evidence.outline import Outline, outline_of

SENT = Sent("GET", "http://127.0.0.1/keys", "/keys", {})


def exchange(
    duration: float, *, operation: str | None = "list", answered: bool = True, date: str = ""
) -> Outline:
    """Return the outline of an exchange that began at a round time."""
    headers = {"date": date} if date else {}
    answer = Received(200, headers) if answered else None
    return outline_of(
        Exchange("x1", "a", "", operation, "manager", SENT, answer, started=1_000_000.0, duration=duration)
    )


def test_percentiles_are_durations_that_were_measured() -> None:
    """The nearest rank: of a hundred answers the 95th and the 99th; of one, that one."""
    measured = latencies([exchange(number / 100) for number in range(100, 0, -1)])
    assert [(entry.operation, entry.count, entry.p50, entry.p95, entry.p99) for entry in measured] == [
        ("list", 100, 0.5, 0.95, 0.99)
    ]
    (one,) = latencies([exchange(0.25)])
    assert (one.p50, one.p95, one.p99) == (0.25, 0.25, 0.25)


def test_operations_are_apart_and_silence_counts_nowhere() -> None:
    """Each operation has its own numbers; a request without an answer has no latency."""
    measured = latencies([exchange(1.0), exchange(2.0, operation=None), exchange(60.0, answered=False)])
    assert [(entry.operation, entry.count) for entry in measured] == [("", 1), ("list", 1)]


@pytest.mark.parametrize("ahead", [-3600, -10, 0, 10, 86_400])
def test_skew_is_what_the_dates_say(ahead: int) -> None:
    """A clock that is ahead gives a positive number; half a second is the dates' own grain."""
    skew = clock_skew([exchange(0.0, date=formatdate(1_000_000 + ahead, usegmt=True)), exchange(0.0)])
    assert skew is not None
    assert skew.answers == 1
    assert skew.median == pytest.approx(ahead + 0.5)


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 99 Foo 2026 10:00:00 GMT", "Mon, 01 Jan 99999 10:00:00 GMT"]
)
def test_no_date_no_skew(date: str) -> None:
    """A missing date or one that cannot be read says nothing."""
    assert clock_skew([exchange(0.0, date=date)]) is None
