"""Drawn sequences: whatever was asked before, each answer is one that the system's model allows.

``sequences.yaml`` holds cases: how many requests, drawn from which seed. The system's adapter draws and sends them, one
after the other and to an instance that nobody else uses, and its model knows after each of them what the next one may
be answered. What is promised is not more than each operation's own effect, after any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.judging.refusals import alternatives, refusal
from kms_conformance.laws.concurrency import state_order
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.histories import History
from kms_conformance.laws.request import System
from kms_conformance.run.outcomes import ConformanceFailure, NotTested

LONGER = 3
"""How many times as long a sequence is where there is time."""


class DrawingSystem(System, Protocol):
    """A system whose model draws requests."""

    def draw(self, seed: str, length: int) -> Iterator[TimedExchange]:
        """Send drawn requests, and yield each with its answer; end after one whose answer the model does not allow."""

    def history(self, seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> History[Any, Any, Any]:
        """Return exchanges as a history of the system's model."""


class Sequences:
    """One case of the law."""

    def __init__(self, system: DrawingSystem, case: LawCase) -> None:
        """Take length and seed from the data of the contract."""
        self.system, self.case, self.data = system, system.case, case.data
        self.row = self.case.row(case.rows[0])
        self._value: dict[str, Any] = {}

    def run(self) -> None:
        """Send the sequence; what the model does not allow is stated with as few of the requests before it as show it.

        Raises :class:`ConformanceFailure` then, and :class:`NotTested` where others use the instance too.
        """
        if not self.system.alone:
            raise NotTested('set instance = "fresh" in the target: what others change is not in the model')
        _, unsure = self.case.clock_ahead()
        length = self.data["length"] * (LONGER if self.case.context.thorough else 1)
        seen = list(self.system.draw(f"sequence {self.data['seed']}", length))
        self._value = {"edition": self.case.context.edition, "one_by_one": True, "unsure": round(unsure, 3)}
        wrong = self._not_allowed(seen)
        state_order(self.case, self.row, seen if wrong is None else self._fewest(seen, wrong), self._value)
        self._judge_texts(seen)

    def _judge_texts(self, seen: Sequence[TimedExchange]) -> None:
        """State of each refusal by a documented code that it says what it says for any request: message and envelope.

        Whether a code is the right one, the model knows. Raises :class:`ConformanceFailure`.
        """
        contract = self.case.context.contract
        for exchange in (one.exchange for one in seen):
            reason = contract.codes.get((exchange.answer and exchange.answer.code) or "")
            if reason is None or not reason.documented:
                continue
            primary = refusal(contract, self.row, reason)
            if reason.detail:
                # What such a text says depends on the request.
                primary = replace(primary, messages=(), patterns=())
            allowed = alternatives(contract, self.row, self.case.context.edition, primary)
            finding = self.case.judge(
                Expectation(exchange.id, self.row.id, self.row.severity, allowed), exchange
            )
            if finding is not None:
                raise ConformanceFailure(f"{finding.requirement}: {finding.got}")

    def _fewest(self, seen: Sequence[TimedExchange], wrong: tuple[str, str]) -> list[TimedExchange]:
        """Leave out each request without which the same answer is not allowed for the same reason, and all others are."""
        left = list(seen)
        for one in reversed(seen):
            fewer = [other for other in left if other is not one]
            if fewer and self._not_allowed(fewer) == wrong:
                left = fewer
        return left

    def _not_allowed(self, seen: Sequence[TimedExchange]) -> tuple[str, str] | None:
        return self.system.history(seen, self._value).not_allowed()
