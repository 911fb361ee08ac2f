"""The record of a request and its answer, in which no secret stands: taken where both are seen first."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx

from kms_conformance.evidence.exchange import JSON, Received, Sent
from kms_conformance.redaction.redactor import Redactor, describe
from kms_conformance.redaction.variants import SHORTEST
from kms_conformance.transport.request import Reply, Request

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract

LONGEST_TEXT = 2000
"""Characters of a hand-made body that are kept."""
LONGEST_SEARCH = 64 * 1024
"""Bytes of a body that is not JSON in which secrets are looked for."""
_MEMBER = re.compile(r'"(\w{1,40})"\s*:\s*"((?:[^"\\]++|\\.)*+)', re.DOTALL)


class Capture:
    """Makes the redacted record; safe between threads.

    ``credential_header`` is the name of the header in which the target's credentials travel.
    """

    def __init__(self, redactor: Redactor, contract: Contract, credential_header: str) -> None:
        self._redactor, self._contract = redactor, contract
        self._named = frozenset({credential_header, "authorization"})

    def sent(self, request: Request, headers: Mapping[str, str], built: httpx.Request) -> Sent:
        """Return the record of a request; its secrets are known from here on."""
        redactor = self._redactor
        body = redactor.request(request.body if request.shown is None else request.shown)
        sealed = [
            redactor.remember(value, "header") for name, value in headers.items() if redactor.is_secret(name)
        ]
        shown = {
            sys.intern(name.lower()): value if name.lower() in self._named else redactor.scrub(value)
            for name, value in headers.items()
        }
        secret: set[str] = set(sealed)
        for name in self._named & shown.keys():
            scheme, _, credential = shown[name].rpartition(" ")
            redactor.remember(credential, "token") if len(credential) > 8 else None  # noqa: PLR2004 - too short for a secret
            shown[name] = sys.intern(f"{redactor.scrub(scheme)} {redactor.scrub(credential)}".strip())
            secret |= redactor.tokens_of([credential])
        text = None if request.raw is None else self._text(request.raw)
        secret |= redactor.tokens_of(redactor.guarded(request.body))
        secret |= redactor.tokens_of(self._guarded_in(request.raw))
        return Sent(
            method=request.method,
            url=redactor.scrub(str(built.url)),
            path=redactor.scrub(built.url.path),
            headers=shown,
            body=body,
            text=text,
            secrets=_once(frozenset(secret)),
        )

    def received(self, request: Request, reply: Reply) -> Received:
        """Return the record of an answer."""
        redactor = self._redactor
        document = redactor.reply(reply.body if request.reading is None else request.reading(reply.body))
        return Received(
            status=reply.status,
            headers=redactor.headers(reply.headers.multi_items()),
            body=document,
            is_json=bool(reply.content) and (reply.body is not None or reply.content.strip() == b"null"),
            size=len(reply.content),
            kind="" if reply.body is not None or not reply.content else self._kind(reply),
            code=self._contract.code_of(document),
        )

    def forms(self, body: JSON) -> dict[str, str]:
        """Return a note on the form of each secret of a request, so that others of the same form can be made."""
        forms = {
            self._redactor.remember(value, "secret"): form_of(value)
            for value in self._redactor.guarded(body, sealed=True)
        }
        return {"forms": json.dumps(forms)} if forms else {}

    def _kind(self, reply: Reply) -> str:
        """Say what a body that is not JSON looks like, and which secrets stand in it."""
        echoed = " ".join(self._redactor.tokens_in(reply.content[:LONGEST_SEARCH].decode("latin-1")))
        return describe(reply.content, reply.headers) + (f" that hold {echoed}" if echoed else "")

    def _text(self, raw: bytes) -> str:
        """Return a hand-made body as text where it is short text, else its length."""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        with contextlib.suppress(ValueError, RecursionError):
            self._redactor.request(json.loads(text))  # its secrets are known from here on
        for value in self._guarded_in(raw):
            self._redactor.remember(value, "secret")
        if text and len(text) <= LONGEST_TEXT:
            return self._redactor.scrub(text)
        return f"<{len(raw)} bytes>"

    def _guarded_in(self, raw: bytes | None) -> list[str]:
        """Return the values of a hand-made body that an answer may not repeat; it need not be whole, nor JSON."""
        if raw is None:
            return []
        text = raw.decode("utf-8", "replace")
        members = _MEMBER.findall(text) if self._redactor.names_secret(text) else []
        values = [_without_escapes(value) for name, value in members if self._redactor.is_secret(name)]
        return [value for value in values if len(value) >= SHORTEST]


_BLANK, _MOST_BLANK = bytes(range(0x21)), 8
"""Octets that careless code drops at an end, and how many of them are told."""


@lru_cache(maxsize=64)
def _once(tokens: frozenset[str]) -> frozenset[str]:
    """Return always the same object for the same few tokens: most requests have no secret but their credential."""
    return tokens


def form_of(value: str) -> str:
    """Return the form of a secret in two words: what it is made of, and how much.

    Blank octets at its ends (zeros, line breaks) belong to the form: a case that has them means them, and drawn material
    has none.
    """
    try:
        octets = base64.b64decode(value, validate=True)
    except ValueError:
        return f"text{_spelling(value)} {len(value)}"
    first = octets[: len(octets) - len(octets.lstrip(_BLANK))][:_MOST_BLANK]
    last = octets[len(octets.rstrip(_BLANK)) :][-_MOST_BLANK:]
    ends = f":{first.hex()}:{last.hex()}" if first or last else ""
    return f"base64{ends} {len(octets)}"


def _spelling(value: str) -> str:
    """Return how a text that is no base64 nearly is: without its padding, or in the alphabet for URLs with so much of it."""
    in_alphabet = value.replace("-", "+").replace("_", "/")
    padding = len(value) - len(value.rstrip("="))
    for spelling, text in (
        (":unpadded", value + "=" * (-len(value) % 4)),
        (f":url{padding}", in_alphabet),
    ):
        with contextlib.suppress(ValueError):
            base64.b64decode(text, validate=True)
            return spelling
    return ""


def _without_escapes(value: str) -> str:
    """Return the text that stands between quotation marks, without its escapes."""
    try:
        return str(json.loads(f'"{value}"', strict=False))
    except ValueError:
        return value
