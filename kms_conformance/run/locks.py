"""Locks of a shared instance, between threads and between processes of one machine.

A case holds the instance as one of many; a case with impact on the whole instance holds it alone; a case that uses
an instance-wide thing (its import token, a policy) holds that thing alone. The locks are files, so that the workers
of one run, and two runs on one machine, wait for each other; the system frees them when a process is killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PAUSE = 0.02


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
            stack.enter_context(self._file("instance", exclusive=alone, patience=patience))
            for thing in sorted(things):
                stack.enter_context(self._file(thing, exclusive=True, patience=patience))
            yield

    @contextmanager
    def _file(self, thing: str, *, exclusive: bool, patience: float) -> Iterator[None]:
        handle = os.open(f"{self._stem}-{thing}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise TimeoutError(
                            f"the {thing} of the instance was not free within {patience:g} s"
                        ) from None
                    time.sleep(_PAUSE)
            yield
        finally:
            os.close(handle)
