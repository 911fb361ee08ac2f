"""Redacted exchanges as operations and answers of the executable specification."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kms_conformance.adapters.key_protect.model import (
    APPROVER,
    MANAGER,
    OUTSIDER,
    PURGER,
    READER,
    SERVICE,
    Answer,
    Caller,
    Ciphertext,
    Operation,
)
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.messages import says
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.members import pick

_CALLERS: Mapping[str, Caller] = {
    one.name: one for one in (MANAGER, APPROVER, PURGER, READER, OUTSIDER, SERVICE)
}
_TOKEN = re.compile(r"<[A-Za-z_]\w*:[0-9a-f]{12}>")
_STAND_IN = b"kms-conformance"
_STOOD_IN = re.compile(base64.b64encode(_STAND_IN).decode() + r"[A-Za-z0-9+/]{23}=")
_OF_A_MEMBER = ("The field", "The query_param")
_UNAVAILABLE = frozenset({429, 502, 503, 504})
"""What a gateway says, or a service that is not there: whether the request was carried out, nobody knows."""


def operation_of(exchange: Exchange, ciphertexts: Mapping[str, Ciphertext]) -> Operation:
    """Return what a redacted exchange has asked; ``ciphertexts`` are those that are known, by their text."""
    template = load_contract("key_protect").operations[exchange.operation or ""].path
    given = urlsplit(exchange.sent.url)
    names, values = template.split("/"), given.path.split("/")[-len(template.split("/")) :]
    body = _without_tokens(exchange.sent.body)
    text = body.get("ciphertext") if isinstance(body, dict) else None
    return Operation(
        exchange.operation or "",
        caller=_CALLERS[exchange.identity],
        path={
            name.strip("{}"): unquote(value)
            for name, value in zip(names, values, strict=True)
            if name.startswith("{")
        },
        query=dict(parse_qsl(given.query, keep_blank_values=True)),
        ring=exchange.sent.headers.get("x-kms-key-ring"),
        prefer=exchange.sent.headers.get("prefer"),
        body=body,
        ciphertext=ciphertexts.get(str(text)),
    )


def answer_of(exchange: Exchange) -> Answer | None:
    """Return an answer as the model reads it; one of which nobody knows what it did is none."""
    answer = exchange.answer
    if answer is None or answer.status in _UNAVAILABLE:
        return None
    refused = answer.status >= HTTPStatus.BAD_REQUEST
    code = (answer.code or "") if refused else ""
    odd = _odd(code, answer.body) if code else ""
    return Answer(answer.status, code, _without_tokens(answer.body), answer.headers, odd)


def _odd(code: str, body: Any) -> str:
    """Return what is wrong with the text that goes with a code, ``""`` where no page fixes it or it is one of those."""
    contract = load_contract("key_protect")
    reason, text = contract.codes.get(code), pick(body, contract.reason.text)
    if reason is None or not reason.documented or not reason.messages or reason.patterns:
        return ""
    if any(one.startswith(_OF_A_MEMBER) for one in reason.messages):
        return ""  # which members it names, and how, the pages show for a few of them
    # Whether there is a text at all, the schema of the envelope says.
    if not isinstance(text, str) or any(says(text, one, detail=reason.detail) for one in reason.messages):
        return ""
    return f"{code} must say {reason.messages[0]!r}, not {text!r}"


def without_stand_ins(text: str) -> str:
    """Return a sentence in which no value that only stands for a secret can be taken for one."""
    return _STOOD_IN.sub("<a secret>", text)


def _without_tokens(value: Any) -> Any:
    """Return a document in which each token of a secret is 32 bytes in base64, the same for the same token."""
    match value:
        case dict():
            return {name: _without_tokens(inner) for name, inner in value.items()}
        case list():
            return [_without_tokens(inner) for inner in value]
        case str() if _TOKEN.fullmatch(value):
            own = hashlib.sha256(value.encode()).digest()
            return base64.b64encode((_STAND_IN + own)[:32]).decode()
    return value
