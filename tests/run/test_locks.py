"""InstanceLocks on a shared instance: between threads and between processes; each wait ends."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from commands import clean_environment

from kms_conformance.errors import InstanceBusyError, PrivateFolderError
from kms_conformance.run.locks import InstanceLocks, private_folder

HOLDER = """
import sys, time
from kms_conformance.run.locks import InstanceLocks, private_folder
begun = time.time()
with InstanceLocks("http://x", sys.argv[1], shared=True).hold(sys.argv[2].split(",") if sys.argv[2] else [], alone=sys.argv[3] == "alone"):
    print("held", flush=True)
    got = time.time()
    sys.stdin.readline()
    print(got, time.time(), flush=True)
"""


@pytest.fixture
def instance() -> str:
    """Return an instance that no other test uses."""
    return str(uuid.uuid4())


class Holder:
    """Another process that holds an instance until it is told to release it."""

    def __init__(self, instance: str, things: str = "", how: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, instance, things, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            start_new_session=True,  # as another run has it
        )

    def held(self) -> None:
        """Wait until it holds."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def release(self) -> tuple[float, float]:
        """Release it; return from when to when it was held."""
        out, _ = self.process.communicate("\n", timeout=30)
        begin, end = out.split()[-2:]
        return float(begin), float(end)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


def free(instance: str, *things: str, alone: bool = False) -> bool:
    """Tell whether a hold would be granted now."""
    try:
        with InstanceLocks("http://x", instance, shared=True).hold(things, alone=alone, patience=0.1):
            return True
    except InstanceBusyError:
        return False


def test_two_processes_take_turns(instance: str) -> None:
    """Two processes that use the same thing hold it one after the other."""
    first = Holder(instance, "import-token")
    first.held()
    second = Holder(instance, "import-token")
    try:
        time.sleep(0.3)  # it would have held by now
        _, first_end = first.release()
        second.held()
        second_begin, _ = second.release()
        assert first_end <= second_begin
    finally:
        first.kill()
        second.kill()


def test_alone_excludes_everybody(instance: str) -> None:
    """Who holds the instance alone, in another process, holds it against everybody; others share it."""
    holder = Holder(instance, how="alone")
    try:
        holder.held()
        assert not free(instance)
        assert not free(instance, alone=True)
        assert free(str(uuid.uuid4()))
        holder.release()
        assert free(instance, alone=True)
    finally:
        holder.kill()


def test_others_exclude_alone(instance: str) -> None:
    """As long as one of many is there nobody is alone, but many more may come, also to other things."""
    holder = Holder(instance, "import-token")
    try:
        holder.held()
        assert not free(instance, alone=True)
        assert free(instance)
        assert free(instance, "policy")
        assert not free(instance, "import-token")
    finally:
        holder.kill()


def test_killed_holder_lets_go(instance: str) -> None:
    """The system frees the locks of a process that is killed."""
    holder = Holder(instance, "import-token", "alone")
    holder.held()
    holder.kill()
    assert free(instance, "import-token", alone=True)


def test_threads_take_turns(instance: str) -> None:
    """Threads of one process wait for each other just so."""
    inside: list[int] = []
    most: list[int] = []

    def use(number: int) -> None:
        with InstanceLocks("http://x", instance, shared=True).hold(
            ["a", "b"][:: 1 if number % 2 else -1], alone=False
        ):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 6


def test_nothing_is_locked_where_nothing_is_shared(instance: str) -> None:
    """With an instance per case nobody waits for anybody."""
    turns = InstanceLocks("http://x", instance, shared=False)
    with turns.hold(["a"], alone=True), turns.hold(["a"], alone=True, patience=0):
        pass


def test_who_wants_it_alone_comes_in(instance: str) -> None:
    """While somebody waits to have the instance alone nobody else comes in, so many cases at once cannot starve him."""
    inside = Holder(instance)
    inside.held()
    entered, leave = threading.Event(), threading.Event()

    def alone() -> None:
        with InstanceLocks("http://x", instance, shared=True).hold(alone=True, patience=60):
            entered.set()
            leave.wait(60)

    waiting = threading.Thread(target=alone)
    waiting.start()
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until, "newcomers are let in for ever"
        try:
            with InstanceLocks("http://x", instance, shared=True).hold(patience=0):
                time.sleep(0.01)
        except InstanceBusyError:
            break
    assert not entered.is_set()
    inside.release()
    assert entered.wait(60)
    leave.set()
    waiting.join()


def test_who_waits_says_for_whom(instance: str) -> None:
    """After a moment a line names what is waited for and the process that holds it."""
    lines: list[str] = []
    holder = Holder(instance, how="alone")
    try:
        holder.held()
        locks = InstanceLocks("http://x", instance, shared=True, says=lines.append)
        with pytest.raises(InstanceBusyError), locks.hold(patience=2.1):
            pass
        assert len(lines) == 1
        assert f"waiting for instance {instance}" in lines[0]
        assert f"process {holder.process.pid} (python" in lines[0]
    finally:
        holder.kill()


def test_the_cases_of_one_run_wait_in_silence(instance: str) -> None:
    """Cases of one process wait for each other all the time; nobody needs to know."""
    lines: list[str] = []
    locks = InstanceLocks("http://x", instance, shared=True, says=lines.append)
    with locks.hold(alone=True), pytest.raises(InstanceBusyError), locks.hold(patience=2.1):
        pass
    assert lines == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the folder for temporary files elsewhere; return where the folder for locks is then."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"kms-conformance-{os.getuid()}"


def test_the_folder_for_locks_is_private(temporary: Path) -> None:
    """Only its owner may look into it; one that is open to others is closed."""
    assert private_folder() == temporary
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
    temporary.chmod(0o777)
    private_folder()
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "file"])
def test_no_link_is_followed(temporary: Path, tmp_path: Path, instance: str, kind: str) -> None:
    """What somebody else has put in its place is refused in one sentence, and not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        temporary.symlink_to(elsewhere)
    else:
        temporary.write_text("")
    with (
        pytest.raises(PrivateFolderError) as refused,
        InstanceLocks("http://x", instance, shared=True).hold(),
    ):
        pass
    assert "it is no folder" in refused.value.sentence
    assert list(elsewhere.iterdir()) == []


def test_no_lock_is_a_link(temporary: Path, tmp_path: Path, instance: str) -> None:
    """A lock that is a link is not opened: what it leads to may be anybody's."""
    victim = tmp_path / "victim"
    with InstanceLocks("http://x", instance, shared=True).hold():
        pass
    for lock in temporary.iterdir():
        lock.unlink()
        lock.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"), InstanceLocks("http://x", instance, shared=True).hold():
        pass
    assert not victim.exists()
