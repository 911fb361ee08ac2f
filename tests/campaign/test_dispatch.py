"""Handing out: limits of endpoints, lost workers, and what no other attempt mends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import pytest

from kms_conformance.campaign.dispatch import Dispatch, WorkersGoneError
from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.plan import Task
from kms_conformance.campaign.work import Outcome, State


def task(name: str, endpoint: str = "e", at_once: int = 1) -> Task:
    """Return a task."""
    return Task(name, name, endpoint, at_once, "1/1", "t.toml", (), durations=False, timeout=1)


def ended(name: str, state: State = State.COMPLETE, code: int = 0) -> dict[str, Any]:
    """Return the outcome of a task as a document."""
    return asdict(Outcome(name, state, code, 1.0, "latency", "", "host:1"))


class Fake:
    """Workers that end a task when asked how many they are, the oldest first; notes how many each endpoint had at once."""

    def __init__(self, number: int, end: Callable[[Task, int], dict[str, Any] | Exception]) -> None:
        self._number, self._end = number, end
        self._open: list[tuple[Task, Future[dict[str, Any]]]] = []
        self.tried: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.gone = ""

    def submit(self, own: Task) -> Future[dict[str, Any]]:
        """Take a task."""
        future: Future[dict[str, Any]] = Future()
        self._open.append((own, future))
        self.tried[own.id] = self.tried.get(own.id, 0) + 1
        busy = sum(one.endpoint == own.endpoint for one, _ in self._open)
        self.most[own.endpoint] = max(self.most.get(own.endpoint, 0), busy)
        if len(self._open) == self._number or busy == own.at_once:
            self.end_oldest()
        return future

    def end_oldest(self) -> None:
        """End the oldest task."""
        own, future = self._open.pop(0)
        result = self._end(own, self.tried[own.id])
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def number(self) -> int:
        """Return how many there are."""
        return self._number

    def why_gone(self) -> str:
        """Return why there are none."""
        return self.gone


def test_endpoints_are_not_asked_more_than_they_allow() -> None:
    """However many workers there are, an endpoint has only as many shards as it allows."""
    workers = Fake(8, lambda own, _: ended(own.id))
    tasks = [task(f"{endpoint}{number}", endpoint) for number in range(5) for endpoint in "ab"]
    dispatch = Dispatch(workers, 3, lambda _: None)
    dispatch.run(tasks)
    assert workers.most == {"a": 1, "b": 1}
    assert len(dispatch.outcomes) == 10


def test_lost_workers_are_made_up_for() -> None:
    """A task whose worker is lost, or whose process is killed, is tried again, and the last outcome counts."""

    def end(own: Task, tried: int) -> dict[str, Any] | Exception:
        if tried == 1:
            return OSError("gone")
        return ended(own.id, State.FAILED, -9) if tried == 2 else ended(own.id)

    dispatch = Dispatch(Fake(1, end), 1, lambda _: None)
    dispatch.run([task("a")])
    assert (dispatch.outcomes["a"].state, dispatch.lost["a"]) == (State.COMPLETE, 2)


def test_a_task_that_ends_its_workers_is_given_up() -> None:
    """A task that loses each worker does not go on for ever, and says so."""
    dispatch = Dispatch(Fake(1, lambda *_: OSError("gone")), 1, lambda _: None)
    dispatch.run([task("a")])
    assert dispatch.lost["a"] == 20
    assert "was lost" in dispatch.outcomes["a"].message


def test_attempts_end() -> None:
    """A task that never ends well is tried so many times, one whose target is wrong once."""
    workers = Fake(1, lambda own, _: ended(own.id, State.FAILED, 2 if own.id == "wrong" else 4))
    said: list[str] = []
    Dispatch(workers, 3, said.append).run([task("dead"), task("wrong")])
    assert workers.tried == {"dead": 3, "wrong": 1}
    assert len(said) == 4


def test_results_that_cannot_be_written_end_the_campaign() -> None:
    """No other attempt would end better."""
    workers = Fake(1, lambda *_: CampaignResultsError("s3://x", "denied"))
    with pytest.raises(CampaignResultsError):
        Dispatch(workers, 3, lambda _: None).run([task("a")])


def test_a_scheduler_that_is_gone_ends_the_campaign() -> None:
    """Nobody waits for workers that nobody can give."""
    workers = Fake(1, lambda *_: OSError("gone"))
    workers.gone = "the connection is closed"
    with pytest.raises(WorkersGoneError):
        Dispatch(workers, 3, lambda _: None).run([task("a")])


def test_progress_says_what_bounds() -> None:
    """The line has numbers, and whether workers or endpoints are the limit."""
    dispatch = Dispatch(Fake(2, lambda own, _: ended(own.id, code=1)), 1, lambda _: None)
    dispatch.run([task("a"), task("b", "f")])
    assert dispatch.progress(3, 2).startswith(
        "2 of 2 shards done, 2 under way, 2 with failures, bound by the number"
    )
    assert "bound by at_once" in dispatch.progress(3, 1)
    assert "2 of 2 runs bound by latency" in dispatch.progress(0, 1)
