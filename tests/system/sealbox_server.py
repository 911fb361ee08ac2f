"""A little server of the invented service that docs/add-a-system.md judges; it can be broken in named ways."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKENS = {"operator-token-of-this-example": "operator", "auditor-token-of-this-example": "auditor"}
DEFECTS = {
    "disabled-seals": "key-disabled",
    "deleted-seals": "no-such-key",
    "auditor-seals": "not-allowed",
    "opens-wrongly": "round-trip",
    "plain-errors": "wire-error-envelope",
}
"""Ways to be broken, and the row that must fail."""


class Server(ThreadingHTTPServer):
    """Keys in memory; ``seen`` are the requests that came, as method, path and caller."""

    daemon_threads = True

    def __init__(self, defect: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.defect = defect
        self.keys: dict[str, dict[str, str]] = {}
        self.seen: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        """The root of the service."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer(*self._work("GET"))

    def do_POST(self) -> None:
        """Answer."""
        self._answer(*self._work("POST"))

    def do_DELETE(self) -> None:
        """Answer."""
        self._answer(*self._work("DELETE"))

    def _work(self, method: str) -> tuple[int, Any]:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        caller = TOKENS.get(self.headers.get("x-sealbox-token", ""), "")
        self.server.seen.append((method, self.path, caller))
        if not caller:
            return self._refuse(401, "BadToken", "The token is not known.")
        steps = self.path.strip("/").split("/")
        if steps[:3] != ["v1", "team-a", "keys"]:
            return self._refuse(404, "NoSuchNamespace", "There is no such namespace.")
        return self._on_keys(method, steps[3:], body, caller)

    def _on_keys(self, method: str, steps: list[str], body: dict[str, Any], caller: str) -> tuple[int, Any]:
        keys, defect = self.server.keys, self.server.defect
        if not steps:
            if method == "GET":
                return 200, {"keys": list(keys.values())}
            key = {"id": f"k{len(self.server.seen)}", "name": body["name"], "state": "enabled"}
            keys[key["id"]] = key
            return 201, key
        if len(steps) > 1 and caller == "auditor" and defect != "auditor-seals":
            return self._refuse(403, "NotAllowed", "The caller may not do this.")
        key = keys.get(steps[0])
        if key is None and not (defect == "deleted-seals" and steps[-1] == "seal"):
            return self._refuse(404, "NoSuchKey", "There is no such key.")
        if method == "DELETE":
            del keys[steps[0]]
            return 204, None
        return self._use(key or {}, steps[-1] if len(steps) > 1 else "", body)

    def _use(self, key: dict[str, str], action: str, body: dict[str, Any]) -> tuple[int, Any]:
        defect = self.server.defect
        if action == "disable":
            key["state"] = "disabled"
            return 204, None
        if action == "seal":
            if key.get("state") == "disabled" and defect != "disabled-seals":
                return self._refuse(409, "KeyDisabled", "The key is disabled.")
            return 200, {"sealed": base64.b64encode(body["plaintext"].encode()[::-1]).decode()}
        if action == "open":
            text = base64.b64decode(body["sealed"])[::-1].decode()
            return 200, {"plaintext": text.upper() if defect == "opens-wrongly" else text}
        return 200, key

    def _refuse(self, status: int, code: str, message: str) -> tuple[int, Any]:
        if self.server.defect == "plain-errors":
            return status, {"error": {"code": code}}
        return status, {"error": {"code": code, "message": message}}

    def _answer(self, status: int, document: Any) -> None:
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if content:
            self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running(defect: str = "") -> Iterator[Server]:
    """Run a server, broken in a named way or not at all."""
    with Server(defect) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
