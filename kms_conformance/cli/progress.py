"""Hands the plugin's events to the progress display."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TextIO

from kms_conformance.judging.results import CaseResult
from kms_conformance.outputs.progress import Progress
from kms_conformance.outputs.text import rfc3339


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
        for case_id in self._new(results):
            self._progress.case(results[case_id])

    def _new(self, results: Mapping[str, CaseResult]) -> list[str]:
        """Return the cases that are new, and note them: results come in the order in which cases have finished."""
        new = list(islice(results, len(self._reported), None))
        self._reported.update(new)
        return new

    def waiting(self, number: int, until: float) -> None:
        """Say how many cases still wait, the longest until ``until`` (seconds since the epoch)."""
        self._progress.waiting(number, until)

    def stop(self) -> None:
        """Clear the display."""
        self._progress.stop()


class QuietReporter(ProgressReporter):
    """Shows nothing."""

    def start(self, total: int) -> None:
        """Take the number of cases."""

    def case_done(self, results: Mapping[str, CaseResult]) -> None:
        """Take the results."""

    def waiting(self, number: int, until: float) -> None:
        """Take how many cases still wait."""

    def stop(self) -> None:
        """Take the end."""


class JsonReporter(ProgressReporter):
    """Writes a line of JSON for each event, for programs that watch a run."""

    def __init__(self, pace: Callable[[], tuple[str, float | None]], stream: TextIO) -> None:
        super().__init__(pace)
        self._pace, self._stream = pace, stream
        self._total = 0

    def start(self, total: int) -> None:
        """Say how many cases there are."""
        self._total = total
        self._write("start", cases=total)

    def case_done(self, results: Mapping[str, CaseResult]) -> None:
        """Tell the results that are new."""
        before = len(self._reported)
        for done, case_id in enumerate(self._new(results), start=before + 1):
            bound, left = self._pace()
            self._write(
                "case",
                id=case_id,
                verdict=results[case_id].verdict.value,
                done=done,
                cases=self._total,
                bound=bound,
                seconds_left=None if left is None else round(left),
            )

    def waiting(self, number: int, until: float) -> None:
        """Say how many cases still wait."""
        self._write("waiting", waiting=number, until=rfc3339(until))

    def stop(self) -> None:
        """Say that the cases are done."""
        self._write("end", done=len(self._reported), cases=self._total)

    def _write(self, event: str, **members: Any) -> None:
        document = {"event": event, "at": rfc3339(time.time()), **members}
        self._stream.write(f"{json.dumps(document)}\n")
        self._stream.flush()


def reporter(kind: str, pace: Callable[[], tuple[str, float | None]]) -> ProgressReporter:
    """Return what shows progress: ``lines`` for people, ``json`` for programs, ``none``."""
    if kind == "json":
        return JsonReporter(pace, sys.stderr)
    return QuietReporter(pace) if kind == "none" else ProgressReporter(pace)
