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
        self._changed = threading.Condition()

    @contextmanager
    def stretch(self) -> Iterator[None]:
        """Hold a stretch open until the block ends."""
        with self._changed:
            number = next(self._numbers)
            self.overlaps += bool(self._open)
            self._open.add(number)
        try:
            yield
        finally:
            with self._changed:
                self._open.discard(number)
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until every stretch that is open now has ended, for ``seconds`` at most."""
        with self._changed:
            earlier = frozenset(self._open)
            self._changed.wait_for(lambda: earlier.isdisjoint(self._open), seconds)
