"""Whoever reads the output may go away: the command ends with the code of what it has found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import clean_environment

EXPLAIN = (sys.executable, "-m", "kms_conformance", "explain", "KEY_NOT_FOUND_ERR")
FEW = (sys.executable, "-m", "kms_conformance", "run", "--contract", "key_protect", "-k", "test_delete_twice")


def start(folder: Path, command: tuple[str, ...], **streams: int) -> subprocess.Popen[bytes]:
    """Start a command in a folder."""
    return subprocess.Popen(command, cwd=folder, env=clean_environment(), **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(("command", "code"), [(EXPLAIN, 0), (FEW, 1)], ids=["explain", "run"])
def test_closed_pipe(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """A reader that has enough, as ``head`` has, changes no exit code and is told nothing."""
    more = ("--defect", "deleted-twice") if command is FEW else ()
    process = start(tmp_path, (*command, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(60), "rror" in told) == (code, False), told


def test_closed_from_the_beginning(tmp_path: Path) -> None:
    """Without any stream a command runs all the same, and no file of it takes the place of one."""
    words = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *EXPLAIN]
    assert subprocess.run(words, cwd=tmp_path, env=clean_environment(), check=False).returncode == 0


def test_full_disk(tmp_path: Path) -> None:
    """What somebody wanted to keep and has not got is told, and is no success."""
    with Path("/dev/full").open("wb") as full:
        process = start(tmp_path, EXPLAIN, stdout=full.fileno(), stderr=subprocess.PIPE)
        told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert told.startswith("error: The output cannot be written: No space left on device.\nhint: ")
