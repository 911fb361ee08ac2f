"""How an API names the identities that ask: seen where a thing shows who has made, changed or deleted it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kms_conformance.laws.changes import CompletedOperation
from kms_conformance.laws.snapshot import Snapshot, flat


class Callers:
    """The names by which an API shows the identities of a case; the empty identity is the usual one."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self.names: dict[str, Any] = {}

    def know_creator(self, seen: Snapshot, creator: Mapping[str, Any]) -> None:
        """Take the usual identity's name from things that were prepared, by the member that names who has made them."""
        for (thing, number), observed in seen.items():
            members = flat(observed.value)
            if thing.resource == creator.get("of") and not number and creator["member"] in members:
                self.names[""] = members[creator["member"]]

    def meet(self, seen: Snapshot, done: Iterable[CompletedOperation], resources: Mapping[str, Any]) -> None:
        """Note the name of an identity that has asked for the first time."""
        for identity, name in self._named(seen, done, resources):
            self.names.setdefault(identity, name)

    @staticmethod
    def _named(
        seen: Snapshot, done: Iterable[CompletedOperation], resources: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        for one in done:
            for (thing, number), observed in seen.items():
                members = flat(observed.value)
                for change in () if number else one.of(thing, members, resources):
                    if change.how == "caller" and change.member in members:
                        yield change.value, members[change.member]
