"""The one owner of redaction.

A secret is replaced, where an exchange is captured, by a token such as ``<plaintext:3f9a5c0d12ab>``: a keyed hash
under a key that lives as long as the run. Equal secrets get equal tokens, so round trips and echoes can be judged
from the evidence, and nobody without the key can test a guess.

What is a secret is decided by structure, never by a pattern over text:

* members that the contract calls secret are always replaced;
* in replies, every string whose member the contract does not call public is replaced as well, so that what a broken
  server puts into an unheard-of member does not leak;
* in the texts that remain, every secret value that this run knows is replaced, wherever it stands.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from kms_conformance.exchange import JSON

_WORD = re.compile(r"[A-Za-z0-9+/=_.\-]{8,}")
_SHORTEST = 6
_LONG_NAME = 48
_RECENT = 48
_LASTING = {"token", "apikey"}


class Secret(str):
    """A secret string. It is an ordinary ``str`` to every client, but does not show itself in a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the value."""
        return "<secret>"


class Redactor:
    """Replaces secrets by tokens; safe between threads.

    ``secret`` and ``public`` are member names, ``public_headers`` header names, as in the contract; ``sealed`` are
    secret members whose value is harmless to repeat, because it is encrypted already (a ciphertext).
    """

    def __init__(
        self,
        secret: Iterable[str] = (),
        public: Iterable[str] = (),
        public_headers: Iterable[str] = (),
        sealed: Iterable[str] = (),
        key: bytes | None = None,
    ) -> None:
        self.key = key or secrets.token_bytes(32)
        self._secret = frozenset(secret)
        self._guarded = self._secret - frozenset(sealed)
        self._public = frozenset(public)
        self._public_headers = frozenset(name.lower() for name in public_headers)
        self._tokens: dict[str, str] = {}
        self._lasting: dict[str, str] = {}
        self._recent: deque[tuple[str, str]] = deque(maxlen=_RECENT)
        self._harmless: set[str] = set()
        self._lock = threading.Lock()

    def remember(self, value: str, label: str) -> str:
        """Make a secret known to the run and return its token."""
        known = self._tokens.get(value)
        if known is not None:
            return known
        digest = hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]
        token = f"<{label}:{digest}>"
        with self._lock:
            self._tokens[value] = token
            if len(value) >= _SHORTEST:
                for form in (value, *_other_forms(value)):
                    self._tokens.setdefault(form, token)
                    if label in _LASTING:
                        self._lasting[form] = token
                    else:
                        self._recent.append((form, token))
        return token

    def allow(self, value: str) -> str:
        """Declare a value harmless, although it travels in a secret member: it is then shown in clear."""
        with self._lock:
            self._harmless.add(value)
        return value

    def tokens_of(self, values: Iterable[str]) -> frozenset[str]:
        """Return the tokens of those values that are known secrets."""
        return frozenset(token for value in values if (token := self._tokens.get(value)))

    def scrub(self, text: str) -> str:
        """Replace the known secrets in a text.

        A secret that stands alone or between blanks, quotes and the like is always found; one that is glued to other
        letters is found when it lasts (a token, an API key) or is recent, as those of the present case are.
        """
        if text in self._tokens:
            return self._tokens[text]
        if len(text) < _SHORTEST:
            return text
        for word in _WORD.findall(text):
            token = self._tokens.get(word) or self._tokens.get(word.rstrip("."))
            if token:
                text = text.replace(word, token)
        for value, token in (*self._lasting.items(), *self._recent):
            if value in text:
                text = text.replace(value, token)
        return text

    def request(self, body: JSON, name: str = "") -> JSON:
        """Return a request's document with its secret members replaced."""
        match body:
            case dict():
                return {key: self.request(value, key) for key, value in body.items()}
            case list():
                return [self.request(value, name) for value in body]
            case str() if name in self._secret and body not in self._harmless:
                return self.remember(body, name)
            case str():
                return self._tokens.get(body, body)
        return body

    def guarded(self, body: JSON, name: str = "") -> list[str]:
        """Return the values of a request's document that an answer may not repeat."""
        match body:
            case dict():
                return [found for key, value in body.items() for found in self.guarded(value, key)]
            case list():
                return [found for value in body for found in self.guarded(value, name)]
            case str() if name in self._guarded and body not in self._harmless:
                return [body]
        return []

    def reply(self, body: JSON, name: str = "") -> JSON:
        """Return a reply's document with everything replaced that is not known to be public."""
        match body:
            case dict():
                return {self._member(key): self.reply(value, key) for key, value in body.items()}
            case list():
                return [self.reply(value, name) for value in body]
            case str() if body in self._harmless:
                return body
            case str() if name in self._public:
                return self.scrub(body)
            case str() if name in self._secret:
                return self.remember(body, name) if body else body
            case str():
                return self._tokens.get(body) or (self._unknown(body, name) if body else body)
        return body

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return a reply's headers, names in lower case; values of headers that are not public are replaced."""
        shown: dict[str, str] = {}
        for name, value in headers:
            low = name.lower()
            shown[self.scrub(low)] = self.scrub(value) if low in self._public_headers else self._unknown(value, "header")
        return shown

    def _member(self, name: str) -> str:
        """Return a member's name, or a token where a server has put a secret into the name."""
        if name in self._public or name in self._secret:
            return name
        return self._unknown(name, "name") if len(name) > _LONG_NAME else self.scrub(name)

    def _unknown(self, value: str, label: str) -> str:
        """Return a token for a value about which nothing is known; it does not become a known secret."""
        digest = hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]
        return f"<{label[:_LONG_NAME] if label.isidentifier() else 'text'}:{digest}>"


def _other_forms(value: str) -> set[str]:
    """Return other spellings in which a careless server may repeat a secret."""
    forms = {quote(value, safe=""), base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) >= _SHORTEST:
        forms |= {raw.hex(), raw.hex().upper(), base64.urlsafe_b64encode(raw).decode(), base64.b64encode(raw).decode().rstrip("=")}
        if raw.isascii() and raw.decode().isprintable():
            forms.add(raw.decode())
    return {form for form in forms if form != value and len(form) >= _SHORTEST}


def describe(body: bytes, headers: Mapping[str, str]) -> str:
    """Say in a few words what a body that is not JSON looks like, without repeating any of it."""
    start = body[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or "html" in headers.get("content-type", ""):
        return f"an HTML page of {len(body)} bytes"
    if start.startswith((b"{", b"[")):
        return f"{len(body)} bytes that begin like JSON but are not"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(body)} bytes that are no text"
    return f"{len(body)} bytes of plain text"
