"""Hostile servers: answers that are too large, too deep, packed too often, endless, or no text at all."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from null_servers import Behaviour, Request, always, message

MIB = 1024 * 1024
FAILS, UNSURE, REFUSED = 1, 3, 4
"""The exit codes of a run: not conformant, not verified, not reachable."""


@cache
def packed(layers: int) -> bytes:
    """Return 256 MiB of blanks, packed once or several times."""
    packer = zlib.compressobj(9, wbits=31)
    content = (
        b"".join([packer.compress(bytes(MIB).replace(b"\0", b" ")) for _ in range(256)]) + packer.flush()
    )
    for _ in range(layers - 1):
        content = gzip.compress(content, 9)
    return content


def sends(*pieces: bytes, again: bytes = b"", closes: bool = True) -> Behaviour:
    """Send pieces, then one piece again and again until nobody listens."""

    def answer(connection: socket.socket, _: Request, stop: threading.Event) -> bool:
        for piece in pieces:
            connection.sendall(piece)
        while again and not stop.is_set():
            connection.sendall(again)
        return not closes

    return answer


def reason(code: str) -> bytes:
    """Return an error envelope with this text, as JSON writes it, for a reason code."""
    envelope = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [
            {"errorMsg": "Bad Request: x", "reasons": [{"code": "@", "message": "@", "status": 400}]}
        ],
    }
    return json.dumps(envelope).replace("@", code).encode("utf-8", "surrogatepass")


def reset(connection: socket.socket, _: Request, __: threading.Event) -> bool:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def drip(connection: socket.socket, _: Request, stop: threading.Event) -> bool:
    """Send a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
    while not stop.wait(0.2):
        connection.sendall(b" ")
    return False


def hang(_: socket.socket, __: Request, stop: threading.Event) -> bool:
    """Say nothing."""
    stop.wait(60)
    return False


_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_CHUNKED = _OK + b"transfer-encoding: chunked\r\n\r\n"


def bodies() -> Iterator[tuple[str, Callable[[], Behaviour], int]]:
    """Yield what is wrong with a body."""
    yield "gzip-bomb", lambda: always(200, packed(1), content_encoding="gzip"), FAILS
    yield "gzip-gzip-bomb", lambda: always(200, packed(2), content_encoding="gzip, gzip"), FAILS
    yield (
        "gzip-five-times",
        lambda: always(200, packed(3), content_encoding="gzip, gzip, gzip, gzip, gzip"),
        FAILS,
    )
    yield (
        "deflate-bomb",
        lambda: always(200, zlib.compress(bytes(128 * MIB)), content_encoding="deflate"),
        FAILS,
    )
    yield "no-gzip", lambda: always(200, b"no gzip at all", content_encoding="gzip"), FAILS
    yield (
        "gzip-cut-short",
        lambda: always(200, gzip.compress(b"{}" * 999)[:-9], content_encoding="gzip"),
        FAILS,
    )
    yield "unknown-coding", lambda: always(200, b"\x00\x01" * 999, content_encoding="br"), FAILS
    yield "many-objects", lambda: always(200, b"[" + b"{}," * (8 * MIB // 3 - 9) + b"{}]"), FAILS
    # The parser reads what begins with a mark of order, or is in another encoding of Unicode, as well.
    yield (
        "many-objects-behind-a-mark",
        lambda: always(200, b"\xef\xbb\xbf[" + b"{}," * (8 * MIB // 3 - 9) + b"{}]"),
        FAILS,
    )
    yield (
        "many-objects-in-utf-16",
        lambda: always(200, b"[\0" + b"{\0}\0,\0" * (8 * MIB // 6 - 9) + b"{\0}\0]\0"),
        FAILS,
    )
    yield "many-lists", lambda: always(200, b'{"resources":[' + b"[]," * (8 * MIB // 3 - 9) + b"[]]}"), FAILS
    yield "many-numbers", lambda: always(200, b"[" + b"1," * (4 * MIB - 9) + b"1]"), FAILS
    yield (
        "many-names",
        lambda: always(200, b"{" + b",".join(b'"%06d":1' % n for n in range(700_000)) + b"}"),
        FAILS,
    )
    yield "as-many-as-allowed", lambda: always(200, b"[" + b"{}," * 249_990 + b"{}]"), FAILS
    yield "long-name", lambda: always(200, b'{"' + b"a" * (8 * MIB - 9) + b'":1}'), FAILS
    yield "long-text", lambda: always(200, b'{"resources":"' + b"a" * (8 * MIB - 99) + b'"}'), FAILS
    yield (
        "long-names",
        lambda: always(200, b"{" + b",".join(b'"%s%02d":1' % (b"a" * MIB, n) for n in range(7)) + b"}"),
        FAILS,
    )
    yield "escapes", lambda: always(200, b'["' + b"\\u00e4" * (MIB // 6 * 7) + b'"]'), FAILS
    yield "backslashes", lambda: always(200, b'["' + b"\\" * (8 * MIB - 9) + b'"]'), FAILS
    yield "text-without-end", lambda: always(200, b'["' + b'\\"' * (4 * MIB - 9)), FAILS
    yield "deep", lambda: always(200, b"[" * (8 * MIB - 9)), FAILS
    yield "deep-and-closed", lambda: always(200, b'{"a":' * 400_000 + b"1" + b"}" * 400_000), FAILS
    yield "too-long", lambda: always(200, b" " * (9 * MIB)), FAILS
    yield "without-end", lambda: sends(_OK + b"\r\n", again=b" " * MIB), FAILS
    yield "endless-small-chunks", lambda: sends(_CHUNKED, again=b"1\r\n \r\n" * 99_999), FAILS
    yield "half-a-surrogate", lambda: always(400, reason("\\ud800_ERR")), FAILS
    yield "half-a-surrogate-in-utf-8", lambda: always(400, reason("\udfff_ERR")), FAILS
    yield (
        "half-a-surrogate-in-a-name",
        lambda: always(200, b'{"metadata":{"\\uDC00":1},"resources":[{"id":"\\ud9ff"}]}'),
        FAILS,
    )
    yield (
        "control-characters",
        lambda: always(400, reason("\\u0000\\u0007\\u001b[2J\u202e\\u0085\u2028")),
        FAILS,
    )
    yield (
        "no-numbers",
        lambda: always(200, b'{"metadata":{"collectionTotal":NaN},"resources":[Infinity]}'),
        FAILS,
    )
    yield (
        "large-numbers",
        lambda: always(200, b'{"metadata":{"collectionTotal":1e999},"resources":[-1e999]}'),
        FAILS,
    )
    yield "long-numbers", lambda: always(200, b'{"metadata":{"collectionTotal":' + b"9" * MIB + b"}}"), FAILS
    yield (
        "numbers-of-4300-digits",
        lambda: always(200, b'{"metadata":{"collectionTotal":' + b"9" * 4300 + b"}}"),
        FAILS,
    )
    yield (
        "names-of-the-language",
        lambda: always(200, b'{"__proto__":{"id":"a"},"__class__":"b","resources":[{"__dict__":{}}]}'),
        FAILS,
    )
    yield (
        "doubled-members",
        lambda: always(200, b'{"resources":[],"resources":[{"id":7},{}],"resources":{}}'),
        FAILS,
    )
    yield "utf-16", lambda: always(400, reason("X_ERR").decode().encode("utf-16")), FAILS
    yield "no-utf-8", lambda: always(400, b'{"resources":[{"errorMsg":"\xff\xfe"}]}'), FAILS
    yield "pages", lambda: always(200, b"<html>" + b"<b>x</b>" * (MIB - 9), "text/html"), FAILS


def heads() -> Iterator[tuple[str, Callable[[], Behaviour], int]]:
    """Yield what is wrong with a head."""
    yield (
        "many-headers",
        lambda: sends(_OK + b"".join(b"x-%d: y\r\n" % n for n in range(10_000)) + b"\r\n"),
        FAILS,
    )
    yield (
        "long-header",
        lambda: sends(_OK + b"x: " + b"y" * (64 * 1024) + b"\r\ncontent-length: 0\r\n\r\n"),
        FAILS,
    )
    yield "header-without-end", lambda: sends(_OK + b"x: ", again=b"y" * MIB), FAILS
    yield "name-without-end", lambda: sends(_OK, again=b"y" * MIB), FAILS
    yield "headers-without-end", lambda: sends(_OK, again=b"x: y\r\n" * 99_999), FAILS
    yield "phrase-without-end", lambda: sends(b"HTTP/1.1 200 ", again=b"O" * MIB), FAILS
    yield "trailers-without-end", lambda: sends(_CHUNKED + b"0\r\n", again=b"x: y\r\n" * 99_999), FAILS
    yield "extension-without-end", lambda: sends(_CHUNKED + b"1;", again=b"x" * MIB), FAILS
    yield "informed-without-end", lambda: sends(again=b"HTTP/1.1 100 Continue\r\n\r\n" * 9999), FAILS
    yield (
        "early-hints-without-end",
        lambda: sends(again=b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 999),
        FAILS,
    )
    yield (
        "year-of-twenty-digits",
        lambda: always(200, b"{}", date=f"Mon, 01 Jan {9:020d} 00:00:00 GMT"),
        FAILS,
    )
    yield (
        "offset-of-ten-digits",
        lambda: always(200, b"{}", date="Mon, 01 Jan 2024 00:00:00 +9999999999"),
        FAILS,
    )
    yield "last-second-of-all", lambda: always(200, b"{}", date="Fri, 31 Dec 9999 23:59:59 GMT"), FAILS
    yield "number-of-one-sign", lambda: sends(message(200, b"{}", key_total="\xb2")), FAILS
    yield "not-modified-with-a-body", lambda: sends(message(304, b'{"resources":[]}')), FAILS
    yield (
        "cookies",
        lambda: sends(_OK + b"set-cookie: a=b; domain=.test\r\n" * 50 + b"content-length: 2\r\n\r\n{}"),
        FAILS,
    )
    yield "negative-length", lambda: sends(_OK + b"content-length: -1\r\n\r\n{}"), FAILS
    yield "two-lengths", lambda: sends(_OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{} "), FAILS
    yield "huge-length", lambda: sends(_OK + b"content-length: 999999999999\r\n\r\n{}"), UNSURE
    yield "huge-chunk", lambda: sends(_CHUNKED + b"fffffffffffffff\r\n", again=b"x" * MIB), FAILS
    yield "no-status", lambda: sends(b"HTTP/1.1 999999 Odd\r\n\r\n"), FAILS
    yield (
        "another-protocol",
        lambda: sends(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxyz"),
        FAILS,
    )
    yield "no-http", lambda: sends(b"SSH-2.0-OpenSSH_9.9\r\n", closes=True), FAILS
    # Its envelope breaks the schema besides.
    yield "patience", lambda: always(429, reason("X"), retry_after="1" + "0" * 400), FAILS
    yield "more-than-one", lambda: sends(message(200, b"{}") * 1000, closes=True), FAILS


def silences() -> Iterator[tuple[str, Callable[[], Behaviour], int]]:
    """Yield ways to give no complete answer."""
    yield "reset", lambda: reset, UNSURE
    yield "closed", sends, UNSURE
    yield "cut", lambda: sends(_OK + b"content-length: 99\r\n\r\n{}"), UNSURE
    yield "drip", lambda: drip, UNSURE
    yield "hang", lambda: hang, UNSURE
    yield "maintenance", lambda: always(503, b"<html>", "text/html"), UNSURE


MODES: Mapping[str, tuple[Callable[[], Behaviour], int]] = {
    name: (behaviour, code) for name, behaviour, code in (*bodies(), *heads(), *silences())
}
OF_ISSUERS = (
    "gzip-bomb",
    "gzip-gzip-bomb",
    "many-objects",
    "long-text",
    "without-end",
    "header-without-end",
    "half-a-surrogate",
    "large-numbers",
    "hang",
)
