"""The journal and the pace: what is written before a request leaves, and how many leave in a second."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from commands import run_command

from kms_conformance.errors import JournalError
from kms_conformance.run.journal import Journal
from kms_conformance.transport.rate_limit import RateLimit


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal on disk."""
    opened = Journal(tmp_path / "deep" / "journal.sqlite", "run1")
    yield opened
    opened.close()


def states(journal: Journal, base_url: str | None = None) -> list[tuple[str, str, str]]:
    """Return name, address and state of what is left."""
    return [(entry.name, entry.ref, entry.state) for entry in journal.left_over(base_url)]


def test_life_of_a_row(journal: Journal) -> None:
    """Intended, created, gone; what is gone is not left over."""
    row = journal.intend("http://a", "i", "key", "kmsct-1")
    assert states(journal) == [("kmsct-1", "", "intended")]
    journal.created(row, "id-1")
    assert states(journal) == [("kmsct-1", "id-1", "created")]
    journal.gone(row)
    assert states(journal) == []


def test_by_endpoint(journal: Journal) -> None:
    """What is left over is told by endpoint, oldest first."""
    for number, url in enumerate(["http://a", "http://b", "http://a"]):
        journal.intend(url, "i", "key", f"k{number}")
    assert [name for name, _, _ in states(journal, "http://a")] == ["k0", "k2"]
    assert len(states(journal)) == 3


def test_later_run_reads_it(journal: Journal, tmp_path: Path) -> None:
    """Another process sees the row at once, and who wrote it."""
    journal.intend("http://a", "i", "key", "kmsct-1", detail="by hand")
    other = Journal(tmp_path / "deep" / "journal.sqlite", "run2")
    (entry,) = other.left_over()
    other.close()
    assert (entry.run, entry.kind, entry.instance, entry.detail) == ("run1", "key", "i", "by hand")
    assert abs(entry.at - time.time()) < 60


def test_nobody_else_reads_it(journal: Journal) -> None:
    """The file and what SQLite puts beside it are their owner's."""
    journal.intend("http://a", "i", "key", "kmsct-1")
    assert journal.path is not None
    files = list(journal.path.parent.iterdir())
    assert len(files) > 2
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


def test_no_secret_for_an_address(tmp_path: Path) -> None:
    """A server that gives a secret for an id has not put it into the journal; the thing is found by its name."""
    journal = Journal(tmp_path / "journal.sqlite", "run1", lambda text: "secret" in text)
    row = journal.intend("http://a", "i", "key", "kmsct-1")
    journal.created(row, "a-secret")
    journal.intend("http://a", "i", "alias", "kmsct-2", ref="/keys/a-secret/aliases/kmsct-2")
    left = states(journal)
    journal.close()
    assert left == [("kmsct-1", "", "intended"), ("kmsct-2", "", "intended")]


def test_many_threads(journal: Journal) -> None:
    """Threads write into it at once, and no row is lost."""

    def write(number: int) -> None:
        for place in range(20):
            journal.created(
                journal.intend("http://a", "i", "key", f"{number}-{place}"), f"id-{number}-{place}"
            )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {(name, ref) for name, ref, _ in states(journal)} == {
        (f"{n}-{p}", f"id-{n}-{p}") for n in range(5) for p in range(20)
    }


def test_in_memory() -> None:
    """Without a path it works as well, and leaves nothing."""
    journal = Journal(None, "run1")
    journal.intend("http://a", "i", "key", "kmsct-1")
    assert len(states(journal)) == 1
    journal.close()


def test_pace_spreads_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many leave in any second, also when none has left for long and then many want to."""
    clock = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", sleep)
    pace = RateLimit(10)
    left = []
    for number in range(40):
        if number == 6:
            clock[0] += 60
        pace.take()
        left.append(clock[0])
    assert min(later - earlier for earlier, later in zip(left, left[10:], strict=False)) > 1.0
    gaps = [later - earlier for earlier, later in pairwise(left)]
    assert gaps[-1] == pytest.approx(0.105)  # a twentieth more than needed, for what delays a request
    assert len(slept) == 38


def test_no_pace() -> None:
    """Without a limit nobody waits."""
    pace = RateLimit(None)
    for _ in range(1000):
        pace.take()


def test_pace_is_shared_by_threads() -> None:
    """One limit holds for all threads together."""
    pace, left = RateLimit(50), list[float]()

    def take() -> None:
        for _ in range(5):
            pace.take()
            left.append(time.monotonic())

    begun = time.monotonic()
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(left) - begun >= 19 / 50 - 0.001


def test_a_refusal_forgets_only_itself(journal: Journal) -> None:
    """A second creation that is refused says nothing about the first: the thing is still there, and in the journal."""
    first = journal.intend("http://a", "i", "ring", "kmsct-r", ref="/key_rings/kmsct-r")
    journal.created(first, "/key_rings/kmsct-r")
    second = journal.intend("http://a", "i", "ring", "kmsct-r", ref="/key_rings/kmsct-r")
    journal.refused(second)
    assert states(journal) == [("kmsct-r", "/key_rings/kmsct-r", "created")]
    journal.gone(first)
    assert states(journal) == []


def test_a_run_lives_as_long_as_its_last_process(tmp_path: Path) -> None:
    """A worker that ends before the others does not make the run look dead, and what it works on left over."""
    path = tmp_path / "j.sqlite"
    controller, worker = Journal(path, "run1"), Journal(path, "run1")
    controller.intend("http://a", "i", "key", "kmsct-1")
    other = Journal(path, "run2")
    worker.close()
    assert other.abandoned("http://a") == []
    controller.close()
    assert [entry.name for entry in other.abandoned("http://a")] == ["kmsct-1"]
    other.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["j.sqlite"]


def test_own_things_once_nobody_else_is_at_work(tmp_path: Path) -> None:
    """What a run itself has left is told apart, and whether another process of the run is still alive."""
    path = tmp_path / "j.sqlite"
    controller, worker, other = Journal(path, "run1"), Journal(path, "run1"), Journal(path, "run2")
    worker.intend("http://a", "i", "key", "kmsct-1")
    assert [entry.name for entry in controller.own("http://a")] == ["kmsct-1"]
    assert other.own("http://a") == []
    assert not controller.last(0)
    worker.close()
    assert controller.last(0)
    assert other.abandoned("http://a") == []
    controller.close()
    other.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)


def _other_version(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute(
            "CREATE TABLE things (id INTEGER PRIMARY KEY, run TEXT, name TEXT, state TEXT, base_url TEXT)"
        )
    file.close()


def _folder(path: Path) -> None:
    path.mkdir()


def _link_to_nowhere(path: Path) -> None:
    path.symlink_to("/nowhere/at/all.sqlite")


@pytest.mark.parametrize("spoil", [_garbage, _other_version, _folder, _link_to_nowhere])
def test_unusable_journals_are_told(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """A journal that cannot be used is one sentence and exit code 2, and nothing is created."""
    path = tmp_path / "j.sqlite"
    spoil(path)
    with pytest.raises(JournalError, match=re.escape(str(path))):
        Journal(path, "run1")
    endpoint = ("--base-url", "http://127.0.0.1:9", "--instance", "00000000-0000-4000-8000-000000000000")
    ended = run_command(tmp_path, "sweep", *endpoint, "--token", "t", "--journal", str(path))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: The journal ")
    assert "Traceback" not in ended.err
    assert sorted(entry.name for entry in tmp_path.iterdir()) in (["j.sqlite"], [])


TAKES_TURNS = """
import sys, time
from pathlib import Path
from kms_conformance.transport.rate_limit import RateLimit
pace = RateLimit(50, Path(sys.argv[1]))
for _ in range(12):
    pace.take()
    print(time.monotonic())
"""


def test_pace_is_shared_by_processes(tmp_path: Path) -> None:
    """One limit holds for all workers of a run together."""
    command = [sys.executable, "-c", TAKES_TURNS, str(tmp_path / "pace")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    times = sorted(float(line) for text in outputs for line in text.split())
    assert len(times) == 24
    assert times[-1] - times[0] >= 23 / 50
