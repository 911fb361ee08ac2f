"""Hands tasks to workers: so many at once as each endpoint allows, again where one was lost, and says how far it is."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from kms_conformance.campaign.plan import Task
from kms_conformance.campaign.work import Outcome, State, outcome_of
from kms_conformance.errors import ExitCode, SuiteError
from kms_conformance.outputs.text import duration_text, plural

_BEAT = 0.5
_BETWEEN = 10.0
"""Seconds between two lines of progress."""
_MOST_LOST = 20
"""How many workers one task may lose: it may be the task that ends them."""


class Workers(Protocol):
    """Those who run tasks."""

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Hand over a task; what comes back is its outcome as a document."""

    def number(self) -> int:
        """Return how many tasks can be under way at once."""

    def why_gone(self) -> str:
        """Return why there can be no workers any more; ``""`` as long as there can be."""


@dataclass
class Dispatch:
    """Runs tasks until each is complete or has been tried ``attempts`` times.

    ``says`` takes a line of progress now and then. Afterwards ``outcomes`` has the last outcome of each task, ``lost`` how
    many times the worker of a task was lost, which is no attempt of the task's own.
    """

    workers: Workers
    attempts: int
    says: Callable[[str], None]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    def run(self, tasks: Sequence[Task], done: int = 0) -> None:
        """Run the tasks; ``done`` is how many more were complete before. Raises what ``workers`` raises when they are gone."""
        queues: dict[str, deque[Task]] = {}
        for task in tasks:
            queues.setdefault(task.endpoint, deque()).append(task)
        tried = Counter[str]()
        under_way: dict[Future[dict[str, Any]], Task] = {}
        self._total, self._done, self._told = len(tasks) + done, done, time.monotonic()
        try:
            while queues or under_way:
                self._hand_out(queues, under_way)
                self._tell(queues, under_way)
                if not under_way:
                    time.sleep(_BEAT)  # workers may join later
                    self._demand_workers()
                    continue
                finished, _ = wait(under_way, timeout=_BEAT, return_when=FIRST_COMPLETED)
                for future in finished:
                    task = under_way.pop(future)
                    self._take(task, future, tried)
                    if self._may_run_again(self.outcomes[task.id], tried[task.id]):
                        queues.setdefault(task.endpoint, deque()).append(task)
                    else:
                        self._done += 1
                if not finished:
                    self._demand_workers()
        finally:
            for future in under_way:
                future.cancel()

    def _hand_out(
        self, queues: dict[str, deque[Task]], under_way: dict[Future[dict[str, Any]], Task]
    ) -> None:
        """Hand out what endpoints and workers allow, to each endpoint in its turn."""
        busy = Counter(task.endpoint for task in under_way.values())
        number = self.workers.number()
        for endpoint in tuple(queues):
            queue = queues.pop(endpoint)  # and behind the others with it
            while queue and busy[endpoint] < queue[0].at_once and len(under_way) < number:
                task = queue.popleft()
                busy[endpoint] += 1
                under_way[self.workers.submit(task)] = task
            if queue:
                queues[endpoint] = queue
            if len(under_way) >= number:
                return

    def _take(self, task: Task, future: Future[dict[str, Any]], tried: Counter[str]) -> None:
        """Take in how a task ended."""
        try:
            outcome = outcome_of(future.result())
        except SuiteError:
            raise  # such as results that nobody can write to: no other attempt would end better
        except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever the way in which a worker is lost
            self._demand_workers()
            why = f"its worker was lost ({type(error).__name__})"
            outcome = Outcome(task.id, State.FAILED, int(ExitCode.SUITE_ERROR), 0.0, "", why, "")
        if _is_lost(outcome):
            self.lost[task.id] += 1
        else:
            tried[task.id] += 1
        self.outcomes[task.id] = outcome
        if outcome.state is not State.COMPLETE:
            attempt = tried[task.id] + self.lost[task.id]
            self.says(f"{task.id}: {outcome.state.value}, attempt {attempt}: {outcome.message}")

    def _may_run_again(self, outcome: Outcome, tried: int) -> bool:
        if _is_lost(outcome):
            return self.lost[outcome.task] < _MOST_LOST
        return outcome.again and tried < self.attempts

    def _demand_workers(self) -> None:
        why = self.workers.why_gone()
        if why:
            raise WorkersGoneError(why)

    def _tell(self, queues: dict[str, deque[Task]], under_way: dict[Future[dict[str, Any]], Task]) -> None:
        now = time.monotonic()
        if now - self._told < _BETWEEN:
            return
        self._told = now
        self.says(self.progress(sum(map(len, queues.values())), len(under_way)))

    def progress(self, waiting: int, under_way: int) -> str:
        """Return how far the campaign is, and what bounds it: workers, or the endpoints, and the runs themselves."""
        failing = sum(outcome.code == ExitCode.NON_CONFORMANT for outcome in self.outcomes.values())
        parts = [f"{self._done} of {plural(self._total, 'shard')} done", f"{under_way} under way"]
        if failing:
            parts.append(f"{failing} with failures")
        if waiting:
            parts.append(
                "bound by the number of workers"
                if under_way >= self.workers.number()
                else "bound by at_once of the endpoints"
            )
        bounds = Counter(outcome.bound for outcome in self.outcomes.values() if outcome.bound)
        if bounds:
            bound, times = bounds.most_common(1)[0]
            parts.append(f"{times} of {plural(bounds.total(), 'run')} bound by {bound}")
        finished = [outcome.seconds for outcome in self.outcomes.values() if outcome.seconds]
        if finished and waiting + under_way:
            mean = sum(finished) / len(finished)
            rounds = (waiting + under_way) / max(under_way, 1)
            parts.append(f"about {duration_text(mean * rounds)} left")
        return ", ".join(parts)


def _is_lost(outcome: Outcome) -> bool:
    """Tell whether a worker, or the process of its run, was ended from outside."""
    return outcome.state is State.FAILED and (outcome.code < 0 or not outcome.worker)


class WorkersGoneError(Exception):
    """There are no workers any more, and there will be none; its text says why."""
