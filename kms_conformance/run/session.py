"""A run: what its cases share, and the verdict object at its end."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kms_conformance import __version__
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.corpus import shipped_digest
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Row
from kms_conformance.judging.results import CaseResult, KnownDeviation
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs.baseline import accepted, settle
from kms_conformance.outputs.shards import note as shard_note
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.run.case import CaseRun
from kms_conformance.run.cleanup import abandoned, adapter_of, own, put_back_shared, put_right
from kms_conformance.run.clock import Cancelled, RealClock, choose_clock
from kms_conformance.run.context import CaseInfo, Context
from kms_conformance.run.eligibility import SWITCHES, admit, demand_sense
from kms_conformance.run.journal import Journal, Thing
from kms_conformance.run.locks import Turns
from kms_conformance.run.options import Options
from kms_conformance.run.outcomes import NotTested, Planted
from kms_conformance.run.preflight import preflight
from kms_conformance.run.provenance import commit
from kms_conformance.run.recording import Lock as JournalKey
from kms_conformance.run.recording import SealedError, StaleError, Tape, begin, reproducible
from kms_conformance.run.reference_process import EmbeddedReference
from kms_conformance.target.target import Target
from kms_conformance.transport.client import Client
from kms_conformance.transport.rate_limit import Pace

BREAKER = 6
_PATIENCE = 10.0
_LOST = "what was planted is lost, the next nightly run plants it anew"
# What cannot stay as it is for days between two runs.
ROOTLESS = {"instance", "allowed-ip", "import-token", "zeroize", "account", "clusters"}
ALONE = {"instance", "allowed-ip", "zeroize", "account"}
TAKES_TURNS = {"import-token"}


class Session:
    """One run against one target. Start it, run cases in it from any thread, close it."""

    def __init__(self, options: Options, target: Target | None = None) -> None:
        self.options = options.settled()
        self._reference: EmbeddedReference | None = None
        self._target = target
        if target is None:
            self._reference = EmbeddedReference(
                edition=options.edition, defects=options.defects, variations=options.variations
            )
        self._contexts: dict[str, Context] = {}
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._pace: Pace | None = None
        self._lock_of_journal: JournalKey | None = None
        self.started = time.time()
        self.results: dict[str, CaseResult] = {}
        self.expected = 0
        self.interrupted = ""
        self.trouble = ""

    @property
    def target(self) -> Target:
        """The target; the first call waits for the embedded reference where there is one."""
        with self._lock:
            if self._target is None:
                assert self._reference is not None
                self._target = self._reference.target()
            if self.options.max_wait is not None:
                self._target = replace(self._target, max_wait=self.options.max_wait)
            return self._target

    def check(self) -> None:
        """Run the preflight; raise what it raises. The embedded reference needs none."""
        for contract_id in self.options.contracts:
            context = self.context(contract_id)
            probe = context.contract.about.get("preflight")
            if probe is None or context.target.embedded:
                continue
            instance = self.instance(context.target)
            with Turns(context.target.base_url, instance, shared=not context.target.fresh).hold():
                first = preflight(context.client, context.contract, probe, instance)
            if isinstance(context.clock, RealClock) and first.answer is not None:
                context.clock.learn(first.answer.headers.get("date"))

    def context(self, contract_id: str) -> Context:
        """Return what the cases of a contract share."""
        target = self.target
        with self._lock:
            if contract_id not in self._contexts:
                contract = load_contract(contract_id)
                self._contexts[contract_id] = self._build(
                    contract, target.seen_by(contract_id, contract.instance_key)
                )
            return self._contexts[contract_id]

    def _build(self, contract: Contract, target: Target) -> Context:
        about = contract.about
        redactor = Redactor(
            secret=about.get("secrets", ()),
            public=about.get("public", ()),
            public_headers=about.get("public_headers", ()),
            sealed=about.get("sealed", ()),
            key=bytes.fromhex(self.options.key),
            kin=self.redactor,
        )
        if self._journal is None:
            path = None if target.embedded else self.options.journal
            self._journal = Journal(path, self.options.run, lambda text: bool(redactor.tokens_in(text)))
        if self._pace is None:
            self._pace = Pace(target.requests_per_second, self._pace_file)
        prefix = f"{self.options.worker}x" + "x" * len(self._contexts)
        client = Client(target, redactor, prefix, self._pace)
        return Context(
            contract=contract,
            target=target,
            client=client,
            clock=choose_clock(target, client.take_turn),
            journal=self._journal,
            redactor=redactor,
            schemas=SchemaFiles(),
            run=self.options.run,
            edition=self.options.edition,
            fuzz=self.options.fuzz.placed(self.options.journal, self.options.report_dir),
        )

    @property
    def redactor(self) -> Redactor | None:
        """What knows every secret of the run; ``None`` before there is any."""
        return next((context.redactor for context in self._contexts.values()), None)

    @property
    def _pace_file(self) -> Path:
        """Where the processes of this run share its rate limit."""
        return Path(tempfile.gettempdir()) / f"kms-conformance-{os.getuid()}-{self.options.run}.pace"

    def instance(self, target: Target) -> str:
        """Return the instance for a case: a new one where the target makes them."""
        return str(uuid.uuid4()) if target.fresh else target.instance

    def overlaps(self, contract_id: str) -> bool:
        """Tell whether waits are real, so that waiting cases belong into threads."""
        return self.context(contract_id).clock.overlaps

    def open(self, info: CaseInfo) -> CaseRun:
        """Begin a case."""
        context = self.context(info.contract)
        return CaseRun(context, info, self.instance(context.target))

    def run_case(self, case: CaseRun, body: Callable[[Any], None]) -> CaseResult:
        """Run a case from its first request to the end of its clean-up, and return the result.

        Raises nothing but :class:`KeyboardInterrupt`, and that only after the clean-up.
        """
        context, info = case.context, case.info
        interrupt: KeyboardInterrupt | None = None
        try:
            self._demand_life(context)
            demand_sense(info, context.contract)
            admit(info, context.target)
            system = adapter_of(context.contract)(case)
            turns = Turns(context.target.base_url, case.instance, shared=not context.target.fresh)
            kinds = _touched(info, context.target)
            alone = bool(kinds & ALONE) or (context.clock.overlaps is False and info.waits > 0)
            with self._plant_turn(case), turns.hold(sorted(kinds & TAKES_TURNS), alone=alone):
                self._take_up(case, system)
                context = case.context
                if alone and not context.target.fresh:
                    put_back_shared(context, case.instance, self.target.contract)
                case.started = time.time()
                try:
                    with reproducible(case.tape.seed if case.tape else None):
                        body(system)
                except BaseException as wrong:  # noqa: BLE001 - a case may fail in any way; the run goes on
                    case.stopped = _reason(wrong)
                    interrupt = wrong if isinstance(wrong, KeyboardInterrupt) else None
                finally:
                    if not isinstance(case.stopped, Planted):
                        self._clean(case)
                        if case.tape is not None:
                            case.tape.finished()
        except BaseException as wrong:  # noqa: BLE001 - same, while it waited for its turn, or cleaned up
            case.stopped = _reason(wrong)
            interrupt = wrong if isinstance(wrong, KeyboardInterrupt) else interrupt
        case.finished = case.finished or time.time()
        result = case.result()
        self.results[info.id] = result
        if interrupt is not None:
            raise interrupt
        return result

    def _take_up(self, case: CaseRun, system: Any) -> None:
        """Give a case that waits too long for one run its tape: to be planted, or to be finished.

        Raises :class:`NotTested` when it is planted and not yet due.
        """
        context, info = case.context, case.info
        journal, target = context.journal, context.target
        if not _plantable(case) or not hasattr(system, "server_now"):
            return
        plants = [
            plant
            for plant in journal.plants(target.base_url, info.id)
            if target.fresh or plant.instance == case.instance
        ]
        for plant in [plant for plant in plants if not plant.due]:
            journal.uprooted(plant.id)  # a run was killed while it planted; what it had made is swept
        ready = [plant for plant in plants if plant.due]
        if ready:
            lock = self._journal_lock(target)
            case.instance = ready[0].instance
            self._demand_due(case, ready[0].due)
            try:
                case.tape = Tape.load(journal, ready[0], lock)
            except SealedError as wrong:
                raise NotTested(f"what was planted cannot be finished: {wrong}") from None
            except StaleError as wrong:
                journal.uprooted(ready[0].id)  # what it had made is swept
                if self.options.profile is not Profile.NIGHTLY:
                    raise NotTested(f"{_LOST}: {wrong}") from None
        if case.tape is None:
            if self.options.profile is not Profile.NIGHTLY:
                return
            lock, run = self._journal_lock(target), f"{context.run}-{uuid.uuid4().hex[:6]}"
            case.tape = begin(
                journal, lock, info.id, base_url=target.base_url, instance=case.instance, run=run
            )
        case.context = replace(context, run=case.tape.plant.run, journal=journal.tagged(case.tape.plant.run))
        case.server_now = system.server_now

    def _plant_turn(self, case: CaseRun) -> AbstractContextManager[None]:
        """Hold a case that may be planted: two runs with one journal must not both plant or finish it."""
        place = str(case.context.journal.path)
        return Turns(place, case.info.id, shared=_plantable(case)).hold(alone=True)

    def _demand_due(self, case: CaseRun, due: str) -> None:
        """Ask the server for its date; raise :class:`NotTested` when a planted case is not yet due."""
        probe = CaseRun(case.context, case.info, case.instance)
        try:
            now = adapter_of(case.context.contract)(probe).server_now()
        finally:
            self._clean(probe)
        if now < datetime.fromisoformat(due):
            raise NotTested(f"due {datetime.fromisoformat(due):%Y-%m-%d}")

    def _journal_lock(self, target: Target) -> JournalKey:
        """Return what encrypts the journal; its key comes from a secret that the operator has on every machine."""
        manager = target.identities.get("manager")
        secret = os.environ.get("KMS_JOURNAL_KEY") or (manager.api_key if manager else None)
        if not secret:
            raise NotTested(
                "give KMS_JOURNAL_KEY, or an API key instead of a token: the journal is encrypted under it"
            )
        with self._lock:
            if self._lock_of_journal is None:
                self._lock_of_journal = JournalKey(str(secret))
            return self._lock_of_journal

    def left_behind(self) -> list[Thing]:
        """Return what dead runs have left on this target, newest first."""
        return [thing for _, thing in abandoned(self._all(), self.target.contract)]

    def recover(self) -> list[str]:
        """Remove what dead runs have left on this target, and restore what they had changed.

        Returns a line for each thing that could not be removed. Called at the start of a run, and by ``sweep``.
        """
        return put_right(list(abandoned(self._all(), self.target.contract)))

    def tidy(self) -> list[str]:
        """Remove what this run has left nevertheless: an answer was lost, or a clean-up was refused or cut short.

        Returns a line for each thing that stays in the journal. Called once, when no case runs any more.
        """
        if not self._contexts or self._journal is None or self.target.embedded:
            return []
        left = list(own(self._all(), self.target.contract))
        if left and not self._journal.last(_PATIENCE):
            return [f"{len(left)} things: a process of this run is still at work"]
        return put_right(left)

    def _all(self) -> list[Context]:
        return [self.context(contract_id) for contract_id in self.options.contracts]

    def _demand_life(self, context: Context) -> None:
        """Spare the cases that are left when the endpoint has stopped answering."""
        silent = context.client.silent
        if silent >= BREAKER:
            self.interrupted = f"the endpoint gave no answer to {silent} requests in a row"
            raise NotTested("the endpoint stopped answering")

    def _clean(self, case: CaseRun) -> None:
        """Remove what a case has made; a failure to do so leaves it to the journal."""
        if case.context.target.embedded:
            return  # the reference and all it holds end with the run
        try:
            with contextlib.suppress(Exception):
                case.finish()
        except KeyboardInterrupt:
            # Ctrl-C that falls into a clean-up must not cut it short; a second one may.
            with contextlib.suppress(Exception):
                case.finish()
            raise

    def accepts(self, result: CaseResult) -> str:
        """Return why the baseline keeps a failed case from failing the run, or ``""``."""
        return accepted(result, self.options.baseline or ())

    def _settle(
        self, cases: Sequence[CaseResult], rows: Sequence[Row], *, complete: bool
    ) -> tuple[KnownDeviation, ...]:
        """Hold the baseline against what was found."""
        if self.options.baseline is None:
            return ()
        known = [case.id for contract in self.options.contracts for case in listed_cases(contract)]
        return settle(self.options.baseline, cases, known, rows, complete=complete)

    def _fuzzed(self) -> dict[str, Any]:
        """Return how the run fuzzed, with the digest of each corpus: equal digests are equal requests."""
        options = self.options.fuzz
        told: dict[str, Any] = {
            "on": options.on,
            "corpus": "whole" if options.whole else "sample",
            "generated": options.generate,
        }
        if options.on:
            told["sha256"] = {
                contract: digest
                for contract in self.options.contracts
                if (digest := shipped_digest(contract))
            }
        if options.generate:
            told |= {"seed": options.seed, "examples": options.examples, "seconds": options.seconds}
        return told

    def cancel(self) -> None:
        """End every wait that is under way."""
        for context in self._contexts.values():
            context.clock.cancel()

    def close(self) -> None:
        """Let go of everything."""
        for context in self._contexts.values():
            context.client.close()
            context.clock.close()
        if self._pace is not None:
            self._pace.close()
            if not self.options.worker:
                self._pace_file.unlink(missing_ok=True)
        if self._journal is not None:
            self._journal.close()
        if self._reference is not None:
            self._reference.stop()

    def outcome(self) -> Run:
        """Return the verdict object."""
        missing = self.expected - len(self.results)
        interrupted = self.interrupted
        if missing > 0 and not interrupted and not self.trouble:
            interrupted = f"{missing} of {self.expected} selected cases did not run"
        if self.options.shard and not interrupted:
            interrupted = shard_note(self.options.shard)
        contracts = [load_contract(contract_id) for contract_id in self.options.contracts]
        target = self._target
        cases = tuple(self.results[case_id] for case_id in sorted(self.results))
        rows = tuple(row for contract in contracts for row in contract.rows())
        return Run(
            profile=self.options.profile,
            cases=cases,
            rows=rows,
            interrupted=interrupted,
            trouble=self.trouble,
            started=self.started,
            finished=time.time(),
            meta={
                "suite": {"name": "kms-conformance", "version": __version__, "commit": commit()},
                "run_id": self.options.run,
                "edition": self.options.edition,
                "contracts": [
                    {
                        "id": contract.id,
                        "title": contract.title,
                        "edition": contract.edition,
                        "sha256": contract.sha256,
                    }
                    for contract in contracts
                ],
                "target": target.public() if target else {},
                "sections": {
                    contract.id: [dict(section) for section in contract.about.get("sections", ())]
                    for contract in contracts
                },
                "options": {"max_wait": self.options.max_wait, "fuzz": self._fuzzed()},
            },
            baseline=self._settle(cases, rows, complete=not interrupted and not self.trouble),
            accepted={case.id: reason for case in cases if (reason := self.accepts(case))},
        )


def _reason(wrong: BaseException) -> BaseException:
    """Return why a case stopped, for its verdict."""
    match wrong:
        case Cancelled():
            return NotTested("the run was stopped while this case waited")
        case KeyboardInterrupt():
            return NotTested("the run was stopped during this case")
        case StaleError():
            return NotTested(f"{_LOST}: {wrong}")
    return wrong


def _touched(info: CaseInfo, target: Target) -> set[str]:
    """Return what a case touches beyond its own things on this target."""
    return {*info.impact, *(kind for kind in info.perhaps if target.allow.get(SWITCHES[kind], False))}


def _plantable(case: CaseRun) -> bool:
    """Tell whether a case waits longer than a run may, and leaves nothing that cannot stay for days."""
    context, info = case.context, case.info
    return (
        type(context.clock) is RealClock
        and info.waits > context.target.max_wait
        and not set(info.impact) & ROOTLESS
        and context.journal.path is not None
    )
