"""How a request's body is read and a reply is written, in the messages of ASGI."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kms_reference.key_protect.errors import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from kms_reference.rules import Draft

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

MAX_BODY: Final = 1 << 20
MAX_DRAINED: Final = 1 << 25
_MAX_CORRELATION: Final = 200
_TOO_LARGE: Final = "The request body is larger than 1 MiB"
_BODYLESS: Final = (204, 304)


async def read_body(receive: Receive, headers: dict[str, str]) -> bytes:
    """Return the whole body. Raises RefusalError (413), ConnectionError."""
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:18]) > MAX_DRAINED:
        raise plain(413, _TOO_LARGE, connection="close")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > MAX_DRAINED:
            raise plain(413, _TOO_LARGE, connection="close")
        # What is too large is read on but not kept: a client that still writes would not see the answer.
        if size <= MAX_BODY:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
    if size > MAX_BODY:
        raise plain(413, _TOO_LARGE)
    return b"".join(chunks)


async def write_reply(draft: Draft, request_headers: dict[str, str], method: str, send: Send) -> None:
    """Write a reply: status, headers and body; a reply to HEAD, a 204 and a 304 have no body."""
    body = draft.raw
    if body is None:
        body = b"" if draft.body is None else json.dumps(draft.body, ensure_ascii=False).encode()
    given = request_headers.get("correlation-id", "")
    echoed = given if 0 < len(given) <= _MAX_CORRELATION and given.isascii() and given.isprintable() else None
    headers = {"correlation-id": echoed or str(uuid4())}
    if body:
        headers["content-type"] = "application/json"
    headers |= draft.headers
    silent = method == "HEAD" or draft.status in _BODYLESS
    if silent:
        body = b""
    elif not draft.chunked:
        headers["content-length"] = str(len(body))
    if draft.status == HTTPStatus.NO_CONTENT:
        headers.pop("content-type", None)
    if draft.capitals:
        headers = {name.upper(): value for name, value in headers.items()}
    await send(
        {
            "type": "http.response.start",
            "status": draft.status,
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items() if v],
        }
    )
    if draft.chunked and body and not silent:
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        body = body[half:]
    await send({"type": "http.response.body", "body": body})
