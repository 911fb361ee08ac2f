"""A proxy before a server of AWS KMS that breaks it in one way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import httpx

Body: TypeAlias = dict[str, Any]
TIMEOUT = 30.0


@dataclass
class Exchange:
    """A request on its way, and its answer: a document, or a text in its place.

    ``memory`` is what a defect remembers between requests.
    """

    operation: str
    asked: Body
    memory: dict[str, Any]
    status: int = 200
    answer: Body = field(default_factory=dict)
    text: str = ""

    @property
    def refused(self) -> str:
        """The code of a refusal, ``""`` for a success."""
        return str(self.answer.get("__type", "")) if self.status >= 400 else ""


Change: TypeAlias = Callable[[Exchange], bool | None]
"""Before: return true where the server must not see the request, which then succeeds without effect. After: no matter."""


@dataclass(frozen=True)
class Defect:
    """One way to be broken: what is done to requests, what to answers, and the case that must fail.

    ``servers`` are those on which that case passes without the defect.
    """

    case: str
    servers: tuple[str, ...]
    before: Change | None = None
    after: Change | None = None


@contextmanager
def broken(url: str, defect: Defect) -> Iterator[str]:
    """Yield the address of a proxy before a server."""
    memory: dict[str, Any] = {}
    with httpx.Client(trust_env=False, timeout=TIMEOUT) as upstream:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                operation = self.headers.get("x-amz-target", "").rpartition(".")[2]
                asked = json.loads(content) if content else {}
                exchange = Exchange(operation, asked if isinstance(asked, dict) else {}, memory)
                if not (defect.before and defect.before(exchange)):
                    sent = json.dumps(exchange.asked).encode() if isinstance(asked, dict) else content
                    names = ("content-type", "x-amz-target", "x-amz-date", "authorization")
                    headers = {name: self.headers[name] for name in names if name in self.headers}
                    answer = upstream.post(url, content=sent, headers=headers)
                    exchange.status, exchange.text = answer.status_code, answer.text
                    exchange.answer = _document(answer.text)
                    if exchange.answer:
                        exchange.text = ""
                if defect.after:
                    defect.after(exchange)
                self._reply(exchange)

            def _reply(self, exchange: Exchange) -> None:
                text = exchange.text or (json.dumps(exchange.answer) if exchange.answer else "")
                content = text.encode()
                self.send_response(exchange.status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _document(text: str) -> Body:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
