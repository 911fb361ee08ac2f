"""A case played again against the recorded answers: what it then expects has to be what the record says it expected.

The case's own function runs, as it did against the endpoint, and each request that it makes is held against the next
recorded one. The expectations that it states are thereby taken anew from contract and case, and a weaker, another or a
missing one is found, as is a request that was left out, moved or put in. No request leaves.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import httpx

from kms_conformance.contract.contract import Contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import MissingSecretError
from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.evidence.serialization import to_document
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.case import CaseRun, Sent
from kms_conformance.run.cleanup import adapter_of
from kms_conformance.run.clock import TooLong
from kms_conformance.run.context import Context
from kms_conformance.run.eligibility import admit
from kms_conformance.run.journal import Journal
from kms_conformance.run.options import FuzzOptions
from kms_conformance.run.outcomes import CaseStopped, NotTested
from kms_conformance.target.target import Target
from kms_conformance.transport.authorization import Authorizer
from kms_conformance.transport.client import Client, Recorded, Reply, Request
from kms_conformance.verification.alignment import Alignment, BoundError, DepartureError
from kms_conformance.verification.installed import InstalledCase
from kms_conformance.verification.stand_ins import StandIns

CLEAN_UP, _WITHHELD = "clean-up", "withheld"
_DEPENDS = "what it asks depends on what it has seen"
_BY_CONTROL = "of the control protocol, which answers"
_DONE, _LONGEST_MATERIAL = 200, 64
_MADE_BY_CONTROL = "00000000-0000-4000-8000-c0de{:08x}"
_CONTROL_NOTE = 4
"""Parts of a note on the control protocol without an id: what, method, path, body."""
_DUE = "due "
_LATE = 4102444800


class RecordEndedError(Exception):
    """The case goes on where the record ends."""


class _Tokens:
    """A token for each identity of the target."""

    def __init__(self, target: Target, redactor: StandIns) -> None:
        self._target, self._redactor = target, redactor

    def of(self, name: str) -> Secret:
        """Return a token that stands for the identity's."""
        if name not in self._target.identities:
            raise MissingSecretError(name, "the target does not name this identity")
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": name, "exp": _LATE}, {"signature": name})
        value = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
        )
        self._redactor.remember(value, "token")
        return Secret(value)


class _Clock:
    """Lets no time pass; ``now`` is that of the exchanges."""

    overlaps = False

    def __init__(self, target: Target) -> None:
        self.at, self.ahead = 0.0, 0.0
        self._longest = math.inf if target.control_url and target.max_wait else target.max_wait
        self.goes_on: Callable[[], bool] = lambda: True

    def wait(self, instance: str, seconds: float) -> None:  # noqa: ARG002 - one signature for all clocks
        """Let the time pass in thought; raise :class:`TooLong` where the case could not have gone on."""
        if seconds > self._longest and not self.goes_on():
            raise TooLong
        self.ahead += seconds

    def now(self, instance: str) -> datetime:  # noqa: ARG002 - same
        """Return the time of the last exchange, and the waits since."""
        return datetime.fromtimestamp(self.at, UTC) + timedelta(seconds=self.ahead)

    def cancel(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is held."""


class _ReplayClient(Client):
    """Gives the recorded answers in the place of an endpoint."""

    def __init__(
        self,
        target: Target,
        redactor: StandIns,
        clock: _Clock,
        recorded: Sequence[Exchange],
        case: CaseResult,
    ) -> None:
        super().__init__(target, redactor)
        self.tokens = _Tokens(target, redactor)  # type: ignore[assignment]  # gives tokens, fetches none
        self.authorizer = Authorizer(target, self.tokens)
        self._stand_ins, self._clock, self._case = redactor, clock, case
        self.left = list(recorded)
        self.withheld = self.sent_at_once = False
        clock.goes_on = lambda: bool(self.left)
        self.at_once = 1
        self.alignment = Alignment()

    def send(self, request: Request, case: str) -> tuple[Reply | None, Exchange]:
        """Return the recorded answer to a request."""
        between = json.loads(self.noted().get("before", "[]"))
        exchange = self._take(request, case)
        recorded = json.loads(exchange.notes.get("before", "[]"))
        self.alignment.demand(between, recorded, f"what was done before exchange {exchange.id}")
        reply = self._reply(exchange, request)
        return reply, exchange

    def recorded(self, request: Request, case: str, of: Recorded) -> tuple[Reply, Exchange]:
        """Return the recorded exchange of a request that was sent by other means."""
        return of.reply, self._take(request, case)

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
        if not self.left and self._case.verdict is Verdict.NOT_TESTED and _BY_CONTROL in self._case.missing:
            raise NotTested(self._case.missing)
        self.note("control", method, url.removeprefix(self.target.control_url), body)
        made = _MADE_BY_CONTROL.format(len(self.alignment.free))
        self.alignment.free.add(made)
        reply = httpx.Response(_DONE, json={"id": made})
        if self._made_an_id():
            self.note_made(reply)
        return reply

    def _made_an_id(self) -> bool:
        """Tell whether the next recorded exchange names an id for what was asked of the control protocol."""
        recorded = json.loads(self.left[0].notes.get("before", "[]")) if self.left else []
        number = len(self._between.notes) - 1
        return number < len(recorded) and len(recorded[number]) > _CONTROL_NOTE

    def _take(self, request: Request, case: str) -> Exchange:
        """Return the next recorded exchange; raise :class:`DepartureError` where it is of another request."""
        if not self.left:
            raise RecordEndedError(request.step or f"{request.method} {request.path}")
        departures = []
        for place, exchange in enumerate(self.left[: self.at_once]):
            try:
                self._compare(request, exchange, case)
            except DepartureError as departure:
                departures.append(departure)
            else:
                del self.left[place]
                self.at_once = max(1, self.at_once - 1)
                self._clock.at, self._clock.ahead = exchange.started, 0.0
                if exchange.answer is not None:
                    self.alignment.know(exchange.answer.body)
                    self.alignment.know(dict(exchange.answer.headers))
                return exchange
        raise departures[0]

    def _compare(self, request: Request, exchange: Exchange, case: str) -> None:
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
            ("path", sent.path, recorded.path),
            ("url", unquote(sent.url), unquote(recorded.url)),
        ):
            demand(one, other, f"the {name} of {where}")
        given = {name.lower() for name in request.headers}
        own = {"correlation-id", "user-agent"} - given
        demand(_without(sent.headers, own), _without(recorded.headers, own), f"the headers of {where}")
        demand(sent.body, recorded.body, f"the body of {where}")
        demand(sent.text, recorded.text, f"the text of {where}")
        for token, other in self.alignment.recorded.items():
            self._stand_ins.stands_for(token, other)
        self._demand_forms(anew, exchange, where)
        self._demand_secrets(sent.secrets, recorded.secrets, where)

    def _demand_forms(self, anew: Exchange, exchange: Exchange, where: str) -> None:
        """Hold the forms of the secrets against the recorded ones, where the case has made them itself."""
        ours, theirs = (json.loads(one.notes.get("forms", "{}")) for one in (anew, exchange))
        recorded = {self.alignment.recorded.get(token, token): form for token, form in ours.items()}
        if set(recorded) != set(theirs):
            raise DepartureError(f"the forms of the secrets of {where} are not those of its request")
        for token, form in theirs.items():
            made = self.alignment.anew.get(token, token) != token
            if made and recorded[token] != form and not _is_long(form):
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
        content = json.dumps(live).encode() if answer.is_json else b""
        return Reply(answer.status, httpx.Headers(dict(answer.headers)), live, content)

    def _frame(self, exchange: Exchange, body: JSON, reading: Callable[[JSON], JSON]) -> JSON:
        """Return the envelope around a reading; raise :class:`DepartureError` where the reading is another one."""
        frame = body.get("response") if isinstance(body, dict) else None
        if not isinstance(frame, str):
            return body
        if _WITHHELD in body or "<" in frame:
            # Its output is kept out of the record, in whole or in part.
            self.withheld = True
        if "<" in frame:
            return {"response": frame}
        anew = self._stand_ins.reply(reading({"response": frame}))
        self.alignment.demand(
            {name: value for name, value in anew.items() if name != _WITHHELD},
            {name: value for name, value in body.items() if name != _WITHHELD},
            f"the reading of the frame of exchange {exchange.id}",
        )
        return {"response": frame}


def _is_long(form: str) -> bool:
    """Tell whether a secret may be encrypted material, whose size depends on a key of the endpoint."""
    return int(form.partition(" ")[2]) > _LONGEST_MATERIAL


def _label(token: str) -> str:
    return token.partition(":")[0]


def _without(headers: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: headers[name] for name in sorted(headers) if name not in names}


@dataclass
class _ReplayedCase(CaseRun):
    """A case under way that takes its expectations from the record where they equal its own."""

    stated: dict[str, list[Expectation]] = field(default_factory=dict)

    @property
    def is_one_by_one(self) -> bool:
        """Whether requests that belong together are taken one after the other: always."""
        return True

    def at_once(self, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Take the requests one after the other; they were answered in any order."""
        client = self.context.client
        assert isinstance(client, _ReplayClient)
        client.at_once, client.sent_at_once = len(requests), True
        return [request() for request in requests]

    def judge(self, expectation: Expectation, exchange: Exchange) -> Finding | None:
        """Judge the recorded expectation, once it is seen to be the one that the case states."""
        client = self.context.client
        assert isinstance(client, _ReplayClient)
        self.unjudged.pop(exchange.id, None)
        left = self.stated.get(exchange.id, [])
        name = f"exchange {exchange.id} ({exchange.step})"
        if not left:
            raise DepartureError(
                f"{name} lacks the expectation of {expectation.requirement}: {expectation.description()}"
            )
        recorded = left[0]
        if expectation != recorded or _types(expectation) != _types(recorded):
            client.alignment.demand(_document(expectation), _document(recorded), f"the expectation of {name}")
        del left[0]
        self.expectations.append(recorded)
        finding = judge(recorded, exchange, self.context.schemas)
        if finding is not None:
            self.findings.append(finding)
        return finding


def _types(expectation: Expectation) -> list[type]:
    """Return of which kind each value is: ``True`` equals 1."""
    return [type(member.value) for member in expectation.members]


def _document(expectation: Expectation) -> Any:
    members = [
        {"path": member.path, "check": member.check, "value": member.value} for member in expectation.members
    ]
    return {**to_document(expectation), "members": members}


@dataclass(frozen=True, slots=True)
class ReplayContext:
    """What all cases of a contract share when they are played again."""

    contract: Contract
    target: Target
    run_id: str
    edition: str
    fuzz: FuzzOptions
    interrupted: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of playing a case again: ``wrong`` sentences, or why it cannot be played again (``instead``)."""

    wrong: tuple[str, ...] = ()
    instead: str = ""


def replay(case: CaseResult, installed: InstalledCase, shared: ReplayContext) -> Replayed:
    """Play a recorded case again."""
    contract, target = shared.contract, shared.target
    redactor, clock = StandIns(contract), _Clock(target)
    judged = [exchange for exchange in case.exchanges if exchange.notes.get("phase") != CLEAN_UP]
    clock.at = judged[0].started if judged else case.started
    client = _ReplayClient(target, redactor, clock, judged, case)
    context = Context(
        contract=contract,
        target=target,
        client=client,
        clock=clock,
        journal=Journal(None, shared.run_id, lambda _: False),
        redactor=redactor,
        schemas=SchemaFiles(),
        run=shared.run_id,
        edition=shared.edition,
        fuzz=shared.fuzz,
    )
    stated: dict[str, list[Expectation]] = {}
    for expectation in case.expectations:
        stated.setdefault(expectation.exchange, []).append(expectation)
    instance = "00000000-0000-4000-8000-00000000aaaa" if target.fresh else target.instance
    run = _ReplayedCase(context, installed.info, instance, stated=stated)
    try:
        return _played(case, installed, run, client, shared)
    finally:
        client.close()
        context.journal.close()


def _played(
    case: CaseResult,
    installed: InstalledCase,
    run: _ReplayedCase,
    client: _ReplayClient,
    shared: ReplayContext,
) -> Replayed:
    try:
        departed = _departed(case, installed, run, client, shared)
    except CaseStopped as stopped:
        run.stopped, departed = stopped, None
    except Exception as error:  # noqa: BLE001 - whatever a case may raise over a value that is none
        return Replayed(instead=f"{type(error).__name__}: {error}")
    if departed is not None:
        return departed
    wrong = _left(run, client) or _compared(case, run.result())
    if wrong and _is_of_law(installed):
        return Replayed(instead=f"{_DEPENDS}, and {wrong[0]}")
    if wrong and client.withheld:
        return Replayed(instead="what a crypto unit put out is not in the record")
    if not wrong and case.verdict is Verdict.NOT_TESTED and _BY_CONTROL in case.missing:
        return Replayed(instead=f"taken as recorded: {case.missing}")
    return Replayed(wrong)


def _departed(
    case: CaseResult,
    installed: InstalledCase,
    run: _ReplayedCase,
    client: _ReplayClient,
    shared: ReplayContext,
) -> Replayed | None:
    """Run the case's function; return what to say where it does otherwise than the record, ``None`` where it does not."""
    try:
        admit(installed.info, client.target)
        installed.body(adapter_of(run.context.contract, installed.info.view)(run))
    except DepartureError as departure:
        if installed.info.view and (isinstance(departure, BoundError) or client.sent_at_once):
            # A view puts other secrets in the place of the case's own, and rewrites what leaves at once in any order.
            return Replayed(instead=f"it runs under the view {installed.info.view}, and {departure}")
        if _is_of_law(installed):
            return Replayed(instead=f"{_DEPENDS}, and {departure}")
        return Replayed((str(departure),))
    except RecordEndedError as ended:
        if _is_of_law(installed):
            return Replayed(instead=f"{_DEPENDS}, and its record ends before {str(ended)!r}")
        return _ended(case, str(ended), shared.interrupted)
    return None


def _left(run: _ReplayedCase, client: _ReplayClient) -> tuple[str, ...]:
    """Return what the record has beyond what the case does."""
    if client.left:
        first = client.left[0]
        why = f" ({run.stopped})" if run.stopped else ""
        return (f"exchange {first.id} ({first.step}) is none that the case makes{why}",)
    return tuple(
        f"exchange {exchange_id} has an expectation of {left[0].requirement} that the case does not state"
        for exchange_id, left in run.stated.items()
        if left
    )


def _is_of_law(installed: InstalledCase) -> bool:
    """Tell whether what a case asks next may depend on what it has seen, or on which of several clients was first.

    A case under a view is the case itself, whose requests are its own.
    """
    return ".laws." in installed.info.id and not installed.info.view


def _ended(case: CaseResult, step: str, interrupted: str) -> Replayed:
    """Tell whether a case may end before its end: only one that something from outside has stopped.

    A case that was not tested could otherwise have been one that failed; the others keep a run from being conformant.
    """
    stopped = case.verdict is Verdict.NOT_TESTED and interrupted
    if stopped or case.verdict in {Verdict.ERROR, Verdict.INCONCLUSIVE}:
        return Replayed(instead=f"it was stopped before its request {step!r}: {case.message}")
    return Replayed((f"its record ends before its request {step!r}",))


def _compared(case: CaseResult, anew: CaseResult) -> tuple[str, ...]:
    wrong = []
    for name in ("verdict", "title", "requirements", "rule", "missing", "checks", "judged"):
        recorded, made = getattr(case, name), getattr(anew, name)
        if recorded != made and not (name == "missing" and recorded.startswith(_DUE)):
            wrong.append(f"its {name} is {_shown(recorded)} instead of {_shown(made)}")
    # What stands before the file's name depends on the folder in which the run was started, and the judging.
    if _last(case.nodeid) != _last(anew.nodeid):
        wrong.append(f"its nodeid is {case.nodeid!r} instead of {anew.nodeid!r}")
    if abs(case.waited - anew.waited) > 0.01:  # noqa: PLR2004 - it is kept to the millisecond
        wrong.append(f"it says to have waited {case.waited:g} s, and it waits {anew.waited:g} s")
    return tuple(wrong)


def _last(nodeid: str) -> str:
    file, separator, name = nodeid.partition("::")
    return file.rpartition("/")[2] + separator + name


def _shown(value: Any) -> str:
    return str(value.value) if isinstance(value, Verdict) else repr(value)
