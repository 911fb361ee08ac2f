"""What happens inside one case: requests, expectations, waits, clean-up.

A system's adapter turns its documented requests into methods on top of :class:`CaseRun`; cases call those methods
and state on each :class:`Answer` what they expect.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import AuthorError, ExitCode, SuiteError
from kms_conformance.judging.every_exchange import of_http_layer, slowed_down, wire_findings
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.judge import MISSING, judge, pick
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.clock import TooLong
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.eligibility import nearest
from kms_conformance.run.outcomes import (
    CaseStopped,
    ConformanceFailure,
    Inconclusive,
    NotApplicable,
    NotTested,
    Planted,
)

if TYPE_CHECKING:
    from kms_conformance.contract.contract import ReasonCode, Requirement
    from kms_conformance.evidence.exchange import JSON, Exchange
    from kms_conformance.run.recording import Tape
    from kms_conformance.transport.client import Reply, Request

_FIRST_ERROR = 400


__all__ = [
    "Answer",
    "CaseInfo",
    "CaseRun",
    "CaseStopped",
    "ConformanceFailure",
    "Context",
    "Inconclusive",
    "NotApplicable",
    "NotTested",
    "Planted",
]


@dataclass
class CaseRun:
    """One case under way on one instance. Used by one thread only."""

    context: Context
    info: CaseInfo
    instance: str
    exchanges: list[Exchange] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    worked: set[str] = field(default_factory=set)
    open: dict[str, str] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    tally: int = 0  # answers that were judged and, because nothing was wrong with them, not kept
    clean_up: list[Callable[[], None]] = field(default_factory=list)
    started: float = field(default_factory=time.time)
    waited: float = 0.0
    tape: Tape | None = None
    server_now: Callable[[], datetime] | None = None
    cleaning: bool = False
    stopped: BaseException | None = None
    finished: float = 0.0

    def send(self, request: Request) -> Answer:
        """Send a request and keep the evidence; every wire rule is judged at once."""
        reply, exchange = self._exchange(request)
        if self.cleaning:
            # Evidence, but not judged: whoever judges the transcript again has to know.
            exchange = replace(exchange, notes={**exchange.notes, "phase": "clean-up"})
        self.exchanges.append(exchange)
        if not self.cleaning:
            self.findings += wire_findings(exchange, self.context.contract, self.context.schemas)
            if slowed_down(exchange, self.context.contract):
                raise Inconclusive(
                    f"{exchange.step}: the endpoint limits the rate, so lower [limits] requests_per_second"
                )
            self.open[exchange.id] = exchange.step
        return Answer(self, reply, exchange)

    def _exchange(self, request: Request) -> tuple[Reply | None, Exchange]:
        """Send a request, or take what became of it from the tape of a planted case."""
        client, tape = self.context.client, self.tape
        if tape is None or self.cleaning:
            return client.send(request, self.info.id)
        what = f"{request.method} {request.path}"
        played = tape.play_reply(what)
        if played is not None:
            return client.recorded(request, self.info.id, played)
        tape.ask(request.method, what)
        reply, exchange = client.send(request, self.info.id)
        if reply is not None:
            tape.record_reply(what, reply, exchange)
        return reply, exchange

    def wait(self, seconds: float, why: str, *, within: float | None = None) -> None:
        """Let ``seconds`` pass for this instance. ``why`` goes into the report.

        ``within`` is how many seconds after the same moment what comes next still holds: a later run that takes up a
        planted case after that has come too late. Raises :class:`NotTested` when the operator does not allow a wait of
        that length, and :class:`AuthorError` when the case waits longer than it has declared.
        """
        if self.waited + seconds > self.info.waits:
            raise AuthorError(
                self.info.id, f"it waits {self.waited + seconds:g} s but declares @waits({self.info.waits:g})"
            )
        long = seconds > self.context.target.max_wait
        if self.tape is None or not self.tape.wait(seconds, why, within, self.server_now if long else None):
            try:
                self.context.clock.wait(self.instance, seconds)
            except TooLong:
                raise NotTested(
                    f"needs a wait of {seconds:,.0f} s ({why}): give [control] url, raise [limits] max_wait,"
                    " or plant it with --profile nightly"
                ) from None
        self.waited += seconds

    def now(self) -> datetime:
        """Return the instance's time."""
        if self.tape is None:
            return self.context.clock.now(self.instance)
        event = self.tape.play("now", "")
        if event is not None:
            return datetime.fromisoformat(event["at"])
        now = self.context.clock.now(self.instance)
        self.tape.record("now", "", at=now.isoformat())
        return now

    def judge(self, expectation: Expectation, exchange: Exchange) -> Finding | None:
        """Judge an expectation now and keep it for those who judge again."""
        self.open.pop(exchange.id, None)
        self.expectations.append(expectation)
        finding = judge(expectation, exchange, self.context.schemas)
        if finding is not None:
            self.findings.append(finding)
        return finding

    def row(self, row_id: str | None = None, code: str | None = None) -> Requirement:
        """Return the requirement that an expectation belongs to: named, or covered with this code, or the first."""
        rows = [self.context.contract.requirement(covered) for covered in self.info.covers]
        if row_id is not None:
            if row_id not in self.info.covers:
                raise AuthorError(self.info.id, f"it judges {row_id!r}, which it does not cover")
            return self.context.contract.requirement(row_id)
        return next((row for row in rows if code is not None and row.code == code), rows[0])

    def known_code(self, code: str) -> ReasonCode:
        """Return a reason code of the contract; raise :class:`AuthorError` where it has none of this name."""
        codes = self.context.contract.codes
        if code not in codes:
            raise AuthorError(self.info.id, f"there is no reason code {code!r}{nearest(code, codes)}")
        return codes[code]

    def result(self) -> CaseResult:
        """Return what became of the case; its findings by exchange, so that judging again gives the same report."""
        stopped = self.stopped
        place = {exchange.id: number for number, exchange in enumerate(self.exchanges)}
        self.findings.sort(key=lambda finding: place.get(finding.exchange, len(place)))
        verdict = worst(finding.severity for finding in self.findings) if self.findings else Verdict.PASSED
        message, missing = "", ""
        if isinstance(stopped, CaseStopped):
            verdict = stopped.verdict if verdict is Verdict.PASSED else worst([verdict, stopped.verdict])
            message = self.context.redactor.scrub(str(stopped))
            missing = message if stopped.verdict is Verdict.NOT_TESTED else ""
        elif isinstance(stopped, SuiteError) and stopped.exit_code is ExitCode.UNREACHABLE:
            # A token issuer or a control protocol that fails in mid-run is no fault of the suite.
            verdict, message = worst([verdict, Verdict.INCONCLUSIVE]), stopped.sentence
        elif stopped is not None:
            verdict, message = Verdict.ERROR, f"{type(stopped).__name__}: {stopped}"
        elif self.open:
            verdict = Verdict.ERROR
            message = f"the suite built no expectation for {', '.join(self.open.values())}"
        elif not self.expectations and not self.tally:
            verdict, message = Verdict.ERROR, "the case judged nothing"
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
            started=self.started,
            duration=(self.finished or time.time()) - self.started,
            waited=self.waited,
            checks=len(self.expectations) + self.tally,
            findings=tuple(self.findings),
            exchanges=tuple(self.exchanges),
            expectations=tuple(self.expectations),
            rule=self.info.rule,
            nodeid=self.info.nodeid,
        )

    def finish(self) -> None:
        """Remove what the case has made, newest first; what cannot be removed stays in the journal."""
        self.cleaning = True
        for undo in reversed(self.clean_up):
            # One thing that resists must not keep the others: its row in the journal stays.
            with contextlib.suppress(Exception):
                undo()
        self.finished = time.time()


@dataclass(frozen=True)
class Answer:
    """An answer on which a case states what it expects. ``answer["resources.0.id"]`` reads a member."""

    case: CaseRun
    reply: Reply | None
    exchange: Exchange

    @property
    def status(self) -> int:
        """The HTTP status; 0 when no answer came."""
        return self.reply.status if self.reply else 0

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.reply is not None and self.reply.status < 300  # noqa: PLR2004 - the class of successes

    @property
    def deed(self) -> str:
        """What was asked for: a refusal needs an earlier success of the same. The operation, or what an adapter says."""
        return self.exchange.operation or ""

    @property
    def body(self) -> JSON:
        """The live body; ``None`` when it is not JSON."""
        return self.reply.body if self.reply else None

    def __getitem__(self, path: str) -> Any:
        """Return a member; raise :class:`Inconclusive` when the answer lacks it."""
        value = pick(self.body, path)
        if value is MISSING:
            raise Inconclusive(
                f"{self.exchange.step}: the answer ({self.exchange.outcome}) has no member {path}"
            )
        return (
            Secret(value)
            if isinstance(value, str)
            and path.rsplit(".", 1)[-1] in self.case.context.contract.about.get("secrets", ())
            else value
        )

    def succeeds(self, *statuses: int, requirement: str | None = None) -> Self:
        """Expect success with one of the statuses (none: those that the contract gives the operation)."""
        row = self.case.row(requirement)
        severity = row.severity if requirement else Verdict.FAILED
        self._expect(row, severity, (Outcome(statuses or self._success_statuses()),))
        self._note_success()
        return self

    def needed(self, *statuses: int) -> Self:
        """Require success as a precondition: anything else makes the case inconclusive."""
        self.case.open.pop(self.exchange.id, None)
        if self.status not in (statuses or self._success_statuses()):
            raise Inconclusive(f"precondition {self.exchange.step}: {self.exchange.outcome}")
        self._note_success()
        return self

    def is_refused(
        self,
        code: str,
        *,
        target: tuple[str, str] | None = None,
        message: str | None = None,
        control: Answer | str | None = None,
        requirement: str | None = None,
    ) -> Self:
        """Expect the refusal with this reason code: status, envelope, message and target come from the contract.

        The positive control is an earlier success of the same operation in this case; ``control`` names another
        answer, or a case, where that cannot be.
        """
        self._demand_control(control)
        known = self.case.known_code(code)
        row = self.case.row(requirement, code)
        code_at, text_at = self.case.context.contract.reason_at
        primary = Outcome(
            statuses=known.refusals,
            code=code if known.in_body else None,
            messages=(message,) if message else _texts(known),
            detail=known.detail,
            target=target or row.target or known.target,
            schema=self.case.context.contract.envelope or None,
            code_at=code_at,
            text_at=text_at,
            patterns=known.patterns,
        )
        self._expect(row, row.severity, self._alternatives(row, primary))
        return self

    def is_refused_somehow(
        self, *statuses: int, control: Answer | str | None = None, requirement: str | None = None
    ) -> Self:
        """Expect a refusal in the error envelope whose code no source fixes; no statuses means any 4xx.

        Without statuses a refusal of the HTTP layer (413 of a gateway, or any to a raw request) needs no envelope.
        """
        self._demand_control(control)
        row, contract = self.case.row(requirement), self.case.context.contract
        wanted = statuses or tuple(range(400, 500))
        allowed = self._alternatives(row, Outcome(wanted, schema=contract.envelope or None))
        opaque = tuple(status for status in wanted if status in contract.opaque)
        if opaque:
            allowed = (*allowed, Outcome(opaque))
        if not statuses and of_http_layer(self.exchange, contract):
            allowed = (*allowed, Outcome((self.status,), source="the HTTP layer answers of itself"))
        self._expect(row, row.severity, allowed)
        return self

    def shows(self, path: str, value: Any = MISSING, *, requirement: str | None = None) -> Self:
        """Expect a member, and its value where one is given."""
        return self._member(
            Member(path, "present") if value is MISSING else Member(path, "equals", value), requirement
        )

    def agrees(self, path: str, value: Any, *, requirement: str | None = None) -> Self:
        """Expect a member's value where the answer has the member at all."""
        return self._member(Member(path, "agrees", value), requirement)

    def lacks(self, path: str, *, requirement: str | None = None) -> Self:
        """Expect that a member is not there."""
        return self._member(Member(path, "absent"), requirement)

    def differs(self, path: str, value: Any, *, requirement: str | None = None) -> Self:
        """Expect a member with another value."""
        return self._member(Member(path, "differs", value), requirement)

    def lists(self, path: str, value: Any, *, requirement: str | None = None) -> Self:
        """Expect a value among those collected at a path."""
        return self._member(Member(path, "contains", value), requirement)

    def lists_not(self, path: str, value: Any, *, requirement: str | None = None) -> Self:
        """Expect that a value is not among those collected at a path."""
        return self._member(Member(path, "lacks", value), requirement)

    def holds_at_most(self, path: str, number: int, *, requirement: str | None = None) -> Self:
        """Expect a list of at most ``number`` entries."""
        return self._member(Member(path, "at-most-long", number), requirement)

    def counts(self, path: str, number: int, *, requirement: str | None = None) -> Self:
        """Expect a list of exactly ``number`` entries."""
        return self._member(Member(path, "length", number), requirement)

    def tells(self, path: str, *codes: str, requirement: str | None = None) -> Self:
        """Expect the text of one of the codes at a path, or in one of the texts collected there."""
        return self._member(Member(path, "matches", self._patterns(codes)), requirement)

    def tells_not(self, path: str, *codes: str, requirement: str | None = None) -> Self:
        """Expect the text of none of the codes at a path."""
        return self._member(Member(path, "matches-none", self._patterns(codes)), requirement)

    def matches(self, path: str, pattern: str, *, requirement: str | None = None) -> Self:
        """Expect a text in which a regular expression is found."""
        return self._member(Member(path, "matches", [pattern]), requirement)

    def matches_not(self, path: str, pattern: str, *, requirement: str | None = None) -> Self:
        """Expect no text at a path in which a regular expression is found."""
        return self._member(Member(path, "matches-none", [pattern]), requirement)

    def fits(self, schema: str, *, requirement: str | None = None) -> Self:
        """Expect a success whose body fits a schema (a file of ``schemas/`` without its ending)."""
        row = self.case.row(requirement)
        self._expect(row, row.severity, (Outcome(self._success_statuses(), schema=schema),))
        return self

    def hides(self, what: str, secret: str, *, requirement: str | None = None) -> Self:
        """Expect that a secret, in whatever spelling, stands nowhere in the answer; ``what`` names it in reports."""
        token = self.case.context.redactor.remember(secret, what.replace(" ", "_"))
        row = self.case.row(requirement)
        self._expect(row, row.severity, (), (Member(f"the {what}", "hides", token),))
        return self

    def _patterns(self, codes: tuple[str, ...]) -> list[str]:
        known = self.case.context.contract.codes
        return [pattern for code in codes for pattern in known[code].patterns]

    def has_header(self, name: str, value: str | None = None, *, requirement: str | None = None) -> Self:
        """Expect a header, and its value where one is given."""
        return self._member(Member(name.lower(), "header", value), requirement)

    def _member(self, member: Member, requirement: str | None) -> Self:
        row = self.case.row(requirement)
        redacted = Member(member.path, member.check, self._redacted(member.value))
        self._expect(row, row.severity, (), (redacted,))
        return self

    def _redacted(self, value: Any) -> Any:
        tokens = self.case.context.redactor
        if isinstance(value, Secret):
            return tokens.remember(str(value), "secret")
        return tokens.request(value)

    def _expect(
        self,
        row: Requirement,
        severity: Verdict,
        outcomes: tuple[Outcome, ...],
        members: tuple[Member, ...] = (),
    ) -> None:
        expectation = Expectation(self.exchange.id, row.id, severity, outcomes, members)
        finding = self.case.judge(expectation, self.exchange)
        if finding is not None and severity is Verdict.FAILED:
            raise ConformanceFailure(f"{row.id}: expected {finding.expected}, got {finding.got}")

    def _demand_control(self, control: Answer | str | None) -> None:
        if isinstance(control, Answer):
            if not control.ok:
                raise Inconclusive(
                    f"the positive control {control.exchange.step}: {control.exchange.outcome}"
                )
        elif control is None and self.deed not in self.case.worked:
            raise AuthorError(
                self.case.info.id,
                f"{self.exchange.step} is expected to be refused, but never seen to succeed",
            )

    def _alternatives(self, row: Requirement, primary: Outcome) -> tuple[Outcome, ...]:
        """Return the outcome of the edition, and what the row tolerates, each with its source."""
        edition = self.case.context.edition
        fixed = row.editions.get(edition)
        documented: tuple[Outcome, ...] = ()
        if fixed is not None and fixed.get("code") is None:
            # An edition that answers otherwise does not make the page's own answer wrong.
            documented, primary = (primary,), Outcome((fixed["status"],))
        tolerated = [
            self._tolerated(accepted)
            for accepted in row.accepts
            if accepted.get("edition", edition) == edition
        ]
        return (primary, *documented, *tolerated)

    def _tolerated(self, accepted: Mapping[str, Any]) -> Outcome:
        status = accepted["status"]
        code = accepted.get("code")
        contract = self.case.context.contract
        known = contract.codes.get(code) if code else None
        code_at, text_at = contract.reason_at
        return Outcome(
            statuses=() if status is None else (status,),
            code=code if known is None or known.in_body else None,
            messages=(accepted["message"],) if "message" in accepted else _texts(known),
            detail=bool(known and known.detail),
            schema=(contract.envelope or None)
            if (status is None or status >= _FIRST_ERROR) and not accepted.get("bare")
            else None,
            source=str(accepted.get("source", "")),
            code_at=code_at,
            text_at=text_at,
            patterns=known.patterns if known else (),
        )

    def _success_statuses(self) -> tuple[int, ...]:
        operation = self.case.context.contract.operations.get(self.exchange.operation or "")
        known = tuple(status for status in (operation.statuses if operation else ()) if status < 300)  # noqa: PLR2004
        return known or (200, 201, 202, 204)

    def _note_success(self) -> None:
        if self.ok and self.deed:
            self.case.worked.add(self.deed)


def _texts(known: ReasonCode | None) -> tuple[str, ...]:
    """Return the texts that a code's message must be one of: none where no source page fixes them."""
    return known.messages if known is not None and known.documented else ()
