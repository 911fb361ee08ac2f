"""The one owner of redaction.

A secret is replaced, where an exchange is captured, by a token such as ``<plaintext:3f9a5c0d12ab>``: a keyed hash
under a key that lives as long as the run. Equal secrets get equal tokens, so round trips and echoes can be judged
from the evidence, and nobody without the key can test a guess.

What is a secret is decided by structure, never by a pattern over text:

* members that the contract calls secret are always replaced;
* in replies, every string whose member the contract does not call public is replaced as well, so that what a broken
  server puts into an unheard-of member does not leak;
* in the texts that remain, every secret value that this run knows is replaced, wherever it stands and in whatever
  spelling (see ``spellings``), glued to other text or not; of what was cut out of one, sixteen characters are enough.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kms_conformance.redaction.list_entries import ListEntries, Texts
from kms_conformance.redaction.pseudonyms import Pseudonyms
from kms_conformance.redaction.under_way import UnderWay
from kms_conformance.redaction.variants import SHORTEST, Search, parts, plainer, spellings

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON

_LONG_NAME = 48
_SUSPECT_NAME = 21
_LONG_HEADER = 40
_DIGITS = frozenset("0123456789")
_MOST_RECENT, _LONGEST_RECENT = 4_000, 400
_CUT = "\ue000"
"""A character for private use: it stands in no spelling, and is no escape and no blank."""


class Secret(str):
    """A secret string. It is an ordinary ``str`` to every client, but does not show itself in a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the value."""
        return "<secret>"


class _Known:
    """The secrets that a run knows; shared by the redactors of its systems."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.search = Search()
        self.harmless: set[str] = set()
        self.under_way = UnderWay()
        self.lock = threading.Lock()
        self.tell: Callable[[str, str], None] | None = None
        self.recent: tuple[dict[str, str], ...] = ()
        """By redactor: texts and what they are replaced by as long as no other secret is known; then it begins anew."""

    def forget_recent(self) -> None:
        """Begin anew: another secret is looked for, or there is another redactor. To be called under the lock."""
        self.recent = tuple({} for _ in self.recent)

    def copy(self) -> _Known:
        """Return another one that knows the same, and learns apart from this one."""
        other = _Known()
        other.tokens, other.harmless, other.search = {**self.tokens}, {*self.harmless}, self.search.copy()
        other.recent = tuple({} for _ in self.recent)
        return other


class Redactor:
    """Replaces secrets by tokens; safe between threads.

    ``secret`` and ``public`` are member names, ``public_headers`` header names, as in the contract; ``sealed`` are
    secret members whose value is harmless to repeat, because it is encrypted already (a ciphertext); ``personal`` are patterns
    of what tells who somebody is, which gets a pseudonym (:mod:`kms_conformance.redaction.pseudonyms`). What ``shares_with``
    knows is known here too, and the other way round: a server may repeat to one system what another has sent to it.
    """

    def __init__(
        self,
        secret: Iterable[str] = (),
        public: Iterable[str] = (),
        public_headers: Iterable[str] = (),
        sealed: Iterable[str] = (),
        personal: Iterable[str] = (),
        *,
        key: bytes | None = None,
        shares_with: Redactor | None = None,
    ) -> None:
        self.key = key or secrets.token_bytes(32)
        self._secret = frozenset(secret)
        self._sealed = frozenset(sealed)
        self._guarded = self._secret - self._sealed
        self._public = frozenset(public)
        self._public_headers = frozenset(name.lower() for name in public_headers)
        self._known: _Known = shares_with._known if shares_with else _Known()  # noqa: SLF001 - of its own class
        with self._known.lock:
            self._place = len(self._known.recent)
            self._known.recent = (*self._known.recent, {})
        self._pseudonyms = Pseudonyms(personal, self.key)
        self._entries, self._texts = ListEntries(), Texts()

    @property
    def under_way(self) -> UnderWay:
        """The requests whose answers may make a secret known, of every system that shares what is known."""
        return self._known.under_way

    def remember(self, value: str, label: str) -> str:
        """Make a secret known to the run and return its token. Nothing is no secret: it would be found everywhere."""
        if not value:
            return value
        existing = self._known.tokens.get(value)
        if existing is not None:
            return existing
        token, is_new = self._take_in(value, label)
        if is_new and self._known.tell is not None:
            self._known.tell(value, label)
        return token

    def take_over(self, pairs: Iterable[Sequence[str]]) -> None:
        """Make secrets known that another process of the run has told, each with its label."""
        for value, label in pairs:
            self._take_in(value, label)

    def tell_others(self, tell: Callable[[str, str], None]) -> None:
        """Call this with each secret that becomes known here from now on, and its label; from any thread."""
        self._known.tell = tell

    def _take_in(self, value: str, label: str) -> tuple[str, bool]:
        """Return a secret's token, and whether it was not known yet."""
        token = self._token(value, label)
        with self._known.lock:
            if value in self._known.tokens:
                return self._known.tokens[value], False
            self._known.tokens[value] = token
            for form in spellings(value) if len(value) >= SHORTEST else ():
                self._known.search.add(form, token, value)
            # What is encrypted already may hold ids in clear, and does no harm.
            for part in parts(value) if label not in self._sealed else ():
                self._known.search.add_part(part)
            # Last: what was searched meanwhile, perhaps without this secret, is kept in what goes here.
            self._known.forget_recent()
        return token, True

    def allow(self, value: str) -> str:
        """Declare a value harmless, although it travels in a secret member: it is then shown in clear."""
        with self._known.lock:
            self._known.harmless.add(value)
        return value

    def tokens_of(self, values: Iterable[str]) -> frozenset[str]:
        """Return the tokens of those values that are known secrets."""
        return frozenset(token for value in values if (token := self._known.tokens.get(value)))

    def scrub(self, text: str) -> str:
        """Replace every known secret in a text, wherever it stands and however it is spelled, and what is personal."""
        recent = self._known.recent[self._place]
        shown = recent.get(text)
        if shown is None:
            shown = self._pseudonyms.replace(self.without_secrets(text))
            if len(recent) < _MOST_RECENT and len(text) <= _LONGEST_RECENT:
                recent[text] = shown
        return shown

    def are_clear(self, texts: Sequence[str]) -> bool:
        """Tell whether one look at texts shows that no known secret stands in any of them; it need not see that none does."""
        return self._known.tokens.keys().isdisjoint(texts) and self._known.search.are_clear(texts)

    def without_persons(self, text: str) -> str:
        """Replace what is personal in a text that holds no secret."""
        return self._pseudonyms.replace(text)

    def without_secrets(self, text: str) -> str:
        """Replace every known secret in a text, and leave what is personal."""
        existing = self._known.tokens.get(text)
        if existing is not None:
            return existing
        clear = self._known.search.clear_text(text)
        if clear is not None:
            return clear
        spans = self._found(text)
        hidden = self._hidden(text, spans)
        if hidden:
            return " ".join(hidden)
        if not spans:
            self._keep_clear(text)
            return text
        return _with_tokens(text, spans)

    def tokens_in(self, text: str) -> tuple[str, ...]:
        """Return the tokens of the secrets that stand in a text."""
        token = self._known.tokens.get(text)
        if token is not None:
            return (token,)
        if self._known.search.clear_text(text) is not None:
            return ()
        spans = self._found(text)
        return self._hidden(text, spans) or _names(spans)

    def is_secret(self, name: str) -> bool:
        """Tell whether a member or header of this name is always secret."""
        return name in self._guarded

    def never_shows(self, text: str, name: str) -> bool:
        """Tell whether no answer shows this text in clear under a member's name, though it is no secret that is known."""
        is_clear = bool(text) and text not in self._known.harmless and text not in self._known.tokens
        return is_clear and name not in self._public

    def names_secret(self, text: str) -> bool:
        """Tell whether the name of a member that may not be repeated stands in a text."""
        return any(name in text for name in self._guarded)

    def known(self) -> list[tuple[str, str]]:
        """Return the secrets that are known so far, each with its label, for the run's other processes."""
        with self._known.lock:
            tokens = list(self._known.tokens.items())
        return [(value, token[1:].partition(":")[0]) for value, token in tokens]

    def request(self, body: JSON, name: str = "") -> JSON:
        """Return a request's document with its secret members replaced."""
        match body:
            case dict():
                return {key: self.request(value, key) for key, value in body.items()}
            case list():
                return [self.request(value, name) for value in body]
            case str() if name in self._secret and body not in self._known.harmless:
                return self.remember(body, name)
            case str():
                token = self._known.tokens.get(body)
                return self._pseudonyms.replace(body) if token is None else token
        return body

    def learn(self, body: JSON, name: str = "") -> None:
        """Make the secrets of a document known that is not kept itself.

        Not those that a fuzzer has made up, a short or a common word: ordinary answers would be taken for echoes of them.
        """
        match body:
            case dict():
                for key, value in body.items():
                    self.learn(value, key)
            case list():
                for value in body:
                    self.learn(value, name)
            case str() if name in self._secret and body not in self._known.harmless and parts(body):
                self.remember(body, name)

    def guarded(self, body: JSON, name: str = "", *, sealed: bool = False) -> list[str]:
        """Return the values of a request's document that an answer may not repeat; with ``sealed`` also encrypted ones."""
        match body:
            case dict():
                return [
                    text for key, value in body.items() for text in self.guarded(value, key, sealed=sealed)
                ]
            case list():
                return [text for value in body for text in self.guarded(value, name, sealed=sealed)]
            case str() if (
                name in (self._secret if sealed else self._guarded) and body not in self._known.harmless
            ):
                return [body] if body else []
        return []

    def reply(self, body: JSON) -> JSON:
        """Return a reply's document with everything replaced that is not known to be public."""
        # First the members that are secret by name: a text further up may repeat what stands further down.
        self._remember_named(body, "")
        return self._reply(body, "")

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return a reply's headers, names in lower case; values of headers that are not public are replaced."""
        shown: dict[str, str] = {}
        for name, value in headers:
            low = name.lower()
            if low in self._public_headers:
                shown[sys.intern(low)] = self.scrub(value)
            else:
                shown_name = self._token(low, "header") if len(low) > _LONG_HEADER else self.scrub(low)
                shown[shown_name] = self._unknown(value, "header")
        return shown

    def _remember_named(self, body: JSON, name: str) -> None:
        """Make the members of a document known that are secret by name."""
        if isinstance(body, dict):
            for key, value in body.items():
                if key in self._secret or isinstance(value, (dict, list)):
                    self._remember_named(value, key)
        elif isinstance(body, list):
            for value in body:
                self._remember_named(value, name)
        elif isinstance(body, str) and name in self._secret and body not in self._known.harmless:
            self.remember(body, name)

    def _reply(self, body: JSON, name: str) -> JSON:
        match body:
            case dict():
                return {self._member(key): self._reply(value, key) for key, value in body.items()}
            case list():
                return self._entries.once([self._reply(value, name) for value in body])
            case str() if not body or body in self._known.harmless:
                return body
            case str() if name in self._public:
                return self._texts.once(self.scrub(body))
            case str():
                return self._known.tokens.get(body) or self._unknown(body, name)
        return body

    def _member(self, name: str) -> str:
        """Return a member's name, or a token where a server has put a secret into the name."""
        if name in self._public or name in self._secret:
            return sys.intern(name)  # each answer has its own copies of the same names
        if len(name) > _LONG_NAME or (len(name) > _SUSPECT_NAME and not _DIGITS.isdisjoint(name)):
            return self._unknown(name, "name")
        return self.scrub(name)

    def _unknown(self, value: str, label: str) -> str:
        """Return a token for a value about which nothing is known; it does not become a known secret.

        Where a known secret stands in the value, its token is returned, so that the echo can be seen.
        """
        tokens = self.tokens_in(value)
        if tokens:
            return " ".join(tokens)
        named = (
            label.isascii()
            and label.isidentifier()
            and (label in {"header", "name"} or self._member(label) == label)
        )
        return self._token(value, label if named else "text")

    def _token(self, value: str, label: str) -> str:
        digest = hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]
        return f"<{label}:{digest}>"

    def _found(self, text: str) -> list[tuple[int, int, str]]:
        """Return begin, end and token of each known secret in a text.

        A piece of a secret gets a token of its own: two secrets may begin alike, and neither was repeated.
        """
        return [
            (begin, end, token or self._token(text[begin:end], "text"))
            for begin, end, token in self._known.search.find(text)
        ]

    def _keep_clear(self, text: str) -> None:
        """Remember that nothing was found in a text that may come again; not of one that says something else without its escapes."""
        search = self._known.search
        if search.clear.is_worth_keeping(text) and next(plainer(text), None) is None:
            with self._known.lock:
                search.keep_clear(text)

    def _hidden(self, text: str, spans: Sequence[tuple[int, int, str]]) -> tuple[str, ...]:
        """Return the tokens of secrets where some stand in a text that can be seen only once its escapes are gone.

        What looks like an escape may be part of a secret, so what is seen in the whole text counts beyond what stood there
        before. What was found before may be gone with the escapes, so the rest of the text is looked at without it, too.
        """
        rest = _with_tokens(text, [(begin, end, _CUT) for begin, end, _ in spans])
        for searched, before in ((text, spans), (rest, ())) if spans else ((text, spans),):
            for plain, least in plainer(searched):
                seen = [place for place in self._found(plain) if place[1] - place[0] >= least]
                if _counted(seen) - _counted(before):
                    return _names([*spans, *seen])
        return ()


def _with_tokens(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """Return a text with the token of each span in its place."""
    pieces, start = [], 0
    for begin, end, token in spans:
        pieces += [text[start:begin], token]
        start = end
    return "".join([*pieces, text[start:]])


def _names(spans: Iterable[tuple[int, int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token for _, _, token in spans))


def _counted(spans: Iterable[tuple[int, int, str]]) -> Counter[str]:
    return Counter(token for _, _, token in spans)


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
