"""How many requests each case is expected to send: the count of the last run here, else the recorded one of the reference.

The shipped file is ``contracts/requests.json``; ``python -m tools.request_counts`` makes it from a run's own file, which
is kept beside the journal. A case has a number, or two where its clean-up sends some as well: that of all its requests, and
that of the clean-up. A case without a count gets the usual number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from kms_conformance.judging.results import CaseResult

FILE = "requests.json"
_CONTRACTS = "kms_conformance.contracts"
_USUAL = 8
_CLEAN_UP = "clean-up"
_BY_CONTROL = frozenset({"control", "wait"})
"""What a case does between two requests, by one of the control protocol; a wait in real time is counted for nothing."""


class Requests(NamedTuple):
    """How many requests a case sends in ``all``, those of the control protocol included, and its clean-up among them."""

    all: int
    clean_up: int = 0


class ExpectedRequests:
    """Requests by case id; ``beside`` is the journal beside which the last run's counts are kept, ``None``: nowhere."""

    def __init__(self, beside: Path | None) -> None:
        self._path = beside.parent / FILE if beside is not None else None
        self._counts = counts_of(files(_CONTRACTS).joinpath(FILE).read_text(encoding="ascii"))
        if self._path is not None:
            with suppress(OSError):
                self._counts |= counts_of(self._path.read_text(encoding="ascii"))
        usual = round(median(counts.all for counts in self._counts.values())) if self._counts else _USUAL
        self._usual = Requests(usual)

    def of(self, case_id: str, *, clean_up: bool = True) -> int:
        """Return how many requests a case is expected to send; ``clean_up``: whether it cleans up."""
        counts = self._counts.get(case_id, self._usual)
        return counts.all if clean_up else counts.all - counts.clean_up

    def keep(self, results: Iterable[CaseResult]) -> None:
        """Write down what cases have sent, for the next run here; a file that cannot be written is ignored."""
        if self._path is None:
            return
        sent = {result.id: requests_of(result) for result in results}
        text = text_of(self._counts | {case_id: counts for case_id, counts in sent.items() if counts.all})
        temporary = self._path.with_name(f"{FILE}.{os.getpid()}")
        with suppress(OSError):
            temporary.write_text(text, encoding="ascii")
            temporary.replace(self._path)


def requests_of(result: CaseResult) -> Requests:
    """Return how many requests a case has sent; those of a corpus are kept only where an answer deviates."""
    not_kept = max(0, result.checks - len(result.expectations))
    control = sum(
        note[0] in _BY_CONTROL
        for exchange in result.exchanges
        for note in json.loads(exchange.notes.get("before", "[]"))
    )
    clean_up = sum(exchange.notes.get("phase") == _CLEAN_UP for exchange in result.exchanges)
    return Requests(len(result.exchanges) + not_kept + control, clean_up)


def text_of(counts: Mapping[str, Requests]) -> str:
    """Return counts as a file has them, a case a line."""
    lines = (
        f"{json.dumps(case_id)}: {json.dumps(list(number) if number.clean_up else number.all)}"
        for case_id, number in sorted(counts.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def counts_of(text: str) -> dict[str, Requests]:
    """Return the counts of a file; what is no count is left out, as the file may be of another version."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(document, Mapping):
        return {}
    read = {name: _count(value) for name, value in document.items()}
    return {name: counts for name, counts in read.items() if counts is not None}


def _count(value: Any) -> Requests | None:
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return None
    if not 1 <= len(numbers) <= len(Requests._fields) or not numbers[0] >= sum(numbers[1:]) or not numbers[0]:
        return None
    return Requests(*numbers)
