"""The clock of a shared instance, moved for several cases at once.

A case that moves the clock of an instance moves it for all. Cases that wait take part in it together instead: the clock
is moved only while each of them waits, and only as far as the next of them ends its wait. Each case sees what it would
see without the others: between two of its waits time does not jump, and in each of them it jumps by as much as the case
has asked for. What is longer is the time that passes by itself meanwhile, by seconds: a case for which that is too
long says so (``slack`` of its waits), and has the instance alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from kms_conformance.run.clock import Cancelled

LEAST_SLACK = 600.0
"""Seconds that must not matter to a case beside which others wait: as long as all of them together may take."""
_AT_ONCE = 8
"""For each case that may be awake, so many may have begun: the more, the longer each may have to wait for all others."""
_BEAT = 0.2


@dataclass(slots=True, eq=False)
class _Pause:
    """What a thread waits for: its place, or the moment ``until`` (in seconds that the clock was moved since the start).

    ``leads``: the thread has to move the clock now. ``error`` is why the clock could not be moved.
    """

    until: float
    over: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    error: Exception | None = None


class SharedClock:
    """One shared instance's clock; safe between threads.

    ``most`` tells how many cases may be awake at once: under way, and not waiting. ``hold`` makes what keeps all other cases
    from the instance; it is held from the first case that takes part to the end of the last.
    """

    def __init__(self, most: Callable[[], int], hold: Callable[[], AbstractContextManager[None]]) -> None:
        self._most, self._hold = most, hold
        self._door, self._held, self._members = threading.Lock(), ExitStack(), 0
        self._lock = threading.Lock()
        self._begun, self._awake, self._moved, self._is_moving = 0, 0, 0.0, False
        self._coming: deque[_Pause] = deque()
        self._ready: deque[_Pause] = deque()
        self._waiting: list[_Pause] = []

    @contextmanager
    def member(self) -> Iterator[None]:
        """Have the instance together with the other members until the block ends."""
        with self._door:
            if not self._members:
                self._held.enter_context(self._hold())
            self._members += 1
        try:
            yield
        finally:
            with self._door:
                self._members -= 1
                if not self._members:
                    self._held.close()

    def begin(self) -> None:
        """Wait for a place among those that are awake; to be called by a member."""
        pause = _Pause(0.0)
        with self._lock:
            self._coming.append(pause)
            self._go_on()
        pause.over.wait()

    def end(self) -> None:
        """Give the place up: the clock is moved without regard to this case from now on."""
        with self._lock:
            self._begun -= 1
            self._awake -= 1
            self._go_on()

    def wait(self, seconds: float, move: Callable[[float], None], stopping: threading.Event) -> None:
        """Let ``seconds`` pass; ``move`` moves the clock, and what it raises is raised.

        Raises :class:`Cancelled` when ``stopping`` is set. Either way the case is awake again.
        """
        with self._lock:
            pause = _Pause(self._moved + seconds)
            self._awake -= 1
            self._waiting.append(pause)
            self._go_on()
        try:
            while not pause.over.wait(_BEAT):
                if stopping.is_set():
                    self._give_up(pause)
            if pause.leads:
                self._move(pause.until, move)
                pause.over.wait()
        except BaseException:  # Ctrl-C
            self._leave(pause)
            raise
        if pause.error is not None:
            raise pause.error
        if stopping.is_set():
            raise Cancelled("the run was stopped while this case waited")

    def _move(self, until: float, move: Callable[[float], None]) -> None:
        error: Exception | None = None
        try:
            move(round(until - self._moved, 6))
        except Exception as failure:  # noqa: BLE001 - whoever waits has to know
            error = failure
        with self._lock:
            self._moved, self._is_moving = until, False
            # A move that failed may have moved the clock all the same: what it is then, no case that waits knows.
            due = [pause for pause in self._waiting if error is not None or pause.until <= until]
            for pause in due:
                pause.error = error
                self._waiting.remove(pause)
                pause.over.clear()
            self._ready += due
            self._go_on()

    def _give_up(self, pause: _Pause) -> None:
        """End a wait before its time."""
        with self._lock:
            if pause in self._waiting and not pause.leads:
                self._waiting.remove(pause)
                self._ready.append(pause)
                self._go_on()

    def _leave(self, pause: _Pause) -> None:
        """Let a case be awake whose wait was broken off."""
        with self._lock:
            if pause in self._waiting and pause.leads:
                self._is_moving = False
            for queue in (self._waiting, self._ready):
                if pause in queue:
                    queue.remove(pause)
                    self._awake += 1
            self._go_on()

    def _go_on(self) -> None:
        """Wake who is ready, and let others begin, as far as there are places; where nobody is awake, have the clock moved."""
        if self._is_moving:
            return
        most = max(1, self._most())
        while self._awake < most:
            if self._ready:
                pause = self._ready.popleft()
            elif self._coming and self._begun < _AT_ONCE * most:
                pause = self._coming.popleft()
                self._begun += 1
            else:
                break
            self._awake += 1
            pause.over.set()
        if not self._awake and self._waiting:
            first = min(self._waiting, key=lambda pause: pause.until)
            self._is_moving = first.leads = True
            first.over.set()
