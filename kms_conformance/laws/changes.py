"""What an operation changes, as ``effects.yaml`` says it: which changes hold for a request, and for which things."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.laws.snapshot import ObservedResource, flat

if TYPE_CHECKING:
    from kms_conformance.laws.request import OperationRequest
    from kms_conformance.run.answer import Answer

_PRESENT = "$present"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that holds for one thing: a member of it, or (``""``) the whole, and how.

    ``which`` is the value that tells an entry of a list, ``""`` any.
    """

    how: str
    member: str = ""
    value: Any = MISSING
    which: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    having: str = ""
    until: Any = MISSING

    def covers(self, member: str) -> bool:
        """Tell whether the change concerns a member: the member itself or one that holds it."""
        return member == self.member or member.startswith(f"{self.member}.")


@dataclass(frozen=True, slots=True)
class CompletedOperation:
    """An operation that has succeeded: its request, its answer, its time, and what its request addressed.

    ``found`` holds the members of the addressed thing before it, ``marks`` the values of ``$subject.NAME``.
    """

    request: OperationRequest
    answer: Answer
    entry: Mapping[str, Any]
    ended: datetime
    took: timedelta
    found: Mapping[str, Any]
    marks: Mapping[str, Any]

    @property
    def changes(self) -> Sequence[Mapping[str, Any]]:
        """What the operation changes, as the file says."""
        changes: Sequence[Mapping[str, Any]] = self.entry["changes"]
        return changes

    @property
    def addressed(self) -> frozenset[str]:
        """The values in the request's path."""
        return frozenset(str(value) for value in self.request.path.values())

    def value(self, text: Any) -> Any:
        """Return the value that a $-expression names, :data:`MISSING` where there is none; other data unchanged."""
        if not (isinstance(text, str) and text.startswith("$")):
            return text
        head, _, rest = text[1:].partition("/")
        kind, _, name = head.partition(".")
        source: dict[str, Callable[[], Any]] = {
            "path": lambda: self.request.path.get(name, MISSING),
            "query": lambda: self.request.query.get(name, MISSING),
            "header": lambda: self.request.headers.get(name, MISSING),
            "subject": lambda: self.marks.get(name, MISSING),
            "body": lambda: self._picked(self.answer.exchange.sent.body, rest),
            "answer": lambda: self._picked(
                self.answer.exchange.answer and self.answer.exchange.answer.body, rest
            ),
            "before": lambda: self.found.get(rest.replace("/", "."), MISSING),
        }
        return source[kind]()

    @staticmethod
    def _picked(body: Any, pointer: str) -> Any:
        return pick(body, pointer.replace("/", "."))

    def holds(self, when: Mapping[str, Any], members: Mapping[str, Any]) -> bool:
        """Tell whether all conditions hold; those without ``$`` are of ``members``."""
        return all(
            _fits(
                self.value(name) if name.startswith("$") else members.get(name.replace("/", ".")),
                self.value(wanted) if wanted != _PRESENT else wanted,
            )
            for name, wanted in when.items()
        )

    def of(
        self, thing: ObservedResource, members: Mapping[str, Any], resources: Mapping[str, Any]
    ) -> Iterator[Change]:
        """Yield the changes that hold for a thing, which has these members."""
        is_list = resources[thing.resource]["kind"] == "list"
        shown = resources[thing.resource].get("shows")
        for data in self.changes:
            if data["of"] != thing.resource and not (data["of"] == shown and "member" in data):
                continue
            which = data.get("which", "addressed")
            own = members if which == "every" else self.found
            if not self.holds(data.get("when", {}), own):
                continue
            value = self.value(data["value"]) if "value" in data else None
            if data["how"] == "caller":
                value = self.request.identity
            named = self._named(which, thing, is_list=is_list, member=data.get("member"))
            if value is MISSING or named is None:
                continue
            entry = {
                name.replace("/", "."): self.value(inner) for name, inner in data.get("entry", {}).items()
            }
            member = data.get("member", "").replace("/", ".")
            yield Change(
                data["how"],
                member,
                value,
                named,
                entry,
                data.get("place", ""),
                data.get("having", ""),
                self.value(data["until"]) if "until" in data else MISSING,
            )

    def _named(self, which: str, thing: ObservedResource, *, is_list: bool, member: str | None) -> str | None:
        """Return which entry of a thing is meant (``""`` the thing itself, or any), ``None`` where it is another thing."""
        if which == "every":
            return ""
        if which == "addressed":
            return "" if not thing.owners or thing.owners & self.addressed else None
        if which == "made":
            made = str(self.value("$answer/resources/0/id"))
            if made == thing.id or made in thing.owners:
                return ""
            return made if is_list and not thing.owners and member else None
        named = str(self.value(which))
        if is_list and (not thing.owners or thing.owners & self.addressed):
            return named
        return "" if named == thing.id else None

    @property
    def earliest(self) -> datetime:
        """When the request was sent."""
        return self.ended - self.took


def _fits(got: Any, wanted: Any) -> bool:
    value = None if got is MISSING else got
    if wanted == _PRESENT:
        return value is not None
    return value in wanted if isinstance(wanted, list) else value == wanted


def members_of(value: Any) -> dict[str, Any]:
    """Return an object's members by their dotted paths."""
    return flat(value)
