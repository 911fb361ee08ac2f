"""Statements about several exchanges of a case at once: that their answers fit some order of the requests.

Which orders a system allows, its adapter knows: the contract names a function (``laws.histories``). It is given the
exchanges and what the expectation says of each, and nothing else, so that anybody can judge the same exchanges again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.expectation import Expectation

ONE_ORDER = "one-order"
"""The check of a member that states it. Its value: ``{"requests": [[id, seconds, answered], ...]}`` and what the model needs.

``seconds`` is what the clock of the instance was ahead of ours; ``answered`` is false where the history ends before the
answer came.
"""


@dataclass(frozen=True, slots=True)
class TimedExchange:
    """One exchange of a history, and how far the instance's clock was ahead of ours, in seconds."""

    exchange: Exchange
    ahead: float
    answered: bool = True


class Histories(Protocol):
    """Something that knows the other exchanges of a case."""

    def complaint(self, value: Mapping[str, Any]) -> str | None:
        """Return why the exchanges that a statement names fit no order, ``None`` where they do."""


Model = Callable[[Sequence[TimedExchange], Mapping[str, Any]], "str | None"]


class NoHistories:
    """Knows one exchange only."""

    def complaint(self, value: Mapping[str, Any]) -> str | None:
        """Refuse: a history is not judged by one of its exchanges."""
        raise ValueError(f"a history of {len(value['requests'])} requests is judged with all of them")


NO_HISTORIES = NoHistories()


class CaseHistories:
    """The exchanges of one case, judged by the model that its contract names."""

    def __init__(self, about: Mapping[str, Any], exchanges: Iterable[Exchange]) -> None:
        """Keep what the contract says of itself (``about``) and the exchanges."""
        self._about, self._exchanges = about, exchanges

    def complaint(self, value: Mapping[str, Any]) -> str | None:
        """Return why the exchanges fit no order by the model."""
        module, _, name = str(self._about["laws"]["histories"]).partition(":")
        model: Model = getattr(import_module(module), name)
        return model(seen_of(value, {one.id: one for one in self._exchanges}), value)


def seen_of(value: Mapping[str, Any], exchanges: Mapping[str, Exchange]) -> list[TimedExchange]:
    """Return the exchanges that a statement names, in its order; those that were not kept are left out."""
    return [
        TimedExchange(exchanges[name], float(ahead), bool(answered))
        for name, ahead, answered in value["requests"]
        if name in exchanges
    ]


def history_of(
    expectations: Iterable[Expectation], exchange: str, exchanges: Iterable[Exchange]
) -> list[TimedExchange]:
    """Return the history that an expectation of this exchange is about; none where none is about one."""
    by_id = {one.id: one for one in exchanges}
    for expectation in expectations:
        for member in expectation.members:
            if expectation.exchange == exchange and member.check == ONE_ORDER:
                return seen_of(member.value, by_id)
    return []


def lanes(history: Sequence[TimedExchange]) -> list[int]:
    """Return for each exchange the number of a client, from 1, such that no client waits for two answers at once."""
    free: list[float] = []
    given: dict[int, int] = {}
    for place in sorted(range(len(history)), key=lambda number: history[number].exchange.started):
        exchange = history[place].exchange
        end = exchange.started + exchange.duration
        client = next((number for number, until in enumerate(free) if until < exchange.started), len(free))
        free[client : client + 1] = [end]
        given[place] = client + 1
    return [given[place] for place in range(len(history))]
