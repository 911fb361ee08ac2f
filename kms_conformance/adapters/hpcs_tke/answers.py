"""Answers of a crypto unit: HTTP 200 says only that the unit was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.reading import heard
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.expectation import Member, Outcome
from kms_conformance.run.answer import Answer, Rows
from kms_conformance.run.outcomes import Inconclusive

_OK, _SERVER_ERROR = 200, 500


@dataclass(frozen=True)
class UnitAnswer(Answer):
    """An answer whose success is decided inside the response string; ``asked`` names the command."""

    asked: str = ""

    @property
    def action(self) -> str:
        """The command: the operation is the same for all."""
        return self.asked

    def __getitem__(self, path: str) -> Any:
        """Return a member of what the unit said; raise :class:`Inconclusive` when it is not there."""
        said = self.exchange.answer.body if self.exchange.answer else None
        value = pick(said, path)
        if value is MISSING:
            raise Inconclusive(
                f"{self.exchange.step}: the answer ({self.exchange.outcome}) has no member {path}"
            )
        return value

    @property
    def heard(self) -> wire.Answer:
        """What the unit said; raise :class:`Inconclusive` when that cannot be read."""
        answer = heard(self.body)
        if answer is None:
            raise Inconclusive(f"{self.exchange.step}: the answer ({self.exchange.outcome}) cannot be read")
        return answer

    @property
    def output(self) -> bytes:
        """The output of a command that succeeded."""
        return self.heard.output

    @property
    def ok(self) -> bool:
        """Whether the unit did what it was asked."""
        answer = heard(self.body) if super().ok else None
        return answer is not None and answer.succeeded

    def succeeds(self, *statuses: int, requirement: Rows = None) -> Self:
        """Expect that the unit did what it was asked."""
        self._expect_success(requirement, (Outcome(statuses or (_OK,)),), (Member("level", "equals", "ok"),))
        return self

    def needed(self, *statuses: int) -> Self:
        """Require success as a precondition: anything else makes the case inconclusive."""
        super().needed(*statuses or (_OK,))
        if not self.ok:
            raise Inconclusive(f"precondition {self.exchange.step}: {self.exchange.outcome}")
        return self

    def is_refused_inside(self, *, requirement: Rows = None) -> Self:
        """Expect a refusal of the module, whatever its codes: for rules whose pair no source fixes."""
        return self.shows("level", "inner", requirement=requirement)

    def is_refused_anyhow(self, *, requirement: Rows = None) -> Self:
        """Expect a refusal at whatever level, but no server error."""
        self.is_no_server_error(requirement=requirement)
        return self.differs("level", "ok", requirement=requirement) if self.status == _OK else self

    def is_no_server_error(self, *, requirement: Rows = None) -> Self:
        """Expect an answer below 500, whatever it says."""
        self._expect(requirement, (Outcome(tuple(range(_OK, _SERVER_ERROR))),))
        return self

    def is_refused_cleanly(self, *, control: Answer, requirement: str, recorded: str) -> Self:
        """Expect an answer below 500, and record whether it is a refusal: how malformed input is refused nobody says."""
        self._demand_control(control)
        self.is_no_server_error(requirement=requirement)
        if self.status == _OK:
            self.differs("level", "ok", requirement=recorded)
        return self
