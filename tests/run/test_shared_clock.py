"""The clock that cases move together: each sees time jump in its own waits only, and no wait lasts for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from kms_conformance.errors import UnreachableError
from kms_conformance.run.clock import Cancelled
from kms_conformance.run.shared_clock import SharedClock


class Instance:
    """An instance with a clock, and the cases that wait on it; ``events`` tells what has happened, in order."""

    def __init__(self, most: int = 8) -> None:
        self.now, self.held, self.moves = 0.0, 0, 0
        self.events: list[tuple[str, float]] = []
        self.stopping = threading.Event()
        self.clock = SharedClock(lambda: most, self.hold)
        self.error: Exception | None = None
        self.raised: list[BaseException] = []

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count the holds."""
        self.held += 1
        yield
        self.held -= 1

    def move(self, seconds: float) -> None:
        """Move the clock."""
        if self.error is not None:
            raise self.error
        self.moves += 1
        self.now += seconds

    def case(self, name: str, *waits: float, meets: threading.Barrier | None = None) -> Callable[[], None]:
        """Return a case that waits several times; ``meets``: the others, before the first wait."""

        def run() -> None:
            with self.clock.member():
                self.clock.begin()
                try:
                    if meets is not None:
                        meets.wait(60)
                    self.events.append((name, self.now))
                    for seconds in waits:
                        self.clock.wait(seconds, self.move, self.stopping)
                        self.events.append((name, self.now))
                except BaseException as error:  # noqa: BLE001 - told to the test
                    self.raised.append(error)
                finally:
                    self.clock.end()

        return run

    def run(self, *cases: Callable[[], None]) -> None:
        """Run cases beside each other, each to its end."""
        threads = [threading.Thread(target=case, daemon=True) for case in cases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def seen_by(self, name: str) -> list[float]:
        """Return the times that a case saw."""
        return [now for case, now in self.events if case == name]


def test_each_sees_its_own_waits() -> None:
    """Three cases with other waits begin together: each sees the clock jump by what it has waited, and by nothing else."""
    instance, meeting = Instance(), threading.Barrier(3)
    waits: dict[str, tuple[float, ...]] = {"short": (31, 31, 31), "long": (2592000,), "mixed": (2, 60, 3600)}
    instance.run(*(instance.case(name, *given, meets=meeting) for name, given in waits.items()))
    for name, given in waits.items():
        assert [after - before for before, after in pairwise(instance.seen_by(name))] == list(given), name
    assert instance.now == 2592000
    assert instance.held == 0


def test_equal_waits_are_one_move() -> None:
    """Cases that wait for the same time together move the clock once."""
    instance, meeting = Instance(), threading.Barrier(5)
    instance.run(*(instance.case(str(number), 31, meets=meeting) for number in range(5)))
    assert (instance.moves, instance.now) == (1, 31)


def test_more_cases_than_places() -> None:
    """With one place, cases take turns, and each still sees its own waits."""
    instance = Instance(most=1)
    instance.run(*(instance.case(str(number), 10, 20) for number in range(6)))
    for number in range(6):
        seen = instance.seen_by(str(number))
        assert [after - before for before, after in pairwise(seen)] == [10, 20]


def test_one_that_is_awake_keeps_the_clock() -> None:
    """While a case is under way and does not wait, the clock stands still for those that do."""
    instance, may_end, meeting = Instance(), threading.Event(), threading.Barrier(2)
    seen: list[float] = []

    def awake() -> None:
        with instance.clock.member():
            instance.clock.begin()
            meeting.wait(60)
            # The other one waits from now on; nothing can move the clock.
            may_end.wait(0.3)
            seen.append(instance.now)
            instance.clock.end()

    instance.run(instance.case("waits", 100, meets=meeting), awake)
    assert seen == [0.0]
    assert instance.seen_by("waits") == [0.0, 100.0]


def test_a_move_that_fails() -> None:
    """Where the clock cannot be moved, all that wait are told so: what time it is none of them knows."""
    instance, meeting = Instance(), threading.Barrier(3)
    instance.error = UnreachableError("http://x", "no answer")
    instance.run(*(instance.case(str(number), 10 * (number + 1), meets=meeting) for number in range(3)))
    assert [type(error) for error in instance.raised] == [UnreachableError] * 3
    assert instance.held == 0


def test_a_run_that_is_stopped() -> None:
    """A run that is stopped ends the waits of its cases."""
    instance, meeting = Instance(), threading.Barrier(2)

    def stops() -> None:
        with instance.clock.member():
            instance.clock.begin()
            meeting.wait(60)
            instance.stopping.set()
            # It is under way until the other has given up, so that nobody moves the clock.
            while not instance.raised and threading.main_thread().is_alive():
                threading.Event().wait(0.01)
            instance.clock.end()

    instance.run(instance.case("waits", 100, meets=meeting), stops)
    assert [type(error) for error in instance.raised] == [Cancelled]
    assert instance.now == 0


def test_a_hold_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the instance cannot be had, a case is told so, and the next one tries again."""
    instance = Instance()

    @contextmanager
    def fails() -> Iterator[None]:
        raise UnreachableError("http://x", "busy")
        yield

    monkeypatch.setattr(instance.clock, "_hold", fails)
    with pytest.raises(UnreachableError), instance.clock.member():
        pass
    monkeypatch.setattr(instance.clock, "_hold", instance.hold)
    with instance.clock.member():
        assert instance.held == 1
    assert instance.held == 0


def test_some_begin_when_others_have_ended() -> None:
    """With one place, eight of twenty cases begin before the first of them ends: none waits for more others than that."""
    instance, asked = Instance(), threading.Semaphore(0)

    def one() -> int:
        asked.release()
        return 1

    instance.clock = SharedClock(one, instance.hold)

    def first() -> None:
        with instance.clock.member():
            instance.clock.begin()
            for _ in range(20):  # as often as a case wants to begin, this one among them
                assert asked.acquire(timeout=60)
            instance.clock.end()

    instance.run(first, *(instance.case(str(number), 10) for number in range(19)))
    assert len(instance.events) == 38
    assert next(place for place, (_, now) in enumerate(instance.events) if now) == 8


def test_a_wait_that_is_broken_off() -> None:
    """Ctrl-C in the middle of a move ends the wait of that case; the next one waits and moves the clock as ever."""
    instance = Instance()

    def breaks(seconds: float) -> None:
        raise KeyboardInterrupt(seconds)

    with instance.clock.member():
        instance.clock.begin()
        with pytest.raises(KeyboardInterrupt):
            instance.clock.wait(10, breaks, instance.stopping)
        instance.clock.end()
    instance.run(instance.case("after", 20))
    assert instance.seen_by("after") == [0.0, 20.0]
