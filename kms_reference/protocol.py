"""uvicorn's HTTP protocol with two additions: a way to cut a connection, and JSON for unreadable requests."""

from __future__ import annotations

import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kms_reference.key_protect.app import TRANSPORT
from kms_reference.key_protect.errors import ERROR_TYPE

_BODY: Final = json.dumps(
    {
        "metadata": {"collectionType": ERROR_TYPE, "collectionTotal": 1},
        "resources": [{"errorMsg": "Bad Request: The request is not valid HTTP"}],
    }
).encode()


class Protocol(HttpToolsProtocol):
    """Puts the transport into the scope, and answers what is no HTTP with an error envelope."""

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
