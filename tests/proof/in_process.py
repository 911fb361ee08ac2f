"""The reference answered in process: the same application and the same engine, without sockets between them.

A kill matrix is some hundred runs of the whole suite, and on a socket most of the time goes into waiting for the other
thread. `InProcess` therefore takes the place of the two transports that the engine uses (its own, and httpx's for the
control path), and hands each request to the reference's ASGI application on an event loop of its own, as uvicorn would.
"""

from __future__ import annotations

import asyncio
import threading
import tomllib
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import TimeoutError as TookTooLongError
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any
from unittest import mock

import httpx

from kms_conformance.target.target import Target, build_target
from kms_reference.key_protect.app import TRANSPORT, KeyProtect
from kms_reference.server import Server
from kms_reference.target import target_text

_LONGEST = 60.0
_HOSTS: dict[bytes, Any] = {}


class _Loop:
    """One event loop for all endpoints of this process.

    Nearly every request is answered without waiting for anything, and a step into another thread takes longer than the
    whole answer; so the caller's thread takes the first step, and only what then really waits goes on in the loop's own.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = threading.Lock()

    def run(self, work: Coroutine[Any, Any, None], patience: float) -> None:
        """Run a coroutine to its end; raise :class:`TookTooLongError` when it does not end in time."""
        with self._turn:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="in-process", daemon=True).start()
            loop = self._loop
            asyncio._set_running_loop(loop)
            try:
                waits_for = work.send(None)
            except StopIteration:
                return
            finally:
                asyncio._set_running_loop(None)
        asyncio.run_coroutine_threadsafe(self._rest(work, waits_for), loop).result(patience)

    async def _rest(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        await _Rest(work, waits_for, self._turn)


class _Rest:
    """What is left of a coroutine that has begun elsewhere. One at a time takes a step, as on one loop."""

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any, turn: threading.Lock) -> None:
        self._work, self._waits_for, self._turn = work, waits_for, turn

    def __await__(self) -> Generator[Any, None, None]:
        while True:
            yield self._waits_for
            with self._turn:
                try:
                    self._waits_for = self._work.send(None)
                except StopIteration:
                    return


_LOOP = _Loop()


class _Cut:
    """Stands for a connection's transport: remembers that it was cut."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class InProcess(httpx.BaseTransport):
    """Answers requests from the application that is registered for their host and port."""

    def __init__(self, seconds: float = _LONGEST, **_: Any) -> None:
        """Take how long an answer may take, and ignore whatever else the transport takes whose place this is."""
        self._seconds = min(seconds, _LONGEST)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; timeouts and cut connections come as from a socket."""
        app = _HOSTS.get(request.url.netloc)
        if app is None:
            raise httpx.ConnectError(f"no endpoint {request.url.netloc!r} in this process", request=request)
        body, cut = _whole(request), _Cut()
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        try:
            _LOOP.run(app(_scope(request, cut), receive, send), self._seconds)
        except TookTooLongError:
            raise httpx.ReadTimeout("the answer was not complete in time", request=request) from None
        if cut.aborted or not messages:
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            )
        head, *chunks = messages
        return httpx.Response(
            status_code=head["status"],
            headers=[(b"date", formatdate(usegmt=True).encode()), *head["headers"]],
            stream=httpx.ByteStream(b"".join(chunk.get("body", b"") for chunk in chunks)),
        )


def _whole(request: httpx.Request) -> bytes:
    """Return the body of a request, without what its chunks are framed by."""
    body, whole = request.read(), b""
    if request.headers.get("transfer-encoding") != "chunked":
        return body
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


def _scope(request: httpx.Request, cut: _Cut) -> dict[str, Any]:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "extensions": {TRANSPORT: cut},
    }


@contextmanager
def without_sockets() -> Iterator[None]:
    """Let every client that is made in the block talk to endpoints of this process."""
    with (
        mock.patch("kms_conformance.transport.client.DeadlineTransport", InProcess),
        mock.patch("kms_conformance.run.clock.DeadlineTransport", InProcess),
        mock.patch("httpx._client.HTTPTransport", InProcess),
    ):
        yield


@contextmanager
def reference(
    *,
    defect: str | tuple[str, ...] = "",
    variation: str | tuple[str, ...] = "",
    edition: str = "page",
    restarted: bool = False,
) -> Iterator[tuple[Target, KeyProtect]]:
    """Yield the target of a reference in this process, with all its systems, and its Key Protect application.

    It listens on a socket too, for the cases that write requests by hand which no client would send.
    ``restarted`` lets it behave as after a restart, for the defects that show only then.
    """
    defects, variations = (
        [names] if isinstance(names, str) and names else list(names) for names in (defect, variation)
    )
    server = Server(edition=edition, defects=defects, variations=variations).start()
    assert server.server_state is not None
    assert server.app is not None
    server.server_state.restarted = restarted
    netloc = httpx.URL(server.base_url).netloc
    assert server._uvicorn is not None
    _HOSTS[netloc] = server._uvicorn.config.app
    try:
        target = build_target(tomllib.loads(target_text(server)), {})
        # Two processes share the machine with whatever else runs: a slow answer is no finding here.
        yield replace(target, embedded=True, timeout=_LONGEST), server.app
    finally:
        del _HOSTS[netloc]
        # Not `stop`, which waits for its thread: some hundred times a tenth of a second.
        server._uvicorn.should_exit = True
