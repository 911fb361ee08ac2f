"""Law 2: an operation changes what it says, and nothing else.

A case of ``effect-cases.yaml`` makes a thing with everything that a thing can have, and others beside it, looks at all of
them, sends requests, and looks again. After a success exactly what ``effects.yaml`` names has changed, after a refusal
nothing; what two requests show of the same thing agrees at any moment. Steps follow one another on one thing: the snapshot
after one is the snapshot before the next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.members import MISSING
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.judge import mismatch
from kms_conformance.laws.changes import CompletedOperation
from kms_conformance.laws.expected import (
    OK,
    REFUSED,
    ExpectedAnswer,
    Observation,
    entries_of,
)
from kms_conformance.laws.observed_effects import NEVER, EffectSystem, ObservedEffects
from kms_conformance.laws.request import OperationRequest, request_of
from kms_conformance.laws.snapshot import (
    Look,
    ObservedResource,
    ObservedValue,
    Snapshot,
    flat,
    taken,
)
from kms_conformance.laws.ways import Ways
from kms_conformance.run.outcomes import ConformanceFailure, Inconclusive, NotTested

if TYPE_CHECKING:
    from kms_conformance.laws.entries import LawCase
    from kms_conformance.run.answer import Answer

_LOOKS_AGAIN = 2
"""How often a case waits at most for a change that may show late."""
_SECONDS = 2.0
_NOT_THEIRS = frozenset({401, 403})
"""Statuses of who may not ask."""
_AT_FIRST = "at first"


class Effects(ObservedEffects):
    """One case of the law."""

    def __init__(self, system: EffectSystem, case: LawCase) -> None:
        """Make the things of the case, and take the first snapshot of all of them."""
        super().__init__(system, case)
        context = system.case.context
        self.ways = Ways(
            context.contract.id, case.id, context.fuzz.seed, frozenset(context.target.identities)
        )
        self.failure: ConformanceFailure | None = None
        self.done_since: dict[ObservedResource, list[str]] = {}
        self.looks_again, self.passed_over = _LOOKS_AGAIN, ""
        self._look([_AT_FIRST], Look(whole=True))
        self.callers.know_creator(self.seen, self.law.get("creator", {}))

    def run(self) -> None:
        """Perform the steps, with a snapshot after each; a gate reads what a step names, and everything at the end."""
        steps = [
            (number, step)
            for number, step in enumerate(self.data["steps"])
            if all(name in self.prepared.marks for name in step.get("if", ()))
        ]
        for number, step in steps:
            self._step(number, step, whole=number == steps[-1][0] or step.get("look") == "all")
        if self.failure is not None:
            raise self.failure
        if self.passed_over:
            raise NotTested(self.passed_over)

    def _can_wait(self, seconds: float) -> bool:
        target = self.system.case.context.target
        return bool(target.control_url) or seconds <= target.max_wait

    def _step(self, number: int, step: Mapping[str, Any], *, whole: bool) -> None:
        if not self._waited(step):
            return
        requests, done, unlike = self._requests(number, step)
        self._add_made(done)
        just_seen = {name: observed for name, observed in self.seen.items() if self._is_fresh(*name)}
        self.before |= {one.request.operation: just_seen for one in done}
        names = ", ".join(dict.fromkeys(request.operation for request in requests))
        self.rows = self._rows(requests, done)
        named = frozenset(change["of"] for request in requests for change in self._entry(request)["changes"])
        look = Look(whole, brief=not self.system.case.context.thorough, named=named)
        self._look([names if done else f"{names} (refused)"], look, done)
        if unlike:
            # Other cases judge whether it may succeed; the next steps need that it did. Where a step before it could not be
            # waited for, its state is another one.
            reason = (
                NotTested(self.passed_over) if self.passed_over else Inconclusive(f"precondition {unlike}")
            )
            raise self.failure or reason

    def _waited(self, step: Mapping[str, Any]) -> bool:
        """Wait before a step; tell whether the step can be performed."""
        if "wait" in step:
            if not self._can_wait(step["wait"]):
                self.passed_over = (
                    f"a step needs a wait of {step['wait']:,.0f} s ({step['why']}): give [control] url"
                )
                return False
            self.system.wait(step["wait"], step["why"])
        elif self.system.case.context.target.control_url:
            self.system.wait(_SECONDS, "dates have whole seconds, so a change within one would not be seen")
        return True

    def _requests(
        self, number: int, step: Mapping[str, Any]
    ) -> tuple[list[OperationRequest], list[CompletedOperation], str]:
        """Send the requests of a step; return them, what succeeded, and the first whose outcome is not the step's."""
        requests: list[OperationRequest] = []
        done: list[CompletedOperation] = []
        unlike = ""
        for place, data in enumerate(step.get("all", [step])):
            if unlike and "row" in data:
                # A later request must be refused only because of the step that failed here.
                break
            outcome = "refused" if "row" in data else data.get("outcome", step.get("outcome", "done"))
            usual = request_of(data, self.prepared.marks)
            members_before = self._found(usual, self._entry(usual))
            request = self.ways.other(usual, (number, place), self.prepared.marks, members_before)
            answer, took = self._asked(request)
            if request != usual and not answer.ok and outcome != "refused":
                # The law of views judges whether the other way is open; the next steps need that this one succeeds.
                request = usual
                answer, took = self._asked(request)
            requests.append(request)
            if outcome == "done" and self._is_allowed(request, members_before):
                self._judge_allowed(answer)
            if "row" in data:
                self._judge(data["row"], ExpectedAnswer((REFUSED,)), ObservedValue(answer, "", None))
            if answer.ok:
                done.append(self._completed(request, answer, took))
            if outcome != "any" and answer.ok != (outcome == "done"):
                unlike = unlike or f"{request.operation}: {answer.exchange.outcome}"
        return requests, done, unlike

    def _is_allowed(self, request: OperationRequest, members_before: Mapping[str, Any]) -> bool:
        """Tell whether sources say that a request succeeds on what it addresses, as that was last seen."""
        allowed = self._entry(request).get("allowed")
        return allowed is not None and all(
            members_before.get(name) in values for name, values in allowed.get("when", {}).items()
        )

    def _judge_allowed(self, answer: Answer) -> None:
        """Judge that a request succeeded; whether the caller may ask for it is for other cases."""
        if answer.status not in _NOT_THEIRS:
            self._judge(self.law["rows"]["allowed"], ExpectedAnswer((OK,)), ObservedValue(answer, "", None))

    def _asked(self, request: OperationRequest) -> tuple[Answer, float]:
        """Send a request; return the answer and the seconds that it took."""
        started = time.monotonic()
        return self.system.send_request(request).not_judged(), time.monotonic() - started

    def _rows(
        self, requests: Sequence[OperationRequest], done: Sequence[CompletedOperation]
    ) -> tuple[str, ...]:
        """Return the covered rows to judge by: those of the operations that succeeded, else the row that a refusal changes nothing."""
        of_requests = [self._entry(request)["row"] for request in requests]
        wanted = [one.entry["row"] for one in done] or [self.law["rows"]["refused"]]
        covered = self.system.case.info.covers
        rows = [row for row in wanted if row in covered] or [row for row in of_requests if row in covered]
        return tuple(dict.fromkeys(rows)) or (self.law["rows"]["lasting"],)

    def _entry(self, request: OperationRequest) -> Mapping[str, Any]:
        operations = self.law["operations"]
        entry: Mapping[str, Any] = operations[request.operation]
        if "as" in entry:
            entry = operations[entry["as"]["operations"][request.query[entry["as"]["parameter"]]]]
        return entry

    def _completed(self, request: OperationRequest, answer: Answer, took: float) -> CompletedOperation:
        entry = self._entry(request)
        dated = (*entry["changes"], *entry.get("answer", {}).get("says", ()))
        needs_time = any(change["how"] in {"now", "later"} for change in dated)
        ended = self.system.case.now() if needs_time else NEVER
        return CompletedOperation(
            request,
            answer,
            entry,
            ended,
            timedelta(seconds=took),
            self._found(request, entry),
            self.prepared.marks,
        )

    def _found(self, request: OperationRequest, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of what a request addresses, as last seen."""
        addressed = {str(value) for value in request.path.values()}
        for (thing, number), observed in self.seen.items():
            if number or thing.resource != entry.get("addresses"):
                continue
            if thing.owners & addressed and isinstance(observed.value, dict):
                return flat(observed.value)
            for one in entries_of(observed, self.resources[thing.resource].get("by", "id")).values():
                if addressed & {str(value) for value in one.values()}:
                    return flat(one)
        return {}

    def _add_made(self, done: Sequence[CompletedOperation]) -> None:
        """Add what an operation has made to all later snapshots."""
        for one in done:
            made = one.value("$answer/resources/0/id")
            if made is MISSING:
                continue
            self.prepared.marks["made"] = made
            in_lists = {
                change["of"]
                for change in one.changes
                if change["how"] == "plus-one" and "which" not in change
            }
            names = dict.fromkeys(change["of"] for change in one.changes if change.get("which") == "made")
            for name in names:
                subjects = [
                    value.removeprefix("$subject.")
                    for read in self.resources[name]["reads"]
                    for value in read.get("path", {}).values()
                    if value.startswith("$subject.")
                ]
                if subjects and name not in in_lists:
                    marks = {**self.prepared.marks, **dict.fromkeys(subjects, made)}
                    self.prepared.things.append(
                        ObservedResource(name, str(made), marks, frozenset({str(made)}))
                    )

    # --- looking --------------------------------------------------------------------------------------------------

    def _look(self, after: list[str], look: Look, done: Sequence[CompletedOperation] | None = None) -> None:
        """Take a snapshot and judge it; where a change may show late, take another after that time."""
        self.done += done or ()
        seen = self._taken(after, look)
        looked = self._all_looked(seen, done)
        answered = list(self._answered(done or ()))
        late = max((one.late for one in looked if one.late and self._complaint(one)), default=0.0)
        if late and self.looks_again and self._can_wait(late):
            self.looks_again -= 1
            self.system.wait(late, "a change may show late")
            seen = self._taken([*after, "later"], look)
            looked = self._all_looked(seen, done or ())
        elif late:
            self.is_unsettled = True
            looked = self._all_looked(seen, done)
        for one in (*looked, *answered):
            for row in one.rows:
                self._judge(row, one.stated, one.observed)
        self.callers.meet(seen, done or (), self.resources)
        self.seen |= seen
        self.read_at |= dict.fromkeys(seen, len(self.done))
        self.last = set(seen)
        for thing in self.prepared.things:
            is_seen = any((thing, number) in seen for number in range(len(self._reads(thing))))
            self.done_since[thing] = [] if is_seen else [*self.done_since.get(thing, ()), *after]
        for (thing, number), observed in seen.items():
            if number == 0:
                for name, value in flat(observed.value).items():
                    # The value that was shown last comes last.
                    values = [one for one in self.known.get((thing, name), ()) if one != value]
                    self.known[thing, name] = [*values, value]

    def _taken(self, after: list[str], look: Look) -> Snapshot:
        def step_text(thing: ObservedResource) -> str:
            words = [*self.done_since.get(thing, ()), *after]
            return words[0] if words[0] == _AT_FIRST else f"after {', '.join(words)}"

        return taken(self.system, self.resources, self.prepared.things, look, step_text)

    # --- judging --------------------------------------------------------------------------------------------------

    def _complaint(self, one: Observation) -> str | None:
        expectation = self._expectation(one.rows[0], one.stated, one.observed)
        return mismatch(expectation, one.observed.answer.exchange, self.system.case.context.schemas)

    def _expectation(self, row: str, stated: ExpectedAnswer, observed: ObservedValue) -> Expectation:
        requirement = self.system.case.row(row)
        members = tuple(
            replace(member, path=member.path.strip(".")) if member.path.strip(".") != member.path else member
            for member in stated.members
        )
        return Expectation(
            observed.answer.exchange.id, requirement.id, requirement.severity, stated.outcomes, members
        )

    def _judge(self, row: str, stated: ExpectedAnswer, observed: ObservedValue) -> None:
        """Judge a statement; each member that differs is a finding of its own."""
        exchange, schemas = observed.answer.exchange, self.system.case.context.schemas
        whole = self._expectation(row, stated, observed)
        broken: list[Expectation] = []
        if not mismatch(whole, exchange, schemas):
            pass
        elif mismatch(replace(whole, members=()), exchange, schemas):
            broken = [replace(whole, members=())]
        else:
            each = [replace(whole, outcomes=(), members=(member,)) for member in whole.members]
            broken = [one for one in each if mismatch(one, exchange, schemas)]
        for expectation in broken or [whole]:
            finding = self.system.case.judge(expectation, exchange)
            if finding is not None and finding.severity is Verdict.FAILED and self.failure is None:
                self.failure = ConformanceFailure(
                    f"{finding.requirement}: {finding.step}: expected {finding.expected}, got {finding.got}"
                )
