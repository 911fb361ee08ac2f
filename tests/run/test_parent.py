"""Workers end with the process that has started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress

WORKER = "from kms_conformance.run.parent import end_with_parent; import time; end_with_parent(); print('up', flush=True); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", {WORKER!r}], stdout=subprocess.PIPE, text=True)
worker.stdout.readline()
print(worker.pid, flush=True)
time.sleep(60)
"""


def is_running(process: int) -> bool:
    """Tell whether a process is there and no zombie."""
    with suppress(OSError):
        os.kill(process, 0)
        with open(f"/proc/{process}/stat", encoding="ascii") as file:  # noqa: PTH123 - a file of the system
            return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_worker_ends_with_its_parent() -> None:
    """After kill -9 of the parent the worker is gone as well."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert is_running(worker)
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 30
    while is_running(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(worker)
