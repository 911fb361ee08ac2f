"""What may become known as a secret in a moment: stretches of time in which an answer with one may be on its way.

A server may repeat in one answer a secret that it has also put into another answer, which has not arrived yet. When
both have arrived, the secret is known and can be taken out of the first one too.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class UnderWay:
    """Counts the stretches that are under way; safe between threads.

    ``overlaps`` is how many began while another one was under way: two equal readings say that, in between, none did.
    """

    def __init__(self) -> None:
        self.overlaps = 0
        self._numbers = itertools.count()
        self._open: set[int] = set()
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    @contextmanager
    def stretch(self) -> Iterator[None]:
        """Hold a stretch open until the block ends."""
        with self._lock:
            number = next(self._numbers)
            self.overlaps += bool(self._open)
            self._open.add(number)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(number)
                # Only who has waited for this one alone is woken: of many who wait, the others would do so for nothing.
                self._waiting = [one for one in self._waiting if not one.is_over(number)]

    def wait(self, seconds: float) -> None:
        """Wait until every stretch that is open now has ended, for ``seconds`` at most."""
        with self._lock:
            if not self._open:
                return
            waiting = _Waiting({*self._open})
            self._waiting.append(waiting)
        waiting.over.wait(seconds)
        with self._lock:
            self._waiting = [one for one in self._waiting if one is not waiting]


class _Waiting:
    """Somebody who waits for the end of stretches."""

    __slots__ = ("_left", "over")

    def __init__(self, left: set[int]) -> None:
        self._left, self.over = left, threading.Event()

    def is_over(self, number: int) -> bool:
        """Note that a stretch has ended; tell, also whoever waits, whether it was the last one."""
        self._left.discard(number)
        if not self._left:
            self.over.set()
        return not self._left
