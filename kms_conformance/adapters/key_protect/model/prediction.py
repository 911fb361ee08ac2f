"""What may be answered: the successes and refusals that the sources allow.

Rules are collected, not tried in an order, because the order of rules is mostly undocumented (facts sheet, section 8):
where several are broken, each of their refusals is allowed. Where an order is documented, an operation's rules end early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kms_conformance.adapters.key_protect.model.facts import MISSING, Rule, failures, lead
from kms_conformance.adapters.key_protect.model.operation import Answer

if TYPE_CHECKING:
    from kms_conformance.adapters.key_protect.model.state import Instance

ANY = "*"
"""Any reason code, or none: where no source fixes it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal by status and reason code."""

    status: int
    code: str = ANY

    def admits(self, answer: Answer) -> bool:
        """Whether an answer is this refusal."""
        return answer.status == self.status and self.code in {ANY, answer.code}

    def __str__(self) -> str:
        return f"{self.status} {self.code}".removesuffix(f" {ANY}")


def refusals(statuses: tuple[int, ...], code: str = ANY) -> frozenset[Refusal]:
    """Return one refusal for each status."""
    return frozenset(Refusal(status, code) for status in statuses)


Learn = tuple[str, Callable[["Instance", Any], "Instance"]]
"""Where an answer shows what the service chose, and how the state takes it."""


@dataclass(frozen=True, slots=True)
class Success:
    """A success: its statuses, what its body and headers show, and what is learned from it.

    ``facts`` hold where there is a body; paths that begin with ``header.`` look at the headers.
    """

    statuses: frozenset[int]
    facts: Mapping[str, Rule] = field(default_factory=dict)
    headers: Mapping[str, Rule] = field(default_factory=dict)
    learn: tuple[Learn, ...] = ()

    def mismatches(self, answer: Answer) -> list[str]:
        """Return what the answer shows wrongly."""
        messages = failures(self.headers, dict(answer.headers))
        return messages + (failures(self.facts, answer.body) if answer.body is not None else [])


@dataclass(frozen=True, slots=True)
class Prediction:
    """What may come back: a success or none, any of some refusals. ``unspecified`` says what no source fixes."""

    success: Success | None
    refused: frozenset[Refusal] = frozenset()
    unspecified: str = ""

    def disagreements(self, answer: Answer) -> list[str]:
        """Return one sentence for each way in which an answer is not one of those; none where it is allowed."""
        if answer.refused:
            if any(refusal.admits(answer) for refusal in self.refused):
                return [answer.odd] if answer.odd else []
            return [f"expected {self}, not {f'{answer.status} {answer.code}'.strip()}"]
        if self.success is None:
            return [f"expected {self}, not {answer.status}"]
        if answer.status not in self.success.statuses:
            return [f"expected {self}, not {answer.status}"]
        return self.success.mismatches(answer)

    def __str__(self) -> str:
        statuses = [str(status) for status in sorted(self.success.statuses)] if self.success else []
        return " or ".join(statuses + sorted(str(refusal) for refusal in self.refused)) or "nothing"


@dataclass(slots=True)
class Rules:
    """The rules that one request breaks, as they are found: surely broken ones, and ones that may be."""

    must: set[Refusal] = field(default_factory=set)
    may: set[Refusal] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)

    def broken(self, *given: Refusal | frozenset[Refusal]) -> None:
        """Note a rule that is broken."""
        for one in given:
            self.must |= one if isinstance(one, frozenset) else {one}

    def perhaps(self, why: str, *possible: Refusal | frozenset[Refusal]) -> None:
        """Note a refusal that no source fixes, beside the success."""
        self.doubts.append(why)
        for one in possible:
            self.may |= one if isinstance(one, frozenset) else {one}

    def predict(self, success: Success) -> Prediction:
        """Return the prediction: the success only where no rule is surely broken."""
        return Prediction(
            None if self.must else success, frozenset(self.must | self.may), "; ".join(self.doubts)
        )


def learned(state: Instance, prediction: Prediction, answer: Answer) -> Instance:
    """Return the state with what the answer shows of the service's choices."""
    if answer.refused or prediction.success is None or answer.body is None:
        return state
    for path, take in prediction.success.learn:
        value = lead(answer.body, path)
        if value is not MISSING and value is not None:
            state = take(state, value)
    return state


BODY = refusals((400,), "BAD_BODY_ERR")
FIELD = refusals((400,), "INVALID_FIELD_ERR")
BODY_OR_FIELD = BODY | FIELD | refusals((400, 422))
"""A member breaks its rule, and no source says which code tells it (facts sheet, section 10, gap 3)."""
BAD_REQUEST = refusals((400,))
ANY_REFUSAL = refusals((400, 403, 404, 405, 409, 410, 422))
NO_BODY = refusals((400,), "NO_BODY_ERR")
QUERY = refusals((400,), "INVALID_QUERY_PARAM_ERR") | BAD_REQUEST
STATE = refusals((409,), "KEY_ACTION_INVALID_STATE_ERR")
DELETED = STATE | refusals((410,))
"""What a destroyed key refuses with: 409 now, 410 in older sources (E62)."""
NOT_FOUND = refusals((404,), "KEY_NOT_FOUND_ERR")
ROOT_ONLY = refusals((400,), "KEY_ROOT_REQ_ERR")
EARLY = refusals((409,), "REQ_TOO_EARLY_ERR")
UNMET = refusals((409,), "AUTHORIZATIONS_NOT_MET")
NOT_DUAL = refusals((409,), "NOT_DUAL_AUTH_ERR")
NO_ACCESS = refusals((409,), "KEY_CREATE_IMPORT_ACCESS_ERR")
UNAUTHORISED = refusals((401, 403))
MISMATCH = refusals((400, 422))
"""A ciphertext that does not open: several codes were seen (facts sheet, No. 28 and R8)."""
