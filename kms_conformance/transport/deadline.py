"""HTTP with a deadline for the whole answer, over connections that are kept.

A read timeout starts anew with each byte, so a server that drips one byte a second holds a client for hours.
Here each request has one deadline, and every read is given what is left of it. A request leaves in one piece, head and
body, and its answer is taken apart by the parser of httptools: a full client spends more on both than the endpoint does.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http.cookiejar import CookieJar
from typing import Any

import httpx

from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.body import UnfitAnswerError
from kms_conformance.transport.dialing import DIRECT, dial
from kms_conformance.transport.parsing import CUT, NOT_HTTP, ParsedAnswer
from kms_conformance.transport.tls import authorities
from kms_conformance.transport.traffic import Traffic

_IDLE = 4.0
"""Seconds after which an idle connection is not used again: many servers close theirs after five."""
_PIECE = 65536
_DISCONNECTED = "Server disconnected without sending a response."
_CUT_SHORT = "peer closed connection without sending complete message body"

Place = tuple[str, str, int]
"""Scheme, host and port."""


def acknowledge_at_once(connection: socket.socket | None) -> None:
    """Have the next answer acknowledged without delay, where the system can.

    A server that writes head and body apart, and leaves Nagle's algorithm on, sends the body only when the head is
    acknowledged: 40 ms later, for every request. Linux resets the option after a while, so it is set before each answer.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)


class _Connection:
    """One connection and the moment of its last answer (seconds, monotonic)."""

    __slots__ = ("_socket", "last")

    def __init__(
        self, place: Place, until: float, traffic: Traffic, settings: ConnectionSettings = DIRECT
    ) -> None:
        scheme, host, port = place
        self._socket = dial(host, port, settings, _left(until), tls=scheme == "https")
        self.last = time.monotonic()
        server = f"{host}:{port}"
        try:
            traffic.connected(server, self._socket.getpeername())
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                self._socket.settimeout(_left(until))
                secured = authorities(settings).wrap_socket(self._socket, server_hostname=host)
                self._socket = secured
                traffic.secured(server, secured)
        except BaseException:
            self._socket.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether another request may be sent: nothing has come unasked, not even the end."""
        if time.monotonic() - self.last > _IDLE:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def send(self, content: bytes, until: float) -> None:
        """Send a request."""
        self._socket.settimeout(_left(until))
        self._socket.sendall(content)
        acknowledge_at_once(self._socket)

    def receive(self, parsed: ParsedAnswer, until: float) -> None:
        """Read an answer to its end; raise :class:`TimeoutError` or another :class:`OSError`."""
        while not parsed.done:
            self._socket.settimeout(_left(until))
            try:
                data = self._socket.recv(_PIECE)
            except ssl.SSLEOFError:
                data = b""
            if data:
                parsed.feed(data)
            else:
                parsed.ended()
        self.last = time.monotonic()

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class DeadlineTransport(httpx.BaseTransport):
    """A transport for :class:`httpx.Client` in which no request takes longer than some ``seconds`` in all.

    Safe between threads: each request has a connection of its own as long as it needs one, and none waits for another.
    """

    def __init__(
        self, seconds: float, *, traffic: Traffic | None = None, settings: ConnectionSettings = DIRECT
    ) -> None:
        self._settings = settings
        self._traffic = traffic or Traffic()
        self._seconds = seconds
        self._idle: dict[Place, list[_Connection]] = {}
        self._lock = threading.Lock()
        self._closed = False
        authorities(settings)  # whoever has named the wrong ones is told so at once

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; timeouts and broken connections come as :class:`httpx.TransportError`."""
        until = time.monotonic() + self._seconds
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol("the URL is neither http nor https", request=request)
        place = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        content = _encoded(request, self._settings)
        connection = self._connection(place, request, until)
        parsed = ParsedAnswer(head=request.method == "HEAD")
        try:
            _exchange(connection, parsed, content, request=request, until=until)
        except BaseException:
            connection.close()
            raise
        if parsed.reusable and not self._closed:
            with self._lock:
                self._idle.setdefault(place, []).append(connection)
        else:
            connection.close()
        return httpx.Response(
            parsed.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in parsed.headers],
            stream=httpx.ByteStream(parsed.content),
            request=request,
        )

    def _connection(self, place: Place, request: httpx.Request, until: float) -> _Connection:
        """Return the connection that was used last, if it is alive, else a new one."""
        while True:
            with self._lock:
                idle = self._idle.get(place)
                kept = idle.pop() if idle else None
            if kept is None:
                break
            if kept.alive:
                return kept
            kept.close()
        try:
            return _Connection(place, until, self._traffic, self._settings)
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time", request=request) from None
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error), request=request) from error

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        with self._lock:
            kept, self._idle = [one for idle in self._idle.values() for one in idle], {}
        for connection in kept:
            connection.close()


class _NoCookies(CookieJar):
    """Keeps no cookie: what an issuer sets would come back to it, and to each other service of its host."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take nothing of an answer."""


def bare_client(transport: httpx.BaseTransport) -> httpx.Client:
    """Return a client that follows no redirect, keeps no cookie and reads no setting of its surroundings."""
    return httpx.Client(transport=transport, cookies=_NoCookies(), follow_redirects=False, trust_env=False)


def _exchange(
    connection: _Connection, parsed: ParsedAnswer, content: bytes, *, request: httpx.Request, until: float
) -> None:
    """Send a request and read its answer; what goes wrong comes in httpx's own errors."""
    try:
        try:
            connection.send(content, until)
        except TimeoutError:
            raise httpx.WriteTimeout("the request did not leave in time", request=request) from None
        except OSError:
            pass  # a server may refuse what it has not read to its end; what it has said is still there to be read
        connection.receive(parsed, until)
    except TimeoutError:
        raise httpx.ReadTimeout("the answer was not complete in time", request=request) from None
    except OSError as error:
        raise httpx.ReadError(str(error), request=request) from error
    if parsed.trouble == CUT:
        raise httpx.RemoteProtocolError(_CUT_SHORT if parsed.heard else _DISCONNECTED, request=request)
    if parsed.trouble == NOT_HTTP:
        raise httpx.RemoteProtocolError(parsed.why, request=request)
    if parsed.trouble:
        raise UnfitAnswerError(parsed.trouble, request=request)


def _encoded(request: httpx.Request, settings: ConnectionSettings) -> bytes:
    """Return the bytes of a request, head and body."""
    stream = request.stream
    assert isinstance(stream, Iterable)
    body = b"".join(stream)
    place = request.url.raw_path
    more: list[tuple[bytes, bytes]] = []
    if request.url.scheme == "http" and settings.proxy_to(request.url.host) is not None:
        place = b"http://" + request.url.netloc + place  # RFC 9112, section 3.2.2
        if settings.proxy_authorization:
            more.append((b"proxy-authorization", settings.proxy_authorization.encode("latin-1")))
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), place)]
    lines += [b"%s: %s" % header for header in (*request.headers.raw, *more)]
    head = b"".join(lines)
    if b"\r" in head or b"\n" in head or b"\0" in head:
        raise httpx.LocalProtocolError("a line break in the head of a request", request=request)
    return b"\r\n".join([*lines, b"", body])


def _left(until: float) -> float:
    """Return the seconds that are left; raise :class:`TimeoutError` where none are."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
