"""What a case of the law of effects has seen so far, and what its next snapshot must show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.laws.agreements import Agreements
from kms_conformance.laws.answers import of_answer, shown_in_answer
from kms_conformance.laws.callers import Callers
from kms_conformance.laws.changes import Change, CompletedOperation
from kms_conformance.laws.entries import law_file
from kms_conformance.laws.expected import (
    OK,
    ExpectedAnswer,
    KnownFacts,
    Observation,
    Window,
    each_same,
    of_list,
    of_number,
    of_object,
    of_probe,
    same,
)
from kms_conformance.laws.request import System
from kms_conformance.laws.snapshot import (
    ObservedResource,
    ObservedValue,
    PreparedCase,
    Snapshot,
    flat,
)

if TYPE_CHECKING:
    from kms_conformance.laws.entries import LawCase

NEVER = datetime.min.replace(tzinfo=UTC)
"""For an operation whose changes do not depend on time."""


class EffectSystem(System, Protocol):
    """A system whose effects can be observed."""

    def prepare(self, subject: Mapping[str, Any]) -> PreparedCase:
        """Make the things of a case; the case is inconclusive when that fails."""


class ObservedEffects:
    """The things of a case and all that was seen of them; states what an answer or a snapshot must show."""

    def __init__(self, system: EffectSystem, case: LawCase) -> None:
        """Make the things of the case."""
        self.system, self.data = system, case.data
        self.law = law_file(system.case.info.contract, "effects")
        self.resources: Mapping[str, Any] = self.law["resources"]
        self.agreements = Agreements(self.law)
        self.prepared = system.prepare(case.data["subject"])
        if not system.alone:
            self.prepared.keep_own()
        self.known: dict[tuple[ObservedResource, str], list[Any]] = {}
        self.rows: tuple[str, ...] = ()
        self.seen: Snapshot = {}
        self.callers = Callers()
        self.before: dict[str, Snapshot] = {}
        self.last: set[tuple[ObservedResource, int]] = set()
        self.done: list[CompletedOperation] = []
        self.read_at: dict[tuple[ObservedResource, int], int] = {}
        """How many operations had been done when a thing was last read by a request."""
        self.is_unsettled = False
        """Whether a change that may show late was not waited for: from then on, members that may be late are not judged."""

    def _reads(self, thing: ObservedResource) -> Sequence[Mapping[str, Any]]:
        reads: Sequence[Mapping[str, Any]] = self.resources[thing.resource]["reads"]
        return reads

    def _is_fresh(self, thing: ObservedResource, number: int) -> bool:
        """Tell whether the last snapshot still showed a thing when the last operations began.

        Objects change with nearly every operation; a list or a probe that was passed over has not been named since.
        """
        is_entry = "entry" in self._reads(thing)[number]
        is_object = self.resources[thing.resource]["kind"] == "one"
        return (thing, number) in self.last or thing.bystander or not (is_object or is_entry)

    def _all_looked(self, seen: Snapshot, done: Sequence[CompletedOperation] | None) -> list[Observation]:
        """Return everything that a snapshot must show; ``done`` is ``None`` where no operation was tried yet."""
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
        """State how the answer of an operation shows its thing; of several requests the order of effects is not known.

        Where none of them changes anything, members with known values are those from before.
        """
        is_alone = len(done) == 1
        if not is_alone and any(change["how"] != "unspecified" for one in done for change in one.changes):
            return
        for one in done:
            if not is_alone and "of" in one.entry.get("answer", {}):
                continue
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
                facts = (
                    self._about(thing, 0, done)
                    if things
                    else KnownFacts(window=self._window(done), callers=self.callers.names)
                )
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
                # Changes of several steps are judged by the agreements, with the things that were read after each step.
                yield from self._shown_alone(thing, number, observed, seen)
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

    def _shown_alone(
        self, thing: ObservedResource, number: int, observed: ObservedValue, seen: Snapshot
    ) -> Iterator[Observation]:
        """State what no other request shows of a thing, and nothing has changed since this one was sent last."""
        before, resource = self.seen[thing, number], self.resources[thing.resource]
        others = {
            name
            for (one, place), value in seen.items()
            if one == thing and place != number
            for name in flat(value.value)
        }
        done = self.done[self.read_at.get((thing, number), 0) :]
        changes = [change for one in done for change in one.of(thing, self._members(thing), self.resources)]
        if resource["kind"] != "one" or not others or any(not change.member for change in changes):
            return
        about = self._about(thing, number, ())
        moving = (*about.moving, *others, *(change.member for change in changes))
        stated = of_object(before, observed, (), replace(about, moving=moving))
        if stated is not None and stated.members:
            yield Observation((self.law["rows"]["lasting"],), stated, observed)

    def _charged(
        self,
        thing: ObservedResource,
        number: int,
        changes: Sequence[Change],
        done: Sequence[CompletedOperation],
    ) -> tuple[str, ...]:
        """Return the rows that a deviation breaks: those of the last operations, unless earlier ones may have caused it."""
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
        optional = [
            entry["member"]
            for one in (resource, shown)
            for entry in one.get("optional", ())
            if read in entry.get("reads", (read,))
        ]
        never, perhaps = (tuple(name.replace("/", ".") for name in names) for names in (moving, optional))
        return KnownFacts(never, self._window(done), perhaps, earlier, self.callers.names)

    def _window(self, done: Sequence[CompletedOperation]) -> Window | None:
        """Return when operations were done; ``None`` where none of them depends on time."""
        timed = [one for one in done if one.ended is not NEVER]
        if not timed:
            return None
        start, end = min(one.earliest for one in timed), max(one.ended for one in timed)
        return Window(start, end, timedelta(seconds=self.law["tolerance_seconds"]))

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
