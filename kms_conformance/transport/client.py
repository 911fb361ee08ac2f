"""The client: sends a request, returns the live answer and the redacted exchange.

It follows no redirect, so a token never goes to another host, and reads at most a bounded body in a bounded time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from kms_conformance import __version__
from kms_conformance.contract.contract import load_contract
from kms_conformance.errors import SuiteError, UnreachableError
from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.exchange import CLIENT, GATEWAY, OUTAGE, READS, UNSURE, Exchange
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.transport.authorization import Authorizer, FinalRequest
from kms_conformance.transport.body import json_document, read_body
from kms_conformance.transport.capture import Capture
from kms_conformance.transport.concurrency_limit import ConcurrencyLimit
from kms_conformance.transport.credential_forms import CREDENTIAL, credential_form
from kms_conformance.transport.deadline import DeadlineTransport, bare_client
from kms_conformance.transport.outage import LATE, Presence, is_away, trouble_of
from kms_conformance.transport.rate_limit import RateLimit
from kms_conformance.transport.raw_socket import exchange_bytes
from kms_conformance.transport.request import Recorded, Reply, Request
from kms_conformance.transport.retry import Outages, from_gateway, gateway_pause, pause
from kms_conformance.transport.tokens import Tokens
from kms_conformance.transport.traffic import Traffic
from kms_conformance.transport.unanswered import Unanswered

if TYPE_CHECKING:
    from kms_conformance.target.target import Target

__all__ = ["Client", "Recorded", "Reply", "Request"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_IN_CHUNKS = ("transfer-encoding", "chunked")
_MADE_BY_HTTPX = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that httpx adds to a request that has none of them."""
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods with which it tells the length of no body, too."""
_LOG_HEADERS = ("httpcore", "httpx")
"""Loggers that at their debug level show headers as they come, tokens included."""


class Client:
    """Sends requests to one target; safe between threads.

    ``sent`` is how many requests have left; ``round_trip`` the shortest time in seconds that an answer has taken.
    """

    def __init__(
        self,
        target: Target,
        redactor: Redactor,
        prefix: str = "x",
        rate_limit: RateLimit | None = None,
        traffic: Traffic | None = None,
        *,
        challenge: str = "",
    ) -> None:
        self._challenge = challenge
        self.traffic = traffic or Traffic()
        self.target, self.redactor, self._prefix = target, redactor, prefix
        for name in _LOG_HEADERS:
            # Whoever runs pytest may ask for the debug level of everything.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._transport = DeadlineTransport(target.timeout, traffic=self.traffic, settings=target.connection)
        self._http = bare_client(self._transport)
        self._rate_limit = rate_limit or RateLimit(target.requests_per_second)
        self._concurrency_limit = ConcurrencyLimit()
        self.tokens = Tokens(target, self._http, redactor, self.take_turn)
        self.principal = target.system.principal
        self.authorizer = Authorizer(target, self.tokens)
        self._contract = load_contract(target.contract)
        self._capture = Capture(redactor, self._contract, self.authorizer.header)
        self._numbers, self._numbers_apart = itertools.count(1), itertools.count(1)
        self._silent = 0
        self._silence_ended = 0.0
        self.sent = 0
        self.round_trip = math.inf
        self._lock = threading.Lock()
        self._between = threading.local()
        self._outages = Outages()
        self.unanswered = Unanswered(target, self._contract.preflight, self._status_of, self.tokens.forget)
        self.tokens.is_gone = self.presence.leave
        for value, label in target.secrets().items():
            redactor.remember(value, label)

    @property
    def silent(self) -> int:
        """How many requests in a row got no answer; those that waited for it at the same time count as one."""
        return self._silent

    def wait_for_absent(self, patient: bool = True) -> None:
        """Wait for an endpoint or a token issuer that does not answer, or not: whoever looks for one wants to know at once."""
        self.unanswered.patient = patient
        self.tokens.patience = self.target.patience if patient else 0.0

    @property
    def presence(self) -> Presence:
        """Whether the endpoint is there."""
        return self.unanswered.presence

    def close(self) -> None:
        """Close every connection."""
        self.presence.stop()
        self._http.close()

    def send(self, request: Request, case: str) -> tuple[Reply | None, Exchange]:
        """Send a request; the reply is ``None`` when no complete answer came.

        A 429 is waited out as its ``Retry-After`` says (see :mod:`kms_conformance.transport.retry`); the last answer counts,
        and its exchange notes how often the request was ``throttled`` before and for how many seconds it ``waited``.
        A request that only reads is sent again, up to twice, where a gateway answered; the exchange notes what came first,
        or that its answer may not be the service's. Where the endpoint is away (:mod:`kms_conformance.transport.outage`), it
        is waited for; the exchange notes that no answer came for that reason, or may not have come for it.
        """
        with self._concurrency_limit.place():
            return self._patiently(request, case)

    def ask_once(self, request: Request, case: str) -> Exchange:
        """Send a harmless request without any patience: what is answered first counts."""
        return self._once(request, case)[1]

    def _patiently(self, request: Request, case: str) -> tuple[Reply | None, Exchange]:
        outages: list[str] = []
        waited, lost = 0.0, 0
        between = self.noted()
        for tried in itertools.count(1):
            begun = steady_clock.now()
            reply, exchange = self._once(request, case)
            exchange, again = self.unanswered.look(request, exchange, begun, lost + 1)
            if again:
                lost += 1
                continue
            if reply is None or OUTAGE in exchange.notes:
                break
            throttled = exchange.code in self._contract.throttled
            status = HTTPStatus.TOO_MANY_REQUESTS if throttled else reply.status
            wait = pause(status, reply.headers, tried - lost - len(outages))
            if wait is None and from_gateway(reply.status, reply.content):
                wait = gateway_pause(request.method, reply.headers, len(outages) + 1)
                if wait is not None:
                    outages.append(str(reply.status))
            if wait is None:
                break
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                self._concurrency_limit.refused(case)
            waited += wait
            self.traffic.waits(wait)
            time.sleep(wait)
        self._concurrency_limit.answered()
        if waited:
            notes = {
                **exchange.notes,
                "throttled": str(tried - 1 - lost - len(outages)),
                "waited": f"{waited:.3f}",
            }
            exchange = replace(exchange, notes=notes)
        if between:
            exchange = replace(exchange, notes={**exchange.notes, **between})
        return reply, self._noted(exchange, reply, outages)

    def _status_of(self, request: Request) -> int:
        """Send a request that is no evidence; return the status of its answer, 0 where no complete one came."""
        self.take_turn()
        try:
            built = self._build(request, "presence")[1]
        except SuiteError:
            built = self._build(replace(request, token=None), "presence")[1]
        try:
            with contextlib.closing(self._transport.handle_request(built)) as answer:
                return answer.status_code
        except httpx.HTTPError:
            return 0

    def _noted(self, exchange: Exchange, reply: Reply | None, outages: list[str]) -> Exchange:
        """Return the exchange with a note on the gateway's answers, where there were any."""
        note = ", ".join(outages)
        if reply is not None and exchange.sent.method not in READS:
            what = exchange.operation or f"{exchange.sent.method} {exchange.sent.path}"
            with self._lock:
                unsure = self._outages.unsure(what, gateway=from_gateway(reply.status, reply.content))
            note = UNSURE if unsure else ""
        return replace(exchange, notes={**exchange.notes, GATEWAY: note}) if note else exchange

    def count(self) -> None:
        """Count a request that has left by other means."""
        with self._lock:
            self.sent += 1

    def take_turn(self) -> None:
        """Wait for the run's rate limit, and count the request that leaves then; for those who send by other means."""
        self._rate_limit.take()
        self.traffic.sends()

    def recorded(self, request: Request, case: str, of: Recorded) -> tuple[Reply, Exchange]:
        """Return an answer of an earlier run as if it had just come; the evidence bears its true date."""
        headers, built, notes = self._build(request, case)
        if self._contract.correlation:
            headers[self._contract.correlation] = of.correlation
        return of.reply, self._evidence(
            request,
            headers,
            built,
            notes,
            case=case,
            reply=of.reply,
            trouble="",
            started=of.started,
            duration=of.duration,
        )

    def note(self, what: str, *how: Any) -> None:
        """Keep what happens between two requests of a case: the exchange of the next one tells it."""
        self._between.notes = [*getattr(self._between, "notes", ()), [what, *how]]

    def hand_over(self) -> Sequence[list[Any]]:
        """Give away what has happened in this thread since the last request: another one sends the next."""
        notes: Sequence[list[Any]] = getattr(self._between, "notes", ())
        self._between.notes = ()
        return notes

    def take_over(self, notes: Sequence[list[Any]]) -> None:
        """Take what has happened in another thread since its last request."""
        self._between.notes = notes

    @contextlib.contextmanager
    def one_of_several(self, number: int) -> Iterator[None]:
        """Note on what this thread sends that it is of one of several clients who ask at the same moment."""
        self._between.client = str(number) if number else ""
        try:
            yield
        finally:
            self._between.client = ""

    def noted(self) -> dict[str, str]:
        """Return what has happened in this thread since the last request, as a note of the next exchange."""
        notes, self._between.notes = getattr(self._between, "notes", ()), ()
        return {"before": json.dumps(notes)} if notes else {}

    def exchange_raw(self, data: bytes) -> tuple[bytes, str]:
        """Send bytes as they are to the target; return what came back, and what went wrong."""
        self.take_turn()
        url = urlsplit(self.target.base_url)
        return exchange_bytes(
            url.hostname or "",
            url.port,
            data,
            tls=url.scheme == "https",
            seconds=self.target.timeout,
            settings=self.target.connection,
        )

    def user_agent(self, case: str) -> str:
        """Return how a request of a case names its sender: suite, version, case, and the run's challenge if there is one."""
        return _agent(case, self._challenge)

    def control(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Send a request of the control protocol, which is no evidence.

        It may take as long as any other request, and waits for no other. Raises :class:`UnreachableError` where nobody
        answers it, or only a gateway.
        """
        self.note("control", method, url.removeprefix(self.target.control_url), body)
        self.take_turn()
        try:
            with self._http.stream(method, url, json=body) as answer:
                reply = httpx.Response(answer.status_code, content=read_body(answer))
        except httpx.HTTPError as error:
            raise UnreachableError(url, f"the control protocol gave no answer: {trouble_of(error)}") from None
        if is_away(reply.status_code):
            raise UnreachableError(url, f"the control protocol answers {reply.status_code}")
        self.note_made(reply)
        return reply

    def note_made(self, reply: httpx.Response) -> None:
        """Add the id of what the control protocol has made to the note of the request."""
        document = json_document(reply.content)
        if isinstance(document, dict) and isinstance(document.get("id"), str):
            *earlier, asked = self._between.notes
            self._between.notes = [*earlier, [*asked, document["id"]]]

    def _build(self, request: Request, case: str) -> tuple[dict[str, str], httpx.Request, dict[str, str]]:
        """Return the headers of a request, the request as it leaves, and notes on how it is signed."""
        correlation = self._contract.correlation
        headers = {
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "user-agent": self.user_agent(case),
            **({correlation: str(uuid.uuid4())} if correlation else {}),
            **request.headers,
        }
        content = request.raw
        if content is None and request.body is not None:
            content = _encode(request.body).encode("utf-8", "surrogatepass")
        url = _url((request.base_url or self.target.base_url) + request.path)
        params = request.params or None
        if request.token == "" and self.authorizer.signs:
            built = self._request(request.method, url, headers, params, content)
            final = FinalRequest(request.method, str(built.url), dict(built.headers), content or b"")
            added = self.authorizer.headers(request.identity or self.principal, final)
            built.headers.update(added)
            return headers | added, built, self.authorizer.notes(added)
        if request.token == "":
            headers |= self.authorizer.token_header(request.identity or self.principal)
        notes: dict[str, str] = {}
        if request.token:
            headers[self.authorizer.header] = request.token
            form = credential_form(request.token, self.tokens.held(request.identity or self.principal))
            notes = {CREDENTIAL: self.redactor.scrub(form)} if form else {}
        return headers, self._request(request.method, url, headers, params, content), notes

    def _request(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        content: bytes | None,
    ) -> httpx.Request:
        """Return a request as it leaves; its body comes in chunks where its headers say so."""
        if content and _IN_CHUNKS in {(name.lower(), value.lower()) for name, value in headers.items()}:
            with_host = {"Host": url.netloc.decode("ascii"), **headers}
            stream = httpx.ByteStream(_in_chunks(content))
            return httpx.Request(method, url, headers=with_host, params=params, stream=stream)
        if params or not url.host or not _MADE_BY_HTTPX.isdisjoint(map(str.lower, headers)):
            return httpx.Request(method, url, headers=headers, params=params, content=content)
        # The same request: httpx looks four times for headers of its own in those that it is given.
        all_headers = [("Host", url.netloc.decode("ascii")), *headers.items()]
        if content:
            all_headers.append(("Content-Length", str(len(content))))
        elif method.upper() in _WITH_LENGTH:
            all_headers.insert(1, ("Content-Length", "0"))
        request = httpx.Request(method, url, headers=all_headers, stream=httpx.ByteStream(content or b""))
        request.read()
        return request

    def _once(self, request: Request, case: str) -> tuple[Reply | None, Exchange]:
        headers, built, notes = self._build(request, case)
        self.take_turn()
        with self.redactor.under_way.stretch():
            return self._exchanged(request, headers, built, notes, case)

    def _exchanged(
        self,
        request: Request,
        headers: Mapping[str, str],
        built: httpx.Request,
        notes: Mapping[str, str],
        case: str,
    ) -> tuple[Reply | None, Exchange]:
        started, begun = steady_clock.now(), time.perf_counter()
        try:
            reply, trouble = self._read(built), ""
        except httpx.TimeoutException:
            reply, trouble = None, f"{LATE} {self.target.timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reply, trouble = None, trouble_of(error)
        ended = time.perf_counter()
        self.traffic.answered(ended - begun)
        with self._lock:
            self.sent += 1
            if reply is not None:
                self._silent = 0
                self.round_trip = min(self.round_trip, ended - begun)
            elif begun >= self._silence_ended:
                self._silent, self._silence_ended = self._silent + 1, ended
        exchange = self._evidence(
            request,
            headers,
            built,
            notes,
            case=case,
            reply=reply,
            trouble=trouble,
            started=started,
            duration=ended - begun,
        )
        return reply, exchange

    def _read(self, built: httpx.Request) -> Reply:
        # Straight to the transport: no redirects, no cookies, no retries, and half the time of a full client.
        answer = self._transport.handle_request(built)
        try:
            content = read_body(answer)
        finally:
            answer.close()
        return Reply(answer.status_code, answer.headers, json_document(content), content)

    def _number(self, case: str) -> str:
        """Return an id for an exchange; what is asked outside of any case is counted apart, as no transcript has it."""
        if "." in case:
            return f"{self._prefix}{next(self._numbers):05d}"
        return f"{self._prefix}-{next(self._numbers_apart)}"

    def _evidence(
        self,
        request: Request,
        headers: Mapping[str, str],
        built: httpx.Request,
        notes: Mapping[str, str],
        *,
        case: str,
        reply: Reply | None,
        trouble: str,
        started: float,
        duration: float,
    ) -> Exchange:
        named = (
            ("system", request.system),
            ("view", request.view),
            (CLIENT, getattr(self._between, "client", "")),
        )
        return Exchange(
            id=self._number(case),
            case=case,
            step=request.step,
            operation=request.operation,
            identity=request.identity or self.principal,
            sent=self._capture.sent(request, headers, built),
            answer=None if reply is None else self._capture.received(request, reply),
            trouble=self.redactor.scrub(trouble),
            started=started,
            duration=duration,
            notes={
                **notes,
                **{name: note for name, note in named if note},
                **self._capture.forms(request.body),
            },
        )


@lru_cache(maxsize=256)
def _agent(case: str, challenge: str) -> str:
    """Return how a case names its sender, always the same object: each of its requests keeps it."""
    asked = f" challenge/{challenge}" if challenge else ""
    return f"kms-conformance/{__version__} ({case}){asked}"


def _in_chunks(content: bytes) -> bytes:
    """Return a body in two chunks (RFC 9112, section 7.1)."""
    half = len(content) // 2
    chunks = (content[:half], content[half:])
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"


@lru_cache(maxsize=2048)
def _url(text: str) -> httpx.URL:
    """Return an address that was read before: reading one takes longer than all else of a request's making."""
    return httpx.URL(text)
