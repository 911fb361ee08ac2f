"""An operation's own answer shows the thing as the operation has left it.

``answer`` of an operation in ``effects.yaml`` says where the thing stands in the answer. It needs no further request: members that
the answer leaves out are not missed, and those that may show a change late are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.expectation import Member
from kms_conformance.laws.changes import Change, CompletedOperation
from kms_conformance.laws.expected import OK, ExpectedAnswer, KnownFacts, changed, of_object, same
from kms_conformance.laws.snapshot import ObservedValue, flat


def shown_in_answer(done: CompletedOperation) -> ObservedValue | None:
    """Return the thing in the answer of an operation, ``None`` where the answer shows none."""
    about = done.entry.get("answer")
    received = done.answer.exchange.answer
    if about is None or received is None:
        return None
    at = str(about["at"]).strip("/").replace("/", ".")
    value = pick(received.body, at)
    return ObservedValue(done.answer, at, value) if isinstance(value, dict) else None


def of_answer(
    done: CompletedOperation,
    observed: ObservedValue,
    before: ObservedValue | None,
    changes: Sequence[Change],
    *,
    known: KnownFacts,
    late: frozenset[str],
) -> ExpectedAnswer | None:
    """State how an answer must show what was done, from what was seen before and what the operation changes."""
    shown = flat(observed.value)
    stated = of_object(before, observed, changes, known) if before is not None or changes else None
    members = [] if stated is None else [one for one in stated.members if _counts(one, observed, shown, late)]
    start = f"{observed.at}." if observed.at else ""
    for name, value in _shows(done).items():
        if name in shown and value is not MISSING:
            members += same(f"{start}{name}", value, shown[name])
    for change in _says(done):
        if change.member in shown and change.value is not MISSING:
            members += changed(f"{start}{change.member}", change, {}, shown, known)
    members += (Member(f"{start}{name}", "absent") for name in done.entry["answer"].get("lacks", ()))
    return ExpectedAnswer((OK,), tuple(members)) if members else None


def _shows(done: CompletedOperation) -> Mapping[str, Any]:
    shows = done.entry["answer"].get("shows", {})
    return {name.replace("/", "."): done.value(value) for name, value in shows.items()}


def _says(done: CompletedOperation) -> Iterator[Change]:
    for data in done.entry["answer"].get("says", ()):
        value = done.request.identity if data["how"] == "caller" else done.value(data.get("value"))
        yield Change(data["how"], data["member"].replace("/", "."), value)


def _counts(member: Member, observed: ObservedValue, shown: Mapping[str, Any], late: frozenset[str]) -> bool:
    name = member.path.removeprefix(f"{observed.at}.")
    may_be_late = any(f"{name}.".startswith(f"{one}.") for one in late)
    return name in shown and member.check not in {"absent", "empty"} and not may_be_late
