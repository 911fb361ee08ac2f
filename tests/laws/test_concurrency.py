"""The law of concurrency on a system of one number: what its cases ask, and what they find in a race."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.judging.judge import judge
from kms_conformance.laws import concurrency
from kms_conformance.laws.concurrency import Concurrency, ConcurrentSubject
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.histories import History
from kms_conformance.laws.request import OperationRequest
from kms_conformance.run.outcomes import ConformanceFailure, Inconclusive

PAIR = {"thing": "number", "at_once": ["add", "add"], "reads": ["look"]}
CLIENTS = {
    "thing": "number",
    "clients": {"least": 3, "most": 3, "each": 2, "do": ["add", "look"]},
    "reads": ["look"],
}
RECIPES = {"operations": {"add": {"do": "add"}, "look": {"do": "look"}}}


class Numbers:
    """A model of numbers: adding answers 0, looking answers how often one was added."""

    def read(self, history: Sequence[TimedExchange]) -> list[tuple[str, int | None]]:
        """Return operations and answers."""
        operations: list[tuple[str, int | None]] = []
        for one in history:
            answer = one.exchange.answer
            operations.append((one.exchange.operation or "", None if answer is None else answer.body))
        return operations

    def begin(self, history: Sequence[TimedExchange], value: Mapping[str, Any]) -> int:
        """Begin at nothing."""
        return 0

    def step(self, state: int, operation: str, answer: int | None) -> int | None:
        """Add, or look."""
        if operation == "add":
            return state + 1
        return state if answer in {None, state} else None

    def mismatch(self, state: int, operation: str, answer: int | None) -> str:
        """Return what is wrong."""
        return f"expected {state}"

    def things(self, operation: str, answer: int | None) -> Iterable[str]:
        """Return the one number."""
        return ["number"]

    def harmless(self, operation: str, answer: int | None) -> bool:
        """Tell that looking changes nothing."""
        return operation == "look"


class Case:
    """As much of a case as the law needs."""

    recording = None
    is_one_by_one = False

    def __init__(self, *, thorough: bool = False) -> None:
        self.context = SimpleNamespace(thorough=thorough, edition="page", fuzz=SimpleNamespace(seed=1))
        self.info = SimpleNamespace(contract="numbers")
        self.exchanges: list[Exchange] = []
        self.expectations: list[Any] = []

    def row(self, name: str) -> Any:
        """Return a row of a MUST."""
        return SimpleNamespace(id=name, severity=Verdict.FAILED)

    def clock_ahead(self) -> tuple[float, float]:
        """Return that the instance's clock is ours."""
        return 0.0, 0.0

    def at_once(self, requests: Sequence[Callable[[], Any]]) -> list[Any]:
        """Send requests, each in a thread."""
        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(lambda request: request(), requests))

    def evidence(self, exchange: Exchange) -> Exchange:
        """Return the exchange as it was recorded."""
        return exchange

    def judge(self, expectation: Any, exchange: Exchange) -> Any:
        """Judge an expectation by the model of numbers."""
        self.expectations.append(expectation)
        exchanges = {one.id: one for one in self.exchanges}

        def complaint(value: Mapping[str, Any]) -> str | None:
            seen = [
                TimedExchange(exchanges[name], ahead, answered) for name, ahead, answered in value["requests"]
            ]
            return History(Numbers(), seen, value).complaint()

        return judge(expectation, exchange, histories=SimpleNamespace(complaint=complaint))


class System:
    """A service that adds one to a number: by reading, and after ``window`` seconds writing."""

    def __init__(self, window: float | None = None, *, thorough: bool = False) -> None:
        self.case, self.window = Case(thorough=thorough), window
        self.number, self.made = 0, 0
        self._ids, self._lock = itertools.count(1), threading.Lock()

    def things(self, what: str, number: int) -> Iterator[ConcurrentSubject]:
        """Begin anew for each try."""
        for _ in range(number):
            self.number, self.made = 0, self.made + 1
            yield ConcurrentSubject()

    def history(self, seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> History[Any, Any, Any]:
        """Return a history of numbers."""
        return History(Numbers(), seen, value)

    def send_request(self, request: OperationRequest) -> Any:
        """Answer a request."""
        started, begun = time.time(), time.perf_counter()
        body = 0
        if request.operation == "look":
            body = self.number
        elif self.window is None:
            with self._lock:
                self.number += 1
        else:
            read = self.number
            time.sleep(self.window)
            self.number = read + 1
        with self._lock:
            exchange = Exchange(
                id=f"x{next(self._ids)}",
                case="numbers",
                step=request.operation,
                operation=request.operation,
                identity="manager",
                sent=Sent("POST", "http://numbers.example/", "/", {}),
                answer=Received(200, {}, body),
                started=started,
                duration=time.perf_counter() - begun,
            )
            self.case.exchanges.append(exchange)
        return SimpleNamespace(exchange=exchange, reply=object(), ok=True, not_judged=lambda: None)


def law(system: System, data: Mapping[str, Any]) -> Concurrency:
    """Return a case of the law."""
    case = LawCase("add-add", ("row",), (), (), control=False, waits=0, impact=(), data=data)
    return Concurrency(system, case)  # type: ignore[arg-type] - as much of a system as it needs


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the law find the operations of this system, and try no more often where this machine is busy."""
    monkeypatch.setattr(concurrency, "law_file", lambda *_: RECIPES)
    monkeypatch.setattr(concurrency, "MORE", 0)


@pytest.mark.parametrize("data", [PAIR, CLIENTS])
def test_a_sound_system_fits_an_order_in_every_try(data: dict[str, Any]) -> None:
    """Each try is stated and kept, with every request that it sent."""
    system = System()
    law(system, data).run()
    assert len(system.case.expectations) == system.made == 2
    named = [
        name
        for one in system.case.expectations
        for name, _, answered in one.members[0].value["requests"]
        if answered
    ]
    assert sorted(named) == sorted(one.id for one in system.case.exchanges)


@pytest.mark.parametrize("data", [PAIR, CLIENTS])
def test_a_lost_addition_is_told_by_two_requests_and_a_look(data: dict[str, Any]) -> None:
    """Of a window of 50 ms a gate finds it, also among several clients, as a history of two additions."""
    system = System(window=0.05)
    with pytest.raises(ConformanceFailure, match=r"after add, add: look answered 200, expected 2"):
        law(system, data).run()
    last = system.case.expectations[-1].members[0].value["requests"]
    asked = {one.id: one.operation for one in system.case.exchanges}
    assert sorted(asked[name] for name, _, answered in last if answered) == ["add", "add", "look"]


def test_a_nightly_run_tries_more_often() -> None:
    """Where there is time, many more distances between the two requests are tried, as many as the data allow."""
    many, few = System(thorough=True), System(thorough=True)
    law(many, PAIR).run()
    law(few, {**PAIR, "most": 3}).run()
    assert many.made == 2 * len(concurrency.NEAR) * concurrency.ROUNDS
    assert few.made == 3


def test_a_search_without_end_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that cannot be decided in time makes the case inconclusive."""
    monkeypatch.setattr(concurrency, "PATIENCE", -1.0)
    system = System()
    with pytest.raises(Inconclusive, match="no order of 3 requests was found"):
        law(system, PAIR).run()
    assert system.case.expectations == []


def test_the_same_seed_draws_the_same_requests() -> None:
    """What clients ask follows from the run's seed."""
    one, other = law(System(), CLIENTS), law(System(), CLIENTS)
    assert list(one._histories()) == list(other._histories())


BESIDE = {
    "thing": "number",
    "each": ["add", "look"],
    "beside": ["add", "look"],
    "hands": 2,
    "reads": ["look"],
}
LANES = {"thing": "number", "lanes": [["add", "look"], ["look", "add"]], "reads": ["look"]}


def test_each_is_sent_beside_what_others_change() -> None:
    """While one request may be under way, others that it is not are sent, each lane by a client of its own."""
    data = {**BESIDE, "each": ["add"], "beside": ["add", "look", "a", "b"]}
    (clients,) = law(System(), data)._tries()
    later = concurrency.LATER
    assert clients == [[(0.0, "add")], [(later, "look"), (0.0, "b")], [(later, "a")]]


@pytest.mark.parametrize("data", [{**BESIDE, "beside": ["add", "look", "add"]}, LANES])
def test_more_than_two_fit_an_order(data: dict[str, Any]) -> None:
    """What a sound system answers fits an order; each try is stated."""
    system = System()
    law(system, data).run()
    assert len(system.case.expectations) == system.made == len(data.get("each", "1"))


def test_a_lost_addition_among_lanes_is_told_by_what_it_takes() -> None:
    """The shortest part of a history of several lanes is told, without further tries."""
    system = System(window=0.05)
    with pytest.raises(ConformanceFailure, match=r"after add, add: look answered 200, expected 2"):
        law(system, {**LANES, "lanes": [["add"], ["add", "look"]]}).run()
    assert system.made == 1


@pytest.mark.parametrize(("later", "tries"), [(0.010, 1), (0.004, 3), (0.031, 3)])
def test_what_did_not_meet_is_tried_again(monkeypatch: pytest.MonkeyPatch, later: float, tries: int) -> None:
    """Where the second request was not sent while the first one may be under way, another thing is made for another try."""
    monkeypatch.setattr(concurrency, "MORE", 2)
    system = System()
    # One request after the other, so that their numbers say which one is which.
    system.case.is_one_by_one = True
    monkeypatch.setattr(system.case, "at_once", lambda requests: [request() for request in requests])

    def evidence(exchange: Exchange) -> Exchange:
        """Tell that the second of three requests was sent so much later than the first, and the third after both."""
        number = int(exchange.id[1:])
        return replace(exchange, started=1000.0 + number + (later - 1.0 if number % 3 == 2 else 0.0))

    monkeypatch.setattr(system.case, "evidence", evidence)
    concurrent = law(system, {**PAIR, "most": 1})
    monkeypatch.setattr(concurrent, "_state", lambda _: None)
    concurrent.run()
    assert system.made == tries
