"""The seven verdicts, and the requirement as every output shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The seven verdicts of a case, from best to worst."""

    PASSED = "passed"
    NOT_APPLICABLE = "not-applicable"
    WARNED = "warned"
    NOT_TESTED = "not-tested"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """The place in the order from best (0) to worst (6)."""
        return _ORDER[self]


_ORDER = {verdict: place for place, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; of none at all, ``not-tested``: nothing that ran no check is green."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.NOT_TESTED)


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement as the outputs need it, before it has a verdict."""

    id: str
    contract: str
    section: str
    level: str
    evidence: str
    text: str = ""
    reason_code: str | None = None
    excluded: str = ""
    link: str = ""
    every_exchange: bool = False
    section_title: str = ""
