"""The journal: what we are about to create is on disk before the request leaves.

One SQLite file, shared by threads and processes. A row is written as ``intended``, becomes ``created`` when the
endpoint has answered and ``gone`` when we have removed the thing; what is not ``gone`` is left over from a run that was
killed, and can be found again by its name. No secret is ever written here.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from kms_conformance.errors import JournalError
from kms_conformance.file_lock import PAUSE, FileLock

# `plants` and `plant` are the deferred cases: the names stay, so that a journal of an earlier version can be read.
_TABLE = """
CREATE TABLE IF NOT EXISTS things (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL, base_url TEXT NOT NULL, instance TEXT NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, ref TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, at REAL NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS left_over ON things (state, base_url);
CREATE TABLE IF NOT EXISTS plants (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL, base_url TEXT NOT NULL, instance TEXT NOT NULL, run TEXT NOT NULL,
    seed BLOB NOT NULL, due TEXT NOT NULL DEFAULT '', at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, plant INTEGER NOT NULL, sealed BLOB NOT NULL);
"""
# Every column, so that a file of another version is seen before anything is created.
_LOOK = (
    "SELECT id, run, base_url, instance, kind, name, ref, state, at, detail FROM things LIMIT 1",
    "SELECT id, case_id, base_url, instance, run, seed, due, at FROM plants LIMIT 1",
    "SELECT id, plant, sealed FROM events LIMIT 1",
)
_BUSY = 30.0
"""How many seconds a process waits for the others that write to the file."""
_LOCKED = 3.0
"""How many seconds it waits for them when it opens the file: nobody of this suite keeps it for so long."""
_AWAY = "move it away; `sweep --by-name` finds on the endpoint what it named."
_TROUBLES = {
    sqlite3.SQLITE_BUSY: (
        "another process keeps it locked",
        "end that process, or give --journal another file.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "another process keeps it locked",
        "end that process, or give --journal another file.",
    ),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _AWAY),
    sqlite3.SQLITE_NOTADB: ("it is no journal", "give --journal another file."),
    sqlite3.SQLITE_ERROR: ("it is of another version of the suite", f"sweep with that version, or {_AWAY}"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room, or give --journal a file on a disk with room."),
    sqlite3.SQLITE_IOERR: (
        "the disk is full or fails",
        "make room, or give --journal a file on a disk with room.",
    ),
}
"""What an error of SQLite means, by its code, and what to do."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
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


@dataclass(frozen=True, slots=True)
class DeferredCase:
    """A case that waits for a later run. ``due`` is a date on the server's clock, ``""`` until its wait has begun."""

    id: int
    case: str
    base_url: str
    instance: str
    run: str
    seed: bytes
    due: str


class Journal:
    """The journal file; ``path`` ``None`` keeps it in memory, for targets that vanish with the run.

    Only its owner may read it. ``is_secret`` tells of a text whether a secret stands in it. Raises
    :class:`JournalError` when the file cannot be used: nothing may then be created.
    """

    def __init__(
        self, path: Path | None, run: str, is_secret: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._run, self._is_secret = run, is_secret
        self.path = path
        self._alive: FileLock | None = None
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                self._alive = _hold(path, run)
            self._file = _open(path)
        except (OSError, sqlite3.Error) as error:
            self._end()
            raise _journal_error(path, error) from None

    def tagged(self, run: str) -> Journal:
        """Return the same journal, writing under another run's id."""
        other = copy(self)
        other._run = run  # noqa: SLF001 - our own kind
        return other

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Use the file alone; raise :class:`JournalError` when that fails."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise _journal_error(self.path, error) from None

    def intend(
        self, base_url: str, instance: str, kind: str, name: str, *, ref: str = "", detail: str = ""
    ) -> int:
        """Write down what is about to be created; return the row's number."""
        ref = "" if self._is_secret(ref) else ref
        with self._using():
            row = self._file.execute(
                "INSERT INTO things (run, base_url, instance, kind, name, ref, state, at, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, 'intended', ?, ?)",
                (self._run, base_url, instance, kind, name, ref, time.time(), detail),
            )
            return int(row.lastrowid or 0)

    def created(self, row: int, ref: str) -> None:
        """Write down that the thing exists and how it is addressed.

        Where a server gives a secret for an id, the row stays ``intended``: the thing is found by its name.
        """
        if self._is_secret(ref):
            return
        with self._using():
            self._file.execute("UPDATE things SET state = 'created', ref = ? WHERE id = ?", (ref, row))

    def refused(self, row: int) -> None:
        """Write down that the request was refused, so that it made nothing.

        Other rows of the same address stay: what they name may have been there before.
        """
        with self._using():
            self._file.execute("UPDATE things SET state = 'gone' WHERE id = ?", (row,))

    def gone(self, row: int) -> None:
        """Write down that the thing is removed, whichever row names it."""
        with self._using():
            self._file.execute(
                "UPDATE things SET state = 'gone' WHERE id = ? OR (ref != '' AND (base_url, instance, kind, ref) ="
                " (SELECT base_url, instance, kind, ref FROM things WHERE id = ?))",
                (row, row),
            )

    def abandoned(self, base_url: str) -> list[JournalEntry]:
        """Return what runs that are no longer alive have left, newest first: the order in which to remove it."""
        left = reversed(self.left_over(base_url))
        return [entry for entry in left if not self._is_own(entry.run) and not self._lives(entry.run)]

    def living(self) -> list[str]:
        """Return the runs that are at work with this journal, other than this one."""
        if self.path is None:
            return []
        names = (path.name for path in self.path.parent.glob(f"{self.path.name}.*.alive"))
        runs = (name.removeprefix(f"{self.path.name}.").removesuffix(".alive") for name in names)
        return sorted(run for run in runs if not self._is_own(run) and self._lives(run))

    def own(self, base_url: str) -> list[JournalEntry]:
        """Return what this run has left, newest first."""
        return [entry for entry in reversed(self.left_over(base_url)) if self._is_own(entry.run)]

    def last(self, seconds: float) -> bool:
        """Tell whether no other process of this run is alive; they are given ``seconds`` to end."""
        if self._alive is None:
            return True
        until = time.monotonic() + seconds
        # While this is tried the old lock is still held: for other runs this one stays alive.
        while not self._alive.try_acquire(alone=True):
            # The system takes the old lock away even when it does not give the new one.
            self._alive.acquire(alone=False)
            if time.monotonic() > until:
                return False
            time.sleep(PAUSE)
        return True

    def _is_own(self, run: str) -> bool:
        return run == self._run or run.startswith(f"{self._run}-")

    def _lives(self, run: str) -> bool:
        """Tell whether a run on this machine is still alive: it then holds a lock that the system frees at its end."""
        if self.path is None:
            return True
        path = _alive_path(self.path, run.partition("-")[0])
        if not path.exists():
            return False
        with FileLock(path) as lock:
            if not lock.try_acquire(alone=True):
                return True
            path.unlink(missing_ok=True)
            return False

    def left_over(self, base_url: str | None = None) -> list[JournalEntry]:
        """Return what is not gone and not kept for a deferred case, oldest first."""
        with self._using():
            rows = self._file.execute(
                "SELECT id, run, base_url, instance, kind, name, ref, state, at, detail FROM things"
                " WHERE state != 'gone' AND (? IS NULL OR base_url = ?)"
                " AND run NOT IN (SELECT run FROM plants WHERE due != '') ORDER BY id",
                (base_url, base_url),
            ).fetchall()
        return [JournalEntry(*row) for row in rows]

    def defer(self, case: str, base_url: str, instance: str, run: str, seed: bytes) -> DeferredCase:
        """Note that a case is being deferred; ``seed`` is encrypted."""
        with self._using():
            row = self._file.execute(
                "INSERT INTO plants (case_id, base_url, instance, run, seed, at) VALUES (?, ?, ?, ?, ?, ?)",
                (case, base_url, instance, run, seed, time.time()),
            )
            return DeferredCase(int(row.lastrowid or 0), case, base_url, instance, run, seed, "")

    def add_event(self, deferred: int, sealed: bytes) -> None:
        """Keep one encrypted event of a deferred case."""
        with self._using():
            self._file.execute("INSERT INTO events (plant, sealed) VALUES (?, ?)", (deferred, sealed))

    def events(self, deferred: int) -> list[bytes]:
        """Return the encrypted events of a deferred case in their order."""
        with self._using():
            rows = self._file.execute(
                "SELECT sealed FROM events WHERE plant = ? ORDER BY id", (deferred,)
            ).fetchall()
        return [bytes(row[0]) for row in rows]

    def set_due(self, deferred: int, due: str) -> None:
        """Note that a deferred case has reached its wait, and when it is due."""
        with self._using():
            self._file.execute("UPDATE plants SET due = ? WHERE id = ?", (due, deferred))

    def forget_deferred(self, deferred: int) -> None:
        """Forget a deferred case and its events."""
        with self._using():
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute("DELETE FROM events WHERE plant = ?", (deferred,))
            self._file.execute("DELETE FROM plants WHERE id = ?", (deferred,))
            self._file.execute("COMMIT")

    def deferred(self, base_url: str, case: str | None = None) -> list[DeferredCase]:
        """Return the deferred cases of an endpoint, of one case if named, oldest first; some have no due date yet."""
        with self._using():
            rows = self._file.execute(
                "SELECT id, case_id, base_url, instance, run, seed, due FROM plants"
                " WHERE base_url = ? AND (? IS NULL OR case_id = ?) ORDER BY id",
                (base_url, case, case),
            ).fetchall()
        return [DeferredCase(*row) for row in rows]

    def close(self) -> None:
        """Close the file, and say that this run is over."""
        with self._lock:
            self._file.close()
        self._end()

    def _end(self) -> None:
        if self._alive is None or self.path is None:
            return
        if self.last(0):
            # Others of this run would count as dead without the file, and be swept while they work.
            _alive_path(self.path, self._run).unlink(missing_ok=True)
        self._alive.close()
        self._alive = None


class _Damaged(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _journal_error(path: Path | None, error: Exception) -> JournalError:
    """Return what went wrong with the file in words of this suite."""
    if isinstance(error, OSError):
        return JournalError(str(path), error.strerror or type(error).__name__)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _TROUBLES:
        return JournalError(str(path), *_TROUBLES[code])
    return JournalError(str(path), str(error) or type(error).__name__)


def _open(path: Path | None) -> sqlite3.Connection:
    """Open the database and see that it is one of ours."""
    file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=_LOCKED)
    try:
        file.execute("PRAGMA journal_mode=WAL")
        # Each row is on the disk before the request leaves: not even a power cut loses it.
        file.execute("PRAGMA synchronous=FULL")
        _demand_whole(file)
        file.executescript(_TABLE)
        for question in _LOOK:
            file.execute(question).fetchall()
        # A file that can be read only would fail at the first thing to write down.
        file.execute("BEGIN IMMEDIATE")
        file.execute("ROLLBACK")
        file.execute(f"PRAGMA busy_timeout={_BUSY * 1000:.0f}")
    except BaseException:
        file.close()
        raise
    return file


def _demand_whole(file: sqlite3.Connection) -> None:
    if file.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise _Damaged


def _alive_path(journal: Path, run: str) -> Path:
    return journal.parent / f"{journal.name}.{run}.alive"


def _hold(journal: Path, run: str) -> FileLock:
    """Hold the file that says that a run is alive. Workers of one run share it."""
    lock = FileLock(_alive_path(journal, run))
    lock.acquire(alone=False)
    return lock
