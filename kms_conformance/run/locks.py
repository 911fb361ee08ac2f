"""Locks of a shared instance, between threads and between processes of one machine.

A case holds the instance as one of many; a case with impact on the whole instance holds it alone; a case that uses
an instance-wide thing (its import token, a policy) holds that thing alone. The locks are files, so that the workers
of one run, and two runs on one machine, wait for each other; the system frees them when a process is killed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kms_conformance.file_lock import FileLock


class InstanceLocks:
    """Locks of one instance. Where every case has its own instance nothing needs a lock: pass ``shared=False``."""

    def __init__(self, base_url: str, instance: str, *, shared: bool) -> None:
        self._shared = shared
        name = hashlib.sha256(f"{base_url} {instance}".encode()).hexdigest()[:16]
        self._stem = Path(tempfile.gettempdir()) / f"kms-conformance-{os.getuid()}-{name}"

    @contextmanager
    def hold(
        self, things: Sequence[str] = (), *, alone: bool = False, patience: float = 3600
    ) -> Iterator[None]:
        """Hold the instance (alone, if asked) and the named things until the block ends.

        Raises :class:`TimeoutError` after ``patience`` seconds. Things are taken in one fixed order, so two cases
        never wait for each other in a circle.
        """
        if not self._shared:
            yield
            return
        with ExitStack() as stack:
            # Whoever wants it alone waits in the door, so that no new ones come in and those inside become fewer.
            with self._file("door", exclusive=alone, patience=patience):
                stack.enter_context(self._file("instance", exclusive=alone, patience=patience))
            for thing in sorted(things):
                stack.enter_context(self._file(thing, exclusive=True, patience=patience))
            yield

    @contextmanager
    def _file(self, thing: str, *, exclusive: bool, patience: float) -> Iterator[None]:
        with FileLock(Path(f"{self._stem}-{thing}.lock")) as lock:
            if not lock.try_acquire(alone=exclusive, seconds=patience):
                raise TimeoutError(f"the {thing} of the instance was not free within {patience:g} s")
            yield
