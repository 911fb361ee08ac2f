"""The embedded reference in a process of its own, for runs that name no target.

The child serves on a free loopback port, tells its address and throw-away API keys through a pipe (nothing touches
the disk), and ends when the parent does, even by ``kill -9``: its standard input then closes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from kms_conformance.errors import UnreachableError
from kms_conformance.target.target import Target, build_target

_CHILD = """
import gc, json, os, sys, threading
gc.disable()  # until all that lives as long as the process is there
from kms_reference.server import serve_forever
from kms_reference.target import target_text
options = json.loads(sys.argv[1])
def leave_with_the_parent():
    sys.stdin.buffer.read()
    os._exit(0)
def ready(server):
    gc.freeze()
    gc.set_threshold(10_000, 10, 1_000)
    gc.enable()
    print(json.dumps(target_text(server)), flush=True)
    threading.Thread(target=leave_with_the_parent, daemon=True).start()
serve_forever(port=0, on_ready=ready, **options)
"""


class EmbeddedReference:
    """Starts the reference at once and is asked for its target later, so that start-up overlaps other work."""

    def __init__(
        self, *, edition: str = "page", defects: Sequence[str] = (), variations: Sequence[str] = ()
    ) -> None:
        options = {"edition": edition, "defects": list(defects), "variations": list(variations)}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
            [sys.executable, "-c", _CHILD, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._target: Target | None = None

    def target(self) -> Target:
        """Wait until the reference accepts requests; raise :class:`UnreachableError` when it does not start."""
        if self._target is None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                _, errors = self._process.communicate(timeout=10)
                why = errors.strip().splitlines()[-1] if errors.strip() else "it said nothing"
                raise UnreachableError("embedded reference", f"it did not start: {why}")
            self._target = replace(
                build_target(tomllib.loads(json.loads(line)), {}, "the embedded reference"), embedded=True
            )
        return self._target

    def stop(self) -> None:
        """Kill the process: it holds nothing that has to be saved."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        """Give the reference."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()
