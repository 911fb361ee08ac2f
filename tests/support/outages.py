"""What happens to endpoints: a served reference that is killed, restarted and stopped, and a proxy in front of it that fails."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from commands import clean_environment


class Served:
    """A reference in a process of its own, on a port that stays the same; its state is kept in a file."""

    def __init__(self, folder: Path) -> None:
        self.target_file = folder / "target.toml"
        self._data = folder / "reference.json"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it has written its target file."""
        self.target_file.unlink(missing_ok=True)
        words = ["serve", "--port", str(self.port), "--data", str(self._data)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kms_conformance", *words, "--write-target", str(self.target_file)],
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while not self.target_file.exists():
            assert time.monotonic() < until
            assert self.process.poll() is None
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it with -9, whatever is under way."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()


Decide = Callable[[str, str, int], str]
"""What happens to the n-th request with this method and path: ``pass``, ``drop``, ``stall``, ``503``, ``drip`` (the answer
comes byte by byte, too slowly), ``reset`` (its connection ends in the middle of the body), ``close`` (after the answer)."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients may be gone, and so may the endpoint."""


@contextmanager
def failing_proxy(url: str, decide: Decide) -> Iterator[str]:
    """Yield the address of a proxy in front of an endpoint, which passes some requests on and fails others."""
    there = urlsplit(url).netloc
    numbers = iter(range(1, 1_000_000))
    lock = threading.Lock()

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 1

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with lock:
                number = next(numbers)
            what = decide(self.command, self.path, number)
            if what == "stall":
                time.sleep(1.5)
            if what in {"drop", "stall"}:
                self.close_connection = True
                return
            if what == "503":
                self.answer(503, [("content-type", "text/html")], b"<html><h1>Maintenance</h1></html>")
                return
            status, headers, content = asked(there, self.command, self.path, dict(self.headers), body)
            if what in {"drip", "reset"} and self.command != "HEAD" and content:
                _break_off(self, what, status, content)
                return
            self.answer(status, [*headers, ("connection", "close")] if what == "close" else headers, content)

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = forward  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    proxy = _Quiet(("127.0.0.1", 0), Forward)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()


def asked(
    there: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Pass a request on and return the answer's status, headers and body."""
    origin = HTTPConnection(there, timeout=30)
    kept = {name: value for name, value in headers.items() if name.lower() != "host"}
    try:
        origin.request(method, path, body=body, headers=kept)
        answer = origin.getresponse()
        content = answer.read()
    finally:
        origin.close()
    own = {"content-length", "connection", "date", "server", "transfer-encoding"}
    return answer.status, [pair for pair in answer.getheaders() if pair[0].lower() not in own], content


def _break_off(handler: BaseHTTPRequestHandler, what: str, status: int, content: bytes) -> None:
    """Begin an answer that never comes to its end in time."""
    handler.close_connection = True
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n" % (status, len(content)))
        handler.wfile.flush()
        if what == "reset":
            handler.wfile.write(content[: len(content) // 2])
            handler.wfile.flush()
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        for place in range(10):
            handler.wfile.write(content[place : place + 1])
            handler.wfile.flush()
            time.sleep(0.15)
