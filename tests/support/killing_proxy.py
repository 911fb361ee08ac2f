"""A proxy that kills the client just before its n-th request reaches the endpoint."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from fork_server import Forked


class KillingProxy(ThreadingHTTPServer):
    """Passes requests on, and kills a process with -9 just before the n-th one reaches the endpoint.

    With ``after`` the process is killed once the n-th request has been carried out, before its answer arrives.
    """

    daemon_threads = False  # closing waits for them, so that none is cut off in the middle of a request

    def __init__(self, origin: str, at: int, *, after: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.origin, self.left, self.after = origin.removeprefix("http://"), at, after
        self.victim: subprocess.Popen[bytes] | Forked | None = None
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        """Give the running proxy."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and close what killed clients have left open."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections of a client that was killed end in the middle."""

    def kill_victim(self) -> None:
        """Kill the client with -9, and wait until it is dead."""
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; the client may be dead."""
        with contextlib.suppress(OSError):
            super().shutdown_request(request)


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5
    server: KillingProxy

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.server.lock:
            self.server.left -= 1
            is_due = self.server.left == 0
        if is_due and not self.server.after:
            self.server.kill_victim()
        origin = HTTPConnection(self.server.origin, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        try:
            origin.request(self.command, self.path, body=body, headers=headers)
            answer = origin.getresponse()
            content = answer.read()
        finally:
            origin.close()
        if is_due and self.server.after:
            self.server.kill_victim()
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {
                    "content-length",
                    "connection",
                    "date",
                    "server",
                    "transfer-encoding",
                }:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = forward  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
