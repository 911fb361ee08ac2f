"""Workers of this machine: threads, each with one shard's process at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from kms_conformance.campaign.plan import Task
from kms_conformance.campaign.work import end_runs, run_task


class LocalWorkers:
    """So many workers on this machine; ``place`` is that of the results, ``state`` a folder for journals."""

    def __init__(self, number: int, place: str, state: str) -> None:
        self._number, self._place, self._state = number, place, state
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="campaign")

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Hand over a task."""
        return self._pool.submit(run_task, task.document(), self._place, self._state)

    def number(self) -> int:
        """Return how many tasks can be under way at once."""
        return self._number

    def why_gone(self) -> str:
        """Return why there are no workers: these live as long as the campaign."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Wait for those under way; where the campaign is stopped, end their runs first, clean-up included."""
        if kind is not None:
            end_runs()
        self._pool.shutdown(wait=True, cancel_futures=True)
