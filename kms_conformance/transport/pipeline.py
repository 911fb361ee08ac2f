"""Many requests at once over pooled connections, with as little work for each as HTTP/1.1 allows.

A full client spends more on a request than the endpoint does. Here a request is written as bytes, an answer is taken
apart by the parser of httptools, and each connection carries one request at a time. Nothing is tidied up on the way: a
path with dots or odd escapes is sent unchanged.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.body import UnfitAnswerError, beyond, unpacked
from kms_conformance.transport.deadline import acknowledge_at_once
from kms_conformance.transport.dialing import DIRECT, dial
from kms_conformance.transport.outage import LATE, NO_CONNECTION
from kms_conformance.transport.parsing import ParsedAnswer
from kms_conformance.transport.retry import from_gateway, gateway_pause, pause
from kms_conformance.transport.tls import authorities

CONNECTIONS = 16
"""Enough where the answer comes at once."""
_MOST = 64
_OWN_WORK = 0.002
"""Seconds that a request costs this process."""

Job = TypeVar("Job")
Turn: TypeAlias = Callable[[], Awaitable[None]]


def in_flight(round_trip: float, per_second: float | None) -> int:
    """Return how many requests to have under way: while one is awaited, others are made and judged.

    ``round_trip`` in seconds, infinite where nobody knows it; ``per_second`` is the rate limit, at which no more are of
    use than are on their way at that rate, and one that waits for its turn.
    """
    if not math.isfinite(round_trip):
        return CONNECTIONS
    wanted = min(max(CONNECTIONS, math.ceil(round_trip / _OWN_WORK)), _MOST)
    return wanted if not per_second else min(wanted, math.ceil(1.5 * per_second * round_trip) + 1)


@dataclass(slots=True)
class SendResult:
    """What became of a request: an answer, or in ``trouble`` why there is none. ``duration`` is seconds.

    ``again``: it left twice, as the connection broke before any answer; the first time it may have been received.
    """

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""
    duration: float = 0.0
    trouble: str = ""
    again: bool = False


@dataclass(slots=True)
class Outgoing:
    """A request as it leaves; ``target`` is path and query in ASCII."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes | None = None

    def encode(self, host: str, prefix: str) -> bytes:
        """Return the bytes of the request."""
        lines = [f"{self.method} {prefix}{self.target} HTTP/1.1", f"host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        body = self.content
        if body is not None or self.method not in {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"}:
            lines.append(f"content-length: {len(body or b'')}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class Sender:
    """Sends requests to one endpoint, and sends one again, after the wait that the answer asks for, on a 429.

    A request that only reads is sent again too where a gateway answered it (:mod:`kms_conformance.transport.retry`).
    ``waits`` is called with the seconds of each wait.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        waits: Callable[[float], None] = lambda _: None,
        settings: ConnectionSettings = DIRECT,
    ) -> None:
        self._waits, self._settings = waits, settings
        url = urlsplit(base_url)
        tls = url.scheme == "https"
        self._host, self._port = url.hostname or "", url.port or (443 if tls else 80)
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._authority = shown if url.port is None else f"{shown}:{url.port}"
        self._prefix = url.path.rstrip("/")
        self._tls = authorities(settings) if tls else None
        self._more: dict[str, str] = {}
        if not tls and settings.proxy_to(self._host) is not None:
            self._prefix = f"http://{self._authority}{self._prefix}"
            if settings.proxy_authorization:
                self._more["proxy-authorization"] = settings.proxy_authorization
        self._timeout = timeout

    def _new_connection(self) -> _Connection:
        return _Connection(self._host, self._port, self._tls, self._timeout, self._settings)

    async def _send_with_retries(
        self, connection: _Connection, outgoing: Outgoing, turn: Turn | None
    ) -> SendResult:
        outgoing = replace(outgoing, headers={**outgoing.headers, **self._more})
        content = outgoing.encode(self._authority, self._prefix)
        outages = 0
        for tried in itertools.count(1):
            if turn is not None:
                await turn()
            answer = await connection.ask(content, head=outgoing.method == "HEAD")
            headers = dict(answer.headers)
            wait = pause(answer.status, headers, tried - outages)
            if wait is None and from_gateway(answer.status, answer.content):
                outages += 1
                wait = gateway_pause(outgoing.method, headers, outages)
            if wait is None:
                break
            self._waits(wait)
            await asyncio.sleep(wait)
        return answer


class SerialSender(Sender):
    """Sends one request after the other from ordinary code, over one connection; ``take_turn`` waits for a rate limit."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        take_turn: Callable[[], None] = lambda: None,
        waits: Callable[[float], None] = lambda _: None,
        settings: ConnectionSettings = DIRECT,
    ) -> None:
        super().__init__(base_url, timeout, waits, settings)
        self._take_turn = take_turn
        self._loop = asyncio.new_event_loop()
        self._kept = self._new_connection()

    def ask(self, outgoing: Outgoing) -> SendResult:
        """Send a request and return what became of it."""
        return self._loop.run_until_complete(self._send_with_retries(self._kept, outgoing, self._turn))

    async def _turn(self) -> None:
        # Nothing else runs in this loop.
        self._take_turn()

    def close(self) -> None:
        """Close the connection."""
        self._kept.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class ParallelSender(Sender, Generic[Job]):
    """Sends jobs to one endpoint, ``connections`` at a time."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        connections: int = CONNECTIONS,
        waits: Callable[[float], None] = lambda _: None,
        settings: ConnectionSettings = DIRECT,
    ) -> None:
        super().__init__(base_url, timeout, waits, settings)
        self._connections = connections

    def run(
        self,
        jobs: Iterable[Job],
        write: Callable[[Job], Outgoing | None],
        on_result: Callable[[Job, SendResult], bool],
        turn: Turn | None = None,
    ) -> None:
        """Send every job; ``on_result`` gets each answer as it comes and returns ``False`` to send no more.

        ``write`` makes a job's request when its turn comes, or ``None`` to leave it out; ``turn`` waits for the rate
        limit. Raises what these raise.
        """
        asyncio.run(self._run(iter(jobs), write, on_result, turn))

    async def _run(
        self,
        jobs: Iterator[Job],
        write: Callable[[Job], Outgoing | None],
        on_result: Callable[[Job, SendResult], bool],
        turn: Turn | None,
    ) -> None:
        going = True

        async def work() -> None:
            nonlocal going
            connection = self._new_connection()
            try:
                while going:
                    job = next(jobs, None)
                    if job is None:
                        break
                    outgoing = write(job)
                    if outgoing is None:
                        continue
                    answer = await self._send_with_retries(connection, outgoing, turn)
                    going = on_result(job, answer) and going
            finally:
                connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(work())


class _Connection:
    """One connection, opened when needed and opened again when the other side has closed it."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        timeout: float,
        settings: ConnectionSettings = DIRECT,
    ) -> None:
        self._host, self._port, self._tls, self._settings = host, port, tls, settings
        self._timeout = timeout
        self._protocol: _HttpProtocol | None = None

    async def ask(self, content: bytes, *, head: bool) -> SendResult:
        """Send a request and wait for its answer; a connection that died while idle is replaced once."""
        begun = time.perf_counter()
        used = self._protocol is not None and self._protocol.usable
        answer = await self._once(content, head=head)
        if (
            answer.trouble
            and used
            and self._protocol is not None
            and not self._protocol.heard
            and not self._protocol.late
        ):
            self.close()
            answer = await self._once(content, head=head)
            answer.again = True
        answer.duration = time.perf_counter() - begun
        if answer.trouble:
            self.close()
        return answer

    async def _where(self) -> dict[str, Any]:
        """Return how asyncio gets to the server."""
        if self._settings.proxy_to(self._host) is None:
            return {"host": self._host, "port": self._port, "ssl": self._tls}
        way = partial(dial, self._host, self._port, self._settings, self._timeout, tls=self._tls is not None)
        line = await asyncio.get_running_loop().run_in_executor(None, way)
        line.setblocking(False)
        return {"sock": line, "ssl": self._tls, "server_hostname": self._host if self._tls else None}

    async def _once(self, content: bytes, *, head: bool) -> SendResult:
        if self._protocol is None or not self._protocol.usable:
            self.close()
            try:
                async with asyncio.timeout(self._timeout):
                    _, self._protocol = await asyncio.get_running_loop().create_connection(
                        _HttpProtocol, **await self._where()
                    )
            except TimeoutError:
                return SendResult(trouble=f"{LATE} {self._timeout:g} s")
            except OSError as error:
                return SendResult(trouble=f"{NO_CONNECTION} ({type(error).__name__})")
        return await self._protocol.send(content, self._timeout, head=head)

    def close(self) -> None:
        """Close the connection."""
        if self._protocol is not None:
            self._protocol.close()
            self._protocol = None


class _HttpProtocol(asyncio.Protocol):
    """The protocol of a connection: one request, one answer, at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._parsed = ParsedAnswer(head=False)
        self.late = False
        self._open = True

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._open and self._transport is not None and not self._transport.is_closing()

    @property
    def heard(self) -> bool:
        """Whether any byte of the answer has come."""
        return self._parsed.heard

    async def send(self, content: bytes, seconds: float, *, head: bool) -> SendResult:
        """Send a request; the answer's trouble says what went wrong."""
        assert self._transport is not None
        parsed = self._parsed = ParsedAnswer(head=head)
        self.late = False
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        alarm = loop.call_later(seconds, self._too_late, seconds)
        self._transport.write(content)
        acknowledge_at_once(self._transport.get_extra_info("socket"))
        try:
            await self._waiting
        finally:
            alarm.cancel()
            self._waiting = None
        trouble = f"{parsed.trouble} ({parsed.why})" if parsed.why else parsed.trouble
        answer = SendResult(parsed.status, parsed.headers, parsed.content, trouble=trouble)
        if not answer.trouble:
            self._unpack(answer)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody asked for end the connection."""
        if self._waiting is None or self._waiting.done():
            self.close()
            return
        self._parsed.feed(data)
        self._hand_over_if_complete()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End the answer."""
        self._open = False
        if self._waiting is not None and not self._waiting.done():
            self._parsed.ended()
            self._hand_over_if_complete()

    def _hand_over_if_complete(self) -> None:
        """Hand over the answer once it is complete."""
        if not self._parsed.reusable:
            self._open = False
        if self._parsed.trouble:
            self.close()
        if self._parsed.done and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _too_late(self, timeout: float) -> None:
        if self._waiting is not None and not self._waiting.done():
            self.late = True
            self._parsed.fail(f"{LATE} {timeout:g} s")
            self._hand_over_if_complete()

    def _unpack(self, answer: SendResult) -> None:
        codings = ",".join(value for name, value in answer.headers if name == "content-encoding")
        try:
            answer.content = unpacked(answer.content, codings)
            answer.trouble = beyond(answer.content)
        except UnfitAnswerError as error:
            answer.trouble = str(error)
        if answer.trouble:
            answer.content = b""
