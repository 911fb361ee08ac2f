"""The law of sequences on a system of two numbers, and what Key Protect's model draws."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.judging.judge import judge
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.histories import History
from kms_conformance.laws.sequences import LONGER, Sequences
from kms_conformance.run.outcomes import ConformanceFailure, NotTested

ROOT = Path(__file__).parents[2]
LAW = yaml.safe_load((ROOT / "contracts/key_protect/sequences.yaml").read_text("utf-8"))
ASKED = ("add a", "add b", "look a", "add a", "add b", "look b", "look a", "add a", "look b")


class Numbers:
    """A model of two numbers: adding answers 0, looking answers how often to that one was added."""

    def read(self, history: Sequence[TimedExchange]) -> list[tuple[str, Any]]:
        """Return operations and answers."""
        return [(one.exchange.step, getattr(one.exchange.answer, "body", None)) for one in history]

    def begin(self, history: Sequence[TimedExchange], value: Mapping[str, Any]) -> tuple[int, int]:
        """Begin at nothing."""
        return 0, 0

    def step(self, state: tuple[int, int], operation: str, answer: Any) -> tuple[int, int] | None:
        """Add, or look."""
        place = operation.endswith("b")
        if operation.startswith("add"):
            return (state[0] + (not place), state[1] + place)
        return state if answer == state[place] else None

    def mismatch(self, state: tuple[int, int], operation: str, answer: Any) -> str:
        """Return what is wrong."""
        return f"expected {state[operation.endswith('b')]}"

    def things(self, operation: str, answer: Any) -> tuple[str]:
        """Return that all is one thing."""
        return ("numbers",)

    def harmless(self, operation: str, answer: Any) -> bool:
        """Tell that looking changes nothing."""
        return operation.startswith("look")


class Case:
    """As much of a case as the law needs."""

    def __init__(self, *, thorough: bool) -> None:
        self.context = SimpleNamespace(
            thorough=thorough, edition="page", contract=load_contract("key_protect")
        )
        self.exchanges: dict[str, Exchange] = {}
        self.stated: list[Any] = []

    def row(self, name: str) -> Any:
        """Return a row of a MUST."""
        return SimpleNamespace(
            id=name, severity=Verdict.FAILED, target=None, editions=MappingProxyType({}), accepts=()
        )

    def clock_ahead(self) -> tuple[float, float]:
        """Return that the instance's clock is ours."""
        return 0.0, 0.0

    def judge(self, expectation: Any, exchange: Exchange) -> Any:
        """Judge an expectation by the model."""
        if expectation.outcomes:
            return judge(expectation, exchange)
        self.stated = expectation.members[0].value["requests"]

        def complaint(value: Mapping[str, Any]) -> str | None:
            seen = [
                TimedExchange(self.exchanges[name], ahead, answered)
                for name, ahead, answered in value["requests"]
            ]
            return History(Numbers(), seen, value).complaint()

        return judge(expectation, exchange, histories=SimpleNamespace(complaint=complaint))


class System:
    """Two numbers, of which the second forgets what is added to it after the first addition."""

    def __init__(self, *, forgets: bool = False, alone: bool = True, thorough: bool = False) -> None:
        self.case, self.alone, self.forgets = Case(thorough=thorough), alone, forgets
        self.numbers = {"a": 0, "b": 0}
        self.drawn = 0

    def history(self, seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> History[Any, Any, Any]:
        """Return a history of numbers."""
        return History(Numbers(), seen, value)

    def draw(self, seed: str, length: int) -> Iterator[TimedExchange]:
        """Ask the same as often as there is need."""
        assert seed == "sequence 7"
        self.drawn = length
        for place, asked in enumerate(ASKED):
            name = asked[-1]
            if asked.startswith("add") and not (self.forgets and name == "b" and self.numbers["b"]):
                self.numbers[name] += 1
            body = self.numbers[name] if asked.startswith("look") else 0
            sent, came = Sent("POST", "http://numbers.example/", "/", {}), Received(200, {}, body)
            exchange = Exchange(
                id=f"x{place}", case="numbers", step=asked, operation=asked, identity="manager", sent=sent,
                answer=came, started=float(place), duration=0.5,
            )  # fmt: skip
            self.case.exchanges[exchange.id] = exchange
            yield TimedExchange(exchange, 0.0)
            if asked == "look b" and self.forgets:
                return


def law(system: System) -> Sequences:
    """Return a case of the law."""
    data = {"seed": 7, "length": 9}
    case = LawCase("drawn", ("row",), (), (), control=True, waits=0, impact=(), data=data)
    return Sequences(system, case)  # type: ignore[arg-type] - as much of a system as it needs


def test_what_the_model_allows_is_stated_whole() -> None:
    """A sequence without a fault is one statement about all of its requests."""
    system = System()
    law(system).run()
    assert [name for name, _, _ in system.case.stated] == [f"x{place}" for place in range(len(ASKED))]


def test_a_fault_is_told_with_the_requests_that_lead_to_it() -> None:
    """What concerns the other number is left out, and so is a look that changes nothing."""
    system = System(forgets=True)
    with pytest.raises(ConformanceFailure, match=r"after add b, add b: look b answered 200, expected 2"):
        law(system).run()
    assert [name for name, _, _ in system.case.stated] == ["x1", "x4", "x5"]


class Refusing(System):
    """It refuses one request, which its model does not mind, and says why in some words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def draw(self, seed: str, length: int) -> Iterator[TimedExchange]:
        """Ask once."""
        reason = {"code": "KEY_DELETED_ERR", "message": self.words, "status": 410}
        body = {
            "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
            "resources": [{"errorMsg": "Gone: Key could not be deleted.", "reasons": [reason]}],
        }
        for one in super().draw(seed, length):
            answer = Received(410, {"content-type": "application/json"}, body, code="KEY_DELETED_ERR")
            refused = replace(one.exchange, answer=answer, operation="deleteKey", step="add a")
            self.case.exchanges[refused.id] = refused
            yield TimedExchange(refused, 0.0)
            return


def test_a_refusal_says_what_its_code_says_for_any_request() -> None:
    """The model knows whether a refusal is right; its message is that of its code, whatever was asked before."""
    law(Refusing("Key has already been deleted: Please delete references to this key")).run()
    with pytest.raises(ConformanceFailure, match="with message"):
        law(Refusing("Missing body in request")).run()


def test_nobody_else_may_use_the_instance() -> None:
    """What others change the model does not know, so nothing is asked."""
    system = System(alone=False)
    with pytest.raises(NotTested, match="fresh"):
        law(system).run()
    assert system.drawn == 0


def test_sequences_are_longer_where_there_is_time() -> None:
    """A nightly run draws more."""
    system = System(thorough=True)
    law(system).run()
    assert system.drawn == 9 * LONGER


def test_the_data_fit_their_schema() -> None:
    """The file is what its schema says, and no two cases are the same sequence."""
    schema = json.loads((ROOT / "schemas/sequences.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(LAW)
    assert len({case["seed"] for case in LAW["cases"]}) == len(LAW["cases"])
    assert len({case["id"] for case in LAW["cases"]}) == len(LAW["cases"])
