"""Work that is done side by side gives what it gives one after the other."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_WORK = """
import os
import platform
from kms_conformance.verification.two_processes import side_by_side
here = os.getpid()
def other():
    if os.getpid() != here and {fails}:
        raise ValueError("only in the child")
    return os.getpid()
one, there = side_by_side(os.getpid, other, worthwhile={worthwhile})
print(one == here, there == here)
"""


@pytest.mark.parametrize(
    ("fails", "worthwhile", "is_here"),
    [
        (False, True, os.cpu_count() == 1 or platform.system() != "Linux"),
        (True, True, True),
        (False, False, True),
    ],
)
def test_both_are_done(fails: bool, worthwhile: bool, is_here: bool) -> None:
    """The second is done by a child; where that fails, or is not worth a process, it is done here."""
    text = _WORK.format(fails=fails, worthwhile=worthwhile)
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False, text=True)
    assert (ended.stdout.split(), ended.stderr) == (["True", str(is_here)], "")


def test_an_error_here_is_raised() -> None:
    """What goes wrong in the first is not hidden by the second."""
    text = _WORK.format(fails=False, worthwhile=True).replace(
        "side_by_side(os.getpid,", "side_by_side(lambda: 1 // 0,"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stderr.splitlines()[-1].partition(":")[0]) == (1, "ZeroDivisionError")
