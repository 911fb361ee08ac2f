"""Secrets that become known while other requests are under way."""

from __future__ import annotations

import threading

from kms_conformance.redaction.redactor import Redactor
from kms_conformance.redaction.under_way import UnderWay


def test_overlaps() -> None:
    """Stretches one after the other do not overlap; one inside of another does, once for each that begins."""
    under_way = UnderWay()
    for _ in range(2):
        with under_way.stretch():
            pass
    assert under_way.overlaps == 0
    with under_way.stretch(), under_way.stretch(), under_way.stretch():
        pass
    assert under_way.overlaps == 2


def test_shared_between_systems() -> None:
    """What is under way in one system counts for those that share its secrets."""
    one = Redactor()
    other = Redactor(shares_with=one)
    with one.under_way.stretch(), other.under_way.stretch():
        pass
    assert one.under_way.overlaps == other.under_way.overlaps == 1


def test_waiting() -> None:
    """Waiting ends when what was open has ended, and at the latest after the given time."""
    under_way, opened, may_end = UnderWay(), threading.Event(), threading.Event()
    seen: list[str] = []

    def hold() -> None:
        with under_way.stretch():
            opened.set()
            may_end.wait(10)
            seen.append("ended")

    thread = threading.Thread(target=hold)
    thread.start()
    assert opened.wait(10)
    under_way.wait(0.01)
    assert seen == []
    may_end.set()
    under_way.wait(10)
    assert seen == ["ended"]
    thread.join(10)
