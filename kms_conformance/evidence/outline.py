"""What of an exchange a whole run is counted by, and evidence that is not in memory. Nothing here reads a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.header_values import http_date


class Outline(NamedTuple):
    """An exchange without what was sent and answered: a hundredth of its size.

    ``status`` is ``None`` where no answer came, ``outcome`` the answer in a few words; ``started``, and ``date``, the answer's own,
    are seconds since the epoch; ``duration`` is seconds.
    """

    id: str
    operation: str | None
    identity: str
    status: int | None
    outcome: str
    started: float
    duration: float
    date: float | None


def outline_of(exchange: Exchange) -> Outline:
    """Return the outline of an exchange."""
    answer = exchange.answer
    return Outline(
        exchange.id,
        exchange.operation,
        exchange.identity,
        None if answer is None else answer.status,
        exchange.outcome,
        exchange.started,
        exchange.duration,
        None if answer is None else http_date(answer.headers.get("date", "")),
    )


class KeptExchanges(Sequence[Exchange]):
    """The exchanges of a case that are on disk and read when they are asked for; only their outlines are in memory."""

    outlines: Sequence[Outline]

    @abstractmethod
    def entry(self, place: int) -> str:
        """Return the exchange at a place, with what was expected of it, as a transcript has it: JSON in one line."""
