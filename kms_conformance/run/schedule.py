"""Launch early, join late: cases overlap each other, and so do their waits.

Cases are plain synchronous functions. Some ``jobs`` of them are under way at once, each in a thread; beside these,
every case whose waits are real has a thread of its own, as it does nothing most of its time. Their items, each at its
turn, only collect the results: ``-k``, ``-x``, ``--lf``, JUnit and Allure see ordinary items in the usual order with
their true durations. Those that move the clock of a shared instance begin together once all others have begun. A case that
needs the instance alone runs in the place of its item, with no other case at the same time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.session import Session
from kms_conformance.system import system_of

Body = Callable[[Any], None]
_BEAT = 0.2
_FINE = frozenset({Verdict.PASSED, Verdict.WARNED, Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE})
_LONGEST_END = 300.0
"""Seconds after which a run that is being stopped waits no longer for cases that still clean up."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A case that runs in a thread. ``waits``: its waits are real, so it takes none of the places of the quick ones.

    ``moves_clock``: it moves the clock of a shared instance, as others do at the same time; it takes no place either.
    ``turns`` are the instance-wide things that it uses; ``requests`` is how many it is expected to send.
    """

    info: CaseInfo
    body: Body
    waits: bool
    moves_clock: bool
    turns: frozenset[str]
    requests: int
    place: int
    launched: bool = False
    begun: bool = False
    performed: bool = False
    # One of the places of the quick ones is its own, until it does nothing but clean up or wait for its result.
    holds_place: bool = False
    # Not the thread itself: Python 3.11 takes a thread for ended whose join Ctrl-C has interrupted.
    done: threading.Event = field(default_factory=threading.Event)
    result: CaseResult | None = None


class OverlappingCases:
    """The cases of a run that run beside others, and the threads they run in.

    ``jobs`` is how many quick cases are under way at once. ``one_by_one``: start a case only when its turn comes,
    where another process may have the others. ``failures``: so many failed cases, and no further one begins (0: never).
    """

    def __init__(
        self, session: Session, *, jobs: int = 1, one_by_one: bool = False, failures: int = 0
    ) -> None:
        self._session, self._jobs, self._one_by_one = session, jobs, one_by_one
        self._failures = failures
        self._entries: dict[str, _Entry] = {}
        self._queue: list[_Entry] = []
        self._late: list[_Entry] = []
        self._running: list[_Entry] = []
        self._threads = 0
        self._cleaning: set[int] = set()
        self._ended = False
        self._state = threading.Condition()
        self._launched = 0.0

    def add(self, info: CaseInfo, body: Body, *, requests: int = 0) -> None:
        """Note a case; it starts at :meth:`launch`. ``requests``: the more are expected, the earlier it starts."""
        waits = info.waits > 0 and self._session.overlaps(info.contract)
        turns = self._session.turns(info)
        moves_clock = self._session.shares_the_clock(info)
        place = len(self._entries)
        self._entries[info.id] = _Entry(info, body, waits, moves_clock, turns, requests, place)

    def keep(self, ids: Collection[str]) -> None:
        """Drop the noted cases that are not among these: they shall not run."""
        self._entries = {case_id: entry for case_id, entry in self._entries.items() if case_id in ids}

    def knows(self, case_id: str) -> bool:
        """Tell whether a case runs here."""
        return case_id in self._entries

    def launch(self, ids: Collection[str] | None = None) -> None:
        """Let cases begin, by default all: those that wait at once, the longest first, the others as places are free."""
        with self._state:
            chosen = [
                entry
                for case_id, entry in self._entries.items()
                if not (entry.launched or entry.begun) and (ids is None or case_id in ids)
            ]
            if not chosen:
                return  # as for nearly every item
            for entry in chosen:
                entry.launched = True
            waiting = [entry for entry in chosen if entry.waits]
            late = [entry for entry in chosen if entry.moves_clock]
            self._late += late
            self._queue += [entry for entry in chosen if not (entry.waits or entry.moves_clock)]
            if not self._failures:
                # A long case that begins last ends alone. With -x the first failure is the first in the usual order.
                queue = sorted(self._queue, key=lambda entry: entry.place)
                begun = order_of_beginning([(entry.requests, entry.turns) for entry in queue])
                self._queue = [queue[place] for place in begun]
            self._launched = self._launched or time.time()
            missing = min(self._jobs - self._threads, len(self._queue))
            self._threads += missing
        for entry in sorted(waiting, key=lambda entry: -entry.info.waits):
            self._begin(entry)
        for _ in range(missing):
            threading.Thread(target=self._work, name="kms-cases", daemon=True).start()
        if late:
            threading.Thread(target=self._begin_late, name="kms-clock", daemon=True).start()

    def _begin_late(self) -> None:
        """Begin the cases that move the clock, once no other waits for its turn; the longest first."""
        with self._state:
            self._state.wait_for(lambda: self._ended or not self._queue)
            late, self._late = ([], []) if self._ended else (self._late, [])
        for entry in sorted(late, key=lambda entry: (not entry.turns, -entry.requests)):
            self._begin(entry)

    def _begin(self, entry: _Entry) -> None:
        """Start a case in a thread of its own, unless it has begun."""
        with self._state:
            if entry.begun:
                return
            entry.begun = True
            self._queue = [other for other in self._queue if other is not entry]
            self._running.append(entry)
        thread = threading.Thread(target=self._run, args=(entry,), name=entry.info.id, daemon=True)
        try:
            thread.start()
        except BaseException:
            if thread.ident is None:
                entry.done.set()
            raise

    def _work(self) -> None:
        """Run one case after the other, as long as there are any, and this thread has its place."""
        while (entry := self._next()) is not None:
            self._run(entry)
            if not entry.holds_place:
                return

    def _next(self) -> _Entry | None:
        """Wait for a case whose turn it is; ``None`` when this thread is needed no more."""
        with self._state:
            while self._queue and not self._ended:
                busy = {thing for entry in self._running if not entry.performed for thing in entry.turns}
                free = next((entry for entry in self._queue if not entry.turns & busy), None)
                if free is not None:
                    self._queue.remove(free)
                    self._running.append(free)
                    free.begun = free.holds_place = True
                    return free
                self._state.wait()
            self._threads -= 1
            return None

    def _run(self, entry: _Entry) -> None:
        case: CaseRun | None = None
        try:
            case = self._session.open(entry.info)
            case.before_clean_up = partial(self._clean_up_begins, entry)
            self._session.perform_case(case, entry.body)
        except BaseException as error:  # noqa: BLE001 - a thread's exception would otherwise be lost
            self._session.went_wrong(f"{entry.info.id} was lost: {type(error).__name__}")
        with self._state:
            entry.performed = True
            self._cleaning.discard(entry.place)
            self._state.notify_all()
        # The result waits for what others have under way; the next case need not.
        self._pass_on(entry)
        self._conclude(entry, case)

    def _clean_up_begins(self, entry: _Entry) -> None:
        """Let another case begin while this one cleans up, unless as many as run at once do so already."""
        with self._state:
            if not entry.holds_place or len(self._cleaning) >= self._jobs:
                return
            self._cleaning.add(entry.place)
        self._pass_on(entry)

    def _pass_on(self, entry: _Entry) -> None:
        """Give a case's place, where it holds one, to a new thread, which takes the next case."""
        if entry.holds_place and self._jobs > 1 and not self._failures:
            entry.holds_place = False
            threading.Thread(target=self._work, name="kms-cases", daemon=True).start()

    def _conclude(self, entry: _Entry, case: CaseRun | None) -> None:
        try:
            entry.result = None if case is None else self._session.conclude_case(case)
        except BaseException as error:  # noqa: BLE001 - as above
            self._session.went_wrong(f"{entry.info.id} was lost: {type(error).__name__}")
        finally:
            with self._state:
                self._running.remove(entry)
                self._note_failure(entry)
                self._state.notify_all()
            entry.done.set()

    def _note_failure(self, entry: _Entry) -> None:
        """Let no further case begin once so many have failed as end the run."""
        result = entry.result
        bad = result is None or (result.verdict not in _FINE and not self._session.accepts(result))
        if self._failures and bad and not entry.waits:
            self._failures -= 1
            self._ended = self._ended or self._failures == 0

    def collect(
        self,
        case_id: str,
        beat: Callable[[int, float], None] = lambda _, __: None,
        together: Collection[str] | None = None,
    ) -> CaseResult | None:
        """Wait for a case's result, ``None`` where it was lost.

        ``together`` are the cases that this process is given with it (all, by default). ``beat`` is called now and
        then with the number of cases that still wait as their rules demand, and until when at least. Waits in short steps, so that Ctrl-C is
        noticed.
        """
        entry = self._entries[case_id]
        if not self._one_by_one:
            self.launch(together)
        with self._state:
            queued = (entry in self._queue or entry in self._late) and not self._ended
        if not queued:
            self._begin(entry)
        while not entry.done.wait(_BEAT):
            alive = [other.info.waits for other in tuple(self._running) if other.waits]
            beat(len(alive), self._launched + max(alive, default=0.0))
        return entry.result

    def stop(self, patience: float = 30.0) -> None:
        """Let no case begin, end the waits, and let every case that is under way clean up.

        Returns when none is left, or when for ``patience`` seconds none has sent anything.
        """
        with self._state:
            self._ended, self._queue, self._late = True, [], []
            self._state.notify_all()
        self._session.cancel()
        last = time.monotonic() + _LONGEST_END
        seen, until = self._session.sent, time.monotonic() + patience
        for entry in tuple(self._running):
            while not entry.done.wait(_BEAT) and time.monotonic() < min(until, last):
                if self._session.sent != seen:
                    seen, until = self._session.sent, time.monotonic() + patience


def order_of_beginning(expected: Sequence[tuple[int, Collection[str]]]) -> list[int]:
    """Return the places of cases in the order in which to begin them: what takes longest first.

    ``expected`` has of each case how many requests it sends, and the things for which it takes turns: all cases that take
    turns for one follow one another, so they are as long as all of them together.
    """
    together = Counter[str]()
    for requests, things in expected:
        together.update(dict.fromkeys(things, requests))

    def key(place: int) -> tuple[int, int, int]:
        requests, things = expected[place]
        return -max((together[thing] for thing in things), default=requests), -requests, place

    return sorted(range(len(expected)), key=key)


def order(
    infos: Mapping[str, CaseInfo],
    ids: Iterable[str],
    *,
    real_time: bool,
    alone: Callable[[CaseInfo], bool] = lambda _: False,
    moves_clock: Callable[[CaseInfo], bool] = lambda _: False,
) -> list[str]:
    """Return case ids in running order.

    In real time: first the cases that must have the instance to themselves, then quick ones that take turns on an
    instance-wide thing, then all other quick ones; the waiting ones come last, in the order in which they end.
    Where time is free, cases that use an instance-wide thing come last: an endpoint may need a moment to make one
    (an import token is a new RSA key), and can do so while others run. Behind these, so that nothing has to make way for
    them, come those that move the clock of a shared instance together (``moves_clock``), then those that are ``alone``.
    """
    if not real_time:

        def late(case_id: str) -> tuple[bool, bool, bool]:
            info = infos[case_id]
            return alone(info), moves_clock(info), bool(info.impact)

        return sorted(ids, key=late)

    def place(case_id: str) -> tuple[int, float]:
        info = infos[case_id]
        if _alone(info.contract, info.impact) or alone(info):
            return 0, info.waits
        if info.waits:
            return 3, info.waits
        return (1, 0.0) if comes_first(info) else (2, 0.0)

    return sorted(ids, key=place)


def comes_first(info: CaseInfo) -> bool:
    """Tell whether a case runs before the waits begin: it uses an instance-wide thing, or may want to be alone."""
    return bool(info.impact) or _alone(info.contract, info.perhaps)


def may_overlap(info: CaseInfo) -> bool:
    """Tell whether a case's waits can overlap those of others."""
    return info.waits > 0 and not _alone(info.contract, info.impact)


def _alone(contract: str, impact: Iterable[str]) -> bool:
    """Tell whether a case that touches such things must have the instance to itself."""
    return not system_of(contract).impacts_that("alone").isdisjoint(impact)
