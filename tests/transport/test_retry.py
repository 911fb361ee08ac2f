"""How long a request that met a rate limit waits."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from kms_conformance.transport.retry import pause

NOW = "Wed, 25 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "tried", "seconds"),
    [
        ({"retry-after": "3"}, 1, 3),
        ({"retry-after": "0"}, 1, 0.25),
        ({"retry-after": "30"}, 1, 30),
        ({"retry-after": "3600"}, 1, None),
        ({"retry-after": "9" * 400}, 1, None),
        ({"retry-after": "Wed, 25 Nov 2026 13:00:00 GMT", "date": NOW}, 1, None),
        ({"retry-after": "Wed, 25 Nov 2026 12:00:05 GMT", "date": NOW}, 1, 5),
        ({"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT", "date": NOW}, 1, 0.25),
        ({"retry-after": "soon"}, 2, 2),
        ({}, 1, 1),
        ({}, 3, 4),
        ({"retry-after": "3"}, 5, None),
    ],
)
def test_pause(headers: dict[str, str], tried: int, seconds: float | None) -> None:
    """Seconds, a date by the server's clock, or waits that double; and an end to it."""
    assert pause(429, headers, tried) == seconds


def test_date_by_our_clock() -> None:
    """A server that does not tell its own time is taken to share ours."""
    seconds = pause(429, {"retry-after": formatdate(time.time() + 10, usegmt=True)}, 1)
    assert seconds is not None
    assert 8 < seconds <= 10


def test_other_answers_count_at_once() -> None:
    """Only a rate limit is waited out."""
    assert pause(503, {"retry-after": "3"}, 1) is None
