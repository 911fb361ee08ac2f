"""What a run's verdict is made of: the results of its cases, and why it may not be complete."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from kms_conformance.judging.results import CaseResult


@dataclass(frozen=True, slots=True)
class Recorded:
    """What has been recorded up to a moment.

    ``partial`` says what was left out on purpose, ``interrupted`` why other cases are missing, ``trouble`` what went wrong in
    the suite itself; all ``""`` as a rule. ``not_run`` counts the cases that are missing. ``refused`` is sentence and hint of
    what kept the run from going on and is the user's to put right, as a full disk is.
    """

    cases: tuple[CaseResult, ...]
    partial: str
    interrupted: str
    not_run: int
    trouble: str
    refused: tuple[str, ...] = ()


@dataclass
class RunRecord:
    """Keeps the results of the cases of a run; safe between threads."""

    _results: dict[str, CaseResult] = field(default_factory=dict)
    _expected: int = 0
    _partial: str = ""
    _left_out: int = 0
    _interrupted: str = ""
    _trouble: str = ""
    _refused: tuple[str, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def case_finished(self, result: CaseResult) -> None:
        """Take a case's result; a later result of the same case replaces it."""
        with self._lock:
            self._results[result.id] = result

    def expects(self, number: int) -> None:
        """Note how many cases are to run."""
        with self._lock:
            self._expected = number

    def leaves_out(self, number: int, what: str) -> None:
        """Note that so many cases were left out on purpose, and by what."""
        with self._lock:
            self._left_out, self._partial = number, what

    def cut_short(self, why: str, *, if_first: bool = False) -> None:
        """Note why the run is not complete; ``if_first``: only where nothing has said so before."""
        with self._lock:
            if not (if_first and self._interrupted):
                self._interrupted = why

    def went_wrong(self, what: str, *, if_first: bool = False) -> None:
        """Note an error of the suite itself; ``if_first``: only where there was none before."""
        with self._lock:
            if not (if_first and self._trouble):
                self._trouble = what

    def refuses(self, sentence: str, hint: str) -> None:
        """Note what keeps the run from going on and is the user's to put right."""
        with self._lock:
            self._refused = self._refused or (sentence, hint)
        self.cut_short(sentence)

    @property
    def refused(self) -> tuple[str, ...]:
        """Sentence and hint of what keeps the run from going on, empty where nothing does."""
        return self._refused

    def result(self, case_id: str) -> CaseResult | None:
        """Return the result of a case, ``None`` before it has finished."""
        with self._lock:
            return self._results.get(case_id)

    def finished(self) -> dict[str, CaseResult]:
        """Return the results so far, in the order in which the cases finished."""
        with self._lock:
            return dict(self._results)

    def recorded(self) -> Recorded:
        """Return everything, the cases by their ids; cases that are missing without a reason are the reason."""
        with self._lock:
            interrupted, missing = self._interrupted, self._expected - len(self._results)
            if missing > 0 and not interrupted and not self._trouble:
                interrupted = f"{missing} of {self._expected} selected cases did not run"
            cases = tuple(self._results[case_id] for case_id in sorted(self._results))
            not_run = self._left_out + max(missing, 0)
            return Recorded(cases, self._partial, interrupted, not_run, self._trouble, self._refused)
