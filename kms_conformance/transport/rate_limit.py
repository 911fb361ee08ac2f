"""The rate limit: one for the whole run, shared by its threads and its processes."""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path

from kms_conformance.file_lock import FileLock

# What happens between a turn and the request's arrival may bring requests closer together again.
_MARGIN = 1.05
_LATE = 0.02
"""Seconds that a turn may come late, as threads do on a busy machine, without putting off the next ones."""
_TURN = struct.Struct("d")


class RateLimit:
    """Lets at most ``per_second`` requests leave in any second; ``None`` means no limit.

    ``queued`` is how many wait for their turn at this moment. ``place`` is a file by which several processes share the limit. The clock counts from the start of the machine, so it
    is the same for all of them.
    """

    def __init__(self, per_second: float | None, place: Path | None = None) -> None:
        self._gap = _MARGIN / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._count = threading.Lock()
        self.queued = 0
        self._file: FileLock | None = None
        if place is not None and self._gap:
            self._file = FileLock(place)

    def take(self) -> None:
        """Wait for a turn. Who waits keeps the others waiting, so that turns never come closer together."""
        if not self._gap:
            return
        with self._count:
            self.queued += 1
        try:
            with self._lock:
                self._take()
        finally:
            with self._count:
                self.queued -= 1

    def _take(self) -> None:
        if self._file is None:
            self._next = self._after(self._next)
            return
        self._file.acquire(alone=True)
        try:
            held = os.pread(self._file.handle, _TURN.size, 0)
            before = _TURN.unpack(held)[0] if len(held) == _TURN.size else 0.0
            os.pwrite(self._file.handle, _TURN.pack(self._after(before)), 0)
        finally:
            self._file.release()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _after(self, turn: float) -> float:
        """Wait for a turn and return when the next one is.

        A turn that came a little late does not put off those after it: else the rate would never be reached.
        """
        now = time.monotonic()
        if turn > now:
            time.sleep(turn - now)
        return max(turn, time.monotonic() - min(self._gap, _LATE)) + self._gap
