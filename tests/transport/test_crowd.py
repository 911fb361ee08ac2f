"""Requests under way at once, where the endpoint says 429: fewer, and more again later."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from kms_conformance.transport.crowd import Crowd


def comes_in(crowd: Crowd) -> bool:
    """Tell whether one more request is let through within a moment."""
    inside, leave = threading.Event(), threading.Event()

    def enter() -> None:
        with crowd.place():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    let_in = inside.wait(0.2)
    leave.set()
    if let_in:
        thread.join()
    return let_in


def test_everybody_until_two_cases_are_told() -> None:
    """One case's own 429 keeps nobody out; that of two cases halves what is under way."""
    crowd = Crowd()
    with ExitStack() as inside:
        for _ in range(8):
            inside.enter_context(crowd.place())
        crowd.refused("a")
        crowd.refused("a")
        assert comes_in(crowd)
        crowd.refused("b")
        assert not comes_in(crowd)


def test_never_nobody_and_more_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request is always let through; when the endpoint has been content for a while, more are."""
    crowd = Crowd()
    for case in "ababab":
        crowd.refused(case)
    assert comes_in(crowd)
    with crowd.place():
        assert not comes_in(crowd)
        crowd.answered()
        assert not comes_in(crowd), "too soon"
        later = time.monotonic() + 60
        monkeypatch.setattr("kms_conformance.transport.crowd.time.monotonic", lambda: later)
        crowd.answered()
        assert comes_in(crowd)
