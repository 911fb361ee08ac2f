"""What stands for a secret while a case is played again: the record holds tokens, a case computes with values.

Each token of a recorded answer gets a value of the same kind, always the same one; the redactor of the replay turns it
back into that token. Key material that the case makes itself is a secret with a token of the replay's own, which is
matched with the recorded one (see ``alignment``).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import uuid
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kms_conformance.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kms_conformance.contract.contract import Contract

_TOKEN = re.compile(r"<([A-Za-z][\w-]*):[0-9a-f]{12}>")

_PUBLIC_KEY = "public key"
_SHORTEST, _LONGEST = 12, 64
"""Octets of a secret whose size is kept: shorter ones would be found by chance, longer ones are as long as a key of the endpoint wants."""


class StandIns(Redactor):
    """A redactor that knows the recorded tokens."""

    def __init__(self, contract: Contract) -> None:
        about = contract.about
        super().__init__(
            secret=about.get("secrets", ()),
            public=about.get("public", ()),
            public_headers=about.get("public_headers", ()),
            sealed=about.get("sealed", ()),
            personal=about.get("personal", ()),
        )
        self.values: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._shown: frozenset[str] = frozenset()

    def expect(self, shown: Iterable[str]) -> None:
        """Take these texts as they are, which the record shows: what stands in clear there need not be searched again."""
        self._shown = frozenset(shown)

    def expect_forms(self, note: str) -> None:
        """Let what stands for a token have the size that the note on a request tells, where that is a key's or less.

        A case may look at the size. What is no such note is left to the comparison of the request.
        """
        with contextlib.suppress(ValueError):
            forms = json.loads(note)
            told = forms.items() if isinstance(forms, dict) else ()
            for token, form in told:
                kind, _, size = str(form).partition(" ")
                if kind.startswith("base64") and _SHORTEST <= int(size) <= _LONGEST:
                    self._sizes[token] = int(size)

    def scrub(self, text: str) -> str:
        """Replace every known secret in a text, unless the record shows this very text."""
        return text if text in self._shown else super().scrub(text)

    def apart(self) -> StandIns:
        """Return another one that knows the same tokens and values, and learns apart from this one."""
        other = copy(self)
        other._known, other.values = self._known.copy(), {**self.values}  # noqa: SLF001 - of its own class
        other._sizes = {**self._sizes}  # noqa: SLF001 - same
        return other

    def remember(self, value: str, label: str) -> str:
        """Make a secret known; a recorded token stands for itself."""
        if _TOKEN.fullmatch(value):
            return value
        token = super().remember(value, label)
        self.values.setdefault(token, value)
        return token

    def live(self, document: Any) -> Any:
        """Return a recorded answer with a value for each token that is a whole text."""
        match document:
            case {"nonce": str(), "payload": str() as key} if match := _TOKEN.fullmatch(key):
                # An import token: what it calls its payload is a public key.
                return {name: self.live(value) for name, value in document.items()} | {
                    "payload": self._value(key, _PUBLIC_KEY)
                }
            case dict():
                return {name: self.live(value) for name, value in document.items()}
            case list():
                return [self.live(value) for value in document]
            case str() if match := _TOKEN.fullmatch(document):
                return self._value(document, match[1])
        return document

    def stands_for(self, anew: str, recorded: str) -> None:
        """Let a value that the case has made stand for the recorded token of it."""
        value = self.values.get(anew)
        if value is not None and _TOKEN.fullmatch(recorded):
            self.values[recorded] = value

    def _value(self, token: str, label: str) -> str:
        if token not in self.values or label == _PUBLIC_KEY:
            value = _made(token, label, self._sizes.get(token, 0))
            self.values[token] = value
            self._known.tokens[value] = token
        return self.values[token]


@cache
def _made(token: str, label: str, size: int) -> str:
    digest = hashlib.sha256(token.encode()).digest()
    if label == "id":
        return str(uuid.UUID(bytes=digest[:16], version=4))
    if label == _PUBLIC_KEY:
        return base64.b64encode(_public_key(digest)).decode()
    usual = 12 if label in {"nonce", "iv"} else len(digest)
    return base64.b64encode((2 * digest)[: size or usual]).decode()


def _public_key(digest: bytes) -> bytes:
    """Return an RSA key of its own for a token: one modulus, another exponent."""
    numbers = rsa.RSAPublicNumbers(65537 + 2 * int.from_bytes(digest[:3], "big"), _modulus())
    return numbers.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@cache
def _modulus() -> int:
    """Return a number like the modulus of a token's key, which has 4,096 bits. Nobody decrypts by it, so any odd one does."""
    octets = b"".join(hashlib.sha512(f"modulus {part}".encode()).digest() for part in range(8))
    return int.from_bytes(octets, "big") | 1 << 4095 | 1


def tokens_in(document: Any) -> Iterable[str]:
    """Return the tokens that stand anywhere in a document."""
    return (match[0] for match in _TOKEN.finditer(json.dumps(document, ensure_ascii=False)))
