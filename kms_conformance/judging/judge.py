"""Tells whether an exchange fulfils an expectation.

Pure. The same exchange and expectation give the same finding, today and years later, here and elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Protocol

from kms_conformance.contract.messages import says
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Received
from kms_conformance.evidence.members import MISSING, is_same, pick
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.histories import NO_HISTORIES, ONE_ORDER, Histories
from kms_conformance.judging.order import chosen, is_between, is_empty, is_sorted, selects
from kms_conformance.judging.results import Finding


class Schemas(Protocol):
    """Something that checks a document against a named schema."""

    def complaint(self, schema: str, document: JSON) -> str | None:
        """Return the first complaint, or ``None`` when the document is valid."""


def judge(
    expectation: Expectation,
    exchange: Exchange,
    schemas: Schemas = SCHEMA_FILES,
    histories: Histories = NO_HISTORIES,
) -> Finding | None:
    """Return what deviates from the expectation, or ``None`` when the exchange fulfils it.

    ``histories`` knows the case's other exchanges, for statements about several at once.
    """
    got = mismatch(expectation, exchange, schemas, histories)
    if got is None:
        return None
    return Finding(
        requirement=expectation.requirement,
        severity=expectation.severity,
        expected=expectation.description(),
        got=got,
        exchange=exchange.id,
        curl=curl_line(exchange),
        step=exchange.step,
    )


def mismatch(
    expectation: Expectation, exchange: Exchange, schemas: Schemas, histories: Histories = NO_HISTORIES
) -> str | None:
    """Return the deviation in words, or ``None``."""
    answer = exchange.answer
    if answer is None:
        return exchange.outcome
    complaints: list[str] = []
    for outcome in expectation.outcomes:
        complaint = _outcome_mismatch(outcome, exchange, answer, schemas)
        if complaint is None:
            break
        complaints.append(complaint)
    else:
        if complaints:
            return _closest(expectation.outcomes, complaints, answer, exchange)
    for member in expectation.members:
        complaint = (
            histories.complaint(member.value)
            if member.check == ONE_ORDER
            else _member_mismatch(member, answer)
        )
        if complaint is not None:
            return complaint
    return None


def _closest(outcomes: Sequence[Outcome], complaints: list[str], answer: Received, exchange: Exchange) -> str:
    """Return the complaint of the outcome that shares the answer's status, else the answer itself."""
    for outcome, complaint in zip(outcomes, complaints, strict=True):
        if answer.status in outcome.statuses:
            return complaint
    return exchange.outcome


def _outcome_mismatch(outcome: Outcome, exchange: Exchange, answer: Received, schemas: Schemas) -> str | None:
    if (
        (answer.status not in outcome.statuses)
        if outcome.statuses
        else answer.status < HTTPStatus.BAD_REQUEST
    ):
        return str(answer.status)
    # An answer to HEAD has no body to check against a schema.
    if outcome.schema and exchange.sent.method != "HEAD":
        complaint = schemas.complaint(outcome.schema, answer.body)
        if complaint:
            return f"{answer.status} with a body that is not a {outcome.schema}: {complaint}"
    return (
        _code_mismatch(outcome, answer)
        or _text_mismatch(outcome, answer)
        or _target_mismatch(outcome, answer)
    )


def _code_mismatch(outcome: Outcome, answer: Received) -> str | None:
    if outcome.code is None:
        return None
    code = pick(answer.body, outcome.code_at) if outcome.code_at else MISSING
    if code is MISSING:
        return f"{answer.status} without a reason code"
    return None if code == outcome.code else f"{answer.status} with code {code!r}"


def _text_mismatch(outcome: Outcome, answer: Received) -> str | None:
    """Compare the text; a refusal without a code has its text in the summary, where there is one."""
    path = outcome.text_at if outcome.code is not None else outcome.summary_at or outcome.text_at
    if not path or not (outcome.patterns or outcome.messages):
        return None
    text, name = pick(answer.body, path), path.rpartition(".")[2]
    answered = outcome.code or str(answer.status)
    if not isinstance(text, str):
        return f"{answered} without {name}"
    if outcome.patterns:
        return None if _found(outcome.patterns, text) else f"{answer.status} with {name} = {text!r}"
    if any(says(text, message, detail=outcome.detail) for message in outcome.messages):
        return None
    return f"{answered} with {name} {text!r}, documented is {outcome.messages[0]!r}"


def _found(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


def _target_mismatch(outcome: Outcome, answer: Received) -> str | None:
    if outcome.target is None or not outcome.target_at:
        return None
    target = pick(answer.body, outcome.target_at)
    kind, name = outcome.target
    if isinstance(target, dict) and (target.get("type"), target.get("name")) == (kind, name):
        return None
    got = None if target is MISSING else target
    return f"{outcome.code} with target {got!r}, documented is {{'type': {kind!r}, 'name': {name!r}}}"


def _member_mismatch(member: Member, answer: Received) -> str | None:
    if member.check == "header":
        return _header_mismatch(member, answer)
    if member.check == "hides":
        return f"{member.value} in the answer" if _repeats(answer, str(member.value)) else None
    value = pick(answer.body, member.path)
    if member.check in {"selects", "sorted"}:
        return _list_mismatch(member, value, answer)
    if _reads(member, value) if member.check.startswith("matches") else _holds(member, value):
        return None
    if value is MISSING:
        return f"{answer.status} without {member.path}"
    return f"{answer.status} with {member.path} = {value!r}"


def _list_mismatch(member: Member, value: object, answer: Received) -> str | None:
    """Compare which entries a list has, or in what order, and say so by the part that counts."""
    if member.check == "selects":
        shown = None if value is MISSING else value
        return None if selects(shown, member.value) else f"{answer.status} with {chosen(shown, member.value)}"
    if is_sorted(value, member.value):
        return None
    columns = {name: pick(answer.body, f"{member.path}.*.{name}") for name, _ in member.value}
    return f"{answer.status} with " + ", ".join(f"{name} = {column!r}" for name, column in columns.items())


def _header_mismatch(member: Member, answer: Received) -> str | None:
    value = answer.headers.get(member.path)
    if value is None:
        return f"no header {member.path}"
    if member.value is not None and value != str(member.value):
        return f"header {member.path} = {value!r}"
    return None


def _holds(member: Member, value: object) -> bool:
    match member.check:
        case "equals" | "agrees":
            return member.check == "agrees" if value is MISSING else is_same(value, member.value)
        case "differs":
            return value is not MISSING and value != member.value
        case "present":
            return value is not MISSING
        case "absent":
            # A member that is null tells no more than one that is not there.
            return value is MISSING or value is None
        case "empty":
            return value is MISSING or is_empty(value)
        case "contains":
            return isinstance(value, list) and member.value in value
        case "lacks":
            nothing = value is MISSING or value is None
            return nothing or (isinstance(value, list) and member.value not in value)
        case "length":
            return isinstance(value, list) and len(value) == member.value
        case "between":
            return is_between(value, member.value)
    raise ValueError(member.check)


def _reads(member: Member, value: object) -> bool:
    return any(_found(member.value, text) for text in _texts(value)) is (member.check == "matches")


def _texts(value: object) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, str)]


def _repeats(answer: Received, token: str) -> bool:
    """Tell whether a token of a secret stands anywhere in an answer."""
    whole = json.dumps([answer.body, dict(answer.headers)], ensure_ascii=False) + answer.kind
    return token in whole
