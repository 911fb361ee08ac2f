"""What stands for the endpoint while a case is played again: a client that gives the recorded answers, and a clock.

Each request is held against the next recorded one; the answer is given only where it is the same request.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import httpx

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import MissingSecretError
from kms_conformance.evidence.exchange import CLIENT, GATEWAY, JSON, NOW, OUTAGE, Exchange
from kms_conformance.judging.results import CaseResult
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.clock import TooLong
from kms_conformance.run.outcomes import NotTested
from kms_conformance.target.target import Target
from kms_conformance.transport.authorization import Authorizer
from kms_conformance.transport.client import Client, Recorded, Reply, Request
from kms_conformance.transport.credential_forms import CREDENTIAL
from kms_conformance.verification.alignment import Alignment, DepartureError
from kms_conformance.verification.coherence import kind_of_control
from kms_conformance.verification.stand_ins import StandIns

_WITHHELD = "withheld"
_TOKEN = re.compile(r"<\w+:[0-9a-f]{12}>")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AGENT, _RAW, _BEFORE, _FORMS, _SIGNED = "user-agent", "raw", "before", "forms", "signed"
_CIRCUMSTANCES = frozenset({GATEWAY, OUTAGE, "throttled", "waited"})
"""Notes on how an answer came, which no case determines."""
_COMPARED_APART = frozenset({_BEFORE, _FORMS, CLIENT, _RAW, _SIGNED, CREDENTIAL})
_ENDS = re.compile(r":\w*")
"""What a form says of the ends of a secret or its spelling, which another one of the same size need not have."""
_RECKONED = 2.0
"""Seconds by which a wait may differ that a case has reckoned from what the instance's clock showed."""
SKEWED = 10.0
"""Seconds by which two clocks may be apart."""
BY_CONTROL = "of the control protocol, which answers"
_DONE, _LONGEST_MATERIAL = 200, 64
_MADE_BY_CONTROL = "00000000-0000-4000-8000-c0de00000000"
_CONTROL_NOTE = 4
"""Parts of a note on the control protocol without an id: what, method, path, body."""
_LATE = 4102444800


class RecordEndedError(Exception):
    """The case goes on where the record ends."""


class ReplayTokens:
    """A token for each identity of the target."""

    def __init__(self, target: Target, redactor: StandIns) -> None:
        self._target, self._redactor = target, redactor

    def of(self, name: str) -> Secret:
        """Return a token that stands for the identity's."""
        if name not in self._target.identities:
            raise MissingSecretError(name, "the target does not name this identity")
        value = _token(name)
        self._redactor.remember(value, "token")
        return Secret(value)

    def held(self, name: str) -> list[str]:
        """Return every token, that of an identity first."""
        return [_token(name), *(_token(other) for other in self._target.identities if other != name)]


@cache
def _token(name: str) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": name, "exp": _LATE}, {"signature": name})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


class ReplayClock:
    """Lets no time pass; ``now`` is that of the exchanges."""

    overlaps = False

    def __init__(self, target: Target) -> None:
        self.at = self.begun = self.ahead = 0.0
        self._moved = bool(target.control_url)
        self._longest = math.inf if target.control_url and target.max_wait else target.max_wait
        self.goes_on: Callable[[], bool] = lambda: True
        self.recorded: Callable[[], datetime | None] = lambda: None

    def wait(self, instance: str, seconds: float) -> None:  # noqa: ARG002 - one signature for all clocks
        """Let the time pass in thought; raise :class:`TooLong` where the case could not have gone on."""
        if seconds > self._longest and not self.goes_on():
            raise TooLong
        self.ahead += seconds

    def now(self, instance: str) -> datetime:  # noqa: ARG002 - same
        """Return what the case was told, where that can be: the time of the last exchange, what the clock was ahead at first, and the waits.

        These are the waits since then, or all where the control protocol moved the clock.
        """
        estimated = datetime.fromtimestamp(self.at, UTC) + timedelta(seconds=self.begun + self.ahead)
        recorded = self.recorded()
        is_near = recorded is not None and abs((recorded - estimated).total_seconds()) < SKEWED
        return recorded if recorded is not None and is_near else estimated

    def pass_on(self, at: float) -> None:
        """Take the time of the next exchange; what was really waited is in it."""
        self.at = at
        if not self._moved:
            self.ahead = 0.0

    def cancel(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


class ReplayClient(Client):
    """Gives the recorded answers in the place of an endpoint."""

    def __init__(
        self,
        target: Target,
        redactor: StandIns,
        clock: ReplayClock,
        recorded: Sequence[Exchange],
        case: CaseResult,
        *,
        challenge: str = "",
    ) -> None:
        super().__init__(target, redactor, challenge=challenge)
        self.tokens = ReplayTokens(target, redactor)  # type: ignore[assignment]  # gives tokens, fetches none
        self.authorizer = Authorizer(target, self.tokens)
        self._stand_ins, self._clock, self._case = redactor, clock, case
        self.left = list(recorded)
        for exchange in self.left:
            redactor.expect_forms(exchange.notes.get(_FORMS, "{}"))
        clock.goes_on = lambda: bool(self.left)
        clock.recorded = self._recorded_now
        self.alignment = Alignment()
        self.is_of_law = False
        self.refused_by_control = ""
        self.unread = 0
        self._unknown: list[Exchange] = []
        self.as_recorded: dict[str, Exchange] = {}

    def send(self, request: Request, case: str) -> tuple[Reply | None, Exchange]:
        """Return the recorded answer to a request."""
        between = json.loads(self.noted().get(_BEFORE, "[]"))
        exchange = self._take(request, case)
        recorded = json.loads(exchange.notes.get(_BEFORE, "[]"))
        self.alignment.demand(
            _with_plain_forms(between),
            _with_plain_forms(recorded),
            f"what was done before exchange {exchange.id}",
        )
        if self.is_of_law:
            self.as_recorded[exchange.id] = exchange
            exchange = self._as_anew(exchange)
        return self._reply(exchange, request), exchange

    def clock_of_record(self, ahead: float) -> tuple[float, float]:
        """Return how far the instance's clock was ahead, and by how much that may be wrong, as recorded where it is possible."""
        match self._recorded_note():
            case ["clock", int() | float() as noted, int() | float() as unsure] if (
                abs(noted - ahead) < SKEWED and 0 <= unsure < SKEWED
            ):
                return noted, unsure
        return ahead, 0.0

    def _recorded_note(self) -> Any:
        """Return what was done at this place between two requests, as the record has it, ``None`` where nothing was."""
        # What was done before several clients ask is noted with the first of them.
        client = getattr(self._between, "client", "") or ("1" if self.is_at_once else "")
        recorded = json.loads(self._next(client)[1].notes.get(_BEFORE, "[]")) if self.left else []
        number = len(getattr(self._between, "notes", ()))
        return recorded[number] if isinstance(recorded, list) and number < len(recorded) else None

    def wait_of_record(self, seconds: float) -> float:
        """Return the recorded wait in the place of one until the same moment: it was reckoned from what a clock showed."""
        match self._recorded_note():
            case ["wait", int() | float() as noted] if abs(noted - seconds) < _RECKONED:
                return noted
        return seconds

    def _as_anew(self, exchange: Exchange) -> Exchange:
        """Return an exchange with what the case has made itself: a law looks for it there."""
        sent, answer, anew = exchange.sent, exchange.answer, self.alignment.as_anew
        if answer is None:
            return exchange
        asked = replace(sent, url=_each_part(sent.url, anew), path=anew(sent.path), body=anew(sent.body))
        return replace(exchange, sent=asked, answer=replace(answer, body=anew(answer.body)))

    def recorded(self, request: Request, case: str, of: Recorded) -> tuple[Reply, Exchange]:
        """Return the recorded exchange of a request that was sent by other means."""
        return of.reply, self._take(request, case, raw=True)

    def _request(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        content: bytes | None,
    ) -> httpx.Request:
        """Return a request of which only the address is looked at, unless it has to be signed."""
        if self.authorizer.signs:
            return super()._request(method, url, headers, params, content)
        return _Unsent(url if params is None else httpx.URL(url, params=params))

    def take_turn(self) -> None:
        """Wait for nothing: no request leaves."""

    def exchange_raw(self, data: bytes) -> tuple[bytes, str]:  # noqa: ARG002 - one signature
        """Return the bytes of an answer like the next recorded one."""
        if not self.left:
            raise RecordEndedError
        answer = self.left[0].answer
        if answer is None:
            return b"", self.left[0].trouble
        content = json.dumps(self._stand_ins.live(answer.body)).encode() if answer.is_json else b""
        head = f"HTTP/1.1 {answer.status} \r\ncontent-length: {len(content)}\r\n\r\n"
        return head.encode() + content, ""

    def control(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Do what is asked in thought; where the record ends with a refusal of the control protocol, so does this."""
        asked = [method, url.removeprefix(self.target.control_url), body]
        if not self.left and self._case.verdict is Verdict.NOT_TESTED and BY_CONTROL in self._case.missing:
            self.refused_by_control = kind_of_control(asked)
            raise NotTested(self._case.missing)
        self.note("control", *asked)
        made = self._made_id()
        reply = httpx.Response(_DONE, json={"id": made or _MADE_BY_CONTROL})
        if made:
            self.note_made(reply)
        return reply

    def _made_id(self) -> str:
        """Return the id of what the control protocol has made, as the next recorded exchange names it; ``""`` for none."""
        recorded = json.loads(self.left[0].notes.get(_BEFORE, "[]")) if self.left else []
        number = len(self._between.notes) - 1
        named = number < len(recorded) and len(recorded[number]) > _CONTROL_NOTE
        return str(recorded[number][_CONTROL_NOTE]) if named else ""

    def _take(self, request: Request, case: str, *, raw: bool = False) -> Exchange:
        """Return the next recorded exchange; raise :class:`DepartureError` where it is of another request."""
        if not self.left:
            raise RecordEndedError(request.step or f"{request.method} {request.path}")
        place, exchange = self._next(getattr(self._between, "client", ""))
        self._compare(request, exchange, case, raw=raw)
        del self.left[place]
        self._clock.pass_on(exchange.started)
        self._unknown.append(exchange)
        # What one of several clients was answered may show what another one sends, who is played after it.
        if not getattr(self._between, "client", ""):
            self.know_answers()
        return exchange

    def note(self, what: str, *how: Any) -> None:
        """Keep what happens between two requests; the time was not noted where an earlier run had asked for it."""
        if what != NOW or self._recorded_now() is not None:
            super().note(what, *how)

    def _recorded_now(self) -> datetime | None:
        """Return the time that the case was told after what it has done since the last request, as the record has it."""
        try:
            what, told = self._recorded_note()
            return datetime.fromisoformat(told).astimezone(UTC) if what == NOW else None
        except (ValueError, TypeError, OverflowError):
            return None

    def know_answers(self) -> None:
        """Let everything in the answers since the last time stand for itself."""
        for exchange in self._unknown:
            if exchange.answer is not None:
                self.alignment.know(exchange.answer.body)
                self.alignment.know(dict(exchange.answer.headers))
        self._unknown.clear()

    def _next(self, client: str) -> tuple[int, Exchange]:
        """Return the next recorded exchange and its place: of this client, where several asked at the same moment."""
        for place, exchange in enumerate(self.left):
            of_client = exchange.notes.get(CLIENT, "")
            if of_client == client:
                return place, exchange
            if not of_client:
                break
        return 0, self.left[0]

    @property
    def is_at_once(self) -> bool:
        """Whether the next recorded exchange is of one of several clients."""
        return bool(self.left) and CLIENT in self.left[0].notes

    def _compare(self, request: Request, exchange: Exchange, case: str, *, raw: bool) -> None:
        sent = exchange.sent
        self._stand_ins.expect((*sent.headers.values(), sent.url, sent.path))
        headers, built, notes = self._build(request, case)
        anew = self._evidence(
            request, headers, built, notes, case=case, reply=None, trouble="", started=0.0, duration=0.0
        )
        where, sent, recorded = f"exchange {exchange.id}", anew.sent, exchange.sent
        demand = self.alignment.demand
        for name, one, other in (
            ("method", sent.method, recorded.method),
            ("step", anew.step, exchange.step),
            ("operation", anew.operation, exchange.operation),
            ("identity", anew.identity, exchange.identity),
            ("client", anew.notes.get(CLIENT, ""), exchange.notes.get(CLIENT, "")),
            ("path", sent.path, recorded.path),
            ("url", unquote(sent.url), unquote(recorded.url)),
        ):
            demand(one, other, f"the {name} of {where}")
        self._demand_notes(anew.notes, exchange.notes, where, raw=raw)
        given = {name.lower() for name in request.headers}
        # A signature depends on the time and on secrets that no record holds.
        signed = _signed(anew) | _signed(exchange)
        if bool(_signed(anew)) is not bool(_signed(exchange)) or signed & (
            sent.headers.keys() - _signed(anew)
        ):
            raise DepartureError(f"other headers of {where} are said to be signed than its request has")
        own = {self._contract.correlation, _AGENT, *signed} - given
        demand(_without(sent.headers, own), _without(recorded.headers, own), f"the headers of {where}")
        self._demand_own_headers(sent.headers, recorded.headers, given, where, raw=raw)
        demand(sent.body, recorded.body, f"the body of {where}")
        demand(sent.text, recorded.text, f"the text of {where}")
        for token, other in self.alignment.take_bound():
            self._stand_ins.stands_for(token, other)
        self._demand_forms(anew, exchange, where)
        ours, theirs = (one.secrets - _tokens_of(one.headers, signed) for one in (sent, recorded))
        self._demand_secrets(ours, theirs, where)

    def _demand_notes(
        self, anew: Mapping[str, str], recorded: Mapping[str, str], where: str, *, raw: bool
    ) -> None:
        """Hold the notes of a request against the recorded ones: some keep a rule from being judged."""
        if (_RAW in recorded) is not raw:
            said = "is said to be" if _RAW in recorded else "is not said to be"
            raise DepartureError(f"{where} {said} bytes that no client sends")
        forms = anew.get(CREDENTIAL, ""), recorded.get(CREDENTIAL, "")
        # How a token was changed, only whoever has it can tell.
        if forms[0] != forms[1] and all("lengths" in form for form in forms):
            raise DepartureError(
                f"the form of the credential of {where} is {forms[1]!r} instead of {forms[0]!r}"
            )
        ours = {name: anew[name] for name in sorted(anew) if name not in _COMPARED_APART}
        apart = _COMPARED_APART | _CIRCUMSTANCES
        theirs = {name: recorded[name] for name in sorted(recorded) if name not in apart}
        self.alignment.demand(ours, theirs, f"the notes of {where}")

    def _demand_own_headers(
        self,
        anew: Mapping[str, str],
        recorded: Mapping[str, str],
        given: set[str],
        where: str,
        *,
        raw: bool,
    ) -> None:
        """Demand the headers that the suite itself adds to each request: who asks, and an id that no other request has."""
        agent, correlation = recorded.get(_AGENT, ""), self._contract.correlation
        if _AGENT not in given and "<" not in agent and agent != anew.get(_AGENT, ""):
            raise DepartureError(f"the {_AGENT} of {where} is {agent!r} instead of {anew.get(_AGENT, '')!r}")
        if not correlation or correlation in given or raw:
            return
        if _UUID.fullmatch(recorded.get(correlation, "")) is None:
            raise DepartureError(f"the {correlation} of {where} is none that the suite makes")

    def _demand_forms(self, anew: Exchange, exchange: Exchange, where: str) -> None:
        """Hold the forms of the secrets against the recorded ones, where the case has made them itself."""
        ours, theirs = (json.loads(one.notes.get(_FORMS, "{}")) for one in (anew, exchange))
        recorded = {self.alignment.recorded.get(token, token): form for token, form in ours.items()}
        if set(recorded) != set(theirs):
            raise DepartureError(f"the forms of the secrets of {where} are not those of its request")
        for token, form in theirs.items():
            made = self.alignment.anew.get(token, token) != token
            if made and _ENDS.sub("", recorded[token]) != _ENDS.sub("", form) and not _is_long(form):
                raise DepartureError(f"the form of {token} of {where} is {form} instead of {recorded[token]}")

    def _demand_secrets(self, anew: frozenset[str], recorded: frozenset[str], where: str) -> None:
        """Hold the secrets of a request against the recorded ones; those that are shown nowhere are known by their label."""
        aligned = {self.alignment.recorded.get(token, token) for token in anew}
        ours, theirs = sorted(aligned - recorded), sorted(recorded - aligned)
        if [_label(token) for token in ours] != [_label(token) for token in theirs]:
            raise DepartureError(f"the secrets of {where} are not those of its request")
        if len(ours) == 1:
            self.alignment.demand(ours[0], theirs[0], f"the secret of {where}")

    def _reply(self, exchange: Exchange, request: Request) -> Reply | None:
        answer = exchange.answer
        if answer is None:
            return None
        body = answer.body
        if request.reading is not None:
            body = self._frame(exchange, body, request.reading)
        live = self._stand_ins.live(body)
        # No case looks at the octets of an answer.
        return Reply(answer.status, httpx.Headers(dict(answer.headers)), live, b"")

    def _frame(self, exchange: Exchange, body: JSON, reading: Callable[[JSON], JSON]) -> JSON:
        """Return the envelope around a reading; raise :class:`DepartureError` where the reading is another one."""
        frame = body.get("response") if isinstance(body, dict) else None
        if not isinstance(frame, str):
            return body
        if "<" in frame:
            if _TOKEN.search(frame) is None:
                raise DepartureError(f"the frame of exchange {exchange.id} is none")
            self.unread += 1
            return {"response": frame}
        anew = self._stand_ins.reply(reading({"response": frame}))
        self.alignment.demand(
            {name: value for name, value in anew.items() if name != _WITHHELD},
            {name: value for name, value in body.items() if name != _WITHHELD},
            f"the reading of the frame of exchange {exchange.id}",
        )
        return {"response": frame}


def _signed(exchange: Exchange) -> frozenset[str]:
    """Return the headers that a signer has added, of which only some need be there."""
    return frozenset(filter(None, exchange.notes.get(_SIGNED, "").split(",")))


class _Unsent(httpx.Request):
    """A request that never leaves."""

    def __init__(self, url: httpx.URL) -> None:
        self.url = url


def _each_part(url: str, change: Callable[[str], str]) -> str:
    """Return an address with each part of its path and query changed; what stays as it was keeps its escapes."""
    parts = re.split(r"([/?&=])", url)
    plain = [unquote(part) for part in parts]
    return "".join(
        part if (anew := change(text)) == text else quote(anew, safe="")
        for part, text in zip(parts, plain, strict=True)
    )


def _with_plain_forms(notes: Any) -> Any:
    """Return notes in which the form of packed material says only its size."""
    return [
        [note[0], {**note[1], "form": _ENDS.sub("", str(note[1]["form"]))}]
        if isinstance(note, list) and note[:1] == ["parcel"] and "form" in note[1]
        else note
        for note in notes
    ]


def _is_long(form: str) -> bool:
    """Tell whether a secret may be encrypted material, whose size depends on a key of the endpoint."""
    return int(form.partition(" ")[2]) > _LONGEST_MATERIAL


def _label(token: str) -> str:
    return token.partition(":")[0]


def _tokens_of(headers: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    """Return the tokens that stand in some headers."""
    return frozenset(token for name in names for token in _TOKEN.findall(headers.get(name, "")))


def _without(headers: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: headers[name] for name in sorted(headers) if name not in names}
