"""Bodies: how much of one is read, and which JSON document it is. The same for cases, fuzzer, tokens and the control protocol.

Whatever a server sends, a bounded part of it is kept: nothing is unpacked or parsed before its size is known.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable

import httpx

from kms_conformance.evidence.exchange import JSON

LARGEST_BODY = 8 * 1024 * 1024
"""The largest body that is read, in bytes, unpacked: a list of 5,000 keys has half of that."""
LARGEST_TOKEN = 64 * 1024
"""The largest body of a token issuer, in bytes."""
MOST_HEADERS, LARGEST_HEAD = 100, 32 * 1024
"""How many headers an answer may have, and how many bytes its head."""
MOST_VALUES = 250_000
"""How many values a JSON document may have: a list of 5,000 keys has 175,000."""
LONGEST_TEXT = 1024 * 1024
"""How long a text in a JSON document may be, in bytes as it is written."""
DEEPEST = 100
"""How deep a document may be nested: no answer of a KMS comes near."""
TOO_LARGE = f"an answer of more than {LARGEST_BODY} bytes"
TOO_LONG_HEAD = f"an answer with more than {MOST_HEADERS} headers or {LARGEST_HEAD} bytes of them"
_TOO_MANY = f"an answer with more than {MOST_VALUES} JSON values"
_TOO_LONG = f"an answer with a JSON text of more than {LONGEST_TEXT} bytes"
_USUAL = "utf-8"
_PACKED = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
# A text, or what would be one if it had an end: no byte is looked at twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_MAY_BE_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed")


class UnfitAnswerError(httpx.ReadError):
    """An answer that came, and that is not read to its end: it is too large, or not packed as it says."""


def bounded(chunks: Iterable[bytes], largest: int = LARGEST_BODY) -> bytes:
    """Return a body from its pieces; raise :class:`UnfitAnswerError` when it is larger than ``largest`` bytes."""
    pieces, size = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > largest:
            raise UnfitAnswerError(f"an answer of more than {largest} bytes")
    return b"".join(pieces)


def read_body(answer: httpx.Response, largest: int = LARGEST_BODY) -> bytes:
    """Return the body of an answer, unpacked; raise :class:`UnfitAnswerError` when it is not fit to be read."""
    if answer.is_stream_consumed:  # by who made it
        content = bounded([answer.content], largest)
    else:
        # What is in memory already needs none of httpx's care for what it reads.
        chunks = answer.stream if isinstance(answer.stream, httpx.ByteStream) else answer.iter_raw()
        packed = bounded(chunks, largest)
        content = unpacked(packed, answer.headers.get("content-encoding", ""), largest)
    complaint = beyond(content)
    if complaint:
        raise UnfitAnswerError(complaint)
    return content


def unpacked(content: bytes, codings: str, largest: int = LARGEST_BODY) -> bytes:
    """Return a body without its content coding (RFC 9110, section 8.4); one that is not known stays.

    Raises :class:`UnfitAnswerError` where there are several, or the body is not packed so, or is too large.
    """
    named = [
        name for coding in codings.split(",") if (name := coding.strip().lower()) not in {"", "identity"}
    ]
    if not content or not named:
        return content
    if len(named) > 1:
        raise UnfitAnswerError(f"a body with {len(named)} content codings, one over the other")
    if named[0] not in _PACKED:
        return content
    plain = _inflated(content, _PACKED[named[0]], largest)
    if plain is None and named[0] == "deflate":
        plain = _inflated(content, -zlib.MAX_WBITS, largest)  # as some servers send it
    if plain is None:
        raise UnfitAnswerError(f"a body that is not {named[0]}, although the answer says so")
    return plain


def _inflated(content: bytes, form: int, largest: int) -> bytes | None:
    unpacker = zlib.decompressobj(form)
    try:
        plain = unpacker.decompress(content, largest + 1)
    except zlib.error:
        return None
    if len(plain) > largest:
        raise UnfitAnswerError(f"an answer of more than {largest} bytes")
    return plain if unpacker.eof else None


def beyond(content: bytes) -> str:
    """Return what of a JSON document is beyond all bounds, ``""`` where nothing is; it is not parsed for that.

    What is no JSON is counted in the same way, and is beyond its bounds only where it looks like it.
    """
    encoding = json.detect_encoding(content)
    if encoding != _USUAL:  # with a mark of order, or in UTF-16 or UTF-32: the parser reads it all the same
        content = _in_utf_8(content, encoding)
    if content.lstrip()[:1] not in {b"{", b"["}:
        return ""
    if len(content) > LONGEST_TEXT and any(
        match.end() - match.start() > LONGEST_TEXT for match in _TEXT.finditer(content)
    ):
        return _TOO_LONG
    if _values(content) > MOST_VALUES and _has_too_many(content):
        return _TOO_MANY
    return ""


def _in_utf_8(content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding, "surrogatepass").encode(_USUAL, "surrogatepass")
    except ValueError:
        return b""  # no JSON


def _has_too_many(content: bytes) -> bool:
    """Tell whether a document has too many values, not counting the signs that stand in its texts."""
    number = end = 0
    for text in _TEXT.finditer(content):
        number += _values(content, end, text.start())
        end = text.end()
        if number > MOST_VALUES:
            return True
    return number + _values(content, end) > MOST_VALUES


def _values(content: bytes, start: int = 0, end: int | None = None) -> int:
    """Return how many values a part of a document has at most: each stands behind one of these signs."""
    return sum(content.count(sign, start, end) for sign in (b",", b"[", b"{"))


def json_document(content: bytes | None, *, lenient: bool = False, as_it_is: bool = False) -> JSON:
    """Return the JSON document that a body is; ``None`` when it is none, or is beyond the bounds of one.

    ``lenient`` takes ``NaN`` and ``Infinity`` too: for those whose answers are used and not judged. Half of a pair of
    surrogates, which is no text (RFC 8259, section 8.2), becomes its escape, unless the document is wanted ``as_it_is``.
    """
    if not content or beyond(content):
        return None
    try:
        decoder = _LENIENT if lenient else _STRICT
        document = decoder.decode(content.decode(json.detect_encoding(content), "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    # Without more brackets than levels are allowed, there is no need to look.
    if content.count(b"[") + content.count(b"{") > DEEPEST and _is_deep(document):
        return None
    return document if as_it_is or not _MAY_BE_HALF.search(content) else _whole(document)


def _is_deep(document: JSON) -> bool:
    layer, depth = [document], 0
    while layer and depth <= DEEPEST:
        containers = [entry for entry in layer if isinstance(entry, dict | list)]
        layer = [
            value
            for container in containers
            for value in (container.values() if isinstance(container, dict) else container)
        ]
        depth += 1
    return bool(layer)


def _whole(value: JSON) -> JSON:
    """Return a document in which every text can be written as UTF-8."""
    if isinstance(value, str):
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", value)
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(entry) for name, entry in value.items()}
    return value


def _refuse(name: str) -> None:
    """Refuse ``NaN`` and ``Infinity``, which Python reads but JSON does not have."""
    raise ValueError(name)


# Made once: a decoder takes longer to make than a usual answer to read.
_STRICT, _LENIENT = json.JSONDecoder(parse_constant=_refuse), json.JSONDecoder(parse_constant=float)
