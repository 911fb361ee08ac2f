"""What judging gives: findings, the result of a case, of a requirement, of an entry of a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.outline import KeptExchanges, Outline, outline_of
from kms_conformance.judging.expectation import Expectation


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation: what was expected of which exchange, and what came instead."""

    requirement: str
    severity: Verdict
    expected: str
    got: str
    exchange: str
    curl: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case.

    ``checks`` counts the expectations that were judged; ``exchanges`` and ``expectations`` are the evidence.
    ``clock_ahead`` is how many seconds the instance's clock was ahead of ours when the case began, as far as the case has
    asked for the time.
    ``file`` and ``line`` (from 1) are where the case is written. ``judged`` names the covered rows by which some answer was judged. ``missing`` says, for a case that was not tested, what to add to the target to get it run.
    """

    id: str
    title: str
    contract: str
    verdict: Verdict
    requirements: tuple[str, ...]
    message: str = ""
    missing: str = ""
    started: float = 0.0
    duration: float = 0.0
    waited: float = 0.0
    clock_ahead: float = 0.0
    checks: int = 0
    findings: tuple[Finding, ...] = ()
    exchanges: Sequence[Exchange] = ()
    expectations: Sequence[Expectation] = ()
    judged: tuple[str, ...] = ()
    rule: str = ""
    nodeid: str = ""
    file: str = ""
    line: int = 0

    @property
    def outlines(self) -> Sequence[Outline]:
        """The exchanges without what was sent and answered; where they are on disk, they are not read for this."""
        kept = self.exchanges
        return kept.outlines if isinstance(kept, KeptExchanges) else tuple(map(outline_of, kept))


@dataclass(frozen=True, slots=True)
class RowResult:
    """A requirement with its verdict and the cases that gave it; ``why`` says of an inconclusive one what kept it from being judged."""

    row: Row
    verdict: Verdict
    cases: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class KnownDeviation:
    """An entry of a baseline and how the run used it.

    ``state`` is ``used``, ``not-tested`` (nothing that it names was judged), or what is wrong with the entry: ``stale``,
    ``unknown``, ``no-match``, ``expired``, ``duplicate`` or ``contradictory``; ``message`` then says so in a sentence.
    ``deviations`` are the deviations it names, each as case and requirement.
    """

    case: str
    requirement: str
    reason: str
    owner: str
    link: str
    expiry: str
    state: str
    message: str = ""
    deviations: tuple[str, ...] = ()

    @property
    def breaks_run(self) -> bool:
        """Whether the entry itself breaks the run."""
        return self.state not in {"used", "not-tested"}
