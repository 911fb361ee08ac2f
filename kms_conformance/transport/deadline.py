"""HTTP with a deadline for the whole answer.

A read timeout starts anew with each byte, so a server that drips one byte a second holds a client for hours.
Here each request has one deadline, and every read is given what is left of it.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, cast

import httpcore
import httpx

from kms_conformance.transport.tls import authorities

POOL = 256
"""More connections than 32 cases need, each with some requests at the same moment."""
_IDLE = 4.0
"""Seconds after which an idle connection is not used again: many servers close theirs after five."""


class _Deadline(float):
    """The seconds that a request may take in all, counted from now on; the pool hands it to each read and write.

    It is a number, so that whoever knows nothing of deadlines takes it for an ordinary timeout.
    """

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._at - time.monotonic()


def acknowledge_at_once(connection: socket.socket | None) -> None:
    """Have the next answer acknowledged without delay, where the system can.

    A server that writes head and body apart, and leaves Nagle's algorithm on, sends the body only when the head is
    acknowledged: 40 ms later, for every request. Linux forgets the wish, so it is told before each answer.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes end at the deadline of the request that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = timeout.left() if isinstance(timeout, _Deadline) else timeout
        if left is not None and left <= 0:
            raise httpcore.ReadTimeout("the answer was not complete in time")
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, max(timeout.left(), 0.001) if isinstance(timeout, _Deadline) else timeout)
        acknowledge_at_once(self._inner.get_extra_info("socket"))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens such connections."""

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs))


class DeadlineTransport(httpx.BaseTransport):
    """A pooled transport for :class:`httpx.Client` in which no request takes longer than some ``seconds`` in all."""

    def __init__(self, seconds: float, *, retries: int = 0) -> None:
        self._seconds = seconds
        self._pool = httpcore.ConnectionPool(
            ssl_context=authorities(),
            max_connections=POOL,
            max_keepalive_connections=POOL,
            keepalive_expiry=_IDLE,
            retries=retries,
            network_backend=_Backend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; timeouts and broken connections come as :class:`httpx.TransportError`."""
        deadline = _Deadline(self._seconds)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), deadline)
        try:
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={**request.extensions, "timeout": timeouts},
                )
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as wrong:
            raise _translated(wrong, request) from wrong
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(cast("Iterable[bytes]", answer.stream), request),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], request: httpx.Request) -> None:
        self._stream, self._request = stream, request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as wrong:
            raise _translated(wrong, self._request) from wrong

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


def _translated(wrong: Exception, request: httpx.Request) -> httpx.TransportError:
    kind: type[httpx.TransportError] = {
        httpcore.ConnectTimeout: httpx.ConnectTimeout,
        httpcore.ReadTimeout: httpx.ReadTimeout,
        httpcore.WriteTimeout: httpx.WriteTimeout,
        httpcore.PoolTimeout: httpx.PoolTimeout,
        httpcore.ConnectError: httpx.ConnectError,
        httpcore.ReadError: httpx.ReadError,
        httpcore.WriteError: httpx.WriteError,
        httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
        httpcore.LocalProtocolError: httpx.LocalProtocolError,
    }.get(type(wrong), httpx.TransportError)
    return kind(str(wrong), request=request)
