"""Histories made of exchanges: whether they fit some order by a system's model, and the shortest part that does not."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from kms_conformance.judging.histories import TimedExchange, lanes
from kms_conformance.laws.linearizability import (
    UNANSWERED,
    Fit,
    Search,
    SearchResult,
    Timed,
    parts,
    shortest,
)

Op = TypeVar("Op")
Reply = TypeVar("Reply")
State = TypeVar("State", bound=Hashable)
ENDLESS = float("inf")


class Model(Protocol[Op, Reply, State]):
    """What a system allows when requests come one after the other. An answer ``None`` shows nothing."""

    def read(self, history: Sequence[TimedExchange]) -> list[tuple[Op, Reply | None]]:
        """Return the operations and answers that exchanges show."""

    def begin(self, history: Sequence[TimedExchange], value: Mapping[str, Any]) -> State:
        """Return the state before a history; ``value`` holds what the expectation says besides the requests."""

    def step(self, state: State, operation: Op, answer: Reply | None) -> State | None:
        """Return the state after an operation, ``None`` where that answer is not allowed."""

    def mismatch(self, state: State, operation: Op, answer: Reply | None) -> str:
        """Return why that answer is not allowed."""

    def things(self, operation: Op, answer: Reply | None) -> Iterable[Hashable]:
        """Return the things that an operation concerns: operations without a common thing do not affect each other."""

    def harmless(self, operation: Op, answer: Reply | None) -> bool:
        """Tell whether an operation that was answered so has changed nothing."""


class History(Generic[Op, Reply, State]):
    """Exchanges as a history of a model."""

    def __init__(
        self, model: Model[Op, Reply, State], seen: Sequence[TimedExchange], value: Mapping[str, Any]
    ) -> None:
        """Read the exchanges; ``value`` holds what the expectation says besides the requests."""
        self.model, self._value = model, value
        self._seen = {one.exchange.id: one for one in seen}
        clients = lanes(seen)
        self.timed = [
            _timed(one, f"client {client}", operation, answer)
            for one, client, (operation, answer) in zip(seen, clients, model.read(seen), strict=True)
        ]
        self.initial = model.begin(seen, value)

    def complaint(self) -> str | None:
        """Return why no order fits, ``None`` where one does or where the search is too long to tell."""
        for part in self._parts():
            result = self._search(part, ENDLESS)
            if result.fit is Fit.VIOLATES:
                return self._explanation(part, result)
        return None

    def not_allowed(self) -> tuple[str, str] | None:
        """Return the exchange whose answer no order allows, and why; ``None`` where there is none."""
        for part in self._parts():
            result = self._search(part, ENDLESS)
            if result.fit is Fit.VIOLATES:
                return self._not_allowed(part, result)
        return None

    def fit(self, seconds: float) -> Fit:
        """Return whether an order fits, after at most so many seconds of this machine's time."""
        fits = [self._search(part, seconds).fit for part in self._parts()]
        return next((fit for fit in (Fit.VIOLATES, Fit.UNDECIDED) if fit in fits), Fit.FITS)

    def shortest(self) -> list[TimedExchange]:
        """Return the shortest part that fits no order; what it does not see answered is marked so."""
        for part in self._parts():
            if self._search(part, ENDLESS).fit is Fit.VIOLATES:
                if not self._violates_alone(part):
                    return list(self._seen.values())
                left = shortest(
                    part,
                    self._violates_alone,
                    lambda one: self.model.harmless(one.operation, one.answer),
                )
                return self._exchanges(left)
        return []

    def seen(self, name: str) -> TimedExchange:
        """Return an exchange by its id."""
        return self._seen[name]

    def _exchanges(self, part: Sequence[Timed[Op, Reply]]) -> list[TimedExchange]:
        return [
            TimedExchange(self._seen[one.id].exchange, self._seen[one.id].ahead, one.answered != UNANSWERED)
            for one in part
        ]

    def _violates_alone(self, part: Sequence[Timed[Op, Reply]]) -> bool:
        """Tell whether a part fits no order to somebody who has seen nothing else, such as what made a ciphertext."""
        return History(self.model, self._exchanges(part), self._value).complaint() is not None

    def _parts(self) -> list[list[Timed[Op, Reply]]]:
        return parts(self.timed, lambda one: self.model.things(one.operation, one.answer))

    def _search(self, part: Sequence[Timed[Op, Reply]], seconds: float) -> SearchResult[State]:
        search: Search[Op, Reply, State] = Search(self.model.step, seconds=seconds)
        return search(part, self.initial)

    def _explanation(self, part: Sequence[Timed[Op, Reply]], result: SearchResult[State]) -> str:
        """Name the longest order that fits, and the answer that is not allowed after it."""
        steps = {one.id: self._seen[one.id].exchange.step for one in part}
        name, why = self._not_allowed(part, result)
        after = [steps[name] for name in result.order]
        prefix = f"after {', '.join(after)}: " if after else ""
        return f"no order fits; {prefix}{steps[name]} answered {self._seen[name].exchange.outcome}, {why}"

    def _not_allowed(self, part: Sequence[Timed[Op, Reply]], result: SearchResult[State]) -> tuple[str, str]:
        """Return the exchange whose answer is not allowed after the longest order that fits, and why."""
        left = [one for one in part if one.id not in result.order and one.answered != UNANSWERED]
        following = min(left, key=lambda one: one.sent)
        return following.id, self.model.mismatch(result.states[-1], following.operation, following.answer)


def _timed(one: TimedExchange, client: str, operation: Op, answer: Reply | None) -> Timed[Op, Reply]:
    """Return an exchange as an operation of a history; one whose answer shows nothing counts as unanswered."""
    exchange = one.exchange
    complete = one.answered and answer is not None
    return Timed(
        exchange.id,
        client,
        operation,
        answer if complete else None,
        exchange.started,
        exchange.started + exchange.duration if complete else UNANSWERED,
    )
