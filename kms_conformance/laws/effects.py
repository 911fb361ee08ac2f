"""Law 2: an operation changes what it says, and nothing else.

A case of ``effect-cases.yaml`` makes a thing with everything that a thing can have, and others beside it, looks at all of
them, sends requests, and looks again. After a success exactly what ``effects.yaml`` names has changed, after a refusal
nothing; what two requests show of the same thing agrees at any moment. Steps follow one another on one thing: the snapshot
after one is the snapshot before the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.members import MISSING
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.judge import mismatch
from kms_conformance.laws.agreements import Agreements
from kms_conformance.laws.answers import of_answer, shown_in_answer
from kms_conformance.laws.callers import Callers
from kms_conformance.laws.changes import Change, CompletedOperation
from kms_conformance.laws.entries import law_file
from kms_conformance.laws.expected import (
    OK,
    REFUSED,
    ExpectedAnswer,
    KnownFacts,
    Observation,
    Window,
    each_same,
    entries_of,
    of_list,
    of_number,
    of_object,
    of_probe,
    same,
)
from kms_conformance.laws.request import OperationRequest, System, request_of
from kms_conformance.laws.snapshot import (
    Look,
    ObservedResource,
    ObservedValue,
    PreparedCase,
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
"""How often a case waits at most until what may show late must be there."""
_SECONDS = 2.0
_AT_FIRST = "at first"
_NEVER = datetime.min.replace(tzinfo=UTC)
"""Of an operation whose changes have nothing to do with time."""


class EffectSystem(System, Protocol):
    """A system on which effects are looked at."""

    def prepare(self, subject: Mapping[str, Any]) -> PreparedCase:
        """Make the things of a case; the case is inconclusive when that fails."""


class Effects:
    """One case of the law."""

    def __init__(self, system: EffectSystem, case: LawCase) -> None:
        """Make the things of the case, and look at all of them."""
        self.system, self.data = system, case.data
        self.law = law_file(system.case.info.contract, "effects")
        self.resources: Mapping[str, Any] = self.law["resources"]
        self.agreements = Agreements(self.law)
        context = system.case.context
        self.ways = Ways(
            context.contract.id, case.id, context.fuzz.seed, frozenset(context.target.identities)
        )
        self.prepared = system.prepare(case.data["subject"])
        if not system.alone:
            self.prepared.keep_own()
        self.known: dict[tuple[ObservedResource, str], list[Any]] = {}
        self.failure: ConformanceFailure | None = None
        self.rows: tuple[str, ...] = ()
        self.seen: Snapshot = {}
        self.callers = Callers()
        self.before: dict[str, Snapshot] = {}
        self.last: set[tuple[ObservedResource, int]] = set()
        self.done_since: dict[ObservedResource, list[str]] = {}
        self.looks_again, self.passed_over = _LOOKS_AGAIN, ""
        self.is_unsettled = False
        """Whether a change that may show late was not waited for: from then on what may be late is not judged."""
        self._look([_AT_FIRST], Look(whole=True))
        self.callers.know_creator(self.seen, self.law.get("creator", {}))

    def run(self) -> None:
        """Perform the steps, and look after each; a gate looks at what they name, and at everything at the end."""
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
            # Whether it may succeed is for other cases; what follows builds on it. Where a step before it could not be
            # waited for, its state is another one.
            reason = (
                NotTested(self.passed_over) if self.passed_over else Inconclusive(f"precondition {unlike}")
            )
            raise self.failure or reason

    def _waited(self, step: Mapping[str, Any]) -> bool:
        """Let the time before a step pass; tell whether the step can be performed."""
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
        """Send the requests of a step; return them, what succeeded, and the first that did not come out as the step says."""
        requests: list[OperationRequest] = []
        done: list[CompletedOperation] = []
        unlike = ""
        for place, data in enumerate(step.get("all", [step])):
            if unlike and "row" in data:
                # What must be refused now follows from what was to be done before it.
                break
            outcome = "refused" if "row" in data else data.get("outcome", step.get("outcome", "done"))
            usual = request_of(data, self.prepared.marks)
            members_before = self._found(usual, self._entry(usual))
            request = self.ways.other(usual, (number, place), self.prepared.marks, members_before)
            answer, took = self._asked(request)
            if request != usual and not answer.ok and outcome != "refused":
                # Whether the other way is open is for the law of views; what follows builds on this step.
                request = usual
                answer, took = self._asked(request)
            requests.append(request)
            if "row" in data:
                self._judge(data["row"], ExpectedAnswer((REFUSED,)), ObservedValue(answer, "", None))
            if answer.ok:
                done.append(self._completed(request, answer, took))
            if outcome != "any" and answer.ok != (outcome == "done"):
                unlike = unlike or f"{request.operation}: {answer.exchange.outcome}"
        return requests, done, unlike

    def _asked(self, request: OperationRequest) -> tuple[Answer, float]:
        """Send a request; return the answer and the seconds that it took."""
        started = time.monotonic()
        return self.system.send_request(request).not_judged(), time.monotonic() - started

    def _rows(
        self, requests: Sequence[OperationRequest], done: Sequence[CompletedOperation]
    ) -> tuple[str, ...]:
        """Return the rows to judge by: of what was done, or that a refusal changes nothing, of those that the case covers."""
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
        needs_time = any(change["how"] in {"now", "later"} for change in entry["changes"])
        ended = self.system.case.now() if needs_time else _NEVER
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
        """Look, from now on, at what an operation has made."""
        for one in done:
            made = one.value("$answer/resources/0/id")
            if made is MISSING:
                continue
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
        """Take a snapshot and judge it; what may show a change late is looked at once more, after its time."""
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
        self.last = set(seen)
        for thing in self.prepared.things:
            is_seen = any((thing, number) in seen for number in range(len(self._reads(thing))))
            self.done_since[thing] = [] if is_seen else [*self.done_since.get(thing, ()), *after]
        for (thing, number), observed in seen.items():
            if number == 0:
                for name, value in flat(observed.value).items():
                    # The one that was shown last stands last.
                    values = [one for one in self.known.get((thing, name), ()) if one != value]
                    self.known[thing, name] = [*values, value]

    def _taken(self, after: list[str], look: Look) -> Snapshot:
        def step_text(thing: ObservedResource) -> str:
            words = [*self.done_since.get(thing, ()), *after]
            return words[0] if words[0] == _AT_FIRST else f"after {', '.join(words)}"

        return taken(self.system, self.resources, self.prepared.things, look, step_text)

    def _reads(self, thing: ObservedResource) -> Sequence[Mapping[str, Any]]:
        reads: Sequence[Mapping[str, Any]] = self.resources[thing.resource]["reads"]
        return reads

    def _is_fresh(self, thing: ObservedResource, number: int) -> bool:
        """Tell whether a thing was as it was seen last when the last operations began.

        Objects change with nearly every operation; a list or a probe that was passed over has not been named since.
        """
        is_entry = "entry" in self._reads(thing)[number]
        is_object = self.resources[thing.resource]["kind"] == "one"
        return (thing, number) in self.last or thing.bystander or not (is_object or is_entry)

    def _all_looked(self, seen: Snapshot, done: Sequence[CompletedOperation] | None) -> list[Observation]:
        """State all that must be seen; ``done`` is ``None`` where nothing was tried yet."""
        return [
            *(self._prepared(seen) if done is None else self._observations(seen, done)),
            *self._agreed(seen),
        ]

    def _agreed(self, seen: Snapshot) -> Iterator[Observation]:
        """State what two requests must show alike."""
        for stated, observed, late in self.agreements.of(seen):
            if late and self.is_unsettled:
                continue
            yield Observation((self.law["rows"]["agree"],), stated, observed, late)

    def _answered(self, done: Sequence[CompletedOperation]) -> Iterator[Observation]:
        """State how the answer of an operation shows its thing; of several requests the order of effects is not known."""
        for one in done if len(done) == 1 else ():
            observed = shown_in_answer(one)
            if observed is None:
                continue
            names = {str(one.value("$answer/resources/0/id")), *one.addressed}
            resource = one.entry["answer"].get("of")
            things = [
                thing for thing in self.prepared.things if thing.resource == resource and thing.owners & names
            ]
            earlier = self.before.get(one.entry.get("undoes", ""), self.seen)
            for thing in things or [ObservedResource("", "")]:
                changes = list(one.of(thing, self._members(thing), self.resources)) if things else []
                facts = self._about(thing, 0, done) if things else KnownFacts()
                late = frozenset(
                    entry["member"] for entry in self.resources.get(resource, {}).get("late", ())
                )
                stated = of_answer(one, observed, earlier.get((thing, 0)), changes, known=facts, late=late)
                if stated is not None:
                    yield Observation(self.rows, stated, observed)

    def _prepared(self, seen: Snapshot) -> Iterator[Observation]:
        """State, before anything is tried, that things are as they were asked for."""
        for (thing, number), observed in seen.items():
            if thing.value is None or thing.closed or number:
                continue
            if self.resources[thing.resource]["kind"] == "probe":
                token = self.system.case.context.redactor.remember(str(thing.value), "secret")
                stated = ExpectedAnswer(
                    (OK,),
                    tuple(
                        same(
                            observed.at or self.resources[thing.resource]["reads"][0]["at"].strip("/"), token
                        )
                    ),
                )
            else:
                stated = ExpectedAnswer((OK,), tuple(each_same(observed, thing.value)))
            yield Observation((self.law["rows"]["lasting"],), stated, observed)

    def _observations(self, seen: Snapshot, done: Sequence[CompletedOperation]) -> Iterator[Observation]:
        for (thing, number), observed in seen.items():
            kind = self.resources[thing.resource]["kind"]
            before = self.seen.get((thing, number))
            for undone in [one.entry["undoes"] for one in done if one.entry.get("undoes") in self.before]:
                if kind in {"one", "list"}:
                    before = self.before[undone].get((thing, number))
            if before is not None and not before.ok and kind != "probe":
                continue
            if before is not None and not self._is_fresh(thing, number):
                # What several steps have changed is seen by the agreements with what was looked at after each.
                continue
            late = self._may_be_late(thing) if self.is_unsettled else {}
            if "" in late:
                continue
            changes = [
                change
                for one in done
                for change in one.of(thing, self._members(thing), self.resources)
                if change.member not in late
            ]
            made = before is None and any(
                str(one.value("$answer/resources/0/id")) in thing.owners for one in done
            )
            if (before is None and not made) or not self._readable(thing, seen):
                continue
            stated = self._stated(thing, number, (before, observed), changes, done)
            if stated is not None:
                yield Observation(
                    self._charged(thing, number, changes, done), stated, observed, self._late(thing, changes)
                )

    def _charged(
        self,
        thing: ObservedResource,
        number: int,
        changes: Sequence[Change],
        done: Sequence[CompletedOperation],
    ) -> tuple[str, ...]:
        """Return the rows that a deviation breaks: of the last operations, unless it may have come before them."""
        rows = self.law["rows"]
        if thing.bystander and done:
            return (rows["bystander"],)
        is_older = (thing, number) in self.seen and (thing, number) not in self.last
        return (rows["lasting"],) if is_older and not changes else self.rows

    def _members(self, thing: ObservedResource) -> dict[str, Any]:
        observed = self.seen.get((thing, 0))
        return flat(observed.value) if observed else {}

    def _stated(
        self,
        thing: ObservedResource,
        number: int,
        observations: tuple[ObservedValue | None, ObservedValue],
        changes: Sequence[Change],
        done: Sequence[CompletedOperation],
    ) -> ExpectedAnswer | None:
        resource, (before, after) = self.resources[thing.resource], observations
        about = self._about(thing, number, done)
        match resource["kind"]:
            case "one":
                return of_object(
                    before, after, changes, about, entry=resource["reads"][number].get("entry", "")
                )
            case "list":
                ordered = resource.get("ordered", False)
                return of_list(before, after, changes, about, by=resource["by"], ordered=ordered)
            case "number":
                return None if before is None else of_number(before, after, changes)
        token = self.system.case.context.redactor.remember(str(thing.value), "secret")
        return of_probe(before, after, changes, token)

    def _about(self, thing: ObservedResource, number: int, done: Sequence[CompletedOperation]) -> KnownFacts:
        resource = self.resources[thing.resource]
        read = self._reads(thing)[number]["operation"]
        shown = self.resources.get(resource.get("shows", ""), {})
        moving = [entry["member"] for one in (resource, shown) for entry in one.get("moving", ())]
        moving += self._may_be_late(thing) if self.is_unsettled else ()
        earlier = {name: values for (one, name), values in self.known.items() if one == thing}
        tolerance = timedelta(seconds=self.law["tolerance_seconds"])
        timed = [one for one in done if one.ended is not _NEVER]
        start, end = (
            (min(one.earliest for one in timed), max(one.ended for one in timed))
            if timed
            else (_NEVER, _NEVER)
        )
        window = Window(start, end, tolerance) if timed else None
        optional = [
            entry["member"]
            for one in (resource, shown)
            for entry in one.get("optional", ())
            if read in entry.get("reads", (read,))
        ]
        never, perhaps = (tuple(name.replace("/", ".") for name in names) for names in (moving, optional))
        return KnownFacts(never, window, perhaps, earlier, self.callers.names)

    def _readable(self, thing: ObservedResource, seen: Snapshot) -> bool:
        """Tell whether the thing can be read in the state that its owner has now, as far as the sources say."""
        states = self.resources[thing.resource].get("readable")
        if states is None:
            return True
        for (other, number), observed in seen.items():
            if number == 0 and other.owners == thing.owners and isinstance(observed.value, dict):
                members = flat(observed.value)
                return all(members.get(name) in values for name, values in states.items() if name in members)
        return True

    def _late(self, thing: ObservedResource, changes: Sequence[Change]) -> float:
        """Return how many seconds late what has changed may show; 0 where nothing of the kind has changed."""
        late = self._may_be_late(thing)
        return max((late.get(change.member, 0.0) for change in changes), default=0.0)

    def _may_be_late(self, thing: ObservedResource) -> dict[str, float]:
        """Return the members of a thing that may show a change late, and how many seconds."""
        resource = self.resources[thing.resource]
        shown = self.resources.get(resource.get("shows", ""), {})
        return {
            entry["member"]: float(entry["seconds"])
            for one in (shown, resource)
            for entry in one.get("late", ())
        }

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
        """Judge what is stated; each member that is not as stated is a finding of its own."""
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
