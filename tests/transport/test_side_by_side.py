"""A call to the token issuer or to the control protocol that takes long keeps no other call waiting.

The server answers only when as many calls are under way at the same moment as the test makes: whoever queues one behind
another gets 503 for all of them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from runs import session_and_context

from kms_conformance.errors import SuiteError
from kms_conformance.run.context import Context
from kms_conformance.target.target import build_target
from kms_conformance.transport.client import Request

ANSWER = json.dumps({"access_token": "a-token", "expires_in": 3600, "now": "2026-01-01T00:00:00Z"}).encode()
LIST = Request("GET", "/api/v2/keys", token="a-literal-token", operation="getKeys", step="list keys")
Call = Callable[[Context], object]
CALLS: dict[str, Call] = {
    "a token": lambda context: context.client.tokens.of("manager"),
    "a token of somebody else": lambda context: context.client.tokens.of("reader"),
    "the clock of an instance": lambda context: context.clock.wait("one", 60),
    "the clock of another instance": lambda context: context.clock.wait("another", 60),
    "a fault": lambda context: context.client.control("POST", f"{context.target.control_url}/faults", {}),
    "a request": lambda context: context.client.send(LIST, "a.case"),
}


@contextmanager
def meeting_place(parties: int, seconds: float) -> Iterator[str]:
    """Serve answers to so many calls at once, and 503 to calls that are fewer after so many seconds."""
    together = threading.Barrier(parties)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.do_GET()

        def do_GET(self) -> None:
            try:
                together.wait(seconds)
            except threading.BrokenBarrierError:
                self.send_response(503)
            else:
                self.send_response(200)
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def bench(url: str) -> tuple[Any, Context]:
    """Return a session, and the context of a case, whose endpoint, issuer and control protocol are at one address."""
    document = {
        "base_url": url,
        "instance": "fresh",
        "iam": {"url": f"{url}/identity/token"},
        "control": {"url": f"{url}/_control"},
        "identities": {"manager": {"api_key": "k" * 40}, "reader": {"api_key": "r" * 40}},
    }
    return session_and_context(build_target(document, {}))


@pytest.mark.parametrize(
    "names",
    [
        ("a token", "a token of somebody else"),
        ("the clock of an instance", "the clock of another instance"),
        ("a token", "the clock of an instance", "a request"),
        tuple(CALLS),
    ],
    ids=["tokens", "clocks", "one of each", "all"],
)
def test_no_call_waits_for_another(names: tuple[str, ...]) -> None:
    """Calls of different cases are under way at the same moment, whatever they ask for."""
    with meeting_place(len(names), 20) as url:
        session, context = bench(url)
        try:
            with ThreadPoolExecutor(len(names)) as threads:
                calls = [threads.submit(CALLS[name], context) for name in names]
                answers = [call.result(30) for call in calls]
        finally:
            session.close()
    assert len(answers) == len(names)
    assert not any(getattr(answer, "status_code", 200) == 503 for answer in answers)


def test_the_meeting_place_notices() -> None:
    """A call that is alone where two are expected is refused: the test above can fail."""
    with meeting_place(2, 0.2) as url:
        session, context = bench(url)
        try:
            with pytest.raises(SuiteError):
                context.clock.wait("one", 60)
        finally:
            session.close()
