"""Requests under way at once, where the endpoint says 429: fewer, and more again later."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from kms_conformance.transport.concurrency_limit import ConcurrencyLimit


def comes_in(concurrency_limit: ConcurrencyLimit) -> bool:
    """Tell whether one more request is let through within a moment."""
    inside, leave = threading.Event(), threading.Event()

    def enter() -> None:
        with concurrency_limit.place():
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
    concurrency_limit = ConcurrencyLimit()
    with ExitStack() as inside:
        for _ in range(8):
            inside.enter_context(concurrency_limit.place())
        concurrency_limit.refused("a")
        concurrency_limit.refused("a")
        assert comes_in(concurrency_limit)
        concurrency_limit.refused("b")
        assert not comes_in(concurrency_limit)


def test_never_nobody_and_more_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request is always let through; when the endpoint has been content for a while, more are."""
    concurrency_limit = ConcurrencyLimit()
    for case in "ababab":
        concurrency_limit.refused(case)
    assert comes_in(concurrency_limit)
    with concurrency_limit.place():
        assert not comes_in(concurrency_limit)
        concurrency_limit.answered()
        assert not comes_in(concurrency_limit), "too soon"
        later = time.monotonic() + 60
        monkeypatch.setattr("kms_conformance.transport.concurrency_limit.time.monotonic", lambda: later)
        concurrency_limit.answered()
        assert comes_in(concurrency_limit)
