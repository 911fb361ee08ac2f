#!/usr/bin/env python3
# A reproduction by kms-conformance.
# Case key_protect.used_keys.old_form_waits_too of run 4f8b3143.
# Exit code: 0 the promise holds, 1 it is broken, 2 the sequence could not be sent.
# Environment: KMS_TOKEN (or KMS_API_KEY and KMS_IAM_URL; KMS_TOKEN_<IDENTITY> for others), KMS_BASE_URL,
# KMS_INSTANCE, and KMS_CONTROL_URL where the endpoint has the control protocol: else waits are really waited.
# Requests that were signed are sent unsigned, or with the header in KMS_AUTHORIZATION.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Callable, Mapping
from collections.abc import Iterator
from collections.abc import Mapping, Sequence
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from datetime import datetime, timedelta
from datetime import timedelta
from functools import cache
from functools import partial
from http import HTTPStatus
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from itertools import chain
from itertools import pairwise
from types import ModuleType
from typing import Any
from typing import NamedTuple
import base64
import hashlib
import hmac
import html
import http.client
import importlib
import itertools
import json
import os
import re
import secrets
import sys
import time
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zlib


MISSING = object()
"""What :func:`pick` returns where nothing is."""


def pick(document: JSON, path: str) -> JSON:
    """Return the value at a dotted path, or :data:`MISSING`; ``*`` collects from all entries of a list.

    No path: the whole document.
    """
    while path:
        head, _, path = path.partition(".")
        if isinstance(document, dict):
            if head not in document or head == "*":
                return MISSING
            document = document[head]
        elif not isinstance(document, list):
            return MISSING
        elif head == "*":
            return [value for value in _each(document, path) if value is not MISSING]
        elif head.isdigit() and int(head) < len(document):
            document = document[int(head)]
        else:
            return MISSING
    return document


def _each(entries: list[JSON], rest: str) -> Iterator[JSON]:
    for entry in entries:
        yield pick(entry, rest) if rest else entry


def is_same(value: object, wanted: object) -> bool:
    """Tell whether a value is the wanted one: numbers by what they are worth, as 2.0 is 2 in JSON; true is no number."""
    if isinstance(value, bool) or isinstance(wanted, bool) or not isinstance(value, int | float):
        return type(value) is type(wanted) and value == wanted
    return isinstance(wanted, int | float) and value == wanted


def texts_in(document: JSON) -> Iterator[str]:
    """Yield every text of a document, wherever it stands."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list | dict):
        for value in document if isinstance(document, list) else document.values():
            yield from texts_in(value)


def tampered(ciphertext: str, place: str) -> str:
    """Return the ciphertext with one bit changed at a place of its innermost bytes, still well-formed base64.

    Places are ``iv``, and ``front`` and ``end`` of what is encrypted; where the format is unknown, it is the middle. Raises
    :class:`ValueError` where the ciphertext is no base64.
    """
    outer = bytearray(base64.b64decode(ciphertext))
    begin = b'"iv":"' if place == "iv" else b'"ciphertext":"'
    at = outer.find(begin)
    first = at + len(begin)
    # The authentication tag stands at the end.
    changed = len(outer) // 2 if at < 0 else _last(outer, first) if place == "end" else first + 8
    # A base64 letter becomes another letter, so that the outer format can still be parsed.
    outer[changed] = ord("B") if outer[changed] != ord("B") else ord("C")
    return base64.b64encode(bytes(outer)).decode()


def _last(outer: bytes | bytearray, first: int) -> int:
    """Return where the last letter but one of a base64 text stands: the next one may hold bits that say nothing."""
    end = outer.index(b'"', first)
    return len(bytes(outer[:end]).rstrip(b"=")) - 2


def cut(ciphertext: str) -> str:
    """Return the ciphertext without its last characters, so that what is left is no base64."""
    return ciphertext.rstrip("=")[: len(ciphertext) // 4 * 4 - 3]


DAMAGES: Mapping[str, Callable[[str], str]] = {
    **{place: partial(tampered, place=place) for place in ("front", "end", "iv")},
    "cut": cut,
}
"""What may be done to a ciphertext, by its name."""


_KEY = "an RSA public key (SubjectPublicKeyInfo) of {} bits in base64"
_KEY_IN_WORDS = re.compile(re.escape(_KEY).replace(r"\{\}", r"(\d+)"))
_WORDS = re.compile(r"(\d+) octets in base64")


class Words(str):
    """What is said in the place of a secret that is not as it has to be: how it has to be."""

    __slots__ = ()


def octets_in_words(number: int) -> Words:
    """Return words for so many octets in base64."""
    return Words(f"{number} octets in base64")


def has_octets(text: str, words: str) -> bool:
    """Tell whether a text is base64 of as many octets as words say."""
    told = _WORDS.fullmatch(words)
    try:
        return told is not None and len(base64.b64decode(text, validate=True)) == int(told[1])
    except ValueError:
        return False


def rsa_key_in_words(bits: int) -> Words:
    """Return words for an RSA key of so many bits."""
    return Words(_KEY.format(bits))


def bits_of_key(words: str) -> int | None:
    """Return of how many bits words for an RSA key tell; none where they are no such words."""
    told = _KEY_IN_WORDS.fullmatch(words)
    return None if told is None else int(told[1])


DESCENDING, GROUPED = "descending", "grouped"


def selects(values: object, wanted: Sequence[Any]) -> bool:
    """Tell whether a list holds, of the values ``of``, exactly ``are``, each as often as there; others do not count.

    ``wanted`` is ``[of, are, ordered]``: with ``ordered`` they also stand in this order. A list that is not there is empty.
    """
    of, are, ordered = wanted
    if not isinstance(values, list):
        return not are and not isinstance(values, dict | str)
    ours = set(of)
    selected = [value for value in values if isinstance(value, str) and value in ours]
    return selected == list(are) if ordered else Counter(selected) == Counter(are)


def chosen(values: object, wanted: Sequence[Any]) -> str:
    """Return in words what a list holds of the values that count."""
    if not isinstance(values, list):
        return "no list" if values is None else f"{values!r}"
    selected = [value for value in values if isinstance(value, str) and value in set(wanted[0])]
    return ", ".join(selected) or "none of them"


def is_empty(value: object) -> bool:
    """Tell whether a member says nothing, as if it were not there: null, false, no text, no entries, no members."""
    return value is None or value in ([], {}, False, "")


def is_sorted(entries: object, by: Sequence[Sequence[Any]]) -> bool:
    """Tell whether a list of objects stands in an order; ``by`` is a list of ``[member, order]``, the first the weightiest.

    An order is ``ascending``, ``descending``, ``grouped`` (equal values stand together) or the values in their order.
    Texts that are dates are compared as dates. Where an entry without the member stands, no source says: it is passed over.
    """
    if not isinstance(entries, list):
        return True
    names = [name for name, _ in by]
    full = [
        entry for entry in entries if isinstance(entry, dict) and all(_there(entry, name) for name in names)
    ]
    if [order for _, order in by] == [GROUPED]:
        runs = [
            value
            for at, value in enumerate(_column(full, names[0]))
            if at == 0 or value != _column(full, names[0])[at - 1]
        ]
        return len(runs) == len(set(runs))
    return all(_in_order(one, next_one, by) for one, next_one in pairwise(full))


def _there(entry: dict[str, Any], name: str) -> bool:
    return entry.get(name) is not None


def _column(entries: list[dict[str, Any]], name: str) -> list[Any]:
    return [entry[name] for entry in entries]


def _in_order(one: dict[str, Any], following: dict[str, Any], by: Sequence[Sequence[Any]]) -> bool:
    for name, order in by:
        first, second = comparable(one[name]), comparable(following[name])
        if isinstance(order, list):
            if not {first, second} <= set(order):
                return False
            first, second = order.index(first), order.index(second)
        if first == second:
            continue
        try:
            return bool(first > second) if order == DESCENDING else bool(first < second)
        except TypeError:
            return False
    return True


def comparable(value: Any) -> Any:
    """Return a date as a moment, and any other value as it is."""
    if isinstance(value, str) and "T" in value and ":" in value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment if moment.tzinfo else value
    return value


def is_between(value: object, bounds: Sequence[str | None]) -> bool:
    """Tell whether a text is a date between two others, given with their offsets; ``None`` is no bound."""
    moment = comparable(value)
    if not isinstance(moment, datetime):
        return False
    first, last = (None if bound is None else datetime.fromisoformat(bound) for bound in bounds)
    return (first is None or moment >= first) and (last is None or moment <= last)


_QUOTES = str.maketrans("", "", "`'\"\u2018\u2019\u201c\u201d\u00b4")
_BREAK = re.compile(r"[:.,;]+(?=\s)")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
# "can't" is one word, in whatever quotes, and so it is without any.
_IN_WORD = re.compile(r"(?<=\w)['`\u2018\u2019\u00b4](?=\w)")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|([nrtbf\"'/`]))")
# Only what a page or a mail puts around text: a placeholder such as <ID> is part of a message.
_TAG = re.compile(
    r"</?(?:a|b|br|code|div|em|h[1-6]|i|li|p|pre|span|strong|td|tr|tt)(?:\s[^<>]{0,200})?/?>", re.IGNORECASE
)
_INVISIBLE = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


def normalise(text: str) -> str:
    """Return the text without the differences that the pages leave open: case, quotes, the kind of stop, the final period."""
    bare = text.translate(_QUOTES).strip().rstrip(".:;,").casefold()
    return _SPACE.sub(" ", _BREAK.sub(" :", bare))


def says(text: str, accepted: str, *, detail: bool = False) -> bool:
    """Tell whether ``text`` is the accepted message; with ``detail``, more may follow after a stop."""
    got, wanted = normalise(text), normalise(accepted)
    return got == wanted or (detail and got.startswith(f"{wanted} :"))


class Word(NamedTuple):
    """A word of a pasted text: ``text`` in small letters, ``typed`` as it stands there.

    ``opens`` and ``closes``: a clause begins before it, ends after it; at the end of a line one does.
    """

    text: str
    typed: str
    opens: bool
    closes: bool


def words(line: str) -> list[Word]:
    """Return the words of a line without what stands around them: quotes, stops, frames, escapes, tags, colours."""
    bare = _IN_WORD.sub("", unescaped(line))
    matches = list(_WORD.finditer(bare))
    result = []
    for place, match in enumerate(matches):
        typed = match[0].strip("_")
        if not typed:
            continue
        before = bare[matches[place - 1].end() : match.start()] if place else ""
        last = place == len(matches) - 1
        after = "" if last else bare[match.end() : matches[place + 1].start()]
        opens = not place or not before.isspace()
        small = typed.casefold()
        result.append(Word("cannot" if small == "cant" else small, typed, opens, last or not after.isspace()))
    return result


def unescaped(line: str) -> str:
    """Return a line without colours, HTML tags and the escapes of JSON and HTML; line breaks in it become blanks."""
    bare = _COLOUR.sub("", line)
    if "\\" in bare:
        bare = _ESCAPE.sub(_character, bare)
    if "&" in bare:
        bare = html.unescape(html.unescape(bare))
    if "<" in bare:
        bare = _TAG.sub("\n", bare)
    return bare if bare.isascii() else unicodedata.normalize("NFKC", _INVISIBLE.sub("", bare))


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return "\n" if escape[2] in "nrtbf" else escape[2]


Answer = tuple[int, dict[str, str], Any, str]
"""Status (0: none came), headers in lower case, document, and everything as text."""
FIRST_REDIRECT, FIRST_ERROR, FIRST_FAULT = 300, 400, 500


def short_text(value: Any) -> str:
    """Return a value in a few characters."""
    return "nothing" if value is MISSING else repr(value)[:200]


def outcome_complaint(outcome: dict[str, Any], method: str, answer: Answer, schemas: dict[str, Any]) -> str:
    """Return why an answer is not this outcome, or ``""``."""
    status, _, body, _ = answer
    if status not in outcome["statuses"] if outcome["statuses"] else status < FIRST_ERROR:
        return str(status)
    # An answer to HEAD has no body.
    if outcome["schema"] in schemas and method != "HEAD":
        wrong = schema_complaint(outcome["schema"], body, schemas)
        if wrong:
            return f"{status} with a body that is not a {outcome['schema']}: {wrong}"
    if outcome["code"] is not None:
        code = pick(body, outcome["code_at"]) if outcome["code_at"] else MISSING
        if code != outcome["code"]:
            return f"{status} with code {short_text(code)}"
    return _text_complaint(outcome, status, body) or _target_complaint(outcome, body)


def _text_complaint(outcome: dict[str, Any], status: int, body: Any) -> str:
    """Return why the text of an answer is not that of an outcome, or ``""``; without a code it is the summary."""
    path = outcome["text_at"] if outcome["code"] is not None else outcome["summary_at"] or outcome["text_at"]
    patterns, messages = outcome["patterns"], outcome["messages"]
    if not path or not (patterns or messages):
        return ""
    text = pick(body, path)
    fits = isinstance(text, str) and (
        any(re.search(pattern, text) for pattern in patterns)
        if patterns
        else any(says(text, known, detail=outcome["detail"]) for known in messages)
    )
    return "" if fits else f"{outcome['code'] or status} with {path.rpartition('.')[2]} {short_text(text)}"


def _target_complaint(outcome: dict[str, Any], body: Any) -> str:
    """Return why the target of a refusal is not that of an outcome, or ``""``."""
    if not outcome["target"] or not outcome["target_at"]:
        return ""
    target = pick(body, outcome["target_at"])
    fits = isinstance(target, dict) and [target.get("type"), target.get("name")] == list(outcome["target"])
    return "" if fits else f"{outcome['code']} with target {short_text(target)}"


# --- rules of every exchange ------------------------------------------------------------------------------------------


def rule_complaint(rule: dict[str, Any], method: str, answer: Answer, schemas: dict[str, Any]) -> str:
    """Return how an answer breaks a rule that holds for every exchange, or ``""``."""
    status, headers, body, text = answer
    if not status:
        return text or "no answer"
    kind = rule["rule"]
    if kind in {"envelope", "success-schema"}:
        name = rule["schema"] if kind == "envelope" else rule["schemas"].get(str(status), "")
        judged = method != "HEAD" and (kind == "success-schema" or status >= FIRST_ERROR)
        wrong = schema_complaint(name, body, schemas) if judged and name in schemas else ""
        return f"{status} with a body where {wrong}" if wrong else ""
    if kind == "complete":
        return ""
    if kind == "echo":
        return "a secret of the request in the answer" if _echoed(rule, status, headers, body) else ""
    named = str(pick(body, rule.get("summary", "-")))
    kinds: dict[str, Callable[[], tuple[Any, Any]]] = {
        "server-error": lambda: (
            status < FIRST_FAULT or [pick(body, rule["code"]), status] in rule["lawful"],
            True,
        ),
        "redirect": lambda: (FIRST_REDIRECT <= status < FIRST_ERROR, False),
        "media-type": lambda: (_is_of(headers.get("content-type", ""), rule.get("known", ())), True),
        "total": lambda: _total(pick(body, rule["total"]), pick(body, rule["entries"])),
        "reason-status": lambda: (pick(body, rule["status"]), status),
        "code": lambda: ([pick(body, rule["code"]), status] == rule["recorded"], False),
        "new-style-code": lambda: (_named_code(named), pick(body, rule["code"])),
        "phrase": lambda: (_status_of(named, status), status),
        "correlation": lambda: (headers.get(rule["header"]), rule["sent"]),
    }
    got, wanted = kinds[kind]()
    if kind == "new-style-code" and not got:
        return ""
    return "" if got == wanted else f"{status} with {short_text(got) if not isinstance(got, bool) else kind}"


def _is_of(media: str, known: list[str]) -> bool:
    plain = media.partition(";")[0].strip().lower()
    return any(plain.endswith(name) if name.startswith("+") else plain == name for name in known)


def _total(told: Any, entries: Any) -> tuple[Any, Any]:
    """Return a total and how many entries there are; the same where one of both is not told."""
    return (told, len(entries)) if told is not MISSING and isinstance(entries, list) else (0, 0)


def _named_code(text: str) -> str:
    found = re.search(r"\(([A-Z][A-Z0-9_]+)\)\s*\.?\s*\Z", text)
    return found[1] if found else ""


def _status_of(text: str, otherwise: int) -> int:
    phrases = {status.phrase: int(status) for status in HTTPStatus if status >= FIRST_ERROR}
    return phrases.get(text.partition(":")[0].strip(), otherwise)


def _echoed(rule: dict[str, Any], status: int, headers: dict[str, str], body: Any) -> bool:
    for path in rule["lawful"] if status < FIRST_ERROR else ():
        body = _without(body, path.split("."))
    whole = json.dumps([body, headers], ensure_ascii=False)
    return any(secret in whole for secret in rule["secrets"])


def _without(body: Any, path: list[str]) -> Any:
    if not path:
        return None
    head, rest = path[0], path[1:]
    if isinstance(body, list):
        return [
            _without(value, rest) if head in {"*", "[]", str(place)} else value
            for place, value in enumerate(body)
        ]
    if isinstance(body, dict):
        return {name: _without(value, rest) if name == head else value for name, value in body.items()}
    return body


# --- JSON Schema, as far as the suite's own schemas use it ------------------------------------------------------------


def schema_complaint(name: str, document: Any, schemas: dict[str, Any]) -> str:
    """Return which rule of a schema a document breaks, with its place, or ``""``."""
    return next(_broken(schemas[name], document, name, schemas, "the body"), "")


def _broken(schema: Any, value: Any, root: str, schemas: dict[str, Any], place: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{place} must not be there"
        return
    if "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#")
        name = file.rpartition("/")[2].removesuffix(".schema.json") or root
        yield from _broken(
            pick(schemas[name], pointer.strip("/").replace("/", ".")), value, name, schemas, place
        )
    for word, wanted in schema.items():
        check = SIMPLE.get(word)
        if check is not None and not check(value, wanted):
            yield f"{place} breaks {word}"
    yield from _combined(schema, value, root, schemas, place)
    if isinstance(value, dict):
        yield from _members(schema, value, root, schemas, place)
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        for number, entry in enumerate(value):
            inner = first[number] if number < len(first) else schema.get("items", True)
            yield from _broken(inner, entry, root, schemas, f"{place}/{number}")


def _combined(
    schema: dict[str, Any], value: Any, root: str, schemas: dict[str, Any], place: str
) -> Iterator[str]:
    def fits(inner: Any) -> bool:
        return not any(_broken(inner, value, root, schemas, place))

    for inner in schema.get("allOf", ()):
        yield from _broken(inner, value, root, schemas, place)
    if "anyOf" in schema and not any(map(fits, schema["anyOf"])):
        yield f"{place} breaks anyOf"
    if "oneOf" in schema and sum(map(fits, schema["oneOf"])) != 1:
        yield f"{place} breaks oneOf"
    if "not" in schema and fits(schema["not"]):
        yield f"{place} breaks not"
    if "if" in schema:
        yield from _broken(
            schema.get("then" if fits(schema["if"]) else "else", True), value, root, schemas, place
        )


def _members(
    schema: dict[str, Any], value: dict[str, Any], root: str, schemas: dict[str, Any], place: str
) -> Iterator[str]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, inner in value.items():
        own = [known[name]] if name in known else []
        own += [pattern for text, pattern in patterns.items() if re.search(text, name)]
        for one in own or [schema.get("additionalProperties", True)]:
            yield from _broken(one, inner, root, schemas, f"{place}/{name}")
        if "propertyNames" in schema:
            yield from _broken(schema["propertyNames"], name, root, schemas, f"{place}/{name}")
    for name, others in schema.get("dependentRequired", {}).items():
        if name in value and not set(others) <= set(value):
            yield f"{place} breaks dependentRequired"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(value: Any, wanted: Any) -> bool:
    kinds = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "number": _is_number(value),
        "integer": _is_number(value) and value == int(value),
    }
    return any(kinds[name] for name in ([wanted] if isinstance(wanted, str) else wanted))


def _same(one: Any, other: Any) -> bool:
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    """Return a document as a text that is the same for the same documents: 2.0 is 2."""

    def plain(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {name: plain(one) for name, one in inner.items()}
        if isinstance(inner, list):
            return [plain(one) for one in inner]
        return int(inner) if isinstance(inner, float) and inner.is_integer() else inner

    return json.dumps(plain(value), sort_keys=True)


SIMPLE: dict[str, Any] = {
    "type": _is_type,
    "enum": lambda value, wanted: any(_same(value, one) for one in wanted),
    "const": _same,
    "pattern": lambda value, wanted: not isinstance(value, str) or re.search(wanted, value) is not None,
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "minimum": lambda value, wanted: not _is_number(value) or value >= wanted,
    "maximum": lambda value, wanted: not _is_number(value) or value <= wanted,
    "exclusiveMinimum": lambda value, wanted: not _is_number(value) or value > wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
    "uniqueItems": lambda value, wanted: (
        not (wanted and isinstance(value, list)) or len({_canonical(one) for one in value}) == len(value)
    ),
    "minProperties": lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted,
    "maxProperties": lambda value, wanted: not isinstance(value, dict) or len(value) <= wanted,
    "required": lambda value, wanted: not isinstance(value, dict) or set(wanted) <= set(value),
}


class Credentials:
    """The tokens of the identities; ``grant`` is what the token issuer wants of whoever has an API key."""

    def __init__(self, grant: list[str]) -> None:
        self.grant = grant
        self.tokens: dict[str, str] = {}

    def forged(self, form: dict[str, Any], identity: str) -> str:
        """Return a credential that nobody has given, from its form and the token of an identity."""
        try:
            return forged(form, "" if "lengths" in form else self.token(identity))
        except ValueError:
            raise CouldNotRunError("it changes a JSON Web Token, and the token here is none") from None

    def token(self, identity: str) -> str:
        """Return the token of an identity, from the environment or from the token issuer."""
        stem = "KMS" if identity == "manager" else f"KMS_{identity.upper()}"
        if identity not in self.tokens:
            token, key, iam = (
                os.environ.get(name) for name in (f"{stem}_TOKEN", f"{stem}_API_KEY", "KMS_IAM_URL")
            )
            token = token or os.environ.get(f"KMS_TOKEN_{identity.upper()}")
            if not token and key and iam and self.grant:
                kind, member = self.grant
                form = {"grant_type": kind, member: key}
                try:
                    with OPENER.open(iam, urllib.parse.urlencode(form).encode(), timeout=60) as answer:
                        token = json.loads(answer.read())["access_token"]
                except (OSError, ValueError, KeyError) as error:
                    raise CouldNotRunError(f"{iam} gives no token for {identity} ({error})") from None
            if not token:
                raise CouldNotRunError(
                    f"set KMS_TOKEN_{identity.upper()}, or {stem}_API_KEY and KMS_IAM_URL"
                    if identity != "manager"
                    else "set KMS_TOKEN, or KMS_API_KEY and KMS_IAM_URL"
                )
            self.tokens[identity] = token
        return self.tokens[identity]


def forged(form: dict[str, Any], token: str) -> str:
    """Return a credential of a form; a changed token is made from ``token``; raise :class:`ValueError` where that is no JWT."""
    if "lengths" in form:
        return ".".join("x" * length for length in form["lengths"])
    head, claims, seal = token.split(".")
    text = f"{_changed(head, form['head'])}.{_changed(claims, form['claims'])}"
    kind, _, key = form["seal"].partition(" ")
    if kind == "none":
        return f"{text}."
    if kind == "key":
        digest = hmac.digest(key.encode(), text.encode(), hashlib.sha256)
        return f"{text}.{_coded(digest)}"
    return f"{text}.{seal}" if kind == "kept" else f"{text}.{'B' if seal.startswith('A') else 'A'}{seal[1:]}"


def _changed(part: str, change: dict[str, Any]) -> str:
    if not change["set"] and not change["drop"]:
        return part
    document = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    kept = {name: value for name, value in document.items() if name not in change["drop"]}
    return _coded(json.dumps({**kept, **change["set"]}).encode())


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def material(form: str) -> str:
    """Make a secret of the form that the record tells: what it is made of, the octets at its ends, and its size."""
    kind, _, size = form.partition(" ")
    made_of, *ends = kind.split(":")
    if made_of == "base64":
        first, last = map(bytes.fromhex, ends or ("", ""))
        drawn = bytearray(secrets.token_bytes(max(0, int(size) - len(first) - len(last))))
        for end in (0, -1) if drawn else ():
            drawn[end] |= 0x80
        return base64.b64encode((first + drawn + last)[: int(size)]).decode()
    if ends:
        # Base64 but for its padding, or its alphabet.
        pads = int(ends[0][3:] or 0) if ends[0].startswith("url") else 0
        drawn = bytearray(secrets.token_bytes(int(size) * 3 // 4 - pads))
        drawn[:2] = b"\xfb\xff"[: len(drawn)]
        plain = base64.b64encode(drawn).decode()
        return plain.replace("+", "-").replace("/", "_") if ends[0] != "unpadded" else plain.rstrip("=")
    # No base64 either.
    return (secrets.token_urlsafe(int(size))[: int(size)])[:-1] + "$"


ONE_ORDER = "one-order"
Timed = tuple[dict[str, Any], str, float, float, tuple[int, dict[str, str], Any, str]]
"""A step, the address that was asked, when that was and how long it took, in seconds, and the answer."""


class BroughtModules(MetaPathFinder, Loader):
    """Imports the modules of the model from their sources."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - as Python calls it
        """Return how a module is imported, ``None`` for those of others."""
        is_package = any(name.startswith(f"{fullname}.") for name in self.sources)
        if fullname not in self.sources and not is_package:
            return None
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source; a package without one is empty."""
        exec(compile(self.sources.get(module.__name__, ""), module.__name__, "exec"), module.__dict__)  # noqa: S102 - the suite's own


def brought(packed: Sequence[str]) -> Any:
    """Return what the packed modules are there for, after letting Python import them."""
    place, sources = json.loads(zlib.decompress(base64.b64decode("".join(packed))))
    if not any(isinstance(finder, BroughtModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, BroughtModules(sources))
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def history_complaint(
    model: Sequence[str], value: Mapping[str, Any], seen: Mapping[int, Timed], code_at: str
) -> str:
    """Return why answers fit no order of their requests, or ``""``; ``value`` names them by their steps."""
    explained = brought(model)
    evidence = importlib.import_module("kms_conformance.evidence.exchange")
    histories = importlib.import_module("kms_conformance.judging.histories")
    timed = [
        histories.TimedExchange(
            _exchange(evidence, place, seen[place], code_at), float(ahead), bool(answered)
        )
        for place, ahead, answered in value["requests"]
        if place in seen
    ]
    return explained(timed, value) or ""


def _exchange(evidence: Any, place: int, timed: Timed, code_at: str) -> Any:
    step, url, started, duration, (status, headers, body, text) = timed
    code = pick(body, code_at) if code_at else None
    answer = evidence.Received(
        status, headers, body, body is not None, len(text), "", code if isinstance(code, str) else None
    )
    sent = evidence.Sent(
        step["method"], url, url.partition("?")[0], step.get("sent", {}), step.get("sent_body"), None
    )
    return evidence.Exchange(
        str(place),
        "",
        step["step"],
        step["operation"],
        step["identity"],
        sent,
        answer if status else None,
        "" if status else text,
        started,
        duration,
    )


SLICE, REST, NONE = "slice", "rest", "none"
"""A page holds entries of the whole list from a place on; entries that no page before it has shown; or none of those."""


def of_page(
    value: Any, wanted: Sequence[Any], about: dict[str, Any], lists: Sequence[Any]
) -> list[Any] | None:
    """Return what a page has to hold, as ``selects`` takes it; ``None`` where that is not known.

    ``wanted`` is that of the record in the values of this run, ``value`` the entries of the page, and ``lists`` those of the answers
    that it follows from: for a slice the whole list, else the pages before this one.
    """
    of, are, ordered = wanted
    shown = [
        one
        for one in chain.from_iterable(one for one in lists if isinstance(one, list))
        if isinstance(one, str)
    ]
    if about["kind"] == SLICE:
        start = about["start"]
        # Entries of others would take places.
        return [of, shown[start : start + len(are)], ordered] if set(shown) <= set(of) else None
    if about["kind"] == NONE:
        return [shown, [], False]
    rest = [one for one in of if one not in shown]
    here = value if isinstance(value, list) else []
    return [of, rest if about["last"] else [one for one in rest if one in here], False]


_BLOCK, _DIGEST = 16, 32
_INTEGER, _SEQUENCE, _BITS = 0x02, 0x30, 0x03
_REDUCED = 0xE1000000000000000000000000000000


def oaep(message: bytes, public_key: bytes) -> bytes:
    """Encrypt by RSA-OAEP with SHA-256 for a public key in PEM or DER; raise :class:`ValueError` where it is none."""
    modulus, exponent = rsa_numbers(public_key)
    size = (modulus.bit_length() + 7) // 8
    room = size - len(message) - 2 * _DIGEST - 2
    if room < 0:
        raise ValueError(f"{len(message)} bytes are too many for a key of {size} bytes")
    block = hashlib.sha256(b"").digest() + bytes(room) + b"\x01" + message
    seed = secrets.token_bytes(_DIGEST)
    masked = _xor(block, _mask(seed, len(block)))
    encoded = _xor(seed, _mask(masked, _DIGEST)) + masked
    return pow(int.from_bytes(encoded, "big"), exponent, modulus).to_bytes(size, "big")


def rsa_numbers(public_key: bytes) -> tuple[int, int]:
    """Return modulus and exponent of a public key: SubjectPublicKeyInfo or PKCS#1, in PEM or DER."""
    parts = _elements(_elements(_der(public_key))[0][1])
    if _names_its_kind(parts):
        parts = _elements(_elements(parts[1][1][1:])[0][1])
    if [kind for kind, _ in parts] != [_INTEGER, _INTEGER]:
        raise ValueError("the import token's key is not an RSA key")
    modulus, exponent = (int.from_bytes(value, "big") for _, value in parts)
    return modulus, exponent


def _der(public_key: bytes) -> bytes:
    if not public_key.lstrip().startswith(b"-----"):
        return public_key
    lines = [line for line in public_key.splitlines() if line and not line.startswith(b"-")]
    return base64.b64decode(b"".join(lines))


def _names_its_kind(parts: list[tuple[int, bytes]]) -> bool:
    """Tell whether the parts of a public key are those of a SubjectPublicKeyInfo."""
    return [kind for kind, _ in parts] == [_SEQUENCE, _BITS]


def is_as_told(text: str, words: str) -> bool:
    """Tell whether a secret is as words say that stand in its place: so many octets, or a key of so many bits."""
    return has_octets(text, words) or _is_rsa_key_as_told(text, words)


def _is_rsa_key_as_told(text: str, words: str) -> bool:
    """Tell whether a text is base64 of a public key of as many bits as words say, in the form that they name."""
    bits = bits_of_key(words)
    try:
        key = base64.b64decode(text)
        is_of_form = bits is not None and _names_its_kind(_elements(_elements(_der(key))[0][1]))
        return is_of_form and rsa_numbers(key)[0].bit_length() == bits
    except (ValueError, IndexError):
        return False


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    found, place = [], 0
    while place + 2 <= len(der):
        kind, size = der[place], der[place + 1]
        place += 2
        if size & 0x80:
            more = size & 0x7F
            size = int.from_bytes(der[place : place + more], "big")
            place += more
        found.append((kind, der[place : place + size]))
        place += size
    return found


def _mask(seed: bytes, size: int) -> bytes:
    blocks = (
        hashlib.sha256(seed + number.to_bytes(4, "big")).digest() for number in range(-(-size // _DIGEST))
    )
    return b"".join(blocks)[:size]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


def aes_gcm(key: bytes, iv: bytes, plain: bytes) -> bytes:
    """Encrypt by AES-GCM with an IV of 12 bytes and no additional data; the tag stands behind the ciphertext."""
    round_keys = _round_keys(key)

    def counted(number: int) -> bytes:
        return _encrypted(iv + number.to_bytes(4, "big"), round_keys)

    blocks = [plain[start : start + _BLOCK] for start in range(0, len(plain), _BLOCK)]
    sealed = b"".join(
        _xor(block, counted(number)[: len(block)]) for number, block in enumerate(blocks, start=2)
    )
    hash_key = int.from_bytes(_encrypted(bytes(_BLOCK), round_keys), "big")
    padded = (
        sealed + bytes(-len(sealed) % _BLOCK) + (0).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    )
    tag = 0
    for start in range(0, len(padded), _BLOCK):
        tag = _product(tag ^ int.from_bytes(padded[start : start + _BLOCK], "big"), hash_key)
    return sealed + _xor(tag.to_bytes(_BLOCK, "big"), counted(1))


def _product(one: int, other: int) -> int:
    """Return the product in the field of GCM, whose bits run from the left."""
    product = 0
    for place in range(127, -1, -1):
        if one >> place & 1:
            product ^= other
        other = (other >> 1) ^ (_REDUCED if other & 1 else 0)
    return product


def _doubled(value: int) -> int:
    return (value << 1 ^ (0x11B if value & 0x80 else 0)) & 0xFF


def _times(one: int, other: int) -> int:
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one, other = _doubled(one), other >> 1
    return product


@cache
def _substitutes() -> bytes:
    """Return the S-box of AES: inverses in the field, and an affine map."""
    table = bytearray()
    for value in range(256):
        inverse = 1
        for _ in range(254):
            inverse = _times(inverse, value)
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        table.append(turned ^ 0x63)
    return bytes(table)


def _round_keys(key: bytes) -> list[bytes]:
    box, words = _substitutes(), len(key) // 4
    if len(key) not in {16, 24, 32}:
        raise ValueError(f"AES has no key of {len(key)} bytes")
    expanded = [key[start : start + 4] for start in range(0, len(key), 4)]
    constant = 1
    for place in range(words, 4 * (words + 7)):
        word = expanded[-1]
        if place % words == 0:
            word = bytes(box[value] for value in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _doubled(constant)
        elif words > 6 and place % words == 4:  # noqa: PLR2004 - of keys of 32 bytes
            word = bytes(box[value] for value in word)
        expanded.append(_xor(expanded[place - words], word))
    return [b"".join(expanded[start : start + 4]) for start in range(0, len(expanded), 4)]


def _encrypted(block: bytes, round_keys: list[bytes]) -> bytes:
    """Encrypt one block; its bytes stand in columns of four."""
    box = _substitutes()
    state = _xor(block, round_keys[0])
    for number, round_key in enumerate(round_keys[1:], start=1):
        moved = bytes(box[state[(place + 4 * (place % 4)) % _BLOCK]] for place in range(_BLOCK))
        state = _xor(moved if number == len(round_keys) - 1 else _mixed(moved), round_key)
    return state


def _mixed(state: bytes) -> bytes:
    mixed = bytearray()
    for start in range(0, _BLOCK, 4):
        column = state[start : start + 4]
        for place in range(4):
            one, two, three, four = (column[(place + step) % 4] for step in range(4))
            mixed.append(_doubled(one) ^ _doubled(two) ^ two ^ three ^ four)
    return bytes(mixed)


BARE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?![\d:.Z+-])")
SLACK = timedelta(seconds=2)
"""How much later or earlier than in the record something may be done."""


class CouldNotRunError(Exception):
    """The sequence cannot be sent here; the text says why."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a token goes to no other host."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def any_time_about(then: datetime) -> str:
    """Return a pattern for the times that are nearly this one, without an offset."""
    slack = int(SLACK.total_seconds())
    near = [then + timedelta(seconds=seconds) for seconds in range(-slack, slack + 1)]
    return f"(?:{'|'.join(one.isoformat(timespec='seconds') for one in near)})"


def widened(bounds: list[Any], recorded: list[Any], refs: dict[str, Any]) -> list[Any]:
    """Return bounds with some slack where they are times of the record and no value of an answer."""
    first, last = (
        bound if bound is None or known in refs else (datetime.fromisoformat(bound) + slack).isoformat()
        for bound, known, slack in zip(bounds, recorded, (-SLACK, SLACK), strict=True)
    )
    return [first, last]


def send(request: urllib.request.Request) -> Answer:
    """Send a request; return status, headers, document and text of the answer, status 0 where none came."""
    try:
        with OPENER.open(request, timeout=60) as answer:
            return read(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refused:
        return read(refused.code, refused.headers, refused.read())
    except (OSError, ValueError, urllib.error.URLError) as error:
        return 0, {}, None, str(error)


def connected(request: urllib.request.Request) -> http.client.HTTPConnection | None:
    """Return a connection to the host of a request, so that opening one takes no time when moments count; ``None`` where that fails."""
    kind = http.client.HTTPSConnection if request.type == "https" else http.client.HTTPConnection
    connection = kind(str(request.host), timeout=60)
    try:
        connection.connect()
    except OSError:
        return None
    return connection


def send_over(connection: http.client.HTTPConnection | None, request: urllib.request.Request) -> Answer:
    """Send a request over a connection that is open; return the answer as :func:`send` does."""
    if connection is None:
        return send(request)
    try:
        connection.request(request.get_method(), request.selector, request.data, dict(request.header_items()))
        answer = connection.getresponse()
        return read(answer.status, answer.headers, answer.read())
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, None, str(error)
    finally:
        connection.close()


def ask(method: str, url: str, body: Any) -> Any:
    """Send a request of the control protocol and return its document."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with OPENER.open(request, timeout=60) as answer:
            content = answer.read()
            return json.loads(content) if content else None
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise CouldNotRunError(f"the control protocol at {url} answers {error}") from None


def read(status: int, headers: Any, content: bytes) -> Answer:
    """Return status, headers, document and text of an answer."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return status, {name.lower(): value for name, value in headers.items()}, body, text + str(headers)


AS_RECORDED = 2
"""Tries with the moments of the record, before others are tried."""
APART = (0.010, 0.0, 0.001, 0.004, 0.002, 0.0005)
"""Seconds between the first of several requests and the others: what is under way for 50 ms is met, and a window of 1 ms."""


def moments(recorded: Sequence[float], number: int) -> list[float]:
    """Return how many seconds after the first request each one is sent in a try: as in the record, then each of them first in turn."""
    if number < AS_RECORDED or len(recorded) < 2:  # noqa: PLR2004 - one has nobody beside it
        return list(recorded)
    first = (number - AS_RECORDED) % len(recorded)
    apart = APART[(number - AS_RECORDED) // len(recorded) % len(APART)]
    # As near to each other as in the record, but for the one that comes first.
    others = min(at for place, at in enumerate(recorded) if place != first)
    return [0.0 if place == first else apart + at - others for place, at in enumerate(recorded)]


MOST_AT_ONCE = 5
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
VARIABLE = re.compile(
    r"<[A-Za-z][\w-]*:[0-9a-f]{12}>|kmsct-[A-Za-z0-9_-]+|KMSCT-[A-Z0-9_-]+"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
)
FIRST_YEAR, REACH = 2020, 200


class ValuesOfRun:
    """Values that differ from run to run: generated, or taken from the answers."""

    case: dict[str, Any]
    answers: dict[int, Any]
    values: dict[str, str]
    later: timedelta

    def target(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return a path and query of this run; a value may stand there with escapes."""
        parts = re.split(r"([/?&=+])", recorded)
        for place, part in enumerate(parts):
            plain = urllib.parse.unquote(part)
            own = self.text(plain, refs)
            escaped = urllib.parse.quote(own, safe="").replace("-", "%2D" if "%2D" in part else "-")
            parts[place] = escaped if plain not in {part, own} else self.text(part, refs)
        return "".join(parts)

    # --- values of this run in the place of those of the record -------------------------------------------------------

    def text(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return a recorded text with every value of that run replaced by one of this run.

        ``refs`` says in which answer, and where in it, each value stood.
        """
        longest_first = sorted(map(re.escape, refs), key=len, reverse=True)
        variable = re.compile("|".join([*longest_first, VARIABLE.pattern]))
        return variable.sub(lambda match: self.value(match[0], refs), recorded) if recorded else recorded

    def value(self, recorded: str, refs: dict[str, Any]) -> str:
        """Return what stands for a recorded value here; one that no answer has given is made anew."""
        if recorded in refs:
            place, path = refs[recorded]
            given = self.at(self.answers.get(place), path)
            if isinstance(given, str):
                return given
        if recorded not in self.values:
            whole = VARIABLE.fullmatch(recorded)
            self.values[recorded] = (
                self.made(recorded)
                if whole
                else VARIABLE.sub(lambda match: self.value(match[0], refs), recorded)
            )
        return self.values[recorded]

    def at(self, document: Any, path: list[Any]) -> Any:
        """Return the value at a path; a part ``[member, recorded]`` is the entry of a list that has this value."""
        for place, part in enumerate(path):
            if isinstance(part, str):
                if part == "*":
                    return pick(document, ".".join(path[place:]))
                document = pick(document, part)
                continue
            if isinstance(part, dict):
                return document[part["from"] : part["to"]] if isinstance(document, str) else MISSING
            member, recorded = part
            wanted = self.value(recorded, self.case["first"])
            entries = document if isinstance(document, list) else []
            document = next((entry for entry in entries if pick(entry, member) == wanted), MISSING)
        return document

    def made(self, recorded: str) -> str:
        """Make a value of the same form."""
        if recorded in self.case["kept"]:
            return recorded
        if recorded.startswith("<"):
            return material(self.case["forms"].get(recorded, "base64 32"))
        run, new_run = self.case["run"], self.case["new_run"]
        if recorded.casefold().startswith("kmsct-"):
            return recorded.replace(run, new_run).replace(run.upper(), new_run.upper())
        if recorded[4:5] == "-" and "T" in recorded:
            moment = self.moved(datetime.fromisoformat(recorded))
            fraction = recorded.partition(".")[2]
            exact = "microseconds" if fraction[3:4].isdigit() else "milliseconds" if fraction else "seconds"
            return moment.isoformat(timespec=exact).replace("+00:00", "Z")
        return str(uuid.uuid4())

    def about_then(self, time_of_record: re.Match[str]) -> str:
        """Return a pattern for the time here of one in a pattern of the record, which names no offset."""
        sent = self.values.get(f"{time_of_record[0]}Z")
        if sent is not None:
            return sent[: len(time_of_record[0])]
        return any_time_about(self.moved(datetime.fromisoformat(time_of_record[0])))

    def moved(self, then: datetime) -> datetime:
        """Return the moment here of one in the record; what is out of all reach, such as the last date there is, stays."""
        return then + self.later if abs(then.year - FIRST_YEAR) < REACH else then

    def document(self, recorded: Any, refs: dict[str, Any]) -> Any:
        """Return a recorded document with the values of this run."""
        if isinstance(recorded, dict):
            return {name: self.document(value, refs) for name, value in recorded.items()}
        if isinstance(recorded, list):
            return [self.document(value, refs) for value in recorded]
        return self.text(recorded, refs) if isinstance(recorded, str) else recorded


HOLDS, BROKEN, COULD_NOT_RUN = 0, 1, 2
MOST_WAITING, MOST_TRIES = 5, 100


class HeldEarlierError(Exception):
    """What is promised held before it was asked in the record; the text says how."""


class Reproduction(ValuesOfRun):
    """Sends the requests of a case again; values that differ from run to run are generated or taken from the answers."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.base = os.environ.get("KMS_BASE_URL", case["base_url"]).rstrip("/")
        self.control = os.environ.get("KMS_CONTROL_URL", "").rstrip("/")
        self.answers: dict[int, Any] = {}
        self.seen: dict[int, Timed] = {}
        self.values: dict[str, str] = {}
        self.credentials = Credentials(case["grant"])
        self.later = timedelta(0)
        self.speaker: Any = None
        self.number = 0
        self.ahead = 0.0
        self.begin()

    def begin(self) -> None:
        """Forget every value of this run; the instance stays."""
        self.answers, self.seen, self.values = {}, {}, {}
        self.ahead = 0.0
        self.case["new_run"] = secrets.token_hex(4)
        packed = self.case.get("speaker")
        self.speaker = packed and brought(packed)(self.case["new_run"], is_fresh=not self.case["kept"])
        instance = os.environ.get("KMS_INSTANCE", "")
        if instance and self.case["instance"]:
            self.values[self.case["instance"]] = instance

    def run(self) -> int:
        """Send every request, some more than once where it is a matter of moments, and return the exit code."""
        broken = self.once()
        for number in range(1, self.tries()):
            if not broken:
                self.begin()
                self.number = number
                broken = self.once()
        print("the promise is broken" if broken else "the promise holds")
        return BROKEN if broken else HOLDS

    def tries(self) -> int:
        """Return how often the requests may be sent: not often where each time takes real waits."""
        waits = any(note[0] == "wait" for step in self.case["steps"] for note, _ in step["before"])
        tries: int = self.case.get("tries", 1)
        return min(tries, MOST_WAITING if waits and not self.control else MOST_TRIES)

    def once(self) -> list[str]:
        """Send every request and return the promises that were broken."""
        broken: list[str] = []
        try:
            for _, group in itertools.groupby(self.case["steps"], lambda step: step["group"]):
                broken += self.perform(list(group))
        except HeldEarlierError as why:
            print(f"  {why}")
        except CouldNotRunError:
            if not broken:
                raise
        finally:
            self.clean_up()
        return broken

    def perform(self, steps: list[dict[str, Any]]) -> list[str]:
        """Send one request, or several at the same moment, and return the promises that their answers break."""
        self.later = timedelta(seconds=time.time() - steps[0]["started"])
        for (what, *how), refs in itertools.chain.from_iterable(step["before"] for step in steps):
            self.between(what, how, refs)
        requests = [self.request(step) for step in steps]
        sent_over = [connected(request) if len(steps) > 1 else None for request in requests]
        at = moments([step.get("offset", 0.0) for step in steps], self.number)
        begun = time.monotonic()
        with ThreadPoolExecutor(len(requests)) as threads:
            given = list(threads.map(self.send_at, steps, requests, sent_over, [begun + one for one in at]))
        # Which of several equal requests is answered first, nobody knows: the best fit counts.
        answers = min(self.orders(steps, given), key=lambda order: len(self.broken(steps, order)))
        broken = self.broken(steps, answers)
        for step, answer in zip(steps, answers, strict=True):
            print(f"{answer[0]} {step['method']} {step['step']}")
        for told, wrong in broken:
            print(f"  expected {told}\n  got {wrong}")
        self.hear(steps, answers)
        if not broken:
            self.go_on(steps, answers)
        return [told for told, _ in broken]

    def go_on(self, steps: list[dict[str, Any]], answers: Sequence[Answer]) -> None:
        """Raise :class:`HeldEarlierError` or :class:`CouldNotRunError` where the sequence ends with these answers."""
        for step, answer in zip(steps, answers, strict=True):
            later = self.case["steps"][step["again"]]["promises"] if "again" in step else []
            if later and not any(self.mismatch(step, answer, *promise) for _, *promise in later):
                raise HeldEarlierError("as promised, so that it need not be asked again")
            if step["needed"] and not 200 <= answer[0] < 300:  # noqa: PLR2004 - a success
                if self.says_so_now(step, answer):
                    raise HeldEarlierError("refused at once with what a later answer has to say")
                raise CouldNotRunError(
                    f"{step['step']} was answered by {answer[0]}, and the sequence needs a success"
                )
            done = isinstance(answer[2], dict) and answer[2].get("level") == "ok"
            if step.get("frame", {}).get("done") and not done and not step["promises"]:
                raise CouldNotRunError(f"{step['step']} was refused, and the sequence needs a success")

    def says_so_now(self, step: dict[str, Any], answer: Answer) -> bool:
        """Tell whether a refusal has the text that a later answer is promised to have, about a request that went through in the record."""
        patterns = [
            pattern
            for later in self.case["steps"][step["place"] + 1 :]
            for _, _, members, _ in later["promises"]
            for member in members
            if member["check"] == "matches"
            for pattern in member["value"]
        ]
        return any(re.search(pattern, text) for pattern in patterns for text in texts_in(answer[2]))

    def hear(self, steps: list[dict[str, Any]], answers: Sequence[Answer]) -> None:
        """Take in what answers to frames tell the requests after them."""
        for step, answer in zip(steps, answers, strict=True):
            if frame := step.get("frame"):
                self.speaker.hear(frame, self.unit_of(step), answer[2])

    def unit_of(self, step: dict[str, Any]) -> str:
        """Return the last part of the address that a request is sent to: of frames the system knows which it is."""
        own = self.target(step["target"], step["from"]).rpartition("/")[2]
        return str(self.speaker.unit(step["frame"], own)) if "text" in (step.get("frame") or {}) else own

    def send_at(self, step: dict[str, Any], request: urllib.request.Request, over: Any, at: float) -> Answer:
        """Send a request at its moment."""
        time.sleep(max(0.0, at - time.monotonic()))
        started, first = time.time() + self.ahead, time.monotonic()
        answer = send_over(over, request)
        if frame := step.get("frame"):
            answer = (*answer[:2], self.speaker.read(frame, answer[2]), answer[3])
        self.seen[step["place"]] = (step, request.full_url, started, time.monotonic() - first, answer)
        return answer

    @staticmethod
    def orders(steps: Sequence[dict[str, Any]], given: Sequence[Answer]) -> Iterator[tuple[Answer, ...]]:
        """Yield the ways to assign answers to requests that were the same and sent at once."""
        same = [(step["method"], step["target"], json.dumps(step["body"])) for step in steps]
        if len(steps) <= MOST_AT_ONCE:
            for places in itertools.permutations(range(len(steps))):
                if all(same[place] == one for place, one in zip(places, same, strict=True)):
                    yield tuple(given[place] for place in places)
        else:
            yield tuple(given)

    def broken(self, steps: Sequence[dict[str, Any]], answers: Sequence[Answer]) -> list[tuple[str, str]]:
        """Return the promises that answers break, each with what came instead."""
        for step, answer in zip(steps, answers, strict=True):
            self.answers[step["place"]] = answer[2]
        return [
            (told, wrong)
            for step, answer in zip(steps, answers, strict=True)
            for told, *promise in step["promises"]
            if (wrong := self.mismatch(step, answer, *promise))
        ]

    def between(self, what: str, how: list[Any], refs: dict[str, Any]) -> None:
        """Wait, or ask the control protocol for what the case asked for."""
        if what == "wait" and not self.control:
            print(f"waiting {how[0]:g} s")
            time.sleep(how[0])
        elif what == "wait":
            instance = self.value(self.case["instance"], {})
            ask("POST", f"{self.control}/instances/{instance}/clock", {"advance_seconds": how[0]})
            self.ahead += how[0]
        elif what == "parcel":
            self.pack(how[0], refs)
        elif what == "damage":
            name, whole, made = how
            self.values[made] = DAMAGES[name](self.value(whole, refs))
        elif not self.control:
            raise CouldNotRunError("it needs the control protocol: set KMS_CONTROL_URL")
        else:
            method, path, body, *made = how
            answer = ask(method, self.control + self.text(path, refs), self.document(body, refs))
            if made and isinstance(answer, dict):
                self.values[made[0]] = str(answer.get("id"))

    def pack(self, made: dict[str, str], refs: dict[str, Any]) -> None:
        """Pack key material for an import token, as the case did; the three members that it sends are then known."""
        self.case["forms"].setdefault(made["material"], made.get("form", "base64 32"))
        material, key, nonce = (
            base64.b64decode(self.value(made[name], refs)) for name in ("material", "key", "nonce")
        )
        iv = secrets.token_bytes(12)
        for name, value in (
            ("payload", oaep(material, key)),
            ("encryptedNonce", aes_gcm(material, iv, nonce)),
            ("iv", iv),
        ):
            self.values[made[name]] = base64.b64encode(value).decode()

    def request(self, step: dict[str, Any]) -> urllib.request.Request:
        """Return a request of this run."""
        refs = step["from"]
        headers = {name: self.text(value, refs) for name, value in step["headers"].items()}
        headers["user-agent"] = "kms-conformance-repro"
        headers.setdefault("correlation-id", str(uuid.uuid4()))
        if step["token_of"]:
            headers["authorization"] = f"Bearer {self.credentials.token(step['token_of'])}"
        elif "credential" in step:
            identity, form = step["credential"]
            headers["authorization"] = f"Bearer {self.credentials.forged(form, identity)}"
        elif step.get("signed") and "KMS_AUTHORIZATION" in os.environ:
            headers["authorization"] = os.environ["KMS_AUTHORIZATION"]
        data, document = None, self.document(step["body"], refs)
        if "text" in (frame := step.get("frame") or {}):
            try:
                document = self.speaker.body(frame, self.unit_of(step), step["place"])
            except ValueError as error:
                raise CouldNotRunError(str(error)) from None
        if step["text"] is not None:
            data = self.text(step["text"], refs).encode("utf-8", "surrogatepass")
        elif document is not None:
            data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "surrogatepass"
            )
        url = self.base + self.target(step["target"], refs)
        if "text" in frame:
            url = f"{url.rpartition('/')[0]}/{self.unit_of(step)}"
        request = urllib.request.Request(url, data, headers, method=step["method"])
        if data is not None and "content-type" not in step["headers"]:
            request.add_unredirected_header("Content-type", "")
        step["sent"], step["sent_body"] = (
            headers,
            None if step["text"] is not None else data and json.loads(data),
        )
        return request

    # --- what is promised ---------------------------------------------------------------------------------------------

    def mismatch(
        self, step: dict[str, Any], answer: Answer, outcomes: list[Any], members: list[Any], rules: list[Any]
    ) -> str:
        """Return what deviates from an expectation, or ``""``."""
        status, headers, body, text = answer
        for rule in rules:
            known = {**rule, "sent": step["sent"].get(rule.get("header", ""))}
            known["secrets"] = [self.live(token, step) for token in rule.get("secrets", ())]
            wrong = rule_complaint(known, step["method"], answer, self.case["schemas"])
            if wrong:
                return wrong
        if not status:
            return text or "no answer"
        told = [
            outcome_complaint(outcome, step["method"], answer, self.case["schemas"]) for outcome in outcomes
        ]
        if told and all(told):
            return next(
                (one for one, outcome in zip(told, outcomes, strict=True) if status in outcome["statuses"]),
                told[0],
            )
        if status in step["open"] and not outcomes:
            return ""
        gone = status in {404, 410} and not outcomes  # what is not there has no member that could be the same
        for member in (one for one in members if not (gone and one["check"] == "differs")):
            wrong = self.member(member, headers, body, text, step.get("frame"))
            if wrong:
                return f"{status} with {wrong}"
        return ""

    def live(self, token: str, step: dict[str, Any]) -> str:
        """Return the secret of a request that a token of the record stands for."""
        if token.startswith("<token:"):
            return str(step["sent"].get("authorization", token).rpartition(" ")[2])
        return self.value(token, step["from"])

    def member(
        self, member: dict[str, Any], headers: dict[str, str], body: Any, text: str, frame: Any = None
    ) -> str:
        """Return what deviates from a statement about a member, or ``""``."""
        check, path, refs = member["check"], member["path"], member["from"]
        wanted = self.document(self.spoken(member, frame), refs)
        if check == ONE_ORDER:
            return history_complaint(self.case["model"], member["value"], self.seen, self.case["code_at"])
        if check == "header":
            value: Any = headers.get(path, MISSING)
            return (
                ""
                if value is not MISSING and (wanted is None or value == str(wanted))
                else f"header {path} = {short_text(value)}"
            )
        if check == "hides":
            is_there = isinstance(wanted, str) and (wanted in text or wanted.upper() in text)
            return f"{path} in the answer" if is_there else ""
        value = self.at(body, member["at"])
        there = value is not MISSING
        wanted = self.told_before(member, wanted)
        if not there and (
            self.lacks_entry(member, body) or (check in {"equals", "between"} and self.was_empty(member))
        ):
            return ""
        if check.startswith("matches"):
            texts = [
                entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str)
            ]
            patterns = [BARE_TIME.sub(self.about_then, pattern) for pattern in wanted]
            found = any(re.search(pattern, entry) for pattern in patterns for entry in texts)
            return "" if found is (check == "matches") else f"{path} = {short_text(value)}"
        checks: dict[str, Callable[[], bool]] = {
            "equals": lambda: (
                there
                and (is_same(value, wanted) or (isinstance(value, str) and is_as_told(value, str(wanted))))
            ),
            "agrees": lambda: not there or is_same(value, wanted),
            "differs": lambda: there and value != wanted,
            "present": lambda: there,
            "absent": lambda: not there or value is None,
            "empty": lambda: not there or is_empty(value),
            "contains": lambda: isinstance(value, list) and wanted in value,
            "lacks": lambda: not there or value is None or (isinstance(value, list) and wanted not in value),
            "length": lambda: isinstance(value, list) and len(value) == wanted,
            "selects": lambda: selects(value if there else None, wanted),
            "sorted": lambda: is_sorted(value, wanted),
            "between": lambda: is_between(value, widened(wanted, member["value"], refs)),
        }
        if about := member.get("page"):
            lists = [self.at(self.answers.get(place), path) for place, path in about["from"]]
            selected = of_page(value, wanted, about, lists)
            if selected is None:
                raise CouldNotRunError("what a page has to hold is not known where others fill the list too")
            wanted = selected
        if checks[check]():
            return ""
        return f"{path} = {short_text(value)}"

    def told_before(self, member: dict[str, Any], wanted: Any) -> Any:
        """Return what an earlier answer here has told in the place of what one in the record has: a number, or nothing."""
        if member.get("count"):
            place, header = member["count"]
            told = self.seen[place][-1][1].get(header, "") if place in self.seen else ""
            return int(told) if told.isdigit() else wanted
        if member.get("same"):
            before = self.at(self.answers.get(member["same"][0]), member["same"][1])
            return before if isinstance(before, str) else wanted
        return wanted

    def spoken(self, member: dict[str, Any], frame: Any) -> Any:
        """Return what a statement about a member says, of an answer to a frame in the values of this run."""
        try:
            return self.speaker.expected(member["path"], member["value"], frame) if frame else member["value"]
        except ValueError as error:
            raise CouldNotRunError(str(error)) from None

    def was_empty(self, member: dict[str, Any]) -> bool:
        """Tell whether nothing is expected at a place, because nothing was there before."""
        refs, value = member["from"], member["value"]
        known = [
            refs.get(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
        ]
        before = [self.at(self.answers[ref[0]], ref[1]) for ref in known if ref and ref[0] in self.answers]
        return bool(before) and all(was is MISSING for was in before)

    def lacks_entry(self, member: dict[str, Any], body: Any) -> bool:
        """Tell whether a list lacks the entry that a statement is about, which is for others to judge: it may not have been made."""
        at = member["at"]
        entry = next((place for place, part in enumerate(at) if not isinstance(part, str)), None)
        return entry is not None and self.at(body, at[: entry + 1]) is MISSING

    def clean_up(self) -> None:
        """Delete what the sequence has made, the newest first; what resists stays."""
        asked = [
            step for step in self.case["steps"] if "text" in (step.get("frame") or {}) and step["token_of"]
        ]
        for unit, body in self.speaker.zeroized() if self.speaker and asked else ():
            step = {**asked[0], "frame": None, "body": body}
            request = self.request(step)
            request.full_url = f"{request.full_url.rpartition('/')[0]}/{unit}"
            send(request)
        for step in reversed(self.case["clean_up"]):
            if all(place in self.answers for place, _ in step["from"].values()):
                try:
                    send(self.request(step))
                except CouldNotRunError:
                    return


def main(case: dict[str, Any]) -> int:
    """Run a reproduction and return its exit code."""
    if case["cannot"]:
        print(f"could not be run: {case['cannot']}", file=sys.stderr)
        return COULD_NOT_RUN
    try:
        return Reproduction(case).run()
    except CouldNotRunError as why:
        print(f"could not be run: {why}", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - whatever an answer is that no sequence expects, it breaks no promise
        print(f"could not be run: {type(error).__name__}: {error}", file=sys.stderr)
    return COULD_NOT_RUN



TITLE = "In the older path form, enabling and restoring within 30 seconds are refused."
CASE = {'id': 'key_protect.used_keys.old_form_waits_too',
 'run': '4f8b3143',
 'base_url': 'http://127.0.0.1:45903',
 'instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b',
 'grant': ['urn:ibm:params:oauth:grant-type:apikey', 'apikey'],
 'kept': [],
 'cannot': '',
 'forms': {'<payload:8ea944ac346f>': 'base64 32'},
 'schemas': {'error-envelope': {'type': 'object',
                                'required': ['metadata', 'resources'],
                                'properties': {'metadata': {'type': 'object',
                                                            'required': ['collectionType', 'collectionTotal'],
                                                            'properties': {'collectionType': {'const': 'application/vnd.ibm.kms.error+json'},
                                                                           'collectionTotal': {'type': 'integer',
                                                                                               'const': 1}}},
                                               'resources': {'type': 'array',
                                                             'items': {'type': 'object',
                                                                       'required': ['errorMsg'],
                                                                       'properties': {'errorMsg': {'type': 'string',
                                                                                                   'minLength': 1},
                                                                                      'reasons': {'type': 'array',
                                                                                                  'items': {'$ref': '#/$defs/reason'},
                                                                                                  'minItems': 1}}},
                                                             'minItems': 1,
                                                             'maxItems': 1}},
                                '$defs': {'reason': {'type': 'object',
                                                     'required': ['code', 'message'],
                                                     'properties': {'code': {'type': 'string',
                                                                             'pattern': '^[A-Z][A-Z0-9_]+$'},
                                                                    'message': {'type': 'string',
                                                                                'minLength': 1},
                                                                    'status': {'type': 'integer',
                                                                               'minimum': 400,
                                                                               'maximum': 599},
                                                                    'moreInfo': {'type': 'string',
                                                                                 'format': 'uri',
                                                                                 'pattern': '^https?://'},
                                                                    'target': {'$ref': '#/$defs/target'}}},
                                          'target': {'type': 'object',
                                                     'required': ['type', 'name'],
                                                     'properties': {'type': {'enum': ['field',
                                                                                      'query_param']},
                                                                    'name': {'type': 'string',
                                                                             'minLength': 1}}}}}},
 'first': {},
 'steps': [{'step': 'create key',
            'method': 'POST',
            'target': '/api/v2/keys',
            'headers': {'accept': 'application/json',
                        'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b',
                        'content-type': 'application/vnd.ibm.kms.key+json'},
            'token_of': 'manager',
            'signed': False,
            'body': {'metadata': {'collectionType': 'application/vnd.ibm.kms.key+json', 'collectionTotal': 1},
                     'resources': [{'type': 'application/vnd.ibm.kms.key+json',
                                    'name': 'kmsct-4f8b3143-key-old_form_waits_too-1a53d9000',
                                    'extractable': False}]},
            'text': None,
            'from': {},
            'place': 0,
            'group': 0,
            'started': 1796030322.889,
            'before': [],
            'promises': [],
            'open': [400,
                     401,
                     402,
                     403,
                     404,
                     405,
                     406,
                     407,
                     408,
                     409,
                     410,
                     411,
                     412,
                     413,
                     414,
                     415,
                     416,
                     417,
                     418,
                     419,
                     420,
                     421,
                     422,
                     423,
                     424,
                     425,
                     426,
                     427,
                     428,
                     429,
                     430,
                     431,
                     432,
                     433,
                     434,
                     435,
                     436,
                     437,
                     438,
                     439,
                     440,
                     441,
                     442,
                     443,
                     444,
                     445,
                     446,
                     447,
                     448,
                     449,
                     450,
                     451,
                     452,
                     453,
                     454,
                     455,
                     456,
                     457,
                     458,
                     459,
                     460,
                     461,
                     462,
                     463,
                     464,
                     465,
                     466,
                     467,
                     468,
                     469,
                     470,
                     471,
                     472,
                     473,
                     474,
                     475,
                     476,
                     477,
                     478,
                     479,
                     480,
                     481,
                     482,
                     483,
                     484,
                     485,
                     486,
                     487,
                     488,
                     489,
                     490,
                     491,
                     492,
                     493,
                     494,
                     495,
                     496,
                     497,
                     498,
                     499],
            'needed': True},
           {'step': 'create key',
            'method': 'POST',
            'target': '/api/v2/keys',
            'headers': {'accept': 'application/json',
                        'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b',
                        'content-type': 'application/vnd.ibm.kms.key+json'},
            'token_of': 'manager',
            'signed': False,
            'body': {'metadata': {'collectionType': 'application/vnd.ibm.kms.key+json', 'collectionTotal': 1},
                     'resources': [{'type': 'application/vnd.ibm.kms.key+json',
                                    'name': 'kmsct-4f8b3143-key-old_form_waits_too-1a53d9001',
                                    'extractable': False,
                                    'payload': '<payload:8ea944ac346f>'}]},
            'text': None,
            'from': {},
            'place': 1,
            'group': 1,
            'started': 1796030322.891,
            'before': [],
            'promises': [],
            'open': [400,
                     401,
                     402,
                     403,
                     404,
                     405,
                     406,
                     407,
                     408,
                     409,
                     410,
                     411,
                     412,
                     413,
                     414,
                     415,
                     416,
                     417,
                     418,
                     419,
                     420,
                     421,
                     422,
                     423,
                     424,
                     425,
                     426,
                     427,
                     428,
                     429,
                     430,
                     431,
                     432,
                     433,
                     434,
                     435,
                     436,
                     437,
                     438,
                     439,
                     440,
                     441,
                     442,
                     443,
                     444,
                     445,
                     446,
                     447,
                     448,
                     449,
                     450,
                     451,
                     452,
                     453,
                     454,
                     455,
                     456,
                     457,
                     458,
                     459,
                     460,
                     461,
                     462,
                     463,
                     464,
                     465,
                     466,
                     467,
                     468,
                     469,
                     470,
                     471,
                     472,
                     473,
                     474,
                     475,
                     476,
                     477,
                     478,
                     479,
                     480,
                     481,
                     482,
                     483,
                     484,
                     485,
                     486,
                     487,
                     488,
                     489,
                     490,
                     491,
                     492,
                     493,
                     494,
                     495,
                     496,
                     497,
                     498,
                     499],
            'needed': True},
           {'step': 'disable key',
            'method': 'POST',
            'target': '/api/v2/keys/4e4980bc-fb14-4e99-99ce-430390edfbd4/actions/disable',
            'headers': {'accept': 'application/json',
                        'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b'},
            'token_of': 'manager',
            'signed': False,
            'body': None,
            'text': None,
            'from': {'4e4980bc-fb14-4e99-99ce-430390edfbd4': (0, ['resources', '0', 'id'])},
            'place': 2,
            'group': 2,
            'started': 1796030322.892,
            'before': [],
            'promises': [],
            'open': [],
            'needed': False},
           {'step': 'deleteKey',
            'method': 'DELETE',
            'target': '/api/v2/keys/136fb38c-8458-41c3-967b-e974804ee606',
            'headers': {'accept': 'application/json',
                        'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b'},
            'token_of': 'manager',
            'signed': False,
            'body': None,
            'text': None,
            'from': {'136fb38c-8458-41c3-967b-e974804ee606': (1, ['resources', '0', 'id'])},
            'place': 3,
            'group': 3,
            'started': 1796030322.893,
            'before': [],
            'promises': [],
            'open': [],
            'needed': False},
           {'step': 'enable key (old form)',
            'method': 'POST',
            'target': '/api/v2/keys/4e4980bc-fb14-4e99-99ce-430390edfbd4?action=enable',
            'headers': {'accept': 'application/json',
                        'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b'},
            'token_of': 'manager',
            'signed': False,
            'body': None,
            'text': None,
            'from': {'4e4980bc-fb14-4e99-99ce-430390edfbd4': (0, ['resources', '0', 'id'])},
            'place': 4,
            'group': 4,
            'started': 1796030322.894,
            'before': [],
            'promises': [['409 REQ_TOO_EARLY_ERR (req-too-early-err-enable)',
                          [{'statuses': [409],
                            'code': 'REQ_TOO_EARLY_ERR',
                            'messages': ['The key was updated recently: Please wait and try again'],
                            'detail': True,
                            'target': None,
                            'schema': 'error-envelope',
                            'source': '',
                            'code_at': 'resources.0.reasons.0.code',
                            'text_at': 'resources.0.reasons.0.message',
                            'target_at': 'resources.0.reasons.0.target',
                            'summary_at': 'resources.0.errorMsg',
                            'patterns': []}],
                          [],
                          []]],
            'open': [],
            'needed': False}],
 'clean_up': [{'step': 'clean up',
               'method': 'DELETE',
               'target': '/api/v2/keys/4e4980bc-fb14-4e99-99ce-430390edfbd4',
               'headers': {'accept': 'application/json',
                           'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b',
                           'content-type': 'application/vnd.ibm.kms.key+json'},
               'token_of': 'manager',
               'signed': False,
               'body': None,
               'text': None,
               'from': {'4e4980bc-fb14-4e99-99ce-430390edfbd4': (0, ['resources', '0', 'id'])}},
              {'step': 'clean up',
               'method': 'DELETE',
               'target': '/api/v2/keys/136fb38c-8458-41c3-967b-e974804ee606',
               'headers': {'accept': 'application/json',
                           'bluemix-instance': '17450bc7-72f0-4f8f-9cb7-51a0320d7d3b',
                           'content-type': 'application/vnd.ibm.kms.key+json'},
               'token_of': 'manager',
               'signed': False,
               'body': None,
               'text': None,
               'from': {'136fb38c-8458-41c3-967b-e974804ee606': (1, ['resources', '0', 'id'])}}]}

if __name__ == "__main__":
    print(TITLE)
    sys.exit(main(CASE))
