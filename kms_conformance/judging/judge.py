"""Tells whether an exchange fulfils an expectation.

Pure. The same exchange and expectation give the same finding, today and years later, here and elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Protocol

from kms_conformance.contract.messages import says
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Received, error_message, first_reason
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.results import Finding

MISSING = object()


class Schemas(Protocol):
    """Something that checks a document against a named schema."""

    def complaint(self, schema: str, document: JSON) -> str | None:
        """Return the first complaint, or ``None`` when the document is valid."""


def judge(expectation: Expectation, exchange: Exchange, schemas: Schemas = SCHEMA_FILES) -> Finding | None:
    """Return what deviates from the expectation, or ``None`` when the exchange fulfils it."""
    got = mismatch(expectation, exchange, schemas)
    if got is None:
        return None
    return Finding(
        requirement=expectation.requirement,
        severity=expectation.severity,
        expected=expectation.told(),
        got=got,
        exchange=exchange.id,
        curl=curl_line(exchange),
        step=exchange.step,
    )


def mismatch(expectation: Expectation, exchange: Exchange, schemas: Schemas) -> str | None:
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
        complaint = _member_mismatch(member, answer)
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
    # An answer to HEAD has no body, so nothing that its schema could be held against.
    if outcome.schema and exchange.sent.method != "HEAD":
        complaint = schemas.complaint(outcome.schema, answer.body)
        if complaint:
            return f"{answer.status} with a body that is not a {outcome.schema}: {complaint}"
    if outcome.code_at or outcome.text_at:
        return _flat_mismatch(outcome, answer)
    if outcome.code is None:
        return _envelope_text_mismatch(outcome, answer)
    reason = first_reason(answer.body)
    if reason is None:
        return f"{answer.status} without reasons"
    if reason.get("code") != outcome.code:
        return f"{answer.status} with code {reason.get('code')!r}"
    return _message_mismatch(outcome, reason.get("message")) or _target_mismatch(
        outcome, reason.get("target")
    )


def _flat_mismatch(outcome: Outcome, answer: Received) -> str | None:
    """Compare code and text of an answer that has them elsewhere than in the KMS's envelope."""
    code = pick(answer.body, outcome.code_at)
    if outcome.code is not None and code != outcome.code:
        return f"{answer.status} without {outcome.code_at}" if code is MISSING else f"{answer.status} {code}"
    if not outcome.patterns:
        return None
    text = pick(answer.body, outcome.text_at)
    if isinstance(text, str) and _found(outcome.patterns, text):
        return None
    return f"{answer.status} " + (
        f"with {outcome.text_at} = {text!r}" if text is not MISSING else f"without {outcome.text_at}"
    )


def _found(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)


def _envelope_text_mismatch(outcome: Outcome, answer: Received) -> str | None:
    """Compare ``errorMsg``, where a refusal has no reasons and its message stands there."""
    text = error_message(answer.body)
    if not outcome.messages or (text is not None and any(says(text, known) for known in outcome.messages)):
        return None
    return f"{answer.status} with errorMsg {text!r}, documented is {outcome.messages[0]!r}"


def _message_mismatch(outcome: Outcome, message: JSON) -> str | None:
    if not outcome.messages:
        return None
    if not isinstance(message, str):
        return f"{outcome.code} without a message"
    if any(says(message, text, detail=outcome.detail) for text in outcome.messages):
        return None
    return f"{outcome.code} with message {message!r}, documented is {outcome.messages[0]!r}"


def _target_mismatch(outcome: Outcome, target: JSON) -> str | None:
    if outcome.target is None:
        return None
    kind, name = outcome.target
    if isinstance(target, dict) and (target.get("type"), target.get("name")) == (kind, name):
        return None
    return f"{outcome.code} with target {target!r}, documented is {{'type': {kind!r}, 'name': {name!r}}}"


def _member_mismatch(member: Member, answer: Received) -> str | None:
    if member.check == "header":
        return _header_mismatch(member, answer)
    if member.check == "hides":
        return f"{member.value} in the answer" if _repeats(answer, str(member.value)) else None
    value = pick(answer.body, member.path)
    if _reads(member, value) if member.check.startswith("matches") else _holds(member, value):
        return None
    if value is MISSING:
        return f"{answer.status} without {member.path}"
    return f"{answer.status} with {member.path} = {value!r}"


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
            if_there = type(value) is type(member.value) and value == member.value
            return member.check == "agrees" if value is MISSING else if_there
        case "differs":
            return value is not MISSING and value != member.value
        case "present":
            return value is not MISSING
        case "absent":
            # A member that is null tells no more than one that is not there.
            return value is MISSING or value is None
        case "contains":
            return isinstance(value, list) and member.value in value
        case "lacks":
            nothing = value is MISSING or value is None
            return nothing or (isinstance(value, list) and member.value not in value)
        case "length":
            return isinstance(value, list) and len(value) == member.value
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


def pick(document: JSON, path: str) -> JSON:
    """Return the value at a dotted path, or :data:`MISSING`; ``*`` collects from all entries of a list.

    No path: the whole document.
    """
    if not path:
        return document
    head, _, rest = path.partition(".")
    if head == "*":
        if not isinstance(document, list):
            return MISSING
        return [value for value in _each(document, rest) if value is not MISSING]
    if isinstance(document, dict) and head in document:
        value = document[head]
    elif isinstance(document, list) and head.isdigit() and int(head) < len(document):
        value = document[int(head)]
    else:
        return MISSING
    return pick(value, rest) if rest else value


def _each(entries: list[JSON], rest: str) -> Iterator[JSON]:
    for entry in entries:
        yield pick(entry, rest) if rest else entry
