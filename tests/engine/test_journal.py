"""The journal and the pace: what is written before a request leaves, and how many leave in a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kms_conformance.journal import Journal
from kms_conformance.pace import Pace


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal on disk."""
    opened = Journal(tmp_path / "deep" / "journal.sqlite", "run1")
    yield opened
    opened.close()


def states(journal: Journal, base_url: str | None = None) -> list[tuple[str, str, str]]:
    """Return name, address and state of what is left."""
    return [(thing.name, thing.ref, thing.state) for thing in journal.left_over(base_url)]


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
    (thing,) = other.left_over()
    other.close()
    assert (thing.run, thing.kind, thing.instance, thing.detail) == ("run1", "key", "i", "by hand")
    assert abs(thing.at - time.time()) < 60


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
    pace = Pace(10)
    left = []
    for number in range(12):
        if number == 6:
            clock[0] += 60
        pace.take()
        left.append(clock[0])
    gaps = [later - earlier for earlier, later in pairwise(left)]
    assert min(gaps) == pytest.approx(0.1)
    assert len(slept) == 10


def test_no_pace() -> None:
    """Without a limit nobody waits."""
    pace = Pace(None)
    for _ in range(1000):
        pace.take()


def test_pace_is_shared_by_threads() -> None:
    """One limit holds for all threads together."""
    pace, left = Pace(50), list[float]()

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
