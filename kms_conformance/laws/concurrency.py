"""Law 5: requests at the same moment have the answers and effects that some order of them would have.

``concurrency.yaml`` holds operations, the things they are sent to, and cases: two operations at once, or several clients
with a few operations each. Afterwards the thing is read, and all answers, the reading's too, must fit some order by the
system's model. What is promised is not more than each operation's own effect: an answer that no order explains breaks it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.judging.expectation import Expectation, Member
from kms_conformance.judging.histories import ONE_ORDER, TimedExchange
from kms_conformance.laws.entries import LawCase, law_file
from kms_conformance.laws.histories import History
from kms_conformance.laws.linearizability import Fit
from kms_conformance.laws.request import OperationRequest, System, request_of
from kms_conformance.run.outcomes import ConformanceFailure, Inconclusive

if TYPE_CHECKING:
    from kms_conformance.contract.rows import Requirement
    from kms_conformance.evidence.exchange import Exchange
    from kms_conformance.run.answer import Answer
    from kms_conformance.run.case import CaseRun

PATIENCE = 5.0
"""Seconds of this machine's time after which a search for an order gives up."""
LATER = 0.010
"""Seconds between two requests of a gate: a window of 50 ms is open by then, and still is."""
NEAR = (0.0, 0.0005, 0.001, 0.002, 0.004, LATER)
"""Seconds between two requests where there is time for many tries: also a window of 1 ms is met."""
ROUNDS = 2
"""How often each of these is tried, with each of the two requests first."""
HISTORIES = (2, 12)
"""Tries of several clients, in a gate and where there is time."""
LONGEST = 0.035
"""Seconds after the first request by which another one has to be on its way: what takes 50 ms is under way until its end."""
MORE = 2
"""Further tries at most, where the machine was too busy to send the second request in time."""
AGAIN = 8
"""Tries with two of their requests, to find a shorter history than the one that was found."""


@dataclass(slots=True)
class ConcurrentSubject:
    """One thing that several requests address at once: the values of ``{name}`` in the data, and the exchanges that made it."""

    marks: dict[str, Any] = field(default_factory=dict)
    made: list[tuple[Exchange, float]] = field(default_factory=list)
    """Exchanges, and how far the instance's clock was ahead of ours at the time, in seconds."""
    unsure: float = 0.0
    """By how many seconds that may be wrong."""
    ahead: float | None = None
    """How far ahead the clock still is; ``None`` where the time was moved since."""


class ConcurrencySystem(System, Protocol):
    """A system to whose things several requests are sent at once."""

    def things(self, what: str, number: int) -> Iterator[ConcurrentSubject]:
        """Make this number of things of a kind; the case is inconclusive when that fails."""

    def history(self, seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> History[Any, Any, Any]:
        """Return exchanges as a history of the system's model."""


def clock(case: CaseRun) -> tuple[float, float]:
    """Return how far the instance's clock is ahead of ours, and by how much that may be wrong, in seconds."""
    return case.clock_ahead()


Client = Sequence[tuple[float, str]]
"""The requests of one client in their order: seconds to wait before each, and the operation's name in the data."""


class Concurrency:
    """One case of the law."""

    def __init__(self, system: ConcurrencySystem, case: LawCase) -> None:
        """Take the operations from the data of the contract."""
        self.system, self.case, self.data = system, system.case, case.data
        self.recipes: Mapping[str, Any] = law_file(self.case.info.contract, "concurrency")["operations"]
        self.row = self.case.row(case.rows[0])
        self.unsure, self.has_met = 0.0, True
        self.random = Random(f"{self.case.context.fuzz.seed} {case.id}")  # noqa: S311 - which requests, no secret

    def run(self) -> None:
        """Try, and read the thing after each try; the first history that fits no order fails the case."""
        tries = list(self._tries())[: self.data.get("most")]
        for thing, clients in zip(self._things(len(tries)), tries, strict=True):
            for history in self._until_met(thing, clients):
                fit = history.fit(PATIENCE)
                if fit is Fit.VIOLATES:
                    self._state(self._shorter(history, clients).shortest())
                    return
                if fit is Fit.UNDECIDED:
                    raise Inconclusive(
                        f"no order of {len(history.timed)} requests was found in {PATIENCE:g} s"
                    )
                self._state([history.seen(one.id) for one in history.timed])

    def _tries(self) -> Iterator[list[Client]]:
        for kind, tries in (
            ("at_once", self._pairs),
            ("each", self._each_beside),
            ("lanes", self._lanes),
            ("clients", self._histories),
        ):
            if kind in self.data:
                yield from tries()

    def _until_met(
        self, thing: ConcurrentSubject, clients: Sequence[Client]
    ) -> Iterator[History[Any, Any, Any]]:
        """Yield the history of a try, and of more of them until the requests have met as they were to."""
        yield self._history(thing, clients)
        # What is sent beside each of many is sent beside it by several clients: one of them is in time.
        for _ in range(MORE if "at_once" in self.data else 0):
            if self.has_met:
                return
            yield self._history(next(self._things(1)), clients)

    def _things(self, number: int) -> Iterator[ConcurrentSubject]:
        return self.system.things(self.data["thing"], number)

    # --- what is asked when -----------------------------------------------------------------------------------------

    def _pairs(self) -> Iterator[list[Client]]:
        """Yield the two clients of each try."""
        one, other = self.data["at_once"]
        apart = [LATER] if not self.case.context.thorough else [near for near in NEAR for _ in range(ROUNDS)]
        for seconds in apart:
            yield [[(0.0, one)], [(seconds, other)]]
            yield [[(seconds, one)], [(0.0, other)]] if one != other else [[(0.0, one)], [(0.0, one)]]

    def _each_beside(self) -> Iterator[list[Client]]:
        """Yield, for each of the requests, it and, while it may be under way, what others change in so many lanes.

        A case with a ``part`` has every second or third of them only: another one has the others.
        """
        hands = self.data.get("hands", 1)
        number, parts = self.data.get("part", (1, 1))
        for place, one in enumerate(self.data["each"]):
            if place % parts != number - 1:
                continue
            others = [name for name in self.data["beside"] if name != one]
            # Whoever comes second in a lane comes first in that of another request.
            others = others[place % len(others) :] + others[: place % len(others)]
            lanes = [others[hand::hands] for hand in range(min(hands, len(others)))]
            yield [
                [(0.0, one)],
                *([(0.0 if at else LATER, name) for at, name in enumerate(lane)] for lane in lanes),
            ]

    def _lanes(self) -> Iterator[list[Client]]:
        """Yield clients that each ask their own, all beginning at once."""
        for _ in range(ROUNDS if self.case.context.thorough else 1):
            yield [[(0.0, name) for name in lane] for lane in self.data["lanes"]]

    def _histories(self) -> Iterator[list[Client]]:
        """Yield the clients of each try, drawn by the run's seed."""
        some = self.data["clients"]
        for _ in range(HISTORIES[self.case.context.thorough]):
            number = self.random.randint(some["least"], some["most"])
            yield [
                [
                    (self.random.choice((0.0, 0.0, LATER / 2, LATER)), self.random.choice(some["do"]))
                    for _ in range(some["each"])
                ]
                for _ in range(number)
            ]

    # --- one try ----------------------------------------------------------------------------------------------------

    def _history(self, thing: ConcurrentSubject, clients: Sequence[Client]) -> History[Any, Any, Any]:
        """Let the clients send their requests, read the thing, and return all exchanges."""
        ahead, unsure = clock(self.case) if thing.ahead is None else (thing.ahead, thing.unsure)
        # A case that sends one request after the other has no other client to wait for.
        start = threading.Barrier(1 if self.case.is_one_by_one else len(clients))
        answers = self.case.at_once([self._client(thing, client, start) for client in clients])
        all_answers = [answer for client in answers for answer in client]
        for name in self.data["reads"]:
            request = self._request(name, thing)
            if request is not None:
                all_answers.append(self.system.send_request(request))
        for answer in all_answers:
            answer.not_judged()
        if all_answers[-1].reply is None:
            raise Inconclusive(f"{all_answers[-1].exchange.step}: {all_answers[-1].exchange.outcome}")
        evidence = self.case.evidence
        self.has_met = self._meet(answers, clients)
        exchanges = sorted((evidence(answer.exchange) for answer in all_answers), key=lambda one: one.started)
        seen = [TimedExchange(evidence(made), ahead_then) for made, ahead_then in thing.made] + [
            TimedExchange(exchange, ahead) for exchange in exchanges
        ]
        self.unsure = max(self.unsure, unsure, thing.unsure)
        return self.system.history(seen, self._known)

    def _meet(self, answers: Sequence[Sequence[Answer]], clients: Sequence[Client]) -> bool:
        """Tell whether what was to be asked while the first request is under way was asked in time for that.

        What waits for its things is sent as it comes: to make them anew would take too long.
        """
        if "waits" in self.data or "clients" in self.data:
            return True
        started: dict[float, list[float]] = {0.0: [], LATER: []}
        for client, own in zip(clients, answers, strict=True):
            if own and client[0][0] in started:
                started[client[0][0]].append(self.case.evidence(own[0].exchange).started)
        first = min(started[0.0], default=0.0)
        return all(LATER / 4 <= later - first <= LONGEST for later in started[LATER])

    def _client(
        self, thing: ConcurrentSubject, client: Client, start: threading.Barrier
    ) -> Callable[[], list[Answer]]:
        requests = [(seconds, name, self._request(name, thing)) for seconds, name in client]

        def send_all() -> list[Answer]:
            start.wait()
            answers = []
            for seconds, name, request in requests:
                if request is None:
                    continue
                if seconds and not self.case.is_one_by_one:
                    time.sleep(seconds)
                answer = self.system.send_request(request)
                answers.append(answer)
                for mark, path in self.recipes[name].get("note", {}).items():
                    if answer.ok:
                        thing.marks[mark] = answer[path]
            return answers

        return send_all

    def _request(self, name: str, thing: ConcurrentSubject) -> OperationRequest | None:
        """Return the request of an operation, ``None`` where it names a thing that no answer has shown."""
        recipe = self.recipes[name]
        if recipe.get("if", "") and recipe["if"] not in thing.marks:
            return None
        return request_of(
            {member: value for member, value in recipe.items() if member != "note"}, thing.marks
        )

    # --- what is found ----------------------------------------------------------------------------------------------

    @property
    def _known(self) -> dict[str, Any]:
        return {"edition": self.case.context.edition, "unsure": round(self.unsure, 3)}

    def _shorter(self, history: History[Any, Any, Any], clients: Sequence[Client]) -> History[Any, Any, Any]:
        """Return a history of two requests that fits no order either, where one is found among those that met."""
        names = list(dict.fromkeys(name for client in clients for _, name in client))
        pairs = [(one, other) for at, one in enumerate(names) for other in names[at:]]
        is_pair = len(clients) == 2 and all(len(client) == 1 for client in clients)  # noqa: PLR2004 - two
        if is_pair or "clients" not in self.data:
            return history
        self.random.shuffle(pairs)
        tries: list[list[Client]] = [[[(0.0, one)], [(LATER, other)]] for one, other in pairs]
        tries += [[[(LATER, one)], [(0.0, other)]] for one, other in pairs]
        tries = tries[:AGAIN]
        for thing, two in zip(self._things(len(tries)), tries, strict=True):
            shorter = self._history(thing, two)
            if shorter.fit(PATIENCE) is Fit.VIOLATES:
                return shorter
        return history

    def _state(self, seen: Sequence[TimedExchange]) -> None:
        state_order(self.case, self.row, seen, self._known)


def state_order(
    case: CaseRun, row: Requirement, seen: Sequence[TimedExchange], value: Mapping[str, Any]
) -> None:
    """State that these exchanges fit an order; raise :class:`ConformanceFailure` where they do not.

    ``value`` is what the model has to know besides the exchanges.
    """
    last = max(
        (one.exchange for one in seen if one.answered),
        key=lambda exchange: exchange.started + exchange.duration,
    )
    requests = [[one.exchange.id, round(one.ahead, 3), one.answered] for one in seen]
    member = Member("the history", ONE_ORDER, {"requests": requests, **value})
    finding = case.judge(Expectation(last.id, row.id, row.severity, (), (member,)), last)
    if finding is not None:
        raise ConformanceFailure(f"{finding.requirement}: {finding.got}")
