"""Hands the plugin's events to the progress display."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kms_conformance.judging.results import CaseResult
from kms_conformance.outputs.progress import Progress


class ProgressReporter:
    """What the plugin tells while a run goes on; ``pace`` as in :class:`~kms_conformance.outputs.progress.Progress`."""

    def __init__(self, pace: Callable[[], tuple[str, float | None]] = lambda: ("", None)) -> None:
        self._progress = Progress(pace=pace)
        self._reported: set[str] = set()

    def start(self, total: int) -> None:
        """Say how many cases there are."""
        self._progress.start(total)

    def case_done(self, results: Mapping[str, CaseResult]) -> None:
        """Take in the results that are new."""
        for case_id in [case_id for case_id in tuple(results) if case_id not in self._reported]:
            self._reported.add(case_id)
            self._progress.case(results[case_id])

    def waiting(self, number: int, until: float) -> None:
        """Say how many cases still wait, the longest until ``until`` (seconds since the epoch)."""
        self._progress.waiting(number, until)

    def stop(self) -> None:
        """Clear the display."""
        self._progress.stop()
