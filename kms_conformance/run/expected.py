"""How many requests each case is expected to send: as the last run here has counted, else as recorded on the reference.

The shipped file is ``contracts/requests.json``; ``python -m tools.request_counts`` makes it from a run's own file, which
is kept beside the journal. A case without a count gets the usual number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from statistics import median

from kms_conformance.judging.results import CaseResult

FILE = "requests.json"
_CONTRACTS = "kms_conformance.contracts"
_USUAL = 8


class ExpectedRequests:
    """Requests by case id; ``beside`` is the journal beside which the last run's counts are kept, ``None``: nowhere."""

    def __init__(self, beside: Path | None) -> None:
        self._path = beside.parent / FILE if beside is not None else None
        self._counts = _read(files(_CONTRACTS).joinpath(FILE).read_text(encoding="ascii"))
        if self._path is not None:
            with suppress(OSError):
                self._counts |= _read(self._path.read_text(encoding="ascii"))
        self._usual = round(median(self._counts.values())) if self._counts else _USUAL

    def of(self, case_id: str) -> int:
        """Return how many requests a case is expected to send, clean-up included."""
        return self._counts.get(case_id, self._usual)

    def keep(self, results: Iterable[CaseResult]) -> None:
        """Write down what cases have sent, for the next run here; a file that cannot be written is no harm."""
        sent = {result.id: requests_of(result) for result in results}
        counts = self._counts | {case_id: number for case_id, number in sent.items() if number}
        if self._path is None:
            return
        text = json.dumps(dict(sorted(counts.items())), indent=0)
        temporary = self._path.with_name(f"{FILE}.{os.getpid()}")
        with suppress(OSError):
            temporary.write_text(f"{text}\n", encoding="ascii")
            temporary.replace(self._path)


def requests_of(result: CaseResult) -> int:
    """Return how many requests a case has sent; those of a corpus are judged and, where nothing is wrong, not kept."""
    return len(result.exchanges) + max(0, result.checks - len(result.expectations))


def _read(text: str) -> dict[str, int]:
    """Return the counts of a file; what is no count is left out, as the file may be of another version."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(document, Mapping):
        return {}
    return {name: number for name, number in document.items() if isinstance(number, int) and number > 0}
