"""Bytes sent over a socket as they are, and the answers that came back: for requests that no client would send."""

from __future__ import annotations

import time
from contextlib import suppress

import httptools

from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.body import LARGEST_BODY, MOST_HEADERS
from kms_conformance.transport.dialing import DIRECT, dial
from kms_conformance.transport.tls import authorities

_SILENCE = 1.5
"""How many seconds without a byte end the answers; connecting may take twice as long."""


class RawAnswers:
    """Takes apart what came back; ``count`` answers were complete or begun, the first is kept."""

    def __init__(self, data: bytes) -> None:
        self.count, self.status = 0, 0
        self.headers: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        # What was complete before an error counts.
        with suppress(httptools.HttpParserError):
            self._parser.feed_data(data)

    @property
    def content(self) -> bytes:
        """The body of the first."""
        return b"".join(self._pieces)

    def on_message_begin(self) -> None:
        """Count an answer."""
        self.count += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the first."""
        if self.count == 1 and len(self.headers) < MOST_HEADERS:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Keep the status of the first."""
        if self.count == 1:
            self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep the body of the first."""
        if self.count == 1:
            self._pieces.append(body)


def exchange_bytes(
    host: str,
    port: int | None,
    content: bytes,
    *,
    tls: bool,
    seconds: float = 15.0,
    settings: ConnectionSettings = DIRECT,
) -> tuple[bytes, str]:
    """Send bytes and read until the other side closes, falls silent or has spoken for some ``seconds``; return what came and what went wrong."""
    context = authorities(settings) if tls else None
    received, until = bytearray(), time.monotonic() + seconds
    try:
        plain = dial(host, port or (443 if tls else 80), settings, _SILENCE * 2, tls=tls)
        with plain, context.wrap_socket(plain, server_hostname=host) if context else plain as line:
            line.settimeout(_SILENCE)
            line.sendall(content)
            while len(received) < LARGEST_BODY and time.monotonic() < until:
                piece = line.recv(65536)
                if not piece:
                    break
                received += piece
    except TimeoutError:
        return bytes(received), ""
    except OSError as error:
        return bytes(received), "" if received else f"a broken connection ({type(error).__name__})"
    return bytes(received), ""
