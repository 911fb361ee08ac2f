"""What a case states about an answer: each statement becomes an expectation, judged at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import AuthorError
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.every_exchange import needs_no_envelope
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.refusals import alternatives, refusal, success_statuses
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.comparable import hidden_text
from kms_conformance.run.outcomes import ConformanceFailure, Inconclusive

if TYPE_CHECKING:
    from kms_conformance.contract.rows import ReasonCode, Requirement
    from kms_conformance.evidence.exchange import JSON, Exchange
    from kms_conformance.judging.results import Finding
    from kms_conformance.run.context import CaseInfo, Context
    from kms_conformance.transport.client import Reply

_ANY_REFUSAL = tuple(range(400, 500))
"""One for all: every case that expects some refusal keeps what it has expected."""
Rows: TypeAlias = str | tuple[str, ...] | None
"""The covered rows that a statement belongs to: one, several, or the first."""


class CaseUnderWay(Protocol):
    """What an answer needs of the case that it belongs to."""

    context: Context
    info: CaseInfo
    unjudged: dict[str, str]
    succeeded: set[str]
    unsuccessful: dict[str, str]
    substitutes: dict[str, str]

    def row(self, row_id: str | None = None, code: str | None = None) -> Requirement:
        """Return the requirement that an expectation belongs to."""

    def success_row(self, operation: str | None) -> Requirement:
        """Return the requirement that a success of an operation belongs to."""

    def law_of_view(self) -> Requirement | None:
        """Return the requirement of the view that the case is run under, once it has changed a request."""

    def known_code(self, code: str) -> ReasonCode:
        """Return a reason code of the contract."""

    def judge(self, expectation: Expectation, exchange: Exchange) -> Finding | None:
        """Judge an expectation and keep it."""


@dataclass(frozen=True)
class Answer:
    """An answer on which a case states what it expects. ``answer["resources.0.id"]`` reads a member."""

    case: CaseUnderWay
    reply: Reply | None
    exchange: Exchange
    equivalent: tuple[int, ...] = ()
    """Statuses of success that stand for each other: the request was made in another way."""
    usual_operation: str = ""
    """The operation that the case has called, where the request was sent in another form."""
    is_proof: bool = False

    @property
    def proof(self) -> Self:
        """The same answer, to prove that an earlier success has really happened.

        What is stated of it fails the case whatever the level of its row: a feature may be optional, that its success
        is true is not.
        """
        return replace(self, is_proof=True)

    @property
    def status(self) -> int:
        """The HTTP status; 0 when no answer came."""
        return self.reply.status if self.reply else 0

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.reply is not None and self.reply.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def action(self) -> str:
        """The action: a refusal needs an earlier success of the same one. The operation, or what an adapter names."""
        return self.usual_operation or self.exchange.operation or ""

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

    def succeeds(self, *statuses: int, requirement: Rows = None) -> Self:
        """Expect success with one of the statuses (none: those that the contract gives the operation)."""
        self._expect_success(requirement, (Outcome(self._allowed(statuses)),))
        return self

    def not_judged(self) -> Self:
        """Leave the answer out of the verdict: the case only needs its values."""
        self.case.unjudged.pop(self.exchange.id, None)
        return self

    def needed(self, *statuses: int) -> Self:
        """Require success as a precondition: anything else makes the case inconclusive.

        A request that is sent in another form has to succeed like the usual one.
        """
        self.case.unjudged.pop(self.exchange.id, None)
        law = self.case.law_of_view()
        if law is not None and "view" in self.exchange.notes:
            allowed = (Outcome(self._allowed(statuses)),)
            self._judge_only(Expectation(self.exchange.id, law.id, law.severity, allowed))
        if self.status not in self._allowed(statuses):
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
        requirement: Rows = None,
    ) -> Self:
        """Expect the refusal with this reason code: status, envelope, message and target come from the contract.

        Without ``requirement`` the first covered row with this code is judged; several may be named.

        The positive control is an earlier success of the same operation in this case; ``control`` names another
        answer, or a case, where that cannot be.
        """
        self._demand_control(control)
        reason = self.case.known_code(code)
        contract, edition = self.case.context.contract, self.case.context.edition
        rows = self._rows(requirement, code)
        expectations = []
        for row in rows:
            primary = refusal(contract, row, reason, target=target, message=message)
            allowed = alternatives(contract, row, edition, primary)
            expectations.append(Expectation(self.exchange.id, row.id, row.severity, allowed))
        self._judge(*expectations)
        return self

    def is_refused_somehow(
        self, *statuses: int, control: Answer | str | None = None, requirement: Rows = None
    ) -> Self:
        """Expect a refusal in the error envelope whose code no source fixes; no statuses means any 4xx.

        Without statuses a refusal that the contract calls bare (413 of a gateway, or any to a raw request) needs no envelope.
        """
        self._demand_control(control)
        contract, edition = self.case.context.contract, self.case.context.edition
        wanted = statuses or _ANY_REFUSAL
        primary = Outcome(wanted, schema=contract.envelope or None)
        without_envelope: tuple[Outcome, ...] = ()
        bare = needs_no_envelope(self.exchange, contract)
        if bare is not None and self.status in wanted and (not statuses or bare.named):
            source = "not every such refusal is the service's own"
            without_envelope = (Outcome((self.status,), source=source),)
        expectations = []
        for row in self._rows(requirement):
            allowed = (*alternatives(contract, row, edition, primary), *without_envelope)
            expectations.append(Expectation(self.exchange.id, row.id, row.severity, allowed))
        self._judge(*expectations)
        return self

    def shows(self, path: str, value: Any = MISSING, *, requirement: Rows = None) -> Self:
        """Expect a member, and its value where one is given."""
        return self._member(
            Member(path, "present") if value is MISSING else Member(path, "equals", value), requirement
        )

    def shows_all(self, members: Mapping[str, Any], *, requirement: Rows = None) -> Self:
        """Expect members and their values, given as evidence shows them; ``None``: the member is not there."""
        stated = (
            Member(path, "absent") if value is None else Member(path, "equals", value)
            for path, value in members.items()
        )
        self._expect(requirement, (), tuple(stated))
        return self

    def agrees(self, path: str, value: Any, *, requirement: Rows = None) -> Self:
        """Expect a member's value where the answer has the member at all."""
        return self._member(Member(path, "agrees", value), requirement)

    def lacks(self, path: str, *, requirement: Rows = None) -> Self:
        """Expect that a member is not there."""
        return self._member(Member(path, "absent"), requirement)

    def differs(self, path: str, value: Any, *, requirement: Rows = None) -> Self:
        """Expect a member with another value."""
        return self._member(Member(path, "differs", value), requirement)

    def lists(self, path: str, value: Any, *, requirement: Rows = None) -> Self:
        """Expect a value among those collected at a path."""
        return self._member(Member(path, "contains", value), requirement)

    def lists_not(self, path: str, value: Any, *, requirement: Rows = None) -> Self:
        """Expect that a value is not among those collected at a path."""
        return self._member(Member(path, "lacks", value), requirement)

    def counts(self, path: str, number: int, *, requirement: Rows = None) -> Self:
        """Expect a list of exactly ``number`` entries."""
        return self._member(Member(path, "length", number), requirement)

    def selects(
        self,
        path: str,
        of: Sequence[str],
        are: Sequence[str],
        *,
        ordered: bool = False,
        requirement: Rows = None,
    ) -> Self:
        """Expect that the values at a path hold, ``of`` these, exactly ``are``, each once; other values do not count."""
        return self._member(Member(path, "selects", [list(of), list(are), ordered]), requirement)

    def is_sorted(self, path: str, by: Sequence[Sequence[Any]], *, requirement: Rows = None) -> Self:
        """Expect the objects of a list in an order: pairs of member and order (see :mod:`kms_conformance.judging.order`)."""
        return self._member(Member(path, "sorted", [list(pair) for pair in by]), requirement)

    def tells(self, path: str, *codes: str, requirement: Rows = None) -> Self:
        """Expect the text of one of the codes at a path, or in one of the texts collected there."""
        return self._member(Member(path, "matches", self._patterns(codes)), requirement)

    def tells_not(self, path: str, *codes: str, requirement: Rows = None) -> Self:
        """Expect the text of none of the codes at a path."""
        return self._member(Member(path, "matches-none", self._patterns(codes)), requirement)

    def matches(self, path: str, pattern: str, *, requirement: Rows = None) -> Self:
        """Expect a text in which a regular expression is found."""
        return self._member(Member(path, "matches", [pattern]), requirement)

    def matches_not(self, path: str, pattern: str, *, requirement: Rows = None) -> Self:
        """Expect no text at a path in which a regular expression is found."""
        return self._member(Member(path, "matches-none", [pattern]), requirement)

    def fits(self, schema: str, *, requirement: Rows = None) -> Self:
        """Expect a success whose body fits a schema (a file of ``schemas/`` without its ending)."""
        self._expect(requirement, (Outcome(self._success_statuses(), schema=schema),))
        return self

    def hides(self, what: str, secret: str, *, requirement: Rows = None) -> Self:
        """Expect that a secret, in whatever spelling, stands nowhere in the answer; ``what`` names it in reports."""
        on_wire = self.case.substitutes.get(secret, secret)
        token = self.case.context.redactor.remember(on_wire, what.replace(" ", "_"))
        self._expect(requirement, (), (Member(f"the {what}", "hides", token),))
        return self

    def _patterns(self, codes: tuple[str, ...]) -> list[str]:
        reasons = self.case.context.contract.codes
        return [pattern for code in codes for pattern in reasons[code].patterns]

    def has_header(self, name: str, value: str | None = None, *, requirement: Rows = None) -> Self:
        """Expect a header, and its value where one is given."""
        return self._member(Member(name.lower(), "header", value), requirement)

    def _member(self, member: Member, requirement: Rows) -> Self:
        hidden = hidden_text(member, self.case.context.redactor)
        if hidden:
            raise AuthorError(
                self.case.info.id,
                f"it compares {hidden} with a text in clear, and answers show {hidden} as a token: "
                "send the text as a Secret, or name the member under `public` in contract.yaml",
            )
        redacted = Member(member.path, member.check, self._redacted(member.value))
        self._expect(requirement, (), (redacted,))
        return self

    def _redacted(self, value: Any) -> Any:
        tokens = self.case.context.redactor
        if isinstance(value, Secret):
            return tokens.remember(self.case.substitutes.get(str(value), str(value)), "secret")
        return tokens.request(value)

    def _rows(self, requirement: Rows, code: str | None = None) -> list[Requirement]:
        """Return the named rows; without a name the first covered one with this code, or the first of all."""
        named = (requirement,) if isinstance(requirement, str) else requirement or (None,)
        return [self.case.row(row_id, code) for row_id in named]

    def _expect(
        self, requirement: Rows, outcomes: tuple[Outcome, ...], members: tuple[Member, ...] = ()
    ) -> None:
        rows = self._rows(requirement)
        severities = [Verdict.FAILED if self.is_proof else row.severity for row in rows]
        self._judge(
            *(
                Expectation(self.exchange.id, row.id, severity, outcomes, members)
                for row, severity in zip(rows, severities, strict=True)
            )
        )

    def _expect_success(
        self, requirement: Rows, outcomes: tuple[Outcome, ...], members: tuple[Member, ...] = ()
    ) -> None:
        """Expect a success; where no row is named, a missing one fails the case, whatever the level of its rows."""
        if requirement:
            self._expect(requirement, outcomes, members)
        else:
            row = self.case.success_row(self.exchange.operation)
            self._judge(Expectation(self.exchange.id, row.id, Verdict.FAILED, outcomes, members))
        self._note_success()

    def _judge(self, *expectations: Expectation) -> None:
        """Judge them all; raise :class:`ConformanceFailure` with the first that fails the case.

        In a case that is run under a view, what its row promises is judged as well: the same answer.
        """
        law = self.case.law_of_view()
        if law is not None:
            severity = min(expectations[0].severity, law.severity, key=lambda verdict: verdict.rank)
            expectations = (*expectations, replace(expectations[0], requirement=law.id, severity=severity))
        self._judge_only(*expectations)

    def _judge_only(self, *expectations: Expectation) -> None:
        findings = [self.case.judge(expectation, self.exchange) for expectation in expectations]
        for finding in findings:
            if finding is not None and finding.severity is Verdict.FAILED:
                raise ConformanceFailure(
                    f"{finding.requirement}: expected {finding.expected}, got {finding.got}"
                )

    def _demand_control(self, control: Answer | str | None) -> None:
        if isinstance(control, Answer):
            if not control.ok:
                raise Inconclusive(
                    f"the positive control {control.exchange.step}: {control.exchange.outcome}"
                )
        elif control is None and self.action not in self.case.succeeded:
            if self.action in self.case.unsuccessful:  # which its own row only warns of
                raise Inconclusive(f"the positive control {self.case.unsuccessful[self.action]}")
            raise AuthorError(
                self.case.info.id,
                f"{self.exchange.step} is expected to be refused, but never seen to succeed",
            )

    def _allowed(self, statuses: tuple[int, ...]) -> tuple[int, ...]:
        """Return the statuses of success that count: those of the case, else those of the contract.

        Where the case names one of the statuses that stand for each other under its view, the others count too.
        """
        if not statuses:
            return self._success_statuses()
        others = self.equivalent if set(statuses) & set(self.equivalent) else ()
        return tuple(dict.fromkeys((*statuses, *others)))

    def _success_statuses(self) -> tuple[int, ...]:
        return success_statuses(self.case.context.contract, self.exchange.operation)

    def _note_success(self) -> None:
        if self.ok and self.action:
            self.case.succeeded.add(self.action)
        else:
            self.case.unsuccessful[self.action] = f"{self.exchange.step}: {self.exchange.outcome}"
