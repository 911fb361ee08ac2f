"""The journal: what we are about to create is on disk before the request leaves.

One SQLite file, shared by threads and processes. A row is written as ``intended``, becomes ``created`` when the
endpoint has answered and ``gone`` when we have removed the thing; what is not ``gone`` is left over from a run that was
killed, and can be found again by its name. No secret is ever written here.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TABLE = """
CREATE TABLE IF NOT EXISTS things (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL, base_url TEXT NOT NULL, instance TEXT NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, ref TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, at REAL NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS left_over ON things (state, base_url);
"""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something we created or were about to create: a key, an alias, a ring, a policy that was changed."""

    id: int
    run: str
    base_url: str
    instance: str
    kind: str
    name: str
    ref: str
    state: str
    at: float
    detail: str


class Journal:
    """The journal file; ``path`` ``None`` keeps it in memory, for targets that vanish with the run."""

    def __init__(self, path: Path | None, run: str) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._run = run
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
        # WAL with NORMAL survives kill -9 of this process; only a power cut could lose the last rows.
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.executescript(_TABLE)

    def intend(self, base_url: str, instance: str, kind: str, name: str, *, ref: str = "", detail: str = "") -> int:
        """Write down what is about to be created; return the row's number."""
        with self._lock:
            row = self._file.execute(
                "INSERT INTO things (run, base_url, instance, kind, name, ref, state, at, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, 'intended', ?, ?)",
                (self._run, base_url, instance, kind, name, ref, time.time(), detail),
            )
            return int(row.lastrowid or 0)

    def created(self, row: int, ref: str) -> None:
        """Write down that the thing exists and how it is addressed."""
        with self._lock:
            self._file.execute("UPDATE things SET state = 'created', ref = ? WHERE id = ?", (ref, row))

    def gone(self, row: int) -> None:
        """Write down that the thing is removed, or never came to be."""
        with self._lock:
            self._file.execute("UPDATE things SET state = 'gone' WHERE id = ?", (row,))

    def left_over(self, base_url: str | None = None) -> list[Thing]:
        """Return what is not gone, oldest first."""
        with self._lock:
            rows = self._file.execute(
                "SELECT id, run, base_url, instance, kind, name, ref, state, at, detail FROM things"
                " WHERE state != 'gone' AND (? IS NULL OR base_url = ?) ORDER BY id",
                (base_url, base_url),
            ).fetchall()
        return [Thing(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


@contextmanager
def open_journal(path: Path | None, run: str) -> Iterator[Journal]:
    """Open a journal for the length of a block."""
    journal = Journal(path, run)
    try:
        yield journal
    finally:
        journal.close()
