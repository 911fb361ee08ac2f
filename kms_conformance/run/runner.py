"""Running one case: may it run, its turn on the instance, its body, its clean-up, its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kms_conformance.errors import ExitCode, SuiteError
from kms_conformance.evidence import steady_clock
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.case import CaseRun
from kms_conformance.run.cleanup import adapter_of, clean_up, put_back_shared
from kms_conformance.run.clock import Cancelled
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.deferred import LOST, DeferredCases
from kms_conformance.run.eligibility import admit, demand_known_names
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.run.outcomes import Deferred, NotTested
from kms_conformance.run.record import RunRecord
from kms_conformance.run.recording import RandomSource, StaleError
from kms_conformance.run.shared_clock import LEAST_SLACK, SharedClock
from kms_conformance.target.target import Target
from kms_conformance.transport.outage import clock_time

BREAKER = 6
"""So many requests in a row without an answer end the run."""


class Runner:
    """Runs the cases of one run, from any thread.

    ``jobs`` tells how many cases are under way at once: so many of those that move the clock of a shared instance are
    awake at the same moment.
    """

    def __init__(self, record: RunRecord, deferred: DeferredCases, jobs: Callable[[], int]) -> None:
        self._record, self._deferred, self._jobs = record, deferred, jobs
        self._clocks: dict[tuple[str, str], SharedClock] = {}
        self._lock = threading.Lock()

    def run(self, case: CaseRun, body: Callable[[Any], None]) -> CaseResult:
        """Run a case from its first request to the end of its clean-up, and return the result.

        Raises nothing but :class:`KeyboardInterrupt`, and that only after the clean-up.
        """
        interrupt = self.perform(case, body)
        result = self.conclude(case)
        if interrupt is not None:
            raise interrupt
        return result

    def perform(self, case: CaseRun, body: Callable[[Any], None]) -> KeyboardInterrupt | None:
        """Run a case from its first request to the end of its clean-up; return the interrupt that has stopped it."""
        interrupt: KeyboardInterrupt | None = None
        try:
            interrupt = self._run(case, body)
        except BaseException as error:  # noqa: BLE001 - while it waited for its turn, or cleaned up
            case.stopped = _reason(error)
            interrupt = error if isinstance(error, KeyboardInterrupt) else None
        case.finished = case.finished or steady_clock.now()
        return interrupt

    def conclude(self, case: CaseRun) -> CaseResult:
        """Return the result of a case that was performed, once the requests that are under way now have ended."""
        if isinstance(case.stopped, SuiteError) and case.stopped.exit_code is ExitCode.USAGE:
            self._record.refuses(case.stopped.sentence, case.stopped.hint)
        result = case.result()
        case.let_go()
        self._record.case_finished(result)
        return result

    def _run(self, case: CaseRun, body: Callable[[Any], None]) -> KeyboardInterrupt | None:
        """Run a case when its turn comes; return the interrupt that has stopped its body."""
        context, info = case.context, case.info
        self._demand_answers(context)
        demand_known_names(info, context.contract)
        admit(info, context.target)
        system = adapter_of(context.contract, info.view)(case)
        with self._deferred.lock(case), self._turn(case):
            self._deferred.take_up(case, system)
            return _run_body(case, body, system)

    @contextmanager
    def _turn(self, case: CaseRun) -> Iterator[None]:
        """Hold what a case needs of its instance until its clean-up has ended."""
        context, info = case.context, case.info
        locks = InstanceLocks(context.target.base_url, case.instance, shared=not context.target.fresh)
        things = sorted(touched(info, context.target) & context.contract.system.impacts_that("takes_turns"))
        if not shares_the_clock(info, context):
            alone = wants_to_be_alone(info, context)
            with locks.hold(things, alone=alone):
                if alone and not context.target.fresh:
                    put_back_shared(context, case.instance, held=True)
                yield
            return
        clock = self._clock(case, locks)
        with clock.member(), locks.hold_things(things):
            clock.begin()
            may_stay = touched(info, context.target) & context.contract.system.impacts_that("may_stay")
            case.shares(clock, to_the_end=bool(may_stay))
            try:
                yield
            finally:
                case.leave_clock()

    def _clock(self, case: CaseRun, locks: InstanceLocks) -> SharedClock:
        """Return the clock of a case's instance, which all cases have that wait on it together."""
        context, place = case.context, (case.context.target.base_url, case.instance)

        @contextmanager
        def hold() -> Iterator[None]:
            with locks.hold(alone=True):
                put_back_shared(context, case.instance, held=True)
                yield

        with self._lock:
            return self._clocks.setdefault(place, SharedClock(self._jobs, hold))

    def _demand_answers(self, context: Context) -> None:
        """Spare the cases that are left when the endpoint has stopped answering."""
        if self._record.refused:
            raise NotTested("the run cannot go on: see the verdict line")
        gone = context.client.presence.gone
        if gone:
            raise NotTested(f"the endpoint went away at {clock_time(gone)} UTC")
        silent = context.client.silent
        if silent >= BREAKER:
            self._record.cut_short(f"the endpoint gave no answer to {silent} requests in a row")
            raise NotTested("the endpoint stopped answering")


def _run_body(case: CaseRun, body: Callable[[Any], None], system: Any) -> KeyboardInterrupt | None:
    """Run a case's body and its clean-up; return the interrupt that has stopped the body."""
    interrupt: KeyboardInterrupt | None = None
    case.started = steady_clock.now()
    case.context.client.noted()  # what the case before did after its last request
    if case.recording is not None:
        case.random_bytes = RandomSource(case.recording.seed).take
    try:
        body(system)
    except BaseException as error:  # noqa: BLE001 - a case may fail in any way; the run goes on
        case.stopped = _reason(error)
        interrupt = error if isinstance(error, KeyboardInterrupt) else None
    finally:
        case.begin_clean_up()
        if not isinstance(case.stopped, Deferred):
            clean_up(case)
            if case.recording is not None:
                case.recording.finished()
    return interrupt


def _reason(error: BaseException) -> BaseException:
    """Return why a case stopped, for its verdict."""
    match error:
        case Cancelled():
            return NotTested(str(error) or "the run was stopped while this case waited")
        case KeyboardInterrupt():
            return NotTested("the run was stopped during this case")
        case StaleError():
            return NotTested(f"{LOST}: {error}")
    return error


def wants_to_be_alone(info: CaseInfo, context: Context) -> bool:
    """Tell whether a case changes what all others on its instance see: a thing of the instance, or its clock.

    Cases that do no more than to move the clock can do so together: see :func:`shares_the_clock`.
    """
    return _moves_the_clock(info, context) or _changes_the_instance(info, context)


def shares_the_clock(info: CaseInfo, context: Context) -> bool:
    """Tell whether a case moves the clock of a shared instance, and can do so together with others."""
    if context.target.fresh or not _moves_the_clock(info, context):
        return False
    return info.slack >= LEAST_SLACK and not _changes_the_instance(info, context)


def _moves_the_clock(info: CaseInfo, context: Context) -> bool:
    return context.clock.overlaps is False and info.waits > 0


def _changes_the_instance(info: CaseInfo, context: Context) -> bool:
    return bool(touched(info, context.target) & context.contract.system.impacts_that("alone"))


def touched(info: CaseInfo, target: Target) -> set[str]:
    """Return what a case touches beyond its own things on this target."""
    impacts = target.system.impacts
    return {*info.impact, *(kind for kind in info.perhaps if target.allow.get(impacts[kind].switch, False))}
