"""Launch early, join late: the real waits of different cases overlap.

Cases are plain synchronous functions. With a real clock, the body of each waiting case starts in a thread of its own
once the cases that must run alone are done; its item, at its turn, only collects the result. The waits thus overlap
each other and every other case, and ``-k``, ``-x``, ``--lf``, JUnit and Allure see ordinary items with their true
durations.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kms_conformance.judging.results import CaseResult
from kms_conformance.run.case import CaseRun
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.session import Session
from kms_conformance.system import system_of

Body = Callable[[Any], None]
_BEAT = 0.2


class WaitingCases:
    """The waiting cases of a run and the threads they run in.

    ``one_by_one``: start a case only when its turn comes, where another process may have the others.
    """

    def __init__(self, session: Session, *, one_by_one: bool = False) -> None:
        self._session = session
        self._one_by_one = one_by_one
        # Not the threads themselves: Python 3.11 takes a thread for ended whose join Ctrl-C has interrupted.
        self._done: dict[str, threading.Event] = {}
        self._results: dict[str, CaseResult] = {}
        self._waiting: dict[str, tuple[CaseInfo, Body]] = {}
        self._launched = 0.0

    def add(self, info: CaseInfo, body: Body) -> None:
        """Note a waiting case; it starts at :meth:`launch`."""
        self._waiting[info.id] = (info, body)

    def knows(self, case_id: str) -> bool:
        """Tell whether a case runs here."""
        return case_id in self._waiting

    def launch(self) -> None:
        """Start every waiting case, the longest first."""
        if not self._launched:
            self._start(self._waiting)

    def _start(self, ids: Iterable[str]) -> None:
        self._launched = time.time()
        for info, body in sorted((self._waiting[name] for name in ids), key=lambda entry: -entry[0].waits):
            case = self._session.open(info)
            done = self._done[info.id] = threading.Event()
            thread = threading.Thread(target=self._run, args=(case, body, done), name=info.id, daemon=True)
            try:
                thread.start()
            except BaseException:
                if thread.ident is None:
                    done.set()
                raise

    def _run(self, case: CaseRun, body: Body, done: threading.Event) -> None:
        try:
            self._results[case.info.id] = self._session.run_case(case, body)
        except BaseException as error:  # noqa: BLE001 - a thread's exception would otherwise be lost
            self._session.went_wrong(f"{case.info.id} was lost: {type(error).__name__}")
        finally:
            done.set()

    def collect(self, case_id: str, beat: Callable[[int, float], None] = lambda _, __: None) -> CaseResult:
        """Wait for a case's result; ``beat`` is told now and then how many still run, and until when at least.

        Waits in short steps, so that Ctrl-C is noticed.
        """
        if self._one_by_one:
            self._start([case_id])
        else:
            self.launch()
        while not self._done[case_id].wait(_BEAT):
            alive = [self._waiting[name][0].waits for name, done in self._done.items() if not done.is_set()]
            beat(len(alive), self._launched + max(alive, default=0.0))
        return self._results[case_id]

    def stop(self, patience: float = 30.0) -> None:
        """End the waits and let every case clean up."""
        self._session.cancel()
        for done in self._done.values():
            done.wait(patience)


def order(infos: Mapping[str, CaseInfo], ids: Iterable[str], *, real_time: bool) -> list[str]:
    """Return case ids in running order.

    In real time: first the cases that must have the instance to themselves, then quick ones that take turns on an
    instance-wide thing, then all other quick ones; the waiting ones come last, in the order in which they end.
    Where time is free, cases that use an instance-wide thing come last: an endpoint may need a moment to make one
    (an import token is a new RSA key), and can do so while others run.
    """
    if not real_time:
        return sorted(ids, key=lambda case_id: bool(infos[case_id].impact))

    def place(case_id: str) -> tuple[int, float]:
        info = infos[case_id]
        if _alone(info.contract, info.impact):
            return 0, info.waits
        if info.waits:
            return 3, info.waits
        return (1, 0.0) if comes_first(info) else (2, 0.0)

    return sorted(ids, key=place)


def comes_first(info: CaseInfo) -> bool:
    """Tell whether a case runs before the waits begin: it uses an instance-wide thing, or may want to be alone."""
    return bool(info.impact) or _alone(info.contract, info.perhaps)


def may_overlap(info: CaseInfo) -> bool:
    """Tell whether a case can run beside others."""
    return info.waits > 0 and not _alone(info.contract, info.impact)


def _alone(contract: str, impact: Iterable[str]) -> bool:
    """Tell whether a case that touches such things must have the instance to itself."""
    return not system_of(contract).impacts_that("alone").isdisjoint(impact)
