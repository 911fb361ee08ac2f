"""How many requests are under way at once where the endpoint says that they are too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SOON = 10.0
"""Seconds within which answers 429 to two cases count as one overload."""


class ConcurrencyLimit:
    """Admits every request until different cases get 429 at one time; then it halves the number under way, each time.

    One case alone may get 429 for a reason of its own. A request keeps its place while it waits to be repeated, so at
    worst they leave one after the other, as in a run of one case at a time. Each answer that is no 429, some seconds after
    the last one, makes room for one more.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._most: int | None = None
        self._refused: tuple[str, float] = ("", -_SOON)
        self._state = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for one request, its repetitions included."""
        with self._state:
            while self._most is not None and self._inside >= self._most:
                self._state.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._state:
                self._inside -= 1
                self._state.notify_all()

    def refused(self, case: str) -> None:
        """Note that a request of a case was answered with 429."""
        now = time.monotonic()
        with self._state:
            other, at = self._refused
            self._refused = (case, now)
            if other not in {"", case} and now - at < _SOON:
                most = self._inside if self._most is None else min(self._inside, self._most)
                self._most = max(most // 2, 1)

    def answered(self) -> None:
        """Take in an answer that is no 429."""
        with self._state:
            if self._most is not None and time.monotonic() - self._refused[1] > _SOON:
                self._most += 1
                self._state.notify()
