"""Servers that are no KMS, on real loopback sockets: none of them may pass a single promise.

Each answers every request in one way, whatever it is asked. They speak raw sockets, because most of them do what a
well-behaved HTTP library would refuse to do.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ENVELOPE = {
    "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
    "resources": [
        {
            "errorMsg": "Conflict: Action could not be performed on key. Please see `reasons` for more details.",
            "reasons": [
                {
                    "code": "KEY_ACTION_INVALID_STATE_ERR",
                    "message": "Key is not in a valid state.",
                    "status": 409,
                    "moreInfo": "https://cloud.ibm.com/apidocs/key-protect",
                }
            ],
        }
    ],
}
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body>It works</body></html>"


@dataclass
class Request:
    """A request as it arrived, byte by byte."""

    method: str
    path: str
    head: bytes
    body: bytes


@dataclass
class NullServer:
    """A listening socket and what arrived there."""

    url: str
    requests: list[Request] = field(default_factory=list)

    @property
    def received(self) -> bytes:
        """Everything that was sent here."""
        return b"".join(request.head + request.body for request in self.requests)


Behaviour = Callable[[socket.socket, Request, threading.Event], bool]
"""Answers one request; returns whether the connection stays open."""


def message(status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> bytes:
    """Return an HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if status != 204:
        lines.append(f"content-length: {len(body)}")
    if body:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if status == 204 else body)


def always(
    status: int, body: bytes = b"", content_type: str = "application/json", **headers: str
) -> Behaviour:
    """Answer everything in the same way."""

    def answer(connection: socket.socket, request: Request, _: threading.Event) -> bool:
        content = message(status, body, content_type, **headers)
        connection.sendall(
            content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else content
        )
        return True

    return answer


def random_bytes(connection: socket.socket, _: Request, __: threading.Event) -> bool:
    """Answer with noise that is not even HTTP."""
    connection.sendall(os.urandom(400))
    return False


def random_body(connection: socket.socket, _: Request, __: threading.Event) -> bool:
    """Answer with HTTP whose body is noise that calls itself JSON."""
    connection.sendall(message(200, os.urandom(400)))
    return True


def echo(connection: socket.socket, request: Request, _: threading.Event) -> bool:
    """Send the body of the request back, or the request itself where it has none."""
    body = request.body or json.dumps({"method": request.method, "path": request.path}).encode()
    connection.sendall(message(200, b"" if request.method == "HEAD" else body))
    return request.method != "HEAD"


def hang(_: socket.socket, __: Request, stop: threading.Event) -> bool:
    """Take the request and say nothing."""
    stop.wait(60)
    return False


def drip(connection: socket.socket, _: Request, stop: threading.Event) -> bool:
    """Send one byte a second: each arrives long before any read timeout."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
    while not stop.wait(1):
        connection.sendall(b" ")
    return False


def cut(connection: socket.socket, _: Request, __: threading.Event) -> bool:
    """Promise more than is sent, then close."""
    connection.sendall(message(200, b'{"metadata": {}, "resources": []}').replace(b"length: 3", b"length: 9"))
    return False


def redirect(to: str) -> Behaviour:
    """Send everybody to another host."""
    return always(307, b"", location=to)


NULLS: Mapping[str, Behaviour] = {
    "200-empty-object": always(200, b"{}"),
    "204": always(204),
    "400-empty-object": always(400, b"{}"),
    "401-empty-object": always(401, b"{}"),
    "404-empty-object": always(404, b"{}"),
    "500-empty-object": always(500, b"{}"),
    "409-envelope": always(409, json.dumps(ENVELOPE).encode()),
    "html": always(200, _PAGE, "text/html"),
    "random-bytes": random_bytes,
    "random-body": random_body,
    "echo": echo,
    "hang": hang,
    "drip": drip,
    "cut": cut,
}


@contextmanager
def serving(behaviour: Behaviour, host: str = "127.0.0.1") -> Iterator[NullServer]:
    """Serve on a free loopback port until the block ends."""
    stop = threading.Event()
    with socket.create_server((host, 0)) as listener:
        server = NullServer(f"http://{host}:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_accept, args=(listener, server, behaviour, stop), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def refused_address() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def _accept(listener: socket.socket, server: NullServer, behaviour: Behaviour, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, server, behaviour, stop), daemon=True).start()


def _serve(
    connection: socket.socket, server: NullServer, behaviour: Behaviour, stop: threading.Event
) -> None:
    with connection, suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        while True:
            request, rest = _read(connection, rest)
            if request is None:
                return
            server.requests.append(request)
            if not behaviour(connection, request, stop):
                return


def _read(connection: socket.socket, held: bytes) -> tuple[Request | None, bytes]:
    while b"\r\n\r\n" not in held:
        more = connection.recv(65536)
        if not more:
            return None, b""
        held += more
    head, _, held = held.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(held) < length:
        more = connection.recv(65536)
        if not more:
            return None, b""
        held += more
    method, path, *_ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
    return Request(method, path, head + b"\r\n\r\n", held[:length]), held[length:]
