"""Locks on files, between threads and between processes of one machine; the system frees them when a process is killed.

A lock belongs to the opened file: two openings of one file in one process exclude each other as two processes do.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

PAUSE = 0.02
"""Seconds between two attempts."""


def holders(handle: int) -> list[int]:
    """Return the processes that hold an opened file, as Linux tells them; none where nobody can say."""
    try:
        inode = os.fstat(handle).st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines if " FLOCK " in line and "->" not in line)
    return sorted({int(parts[4]) for parts in fields if parts[5].rpartition(":")[2] == str(inode)})


class FileLock:
    """An opened file that can be held: together with others, or alone. Raises :class:`OSError` when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def acquire(self, *, alone: bool) -> None:
        """Hold the file, however long that takes."""
        fcntl.flock(self.handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def try_acquire(self, *, alone: bool, seconds: float = 0.0) -> bool:
        """Hold the file if that is possible within some seconds; tell whether it was.

        Who holds it already may lose it by the attempt to hold it alone: the system frees the one lock before it gives
        the other.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self.handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(PAUSE)
            else:
                return True

    def release(self) -> None:
        """Let others hold the file; it stays open."""
        fcntl.flock(self.handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, and with it release it."""
        os.close(self.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
