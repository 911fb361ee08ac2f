"""A run: puts together what its cases share, and gives the verdict object at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import PreflightRefusedError
from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.baseline import accepted
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.run.case import CaseRun
from kms_conformance.run.circumstances import circumstances, command_line
from kms_conformance.run.cleanup import (
    abandoned,
    holds_shared,
    named_like_ours,
    own,
    owner_of,
    put_back_shared,
    put_right,
)
from kms_conformance.run.clock import RealClock
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.contexts import Contexts
from kms_conformance.run.deferred import DeferredCases
from kms_conformance.run.description import describe_run
from kms_conformance.run.expected import ExpectedRequests
from kms_conformance.run.identities import demand_identities
from kms_conformance.run.jobs import READERS, jobs_for
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.late_secrets import scrubbed
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.run.options import Options
from kms_conformance.run.pace import Pace
from kms_conformance.run.preflight import has_preflight, preflight
from kms_conformance.run.record import RunRecord
from kms_conformance.run.reference_process import EmbeddedReference
from kms_conformance.run.runner import Runner, shares_the_clock, touched, wants_to_be_alone
from kms_conformance.target.target import READ_ONLY, Target
from kms_conformance.transport.outage import clock_time
from kms_conformance.transport.traffic import Traffic

_OTHER_PROCESSES = 10.0
"""How many seconds the other processes of a run are given to end before the last clean-up."""


class Session:
    """One run against one target. Start it, run cases in it from any thread, close it."""

    def __init__(self, options: Options, target: Target | None = None) -> None:
        self.options = options.settled()
        self._reference: EmbeddedReference | None = None
        self._target, self._is_settled = target, False
        if target is None:
            self._reference = EmbeddedReference(
                edition=options.edition, defects=options.defects, variations=options.variations
            )
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._round_trip: float | None = None
        self._pace: Pace | None = None
        self.expected = ExpectedRequests(self.options.journal)
        self._traffic = Traffic()
        self._contexts = Contexts(self.options, lambda: self.target, self._traffic, self._stopping)
        self._roles: dict[str, tuple[str, ...]] = {}
        self._gone_elsewhere = 0.0
        self._has_foreign_secrets = False
        self.left: list[str] | None = None
        self._record = RunRecord()
        self._runner = Runner(self._record, DeferredCases(self.options.profile), lambda: self.jobs)
        self.started = steady_clock.now()

    # --- what cases share -----------------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        """The target; the first call waits for the embedded reference where there is one."""
        with self._lock:
            if self._target is None or not self._is_settled:
                if self._target is None:
                    assert self._reference is not None
                    self._target = self._reference.target()
                if self.options.max_wait is not None:
                    self._target = replace(self._target, max_wait=self.options.max_wait)
                self._target = self._target.in_mode(self.options.mode)
                self._is_settled = True
            return self._target

    def check(self, *, mends: bool = False) -> dict[str, Exchange]:
        """Run the preflight and try the identities; raise what they raise. The embedded reference needs none.

        With ``mends``, an instance that refuses us because a dead run has left it so is put back first. Returns the first
        exchange by contract.
        """
        firsts: dict[str, Exchange] = {}
        for contract_id in self.options.contracts:
            context = self.context(contract_id)
            if context.target.embedded or not has_preflight(context.contract):
                continue
            instance = self.instance(context.target)
            context.client.wait_for_absent(False)
            try:
                first = firsts[contract_id] = self._enter(context, instance)
            except PreflightRefusedError:
                if not mends or not self._put_back_shared(context, instance):
                    raise
                first = firsts[contract_id] = self._enter(context, instance)
            context.client.wait_for_absent()
            self._round_trip = max(self._round_trip or 0.0, context.client.round_trip)
            if isinstance(context.clock, RealClock) and first.answer is not None:
                context.clock.learn(first.answer.headers.get("date"))
        return firsts

    def _enter(self, context: Context, instance: str) -> Exchange:
        """Ask the first requests of a contract and try the identities; raise what they raise."""
        with InstanceLocks(context.target.base_url, instance, shared=not context.target.fresh).hold():
            first = preflight(context.client, context.contract, instance)
            demand_identities(context.client, context.contract, instance)
        return first

    def _put_back_shared(self, context: Context, instance: str) -> bool:
        """Put back what dead runs have changed on a whole instance; tell whether there was anything."""
        if self.target.mode == READ_ONLY or not holds_shared(context, instance):
            return False
        put_back_shared(context, instance, held=False)
        return True

    def read_premises(self) -> None:
        """Read what the owner of a shared instance has set there, once; called when nothing of a dead run is left on it."""
        self._contexts.read_premises()

    @property
    def premises(self) -> dict[str, dict[str, Any]]:
        """What the owners of instances have set, by contract: for the other processes of this run."""
        return {context.contract.id: context.premises.document() for context in self._contexts.made}

    def also_read(self, premises: Mapping[str, dict[str, Any]]) -> None:
        """Take over what another process of this run has read of the owners' settings."""
        self._contexts.also_read(premises)

    def context(self, contract_id: str) -> Context:
        """Return what the cases of a contract share."""
        return self._contexts.of(contract_id)

    @property
    def redactor(self) -> Redactor | None:
        """What knows every secret of the run; ``None`` before there is any."""
        return self._contexts.redactor

    def instance(self, target: Target) -> str:
        """Return the instance for a case: a new one where the target makes them."""
        return self._contexts.instance(target)

    def overlaps(self, contract_id: str) -> bool:
        """Tell whether waits are real, so that waiting cases belong into threads."""
        return self.context(contract_id).clock.overlaps

    @property
    def jobs(self) -> int:
        """How many cases are under way at once: as the options say, else as the preflight has measured."""
        return self.options.jobs or jobs_for(self.round_trip, self.target.requests_per_second)

    @property
    def round_trip(self) -> float:
        """The shortest time that an answer has taken in the preflight, in seconds; 0 before there is any."""
        return self._round_trip or 0.0

    def plan_requests(self, case_ids: Iterable[str]) -> None:
        """Add up how many requests the cases that are to run will send; from here on the run's pace is measured."""
        requests = sum(map(self.requests_of, case_ids)) + self.turns_taken
        self._pace = Pace(
            lambda: self.turns_taken, lambda: requests, lambda: self.queued, lambda: self._traffic.awaited
        )

    def requests_of(self, case_id: str) -> int:
        """Return how many requests a case is expected to send to this target."""
        return self.expected.of(case_id, clean_up=not self.target.embedded)

    def pace(self) -> tuple[str, float | None]:
        """Return what bounds the run at this moment, and the seconds that are left; ``""`` and ``None``: unknown."""
        return (self._pace.bound(), self._pace.left()) if self._pace is not None else ("", None)

    @property
    def queued(self) -> int:
        """How many requests wait for the rate limit at this moment."""
        return self._contexts.queued

    @property
    def sent(self) -> int:
        """How many requests have left so far."""
        return sum(context.client.sent for context in self._contexts.made)

    @property
    def turns_taken(self) -> int:
        """How many requests the rate limit has let through so far, those of the control protocol and for tokens included."""
        return self._traffic.sent

    def alone(self, info: CaseInfo) -> bool:
        """Tell whether nothing may run beside a case: it touches what others on a shared instance see."""
        context = self.context(info.contract)
        if context.target.fresh or self.shares_the_clock(info):
            return False
        return wants_to_be_alone(info, context)

    def shares_the_clock(self, info: CaseInfo) -> bool:
        """Tell whether a case moves the clock of a shared instance, and may run beside those that do so too."""
        return shares_the_clock(info, self.context(info.contract))

    def turns(self, info: CaseInfo) -> frozenset[str]:
        """Return the things of a shared instance that a case uses and that only one case at a time may use."""
        target = self.context(info.contract).target
        taken = self.context(info.contract).contract.system.impacts_that("takes_turns")
        return frozenset() if target.fresh else frozenset(touched(info, target) & taken)

    # --- running cases --------------------------------------------------------------------------------------------

    def open(self, info: CaseInfo) -> CaseRun:
        """Begin a case."""
        context = self.context(info.contract)
        readers = READERS if self.jobs > 1 else 1
        return CaseRun(context, info, self.instance(context.target), readers=readers)

    def run_case(self, case: CaseRun, body: Callable[[Any], None]) -> CaseResult:
        """Run a case from its first request to the end of its clean-up, and return the result.

        Raises nothing but :class:`KeyboardInterrupt`, and that only after the clean-up.
        """
        return self._runner.run(case, body)

    def perform_case(self, case: CaseRun, body: Callable[[Any], None]) -> KeyboardInterrupt | None:
        """Run a case to the end of its clean-up, and leave its result to :meth:`conclude_case`."""
        return self._runner.perform(case, body)

    def conclude_case(self, case: CaseRun) -> CaseResult:
        """Return the result of a performed case; it waits for the requests of others that are under way."""
        return self._runner.conclude(case)

    def cancel(self) -> None:
        """End every wait that is under way, and let cases send nothing but their clean-up."""
        self._stopping.set()
        for context in self._contexts.made:
            context.clock.cancel()
            context.client.presence.stop()

    # --- what the verdict is made of ------------------------------------------------------------------------------

    def case_finished(self, result: CaseResult) -> None:
        """Take the result of a case that another process has run."""
        self._record.case_finished(result)

    def known_secrets(self) -> list[tuple[str, str]]:
        """Return the secrets that this process knows, each with its label."""
        return self.redactor.known() if self.redactor is not None else []

    def tell_secrets(self, tell: Callable[[str, str], None]) -> None:
        """Call this with each secret that this process learns, and its label."""
        self._first_redactor.tell_others(tell)

    def learn_secrets(self, pairs: Sequence[Sequence[str]]) -> None:
        """Take in secrets of another process of this run: a server may have repeated them to any of them."""
        self._first_redactor.take_over(pairs)
        self._has_foreign_secrets = self._has_foreign_secrets or bool(pairs)

    @property
    def _first_redactor(self) -> Redactor:
        return self.context(self.options.contracts[0]).redactor

    def expects(self, number: int) -> None:
        """Note how many cases are to run."""
        self._record.expects(number)

    def leaves_out(self, number: int, what: str) -> None:
        """Note that so many cases were left out on purpose, and by what."""
        self._record.leaves_out(number, what)

    def cut_short(self, why: str, *, if_first: bool = False) -> None:
        """Note why the run is not complete; ``if_first``: only where nothing has said so before."""
        self._record.cut_short(why, if_first=if_first)

    def went_wrong(self, what: str, *, if_first: bool = False) -> None:
        """Note an error of the suite itself; ``if_first``: only where there was none before."""
        self._record.went_wrong(what, if_first=if_first)

    @property
    def refused(self) -> tuple[str, ...]:
        """Sentence and hint of what keeps the run from going on, empty where nothing does."""
        return self._record.refused

    @property
    def results(self) -> Mapping[str, CaseResult]:
        """The results so far by case id, in the order in which the cases finished."""
        return self._record.finished()

    def accepts(self, result: CaseResult) -> str:
        """Return why the baseline keeps a failed case from failing the run, or ``""``."""
        return accepted(result, self.options.baseline or ())

    def outcome(self) -> Run:
        """Return the verdict object, and keep for the next run how many requests each case has sent."""
        self.expected.keep(self.results.values())
        if self._has_foreign_secrets:
            for result in self.results.values():
                self._record.case_finished(scrubbed(result, self._clean, self._are_clear))
        self._report_outage()
        surroundings = circumstances(self._traffic.document(), self._all_roles(), self.left)
        surroundings["command_line"] = command_line(self.options.command_line, self._clean)
        return describe_run(self.options, self._target, self._record.recorded(), self.started, surroundings)

    def seen(self) -> dict[str, Any]:
        """Return what this process has seen of the wire, as simple values for :meth:`also_seen` of another."""
        return {
            "traffic": self._traffic.document(),
            "roles": self._all_roles(),
            "gone": self._gone(),
            "refused": self.refused,
        }

    def also_seen(self, document: Mapping[str, Any]) -> None:
        """Take in what another process of this run has seen of the wire."""
        self._traffic.add(document["traffic"])
        self._gone_elsewhere = min(filter(None, (self._gone_elsewhere, document["gone"])), default=0.0)
        if document["refused"]:
            self._record.refuses(*document["refused"])
        self._roles |= {name: tuple(roles) for name, roles in document["roles"].items()}

    def _gone(self) -> float:
        """Return when an endpoint went away for good (seconds since the epoch), 0 where none did."""
        sources = (
            self._gone_elsewhere,
            *(context.client.presence.gone for context in self._contexts.made),
        )
        return min(filter(None, sources), default=0.0)

    def _report_outage(self) -> None:
        """Note that an endpoint went away for good, and how many cases that touched."""
        gone = self._gone()
        if not gone:
            return
        cases = sum(
            case.verdict is Verdict.INCONCLUSIVE and case.started + case.duration >= gone
            for case in self.results.values()
        )
        touched = f"{cases} case{'' if cases == 1 else 's'} touched"
        self.cut_short(f"the endpoint went away at {clock_time(gone)} UTC, {touched}")

    def _all_roles(self) -> dict[str, tuple[str, ...]]:
        own = {
            name: roles
            for context in self._contexts.made
            for name, roles in context.client.tokens.roles().items()
        }
        return {**self._roles, **own}

    def _are_clear(self, texts: Sequence[str]) -> bool:
        return self.redactor is None or self.redactor.are_clear(texts)

    def _clean(self, text: str) -> str:
        return self.redactor.scrub(text) if self.redactor is not None else text

    # --- what runs have left --------------------------------------------------------------------------------------

    def left_behind(self) -> list[JournalEntry]:
        """Return what dead runs have left on this target, newest first."""
        return [entry for _, entry in abandoned(self._contexts.all())]

    def lingering(self) -> dict[str, int]:
        """Return how many things of which kinds were removed by runs, but are still kept by their service."""
        found: dict[str, int] = {}
        for context in self._contexts.all():
            for kind, seconds in context.contract.system.lingers.items():
                whose = f"{context.contract.id}:{kind}"
                since = time.time() - seconds
                found[whose] = context.journal.removed_since(context.target.base_url, whose, since)
        return {kind: number for kind, number in found.items() if number}

    def living(self) -> list[str]:
        """Return the runs that are at work with this journal."""
        return self._contexts.all()[0].journal.living()

    def named_like_ours(self) -> list[JournalEntry]:
        """Return what bears a name that only this suite gives, whether the journal knows it or not."""
        return [entry for _, entry in named_like_ours(self._contexts.all(), self.target.instance)]

    def put_right(self, things: Collection[JournalEntry]) -> list[str]:
        """Remove things, or put them back as they were; return a line for each that could not be."""
        contexts = {context.contract.id: context for context in self._contexts.all()}
        return put_right(
            [(contexts[owner_of(entry)], entry) for entry in things if owner_of(entry) in contexts]
        )

    def recover(self) -> list[str]:
        """Remove what dead runs have left on this target, and restore what they had changed.

        Returns a line for each thing that could not be removed. Called at the start of a run, and by ``sweep``. A run that
        only reads removes nothing.
        """
        if self.target.mode == READ_ONLY:
            return []
        return put_right(list(abandoned(self._contexts.all())), wait=False)

    def tidy(self) -> list[str]:
        """Remove what this run has left nevertheless: an answer was lost, or a clean-up was refused or cut short.

        Returns a line for each thing that stays in the journal, and keeps them for the verdict object. Called once, when no
        case runs any more.
        """
        self.left = self._put_right()
        return self.left

    def _put_right(self) -> list[str]:
        if not self._contexts.made or self.target.embedded:
            return []
        left = list(own(self._contexts.all()))
        if left and not left[0][0].journal.last(_OTHER_PROCESSES):
            return [f"{len(left)} things: a process of this run is still at work"]
        return put_right(left, wait=not self._record.recorded().interrupted)

    def close(self) -> None:
        """Close every connection and file, and stop the embedded reference."""
        self._contexts.close()
        if self._reference is not None:
            self._reference.stop()
