"""uvicorn's HTTP protocol with three additions: a way to cut a connection, JSON for unreadable requests, answers in one piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kms_reference.key_protect.app import TRANSPORT
from kms_reference.key_protect.errors import ERROR_TYPE

if TYPE_CHECKING:
    import asyncio

_HEAD: Final = b"HTTP/1.1 "
_CONTINUE: Final = b"HTTP/1.1 100 "
_BODY: Final = json.dumps(
    {
        "metadata": {"collectionType": ERROR_TYPE, "collectionTotal": 1},
        "resources": [{"errorMsg": "Bad Request: The request is not valid HTTP"}],
    }
).encode()


class _Transport:
    """A connection's transport that writes the head of an answer together with what follows it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""

    def write(self, data: bytes) -> None:
        """Write, or keep the head of an answer until its body comes."""
        if data.startswith(_HEAD) and not data.startswith(_CONTINUE) and not self._head:
            self._head = data
        else:
            data, self._head = self._head + data, b""
            self._transport.write(data)

    def flush(self) -> None:
        """Write a head that no body has followed."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close the connection, once everything is written."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """Puts the transport into the scope, and answers what is no HTTP with an error envelope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take the connection."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", _Transport(transport))

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        cast("_Transport", self.transport).flush()
        super().on_response_complete()

    def on_message_begin(self) -> None:
        """Start a request's scope."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a typed dict without room for this
        scope["extensions"] = {TRANSPORT: self.transport}

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the text is ours
        """Answer an unreadable request and close."""
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(_BODY)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + _BODY)
        self.transport.close()
