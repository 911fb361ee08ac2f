"""What must be seen of a thing after an operation: statements about one answer, from what was seen before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from kms_conformance.evidence.header_values import whole_number
from kms_conformance.evidence.members import MISSING
from kms_conformance.judging.expectation import Member, Outcome
from kms_conformance.judging.order import comparable
from kms_conformance.laws.changes import Change
from kms_conformance.laws.snapshot import ObservedValue, flat

OK = Outcome(tuple(range(200, 300)))
REFUSED = Outcome(())
_UNJUDGED = {"unspecified", "server-chosen"}


@dataclass(frozen=True, slots=True)
class Window:
    """When something was done, on the instance's clock, and how far its dates may be off."""

    start: datetime
    end: datetime
    tolerance: timedelta

    @property
    def bounds(self) -> list[str]:
        """The first and the last moment."""
        return [(self.start - self.tolerance).isoformat(), (self.end + self.tolerance).isoformat()]

    def later(self, seconds: float, until: Any) -> list[str]:
        """Return the bounds so many seconds later, or those of a moment that comes sooner."""
        limit = comparable(until)
        first, last = (moment + timedelta(seconds=seconds) for moment in (self.start, self.end))
        if isinstance(limit, datetime):
            first, last = min(first, limit), min(last, limit)
        return [(first - self.tolerance).isoformat(), (last + self.tolerance).isoformat()]


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """Further facts about a thing.

    ``moving`` members are never compared, ``optional`` ones need not be shown; ``window`` is when it was changed,
    ``earlier`` holds the values that members had, ``callers`` how the API names the identities that have asked so far.
    """

    moving: tuple[str, ...] = ()
    window: Window | None = None
    optional: tuple[str, ...] = ()
    earlier: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    callers: Mapping[str, Any] = field(default_factory=dict)

    def may_lack(self, member: str) -> bool:
        """Tell whether the reply need not show a member: one of the optional ones, or inside of one."""
        return any(f"{member}.".startswith(f"{name}.") for name in self.optional)


@dataclass(slots=True)
class ExpectedAnswer:
    """The outcomes and members that one answer must have."""

    outcomes: tuple[Outcome, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """A statement about one thing in one answer, and its rows; ``late`` is how many seconds late it may become true."""

    rows: tuple[str, ...]
    stated: ExpectedAnswer
    observed: ObservedValue
    late: float = 0.0


def same(path: str, value: Any, now: Any = MISSING) -> Iterator[Member]:
    """State that a member has a value: of a list its entries in any order, of a date the moment."""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        texts = [entry for entry in now if isinstance(entry, str)] if isinstance(now, list) else []
        yield Member(path, "selects", [list(dict.fromkeys([*value, *texts])), list(value), False])
    elif isinstance(comparable(value), datetime):
        yield Member(path, "between", [value, value])
    else:
        yield Member(path, "equals", value)


def each_same(observed: ObservedValue, members: Mapping[str, Any]) -> Iterator[Member]:
    """State that an object has these members."""
    now = flat(observed.value)
    for name, value in members.items():
        yield from same(f"{observed.at}.{name}", value, now.get(name, MISSING))


def of_object(
    before: ObservedValue | None,
    after: ObservedValue,
    changes: Sequence[Change],
    about: KnownFacts = KnownFacts(),
    *,
    entry: str = "",
) -> ExpectedAnswer | None:
    """State how an object must be shown now; ``None`` where nothing is known."""
    whole = {change.how for change in changes if not change.member}
    if whole & _UNJUDGED:
        return None
    if "emptied" in whole:
        return (
            ExpectedAnswer((OK,), (Member(f"{after.whole}.*.{entry}", "lacks", before.value[entry]),))
            if entry and before
            else ExpectedAnswer((REFUSED,))
        )
    if before is not None and not isinstance(before.value, dict):
        return None
    if before is None and not changes:
        return None
    if after.value is MISSING and entry and before is not None:
        return ExpectedAnswer((OK,), (Member(f"{after.whole}.*.{entry}", "contains", before.value[entry]),))
    was, now = flat(before.value) if before else {}, flat(after.value)
    return ExpectedAnswer((OK,), tuple(_members(after.at, (was, now), changes, about, made=before is None)))


def _members(
    at: str,
    seen: tuple[Mapping[str, Any], Mapping[str, Any]],
    changes: Sequence[Change],
    about: KnownFacts,
    *,
    made: bool,
) -> Iterator[Member]:
    (was, now), start = seen, f"{at}." if at else ""
    for change in changes:
        if change.member:
            yield from changed(f"{start}{change.member}", change, was, now, about)
    for name in dict.fromkeys((*was, *now)):
        is_moving = any(name == member or name.startswith(f"{member}.") for member in about.moving)
        if made or is_moving or any(change.member and change.covers(name) for change in changes):
            continue
        if name in was:
            yield from same(start + name, was[name], now.get(name, MISSING))
        elif now[name] != []:
            yield Member(start + name, "absent")


def changed(
    path: str,
    change: Change,
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    about: KnownFacts,
) -> Iterator[Member]:
    """State how a member must have changed."""
    before, seen = was.get(change.member), now.get(change.member, MISSING)
    if before is None and seen is MISSING and about.may_lack(change.member):
        return
    match change.how:
        case "equals" | "kept" | "caller":
            yield from _valued(path, change, seen, about)
        case "absent":
            yield Member(path, "empty")
        case "now" | "later" | "not-earlier":
            yield from _dated(path, change, before, seen, about)
        case "new":
            yield Member(path, "present")
            yield from (Member(path, "differs", value) for value in about.earlier.get(change.member, ()))
        case "plus-one" | "minus-one":
            yield from _one_more_or_less(path, change, before, seen)
        case "server-chosen" | "emptied" | "unspecified":
            pass


def _dated(path: str, change: Change, before: Any, seen: Any, about: KnownFacts) -> Iterator[Member]:
    """State which moment a member is: that of the change, one so much later, or none before the one that it was."""
    if change.how == "not-earlier":
        if before is not None:
            yield Member(path, "between", [before, None])
    elif about.window is not None and change.how == "now":
        yield Member(path, "between", about.window.bounds)
    elif about.window is not None and seen is not MISSING:
        yield Member(path, "between", about.window.later(float(change.value), change.until))


def _valued(path: str, change: Change, seen: Any, about: KnownFacts) -> Iterator[Member]:
    """State which value a member has: that of the change, the last one that it had, or the name of who has asked."""
    if change.how == "equals":
        yield from same(path, change.value, seen)
    elif change.how == "kept":
        # Also where it was not shown since.
        last = about.earlier.get(change.member, ())[-1:]
        yield from (member for value in last for member in same(path, value, seen))
    elif change.value in about.callers and seen is not MISSING:
        yield Member(path, "equals", about.callers[change.value])
    elif seen is not MISSING:
        # Who asks for the first time is nobody who has asked before.
        yield from (Member(path, "differs", other) for other in about.callers.values())


def _one_more_or_less(path: str, change: Change, before: Any, seen: Any) -> Iterator[Member]:
    one = 1 if change.how == "plus-one" else -1
    if isinstance(before, int | float):
        yield Member(path, "equals", before + one)
        return
    had = list(before or ())
    entry = change.entry.get("", MISSING)
    if entry is MISSING:
        return
    wanted = [*had, entry] if one > 0 else [value for value in had if value != entry]
    yield from same(path, wanted, seen if seen is not MISSING else [])


def of_list(  # noqa: C901 - one case per form of change
    before: ObservedValue | None,
    after: ObservedValue,
    changes: Sequence[Change],
    about: KnownFacts = KnownFacts(),
    *,
    by: str,
    ordered: bool = False,
) -> ExpectedAnswer | None:
    """State how a list must be shown now: its entries, and what each of them shows."""
    whole = [change for change in changes if not change.member and not change.which]
    if any(change.how in _UNJUDGED and not change.having for change in whole):
        return None
    if before is None and not changes:
        return None
    had, has = entries_of(before, by), entries_of(after, by)
    path, order = f"{after.at}.*.{by}" if after.at else f"*.{by}", list(had)
    wanted, number = list(order), len(order)
    members: list[Member] = []
    for change in whole:
        if change.how == "emptied":
            if not after.ok:
                return ExpectedAnswer((REFUSED,))
            wanted, number = [], 0
        elif change.how == "plus-one":
            number += 1
            members += _new_entry(after, had, has, change, by)
        elif change.how == "minus-one":
            gone = {name for name, entry in had.items() if _matches(entry, change.entry)}
            wanted, number = [name for name in wanted if name not in gone], number - 1
    unknown = {change.which for change in changes if change.which and not change.member}
    unknown |= {
        name
        for change in whole
        for name, entry in (*had.items(), *has.items())
        if change.having and _has(entry, change.having)
    }
    wanted = [name for name in wanted if name not in unknown]
    is_part = bool(after.whole)
    if not any(change.how == "plus-one" for change in whole):
        # A request that writes a thing by its name creates it where it does not exist.
        written = dict.fromkeys(
            change.which for change in changes if change.which and change.which not in had
        )
        number += len(set(written) - unknown)
        members += [Member(path, "contains", name) for name in written if name not in unknown]
    if not unknown and not any(change.having for change in whole):
        check = (
            Member(after.at, "length", number)
            if number
            else Member(f"{after.at}.0" if after.at else "0", "absent")
        )
        members += [] if is_part else [check]
    members.append(
        Member(path, "selects", [[name for name in order if name not in unknown], wanted, ordered])
    )
    for place, (name, entry) in enumerate(has.items()):
        own = [
            change
            for change in changes
            if change.member and change.which in {"", name} and _has(entry, change.having)
        ]
        is_new = name not in had
        if is_part or (is_new and not own):
            continue
        place_of = f"{after.at}.{place}" if after.at else str(place)
        if name in unknown:
            members += _of_unknown(place_of, entry, own, about)
            continue
        facts = replace(about, earlier={}) if is_new else about
        members += _members(place_of, (flat(had.get(name)), flat(entry)), own, facts, made=is_new)
    return ExpectedAnswer((OK,), tuple(members))


def _has(entry: Any, member: str) -> bool:
    """Tell whether an entry has a member, or one inside of it; each has the empty one."""
    return not member or any(f"{name}.".startswith(f"{member}.") for name in flat(entry))


def _of_unknown(at: str, entry: Any, changes: Sequence[Change], about: KnownFacts) -> Iterator[Member]:
    """State, of an entry that may be any, what is known of some of its members."""
    for change in changes:
        if change.having:
            yield from changed(f"{at}.{change.member}", change, {}, flat(entry), about)


def entries_of(observed: ObservedValue | None, by: str) -> dict[str, Any]:
    """Return the entries of a list by the member that tells them apart."""
    value = observed.value if observed is not None else None
    entries = value if isinstance(value, list) else []
    return {str(entry.get(by)): entry for entry in entries if isinstance(entry, dict)}


def _new_entry(
    after: ObservedValue, had: Mapping[str, Any], has: Mapping[str, Any], change: Change, by: str
) -> Iterator[Member]:
    start = f"{after.at}." if after.at else ""
    if change.place:
        place = 0 if change.place == "first" else len(had)
        yield from (Member(f"{start}{place}.{by}", "differs", name) for name in had)
    new = [place for place, name in enumerate(has) if name not in had]
    for place in new[:1]:
        for member, value in change.entry.items():
            if value is not MISSING and value is not None:
                yield from same(f"{start}{place}.{member}", value)


def _matches(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    members = flat(entry)
    return all(members.get(name) == value for name, value in wanted.items())


def of_number(
    before: ObservedValue, after: ObservedValue, changes: Sequence[Change]
) -> ExpectedAnswer | None:
    """State which number a header must show now."""
    number = whole_number(before.value) if isinstance(before.value, str) else None
    if number is None:
        return None
    for change in changes:
        if change.how in _UNJUDGED:
            return None
        number += {"plus-one": 1, "minus-one": -1}.get(change.how, 0)
    return ExpectedAnswer((OK,), (Member(after.at, "header", str(number)),))


def of_probe(
    before: ObservedValue | None, after: ObservedValue, changes: Sequence[Change], value: Any
) -> ExpectedAnswer | None:
    """State whether a probe must succeed now, and with which result."""
    opens = before is not None and before.ok
    for change in changes:
        if change.how in _UNJUDGED:
            return None
        opens = change.value == "opens" if change.how == "equals" else opens
    if not opens:
        return ExpectedAnswer((REFUSED,))
    return ExpectedAnswer((OK,), (Member(after.at, "equals", value),))
