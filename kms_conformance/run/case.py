"""What happens inside one case: requests, expectations, waits, clean-up.

A system's adapter turns its documented requests into methods on top of :class:`CaseRun`; cases call those methods
and state on each :class:`Answer` what they expect.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import AuthorError, ExitCode, JournalError, SuiteError
from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.exchange import AFTER, CLOCK, NOW, OUTAGE
from kms_conformance.judging.every_exchange import (
    OF_FORM,
    after_outage,
    of_gateway,
    of_outage,
    slowed_down,
    wire_findings,
)
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.histories import CaseHistories
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.answer import Answer
from kms_conformance.run.clock import Cancelled, TooLong
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.eligibility import demand_mode, nearest
from kms_conformance.run.late_secrets import scrub_again, scrubbed_expectation
from kms_conformance.run.outcomes import CaseStopped, Inconclusive, NotTested
from kms_conformance.target.target import READ_ONLY
from kms_conformance.transport.outage import clock_time

if TYPE_CHECKING:
    from kms_conformance.contract.rows import ReasonCode, Requirement
    from kms_conformance.evidence.exchange import Exchange
    from kms_conformance.run.recording import Recording
    from kms_conformance.run.shared_clock import SharedClock
    from kms_conformance.transport.client import Reply, Request

Sent = TypeVar("Sent")


@dataclass(repr=False)
class CaseRun:
    """One case under way on one instance.

    It belongs to the thread that runs it; :meth:`at_once` lends it to others for a few requests, and a lock guards what
    these write. ``unjudged`` are the steps whose answers nothing was stated about yet, by exchange; ``succeeded`` what has
    succeeded (see :attr:`Answer.action`), ``unsuccessful`` what should have and has not, with its outcome; ``own_things`` the things that the case has made, with their rows in the
    journal; ``checks_not_kept`` counts answers that were judged and, because nothing was wrong with them, not kept.
    ``random_bytes`` gives, in a deferred case, the same bytes each time it is played. ``readers`` is how many clients share
    requests that only read; ``before_clean_up`` is called when the case has nothing left to do but to clean up.
    """

    context: Context
    info: CaseInfo
    instance: str
    exchanges: list[Exchange] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    succeeded: set[str] = field(default_factory=set)
    unsuccessful: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    own_things: dict[str, int] = field(default_factory=dict)
    checks_not_kept: int = 0
    clean_up: list[Callable[[], None]] = field(default_factory=list)
    readers: int = 1
    before_clean_up: Callable[[], None] = lambda: None
    started: float = field(default_factory=steady_clock.now)
    waited: float = 0.0
    ahead_at_first: float = 0.0
    recording: Recording | None = None
    random_bytes: Callable[[int], bytes] = os.urandom
    server_now: Callable[[], datetime] | None = None
    cleaning: bool = False
    substitutes: dict[str, str] = field(default_factory=dict)
    """Secrets of the case, and those that stand for them on the wire where the case is run under a view."""
    view_notes: dict[str, str] = field(default_factory=dict)
    """What the view of the case has to remember between requests."""
    stopped: BaseException | None = None
    finished: float = 0.0
    _overlaps: int = 0
    _clock: SharedClock | None = None
    _cleans_up_in_time: bool = False
    _exchanges_at_wait: int = 0
    _latest: float = math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Note how often requests have overlapped before."""
        self._overlaps = self.context.redactor.under_way.overlaps

    def send(self, request: Request) -> Answer:
        """Send a request and keep the evidence; every wire rule is judged at once."""
        if self.context.stopping.is_set() and not self.cleaning:
            raise Cancelled("the run was stopped during this case")
        if not self.cleaning or self.context.target.mode == READ_ONLY:
            demand_mode(request, self.context.target)
        if not self.cleaning:
            self.context.premises.demand(request)
        reply, exchange = self._exchange(request)
        if self.cleaning:
            # Evidence that is not judged: whoever judges the transcript again has to know.
            exchange = replace(exchange, notes={**exchange.notes, "phase": "clean-up"})
        elif OUTAGE not in exchange.notes and self._met_outage():
            exchange = replace(exchange, notes={**exchange.notes, OUTAGE: AFTER})
        with self._lock:
            self.exchanges.append(exchange)
        if not self.cleaning:
            self._judge_at_once(exchange)
        return Answer(self, reply, exchange)

    def _judge_at_once(self, exchange: Exchange) -> None:
        """Judge an exchange by the rules of every exchange; raise :class:`Inconclusive` where the service has not answered it."""
        findings = self.wire_findings(exchange)
        if of_outage(exchange):
            raise Inconclusive(f"{exchange.step}: {exchange.outcome}, so whether it was done is not known")
        if findings and after_outage(exchange):
            self._demand_no_outage(findings[0])
        with self._lock:
            self.findings += findings
        if of_gateway(exchange):
            raise Inconclusive(
                f"{exchange.step}: a gateway answered {exchange.outcome}, so whether it was done is not known"
            )
        if slowed_down(exchange, self.context.contract):
            raise Inconclusive(
                f"{exchange.step}: the endpoint limits the rate, so lower [limits] requests_per_second"
            )
        with self._lock:
            self.unjudged[exchange.id] = exchange.step

    def wire_findings(self, exchange: Exchange) -> list[Finding]:
        """Return what breaks the rules of every exchange."""
        return wire_findings(exchange, self.context.contract, self.context.schemas)

    @property
    def is_one_by_one(self) -> bool:
        """Whether requests that belong together are sent one after the other: a deferred case has to repeat their order."""
        return self.recording is not None

    def at_once(self, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Send requests, all at the same moment; return what each gives, answers mostly, in the order of the requests.

        A deferred case sends them one after the other: it has to send them in the same order again.
        """
        if self.is_one_by_one:
            return [request() for request in requests]
        client = self.context.client
        notes = client.hand_over()

        def begin(number: int, request: Callable[[], Sent]) -> Sent:
            if number == 1:
                client.take_over(notes)
            # Whoever judges again has to know which request followed which.
            with client.one_of_several(number):
                return request()

        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(begin, itertools.count(1), requests))

    def read(self, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Send requests that change nothing, in any order; return what each gives, in the order of the requests.

        An endpoint that is far away is asked by several clients, each with a share of the requests.
        """
        return self.read_by(1 if self.is_one_by_one else self.readers, requests)

    def read_by(self, readers: int, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Send requests by so many clients; the share of each depends on nothing but their numbers."""
        if readers == 1 or len(requests) < 2:  # noqa: PLR2004 - one alone has no share
            return [request() for request in requests]
        shares = [requests[start::readers] for start in range(min(readers, len(requests)))]
        answers = self.at_once([partial(_in_order, share) for share in shares])
        return [answers[place % len(shares)][place // len(shares)] for place in range(len(requests))]

    def evidence(self, exchange: Exchange) -> Exchange:
        """Return an exchange as the record has it: a case that is played again sees values of its own in it."""
        return exchange

    def clean_up_at_once(self, since: int) -> None:
        """Remove, all at the same moment, what was made since ``clean_up`` had so many entries."""
        together = self.clean_up[since:]

        def remove(undo: Callable[[], None]) -> None:
            with contextlib.suppress(Exception):  # one removal that fails must not prevent the others
                undo()

        def remove_all() -> None:
            self.at_once([partial(remove, undo) for undo in together])

        self.clean_up[since:] = [remove_all] if together else []

    def _exchange(self, request: Request) -> tuple[Reply | None, Exchange]:
        """Send a request, or take its answer from the recording of a deferred case."""
        client, recording = self.context.client, self.recording
        if recording is None or self.cleaning:
            return client.send(request, self.info.id)
        what = f"{request.method} {request.path}"
        played = recording.play_reply(what)
        if played is not None:
            return client.recorded(request, self.info.id, played)
        recording.ask(request.method, what)
        reply, exchange = client.send(request, self.info.id)
        if reply is not None:
            recording.record_reply(what, reply, exchange)
        return reply, exchange

    def wait(self, seconds: float, why: str, *, within: float | None = None) -> None:
        """Let ``seconds`` pass for this instance. ``why`` goes into the report.

        ``within`` is how many seconds after the same moment what comes next still holds: a later run that takes up a
        deferred case after that has come too late. Raises :class:`NotTested` when the operator does not allow a wait of
        that length, and :class:`AuthorError` when the case waits longer than it has declared.
        """
        if self.waited + seconds > self.info.waits:
            raise AuthorError(
                self.info.id, f"it waits {self.waited + seconds:g} s but declares @waits({self.info.waits:g})"
            )
        long = seconds > self.context.target.max_wait
        if self.recording is None or not self.recording.wait(
            seconds, why, within, self.server_now if long else None
        ):
            try:
                self._let_pass(seconds)
            except TooLong:
                raise NotTested(
                    f"needs a wait of {seconds:,.0f} s ({why}): give [control] url, raise [limits] max_wait,"
                    " or defer it with --profile nightly"
                ) from None
        self.waited += seconds
        self.context.client.note("wait", seconds)
        self._note_latest(seconds, within)

    def _note_latest(self, seconds: float, within: float | None) -> None:
        """Note until when what comes next holds: what requests take is on top of what the case waits."""
        begun = self.exchanges[self._exchanges_at_wait :]
        self._exchanges_at_wait, self._latest = len(self.exchanges), math.inf
        if within is not None and begun and self.recording is None:
            moved = seconds if self.context.target.control_url else 0.0
            self._latest = begun[0].started + within - moved

    def demand_in_time(self, exchange: Exchange) -> None:
        """Raise :class:`Inconclusive` where an answer came when what is expected of it may hold no more."""
        late = exchange.started + exchange.duration - self._latest
        if late > 0:
            self.unjudged.pop(exchange.id, None)
            raise Inconclusive(
                f"{exchange.step}: its answer came {late:.1f} s after the moment up to which it tells anything"
            )

    def _let_pass(self, seconds: float) -> None:
        """Wait, together with others where these have the same clock."""
        move = partial(self.context.clock.wait, self.instance)
        if self._clock is None or not seconds:
            move(seconds)
        else:
            self._clock.wait(seconds, move, self.context.stopping)

    def shares(self, clock: SharedClock, *, to_the_end: bool) -> None:
        """Wait together with others from now on; ``to_the_end``: the clean-up counts as a part of the case."""
        self._clock, self._cleans_up_in_time = clock, to_the_end

    def leave_clock(self) -> None:
        """Let others move the clock without regard to this case."""
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.end()

    def begin_clean_up(self) -> None:
        """Tell that the case has nothing left to do but to clean up."""
        if not self._cleans_up_in_time:
            self.leave_clock()
        self.before_clean_up()

    def now(self) -> datetime:
        """Return the instance's time."""
        if self.recording is None:
            return self._now_noted()
        event = self.recording.play("now", "")
        if event is not None:
            return datetime.fromisoformat(event["at"])
        now = self._now_noted()
        self.recording.record("now", "", at=now.isoformat())
        return now

    def _now_noted(self) -> datetime:
        """Ask the clock; note how far it was ahead when the case began, since others move the clock of a shared instance."""
        now = self.context.clock.now(self.instance)
        if not self.ahead_at_first:
            moved = self.waited if self.context.target.control_url else 0.0
            ahead = now.timestamp() - steady_clock.now() - moved
            # Clocks that tell whole seconds are up to one behind.
            self.ahead_at_first = round(ahead, 3) if abs(ahead) >= 2.0 else 0.0  # noqa: PLR2004 - as above
        self.context.client.note(NOW, now.isoformat())
        return now

    def clock_ahead(self) -> tuple[float, float]:
        """Return how far the instance's clock is ahead of ours, and by how much that may be wrong, in seconds."""
        before = steady_clock.now()
        now = self.now().timestamp()
        after = steady_clock.now()
        # Rounded and noted, so that whoever judges again reckons with the same numbers.
        ahead, unsure = round(now - (before + after) / 2, 3), round((after - before) / 2, 3)
        self.context.client.note(CLOCK, ahead, unsure)
        return ahead, unsure

    def random_secret(self, size: int) -> Secret:
        """Return ``size`` random bytes in base64, the first and the last of them not ASCII.

        Careless code drops a zero or a line break at an end: only the cases about that shall find it, not one that
        happens to draw such a byte.
        """
        octets = bytearray(self.random_bytes(size))
        for end in (0, -1) if octets else ():
            octets[end] |= 0x80
        return Secret(base64.b64encode(octets).decode())

    def judge(self, expectation: Expectation, exchange: Exchange) -> Finding | None:
        """Judge an expectation and keep it, so that the run can be judged again."""
        self.demand_in_time(exchange)
        self.unjudged.pop(exchange.id, None)
        # The evidence shows pseudonyms, so what is expected of it names them as well.
        expectation = scrubbed_expectation(expectation, self.context.redactor.without_persons)
        self.expectations.append(expectation)
        histories = CaseHistories(self.context.contract.about, self.exchanges)
        finding = judge(expectation, exchange, self.context.schemas, histories)
        if finding is not None:
            if after_outage(exchange):
                self._demand_no_outage(finding)
            self.findings.append(finding)
        return finding

    def _met_outage(self) -> bool:
        """Tell whether there was an outage after the case sent its first request."""
        return bool(self.exchanges) and self.context.client.presence.outage_since(self.started) is not None

    def _demand_no_outage(self, finding: Finding) -> None:
        """Raise :class:`Inconclusive`: what was found may be due to an outage in the middle of the case."""
        passed = self.context.client.presence.outage_since(self.started)
        when = " to ".join(clock_time(moment) for moment in passed or ())
        raise Inconclusive(
            f"after the endpoint was away ({when}): {finding.requirement}: expected {finding.expected}, got {finding.got}"
        )

    def row(self, row_id: str | None = None, code: str | None = None) -> Requirement:
        """Return the requirement that an expectation belongs to: named, or covered with this code, or the first."""
        rows = [self.context.contract.requirement(covered) for covered in self.info.covers]
        if row_id is not None:
            if row_id not in self.info.covers:
                raise AuthorError(self.info.id, f"it judges {row_id!r}, which it does not cover")
            return self.context.contract.requirement(row_id)
        return next((row for row in rows if code is not None and row.code == code), rows[0])

    def success_row(self, operation: str | None) -> Requirement:
        """Return the requirement that a success belongs to: a covered one that is no refusal, else the operation's own.

        A request that has to succeed in a case about a refusal is not charged to that refusal, nor to the case's view,
        whose row is the last: that is judged besides.
        """
        contract = self.context.contract
        covers = self.info.covers[:-1] if self.info.view else self.info.covers
        rows = [contract.requirement(covered) for covered in covers]
        own = contract.success_row(operation)
        return next((row for row in rows if row.code is None), own or rows[0])

    def law_of_view(self) -> Requirement | None:
        """Return the requirement of the view that the case is run under, once it has changed a request."""
        if not self.info.view or not any("view" in exchange.notes for exchange in self.exchanges):
            return None
        return self.context.contract.requirement(self.info.covers[-1])

    def known_code(self, code: str) -> ReasonCode:
        """Return a reason code of the contract; raise :class:`AuthorError` where it has none of this name."""
        codes = self.context.contract.codes
        if code not in codes:
            raise AuthorError(self.info.id, f"there is no reason code {code!r}{nearest(code, codes)}")
        return codes[code]

    def _scrub_again(self) -> None:
        """Replace secrets that became known since: they may stand in an answer that came earlier.

        See :mod:`kms_conformance.redaction.under_way`.
        """
        redactor = self.context.redactor
        scrub_again(self.findings, self.expectations, self.exchanges, redactor.scrub, redactor.are_clear)

    def result(self) -> CaseResult:
        """Return the result of the case, its findings ordered by exchange, so that judging again gives the same report."""
        under_way = self.context.redactor.under_way
        if under_way.overlaps != self._overlaps:
            under_way.wait(self.context.target.timeout)
            self._scrub_again()
        stopped = self._why_stopped()
        place = {exchange.id: number for number, exchange in enumerate(self.exchanges)}
        self.findings.sort(key=lambda finding: place.get(finding.exchange, len(place)))
        verdict = worst(finding.severity for finding in self.findings) if self.findings else Verdict.PASSED
        message, missing = "", ""
        if isinstance(stopped, CaseStopped):
            verdict = stopped.verdict if verdict is Verdict.PASSED else worst([verdict, stopped.verdict])
            message = self.context.redactor.scrub(str(stopped))
            missing = message if stopped.verdict is Verdict.NOT_TESTED else ""
        elif isinstance(stopped, SuiteError) and (
            stopped.exit_code is ExitCode.UNREACHABLE or isinstance(stopped, JournalError)
        ):
            # A token issuer, a control protocol or a disk that fails in mid-run is no fault of the suite.
            verdict, message = worst([verdict, Verdict.INCONCLUSIVE]), stopped.sentence
        elif stopped is not None:
            verdict, message = Verdict.ERROR, f"{type(stopped).__name__}: {stopped}"
        elif self.unjudged:
            verdict = Verdict.ERROR
            message = f"the suite built no expectation for {', '.join(self.unjudged.values())}"
        elif not self.expectations and not self.checks_not_kept:
            verdict, message = Verdict.ERROR, "the case judged nothing"
        elif self.info.view and self.law_of_view() is None:
            verdict, message = (
                Verdict.NOT_APPLICABLE,
                "no request of this case can be made in this other way here",
            )
        elif unjudged := [row for row in self.info.covers if row not in self._judged()]:
            verdict = worst([verdict, Verdict.ERROR])
            message = f"the case covers {', '.join(unjudged)} and states no expectation of it"
        if verdict in {Verdict.FAILED, Verdict.WARNED} and self.findings:
            grave = max(self.findings, key=lambda finding: finding.severity.rank)
            message = f"{grave.requirement}: expected {grave.expected}, got {grave.got}"
        return CaseResult(
            id=self.info.id,
            title=self.info.title,
            contract=self.info.contract,
            verdict=verdict,
            requirements=self.info.covers,
            message=self.context.redactor.scrub(message),
            missing=missing,
            # To the millisecond, as every output tells them: what is read back then equals what was written.
            started=round(self.started, 3),
            duration=round((self.finished or steady_clock.now()) - self.started, 3),
            waited=round(self.waited, 3),
            clock_ahead=self.ahead_at_first,
            checks=len(self.expectations) + self.checks_not_kept,
            findings=tuple(self.findings),
            exchanges=tuple(self.exchanges),
            expectations=tuple(self.expectations),
            judged=self._judged(),
            rule=self.info.rule,
            nodeid=self.info.nodeid,
            file=self.info.file,
            line=self.info.line,
        )

    def _why_stopped(self) -> BaseException | None:
        """Return why the case ended early: what it stumbles over after an answer of a broken form is no fault of the suite."""
        stopped = self.stopped
        if not isinstance(stopped, Exception) or isinstance(stopped, CaseStopped | SuiteError):
            return stopped
        broken = any(one.requirement in OF_FORM and one.severity is Verdict.FAILED for one in self.findings)
        return Inconclusive("an answer without its form kept the case from going on") if broken else stopped

    def _judged(self) -> tuple[str, ...]:
        """Return the covered rows by which some answer was judged, in the order in which the case names them."""
        named = {expectation.requirement for expectation in self.expectations}
        return tuple(row for row in self.info.covers if row in named or self.checks_not_kept)

    def let_go(self) -> None:
        """Forget all but the result: the steps of the clean-up, and what has stopped the case, refer to the case itself."""
        self.clean_up, self.stopped = [], None
        self.before_clean_up = _nothing

    def finish(self) -> None:
        """Remove what the case has made, newest first; what cannot be removed stays in the journal."""
        self.cleaning = True
        for undo in reversed(self.clean_up):
            if self.context.client.presence.gone:
                break
            # One removal that fails must not prevent the others: its row in the journal stays.
            with contextlib.suppress(Exception):
                undo()
        self.finished = steady_clock.now()


def _nothing() -> None:
    """Do nothing."""


def _in_order(requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
    return [request() for request in requests]
