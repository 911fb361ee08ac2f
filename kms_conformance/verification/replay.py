"""A case played again against the recorded answers: what it then expects has to be what the record says it expected.

The case's own function runs, as it did against the endpoint, and each request that it makes is held against the next
recorded one. The expectations that it states are thereby taken anew from contract and case, and a weaker, another or a
missing one is found, as is a request that was left out, moved or put in. No request leaves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kms_conformance.contract.contract import Contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import CLOCK, Exchange
from kms_conformance.evidence.serialization import to_document
from kms_conformance.judging.every_exchange import after_outage
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.histories import ONE_ORDER, CaseHistories
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.run.case import CaseRun, Sent
from kms_conformance.run.cleanup import adapter_of
from kms_conformance.run.context import Context
from kms_conformance.run.eligibility import admit
from kms_conformance.run.jobs import READERS
from kms_conformance.run.journal import Journal
from kms_conformance.run.options import FuzzOptions
from kms_conformance.run.outcomes import CaseStopped
from kms_conformance.target.target import Target
from kms_conformance.verification.alignment import DepartureError
from kms_conformance.verification.installed import InstalledCase
from kms_conformance.verification.rejudge import Judgements
from kms_conformance.verification.replay_client import (
    BY_CONTROL,
    SKEWED,
    RecordEndedError,
    ReplayClient,
    ReplayClock,
    ReplayTokens,
)
from kms_conformance.verification.stand_ins import StandIns

CLEAN_UP = "clean-up"
_DUE = "due "


@dataclass
class _ReplayedCase(CaseRun):
    """A case under way that takes its expectations from the record where they equal its own."""

    stated: dict[str, list[Expectation]] = field(default_factory=dict)
    known: Judgements = field(default_factory=Judgements)

    @property
    def _client(self) -> ReplayClient:
        """The client that gives the recorded answers."""
        client = self.context.client
        assert isinstance(client, ReplayClient)
        return client

    def wire_findings(self, exchange: Exchange) -> list[Finding]:
        """Return what breaks the rules of every exchange, as it was found before."""
        known = self.known.wire.get(exchange.id)
        return super().wire_findings(exchange) if known is None else [*known]

    @property
    def is_one_by_one(self) -> bool:
        """Whether requests that belong together are taken one after the other: always."""
        return True

    def at_once(self, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Take the requests of one client after those of another; each client's own are in their order."""
        answers = []
        for number, request in enumerate(requests, 1):
            # A deferred case has sent them one after the other.
            with self._client.one_of_several(number if self._client.is_at_once else 0):
                answers.append(request())
        self._client.know_answers()
        return answers

    def read(self, requests: Sequence[Callable[[], Sent]]) -> list[Sent]:
        """Take the answers of as many clients as have read in the record: one, or all."""
        return self.read_by(READERS if self._client.is_at_once else 1, requests)

    def evidence(self, exchange: Exchange) -> Exchange:
        """Return an exchange as the record has it."""
        return self._client.as_recorded.get(exchange.id, exchange)

    def wait(self, seconds: float, why: str, *, within: float | None = None) -> None:
        """Let as much time pass as in the record, where that is the same wait."""
        super().wait(self._client.wait_of_record(seconds), why, within=within)

    def clock_ahead(self) -> tuple[float, float]:
        """Return how far the clock of an instance must be ahead: as at first, and by the waits where the control protocol moves it."""
        self.now()  # as the record notes it
        clock = self.context.clock
        assert isinstance(clock, ReplayClock)
        moved = self.waited if self.context.target.control_url else 0.0
        ahead, unsure = self._client.clock_of_record(clock.begun + moved)
        self._client.note(CLOCK, ahead, unsure)
        return ahead, unsure

    def judge(self, expectation: Expectation, exchange: Exchange) -> Finding | None:
        """Judge the recorded expectation, once it is seen to be the one that the case states."""
        self.demand_in_time(exchange)
        self.unjudged.pop(exchange.id, None)
        left = self.stated.get(exchange.id, [])
        name = f"exchange {exchange.id} ({exchange.step})"
        if not left:
            raise DepartureError(
                f"{name} lacks the expectation of {expectation.requirement}: {expectation.description()}"
            )
        recorded = left[0]
        if expectation != recorded or _types(expectation) != _types(recorded):
            expectation = _as_measured(expectation, recorded)
            self._client.alignment.demand(
                _document(expectation), _document(recorded), f"the expectation of {name}"
            )
        del left[0]
        self.expectations.append(recorded)
        finding = self._finding(recorded, exchange)
        if finding is not None:
            if after_outage(exchange):
                self._demand_no_outage(finding)
            self.findings.append(finding)
        return finding

    def _finding(self, recorded: Expectation, exchange: Exchange) -> Finding | None:
        """Judge a recorded expectation by the exchanges so far, unless that was done before."""
        if id(recorded) in self.known.expected:
            return self.known.expected[id(recorded)]
        histories = CaseHistories(self.context.contract.about, [self.evidence(one) for one in self.exchanges])
        return judge(recorded, self.evidence(exchange), self.context.schemas, histories)


def _as_measured(expectation: Expectation, recorded: Expectation) -> Expectation:
    """Return what a case states with the record's own measurements of the clocks, where these are possible."""
    if len(expectation.members) != 1 or len(recorded.members) != 1:
        return expectation
    member, other = expectation.members[0], recorded.members[0]
    if not member.check == other.check == ONE_ORDER:
        return expectation
    ours, theirs = member.value["requests"], other.value.get("requests", ())
    timed = [
        [name, measured if abs(measured - ahead) < SKEWED else ahead, answered]
        for (name, ahead, answered), (_, measured, _) in zip(ours, theirs, strict=False)
    ]
    unsure = other.value.get("unsure", 0.0)
    value = {**member.value, "requests": [*timed, *ours[len(timed) :]]}
    if 0.0 <= unsure < SKEWED:
        value["unsure"] = unsure
    return replace(expectation, members=(replace(member, value=value),))


def _types(expectation: Expectation) -> list[type]:
    """Return of which kind each value is: ``True`` equals 1."""
    return [type(member.value) for member in expectation.members]


def _document(expectation: Expectation) -> Any:
    members = [
        {"path": member.path, "check": member.check, "value": member.value} for member in expectation.members
    ]
    return {**to_document(expectation), "members": members}


class _NoJournal(Journal):
    """Keeps nothing: no request leaves, so nothing is made."""

    def __init__(self, run: str) -> None:
        self._run, self.path, self._rows = run, None, itertools.count(1)

    def intend(self, *_: str, **__: str) -> int:
        """Return the number of a row."""
        return next(self._rows)

    def created(self, row: int, ref: str) -> None:
        """Keep nothing."""

    def refused(self, row: int) -> None:
        """Keep nothing."""

    def gone(self, row: int) -> None:
        """Keep nothing."""


@dataclass(frozen=True)
class ReplayContext:
    """What all cases of a contract share when they are played again."""

    contract: Contract
    target: Target
    run_id: str
    edition: str
    fuzz: FuzzOptions
    interrupted: str = ""
    challenge: str = ""
    known: Judgements = field(default_factory=Judgements)
    thorough: bool = False

    @cached_property
    def stand_ins(self) -> StandIns:
        """What stands for the secrets of the target; learning them takes longer than playing a short case."""
        stand_ins = StandIns(self.contract)
        for value, label in self.target.secrets().items():
            stand_ins.remember(value, label)
        tokens = ReplayTokens(self.target, stand_ins)
        for name in self.target.identities:
            tokens.of(name)
        return stand_ins

    @cached_property
    def journal(self) -> _NoJournal:
        """The journal of every case."""
        return _NoJournal(self.run_id)

    @cached_property
    def schemas(self) -> SchemaFiles:
        """The schemas by which cases are played again."""
        return SchemaFiles()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of playing a case again: ``problems`` as sentences, or why it cannot be played again (``instead``).

    ``refused_by_control`` is the kind of the request that the control protocol is said to have refused, ``unread`` how many
    answers have a secret inside of a frame, whose reading then cannot be taken anew.
    """

    problems: tuple[str, ...] = ()
    instead: str = ""
    refused_by_control: str = ""
    unread: int = 0


def replay(case: CaseResult, installed: InstalledCase, shared: ReplayContext) -> Replayed:
    """Play a recorded case again."""
    contract, target = shared.contract, shared.target
    redactor, clock = shared.stand_ins.apart(), ReplayClock(target)
    judged = [exchange for exchange in case.exchanges if exchange.notes.get("phase") != CLEAN_UP]
    clock.at, clock.begun = judged[0].started if judged else case.started, case.clock_ahead
    client = ReplayClient(target, redactor, clock, judged, case, challenge=shared.challenge)
    context = Context(
        contract=contract,
        target=target,
        client=client,
        clock=clock,
        journal=shared.journal,
        redactor=redactor,
        schemas=shared.schemas,
        run=shared.run_id,
        edition=shared.edition,
        thorough=shared.thorough,
        fuzz=shared.fuzz,
    )
    stated: dict[str, list[Expectation]] = {}
    for expectation in case.expectations:
        stated.setdefault(expectation.exchange, []).append(expectation)
    instance = "00000000-0000-4000-8000-00000000aaaa" if target.fresh else target.instance
    client.is_of_law = _is_of_law(installed)
    run = _ReplayedCase(context, installed.info, instance, stated=stated, known=shared.known)
    try:
        return _played(case, installed, run, client, shared)
    finally:
        client.close()


def _played(
    case: CaseResult,
    installed: InstalledCase,
    run: _ReplayedCase,
    client: ReplayClient,
    shared: ReplayContext,
) -> Replayed:
    try:
        departed = _departed(case, installed, run, client, shared)
    except CaseStopped as stopped:
        run.stopped, departed = stopped, None
    except Exception as error:  # noqa: BLE001 - as a run does, whatever a case may raise
        if case.verdict is not Verdict.ERROR:
            return Replayed((f"its function ends with {type(error).__name__}: {error}",))
        run.stopped, departed = error, None
    if departed is not None:
        return departed
    problems = _left(run, client) or _compared(case, run.result())
    if not problems and case.verdict is Verdict.NOT_TESTED and BY_CONTROL in case.missing:
        return Replayed((), f"taken as recorded: {case.missing}", client.refused_by_control)
    return Replayed(problems, unread=client.unread)


def _departed(
    case: CaseResult,
    installed: InstalledCase,
    run: _ReplayedCase,
    client: ReplayClient,
    shared: ReplayContext,
) -> Replayed | None:
    """Run the case's function; return what to say where it does otherwise than the record, ``None`` where it does not."""
    try:
        admit(installed.info, client.target)
        installed.body(adapter_of(run.context.contract, installed.info.view)(run))
    except DepartureError as departure:
        return Replayed((str(departure),))
    except RecordEndedError as ended:
        return _ended(case, run, str(ended), shared.interrupted)
    return None


def _left(run: _ReplayedCase, client: ReplayClient) -> tuple[str, ...]:
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


def _ended(case: CaseResult, run: _ReplayedCase, step: str, interrupted: str) -> Replayed:
    """Tell whether a case may end before its end: only one that something from outside has stopped.

    A case that was not tested could otherwise have been one that failed; the others keep a run from being conformant.
    """
    stopped = case.verdict is Verdict.NOT_TESTED and interrupted
    if any(run.stated.values()):
        return Replayed(
            (f"its record ends before its request {step!r}, with expectations that it does not state",)
        )
    if stopped or case.verdict in {Verdict.ERROR, Verdict.INCONCLUSIVE}:
        return Replayed(instead=f"it was stopped before its request {step!r}: {case.message}")
    return Replayed((f"its record ends before its request {step!r}",))


def _compared(case: CaseResult, anew: CaseResult) -> tuple[str, ...]:
    problems = []
    for name in ("verdict", "contract", "title", "requirements", "rule", "missing", "checks", "judged"):
        recorded, made = getattr(case, name), getattr(anew, name)
        if name == "nodeid":
            # Pytest names a file from where it was started, which is not where the record is judged.
            recorded, made = recorded.rpartition("/")[2], made.rpartition("/")[2]
        if recorded != made and not (name == "missing" and recorded.startswith(_DUE)):
            problems.append(f"its {name} is {_shown(recorded)} instead of {_shown(made)}")
    # What stands before the file's name depends on the folder in which the run was started, and the judging.
    if _last(case.nodeid) != _last(anew.nodeid):
        problems.append(f"its nodeid is {case.nodeid!r} instead of {anew.nodeid!r}")
    if abs(case.waited - anew.waited) > 0.01:  # noqa: PLR2004 - it is kept to the millisecond
        problems.append(f"it says to have waited {case.waited:g} s, and it waits {anew.waited:g} s")
    return tuple(problems)


def _last(nodeid: str) -> str:
    file, separator, name = nodeid.partition("::")
    return file.rpartition("/")[2] + separator + name


def _shown(value: Any) -> str:
    return str(value.value) if isinstance(value, Verdict) else repr(value)
