"""Locks of a shared instance, between threads and between processes of one machine.

A case holds the instance as one of many; a case with impact on the whole instance holds it alone; a case that uses
an instance-wide thing (its import token, a policy) holds that thing alone. The locks are files, so that the workers
of one run, and two runs on one machine, wait for each other; the system frees them when a process is killed. Whoever
waits for another run for longer than a moment says so.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kms_conformance.errors import InstanceBusyError, PrivateFolderError
from kms_conformance.file_lock import FileLock, holders

MOMENT = 2.0
"""Seconds after which a process that waits prints a line."""


def private_folder() -> Path:
    """Return the folder for what the processes of a user share on this machine; nobody else can read or write there.

    It lies in the folder for temporary files, which is everybody's. Raises :class:`PrivateFolderError` where what has its
    name there is no such folder.
    """
    name = f"kms-conformance-{os.getuid()}"
    try:
        folder = Path(tempfile.gettempdir()) / name
    except OSError:
        raise PrivateFolderError(name, "no folder for temporary files can be written to") from None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise PrivateFolderError(str(folder), "it is no folder")
        if status.st_uid != os.getuid():
            raise PrivateFolderError(str(folder), "it belongs to somebody else")
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise PrivateFolderError(str(folder), why or type(error).__name__) from None
    return folder


def tell(line: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class InstanceLocks:
    """Locks of one instance. Where every case has its own instance nothing needs a lock: pass ``shared=False``.

    ``says`` is called with the line that names the holders.
    """

    def __init__(
        self, base_url: str, instance: str, *, shared: bool, says: Callable[[str], None] = tell
    ) -> None:
        self._shared, self._says, self._instance = shared, says, instance
        name = hashlib.sha256(f"{base_url} {instance}".encode()).hexdigest()[:16]
        self._name = name

    @contextmanager
    def hold(
        self, things: Sequence[str] = (), *, alone: bool = False, patience: float = 3600
    ) -> Iterator[None]:
        """Hold the instance (alone, if asked) and the named things until the block ends.

        Raises :class:`InstanceBusyError` after ``patience`` seconds. Things are taken in one fixed order, so two cases
        never wait for each other in a circle.
        """
        if not self._shared:
            yield
            return
        with ExitStack() as stack:
            # A case that wants it alone takes this lock first, so that no further case gets in and those inside end.
            with self._file("door", exclusive=alone, patience=patience):
                stack.enter_context(self._file("instance", exclusive=alone, patience=patience))
            stack.enter_context(self.hold_things(things, patience=patience))
            yield

    @contextmanager
    def hold_things(self, things: Sequence[str], *, patience: float = 3600) -> Iterator[None]:
        """Hold the named things, in one fixed order, for who has a hold of the instance already."""
        with ExitStack() as stack:
            for thing in sorted(things) if self._shared else ():
                stack.enter_context(self._file(thing, exclusive=True, patience=patience))
            yield

    @contextmanager
    def _file(self, thing: str, *, exclusive: bool, patience: float) -> Iterator[None]:
        with FileLock(private_folder() / f"{self._name}-{thing}.lock") as lock:
            if not lock.try_acquire(alone=exclusive, seconds=min(MOMENT, patience)):
                others = _of_other_runs(holders(lock.handle))
                if others is not None and patience > MOMENT:
                    self._says(f"waiting for instance {self._instance}: its {thing} is held by {others}")
                if not lock.try_acquire(alone=exclusive, seconds=patience - MOMENT):
                    raise InstanceBusyError(f"{thing} of the instance {self._instance}", patience)
            yield


def _of_other_runs(processes: Sequence[int]) -> str | None:
    """Name the processes that are no part of this run, ``None`` where all are."""
    if not processes:
        return "another process"
    others = [process for process in processes if not _is_own(process)]
    named = ", ".join(f"process {process} ({_command(process)})" for process in others)
    return named or None


def _is_own(process: int) -> bool:
    try:
        return os.getpgid(process) == os.getpgid(0) and os.getsid(process) == os.getsid(0)
    except OSError:
        return process == os.getpid()


def _command(process: int) -> str:
    """Return the first words of what a process was started with; the others may hold anything."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "of another user"
    return " ".join(Path(word.decode("utf-8", "replace")).name for word in words[:4] if word)
