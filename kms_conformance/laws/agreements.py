"""What two requests show of the same thing at the same moment agrees (``agreements`` of ``effects.yaml``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kms_conformance.evidence.header_values import whole_number
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.expectation import Member
from kms_conformance.laws.expected import OK, ExpectedAnswer, entries_of, same
from kms_conformance.laws.snapshot import ObservedResource, ObservedValue, Snapshot, flat

_NUMBER = "#"


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreements of a system, and its resources."""

    law: Mapping[str, Any]

    def of(self, seen: Snapshot) -> Iterator[tuple[ExpectedAnswer, ObservedValue, float]]:
        """State, for each agreement, that what its right side shows is what its left side shows.

        Members that may show a change late stand in a statement of their own, with how many seconds late (else 0).
        """
        for agreement in self.law["agreements"]:
            left, right = agreement["left"], agreement["right"]
            for thing in [
                thing for thing, number in seen if number == 0 and thing.resource == left["resource"]
            ]:
                if not self._holds(agreement.get("when", {}), thing, seen):
                    continue
                one = seen.get((thing, self._number(left)))
                for other in self._others(thing, right, seen):
                    two = seen.get((other, self._number(right)))
                    if one is not None and two is not None and one.ok and two.ok:
                        members = list(self._members(agreement, one, two))
                        yield from self._apart(members, two, thing, other)

    def _apart(
        self, members: Sequence[Member], observed: ObservedValue, *things: ObservedResource
    ) -> Iterator[tuple[ExpectedAnswer, ObservedValue, float]]:
        """Yield what holds at once, then what holds after the time that a change may take to show."""
        late = {
            f"{observed.at}.{entry['member']}": float(entry["seconds"])
            for thing in things
            for entry in self.law["resources"][thing.resource].get("late", ())
            if entry["member"]
        }
        times = [
            max((late[name] for name in late if f"{member.path}.".startswith(f"{name}.")), default=0.0)
            for member in members
        ]
        for seconds in sorted(set(times)):
            some = tuple(member for member, time in zip(members, times, strict=True) if time == seconds)
            yield ExpectedAnswer((OK,), some), observed, seconds

    def _number(self, place: Mapping[str, Any]) -> int:
        reads = self.law["resources"][place["resource"]]["reads"]
        wanted = place.get("read", reads[0]["operation"])
        return next(number for number, read in enumerate(reads) if read["operation"] == wanted)

    @staticmethod
    def _others(thing: ObservedResource, right: Mapping[str, Any], seen: Snapshot) -> list[ObservedResource]:
        of_kind = dict.fromkeys(other for other, _ in seen if other.resource == right["resource"])
        if thing.resource == right["resource"]:
            return [thing]
        return [other for other in of_kind if not thing.owners or other.owners & thing.owners]

    @staticmethod
    def _holds(when: Mapping[str, Any], thing: ObservedResource, seen: Snapshot) -> bool:
        """Tell whether the thing, or the one that it belongs to, has the members that an agreement asks for."""
        for (other, number), observed in seen.items():
            if number == 0 and (other == thing or (other.owners and other.owners == thing.owners)):
                members = flat(observed.value)
                if members and all(name in members for name in when):
                    return all(
                        members[name] == wanted or (isinstance(wanted, list) and members[name] in wanted)
                        for name, wanted in when.items()
                    )
        return not when

    def _members(
        self, agreement: Mapping[str, Any], one: ObservedValue, two: ObservedValue
    ) -> Iterator[Member]:
        left, right = agreement["left"], agreement["right"]
        if right.get("member") == _NUMBER:
            number = whole_number(one.value) if isinstance(one.value, str) else None
            if number is not None and (two.whole or two.at):
                yield Member(two.whole or two.at, "length", number)
            return
        if "member" in right or "member" in left:
            value = pick(one.value, left.get("member", "").replace("/", "."))
            if value is not MISSING and value is not None:
                yield from same(f"{two.at}.{right.get('member', '').replace('/', '.')}", value)
            return
        by = self.law["resources"][left["resource"]].get("by")
        if by is not None:
            yield from self._entries(one, two, by)
            return
        left_out = {
            entry["member"].replace("/", ".")
            for entry in self.law["resources"][left["resource"]].get("moving", ())
        }
        left_out |= set(agreement.get("except", ()))
        was, now = flat(one.value), flat(two.value)
        if two.value is MISSING and two.whole and isinstance(one.value, dict):
            yield Member(f"{two.whole}.*.id", "contains", one.value.get("id"))
        for name, value in was.items():
            if name in now and name not in left_out:
                yield from same(f"{two.at}.{name}", value, now[name])

    @staticmethod
    def _entries(one: ObservedValue, two: ObservedValue, by: str) -> Iterator[Member]:
        names = list(entries_of(one, by))
        others = list(entries_of(two, by))
        path = f"{two.whole or two.at}.*.{by}"
        yield Member(path, "selects", [list(dict.fromkeys([*names, *others])), names, False])
