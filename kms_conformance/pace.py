"""The rate limit: one for the whole run, shared by all threads."""

from __future__ import annotations

import threading
import time


class Pace:
    """Lets at most ``per_second`` requests leave in any second; ``None`` means no limit."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for a turn."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._gap
        if turn > now:
            time.sleep(turn - now)
