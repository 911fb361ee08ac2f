"""Which steps of a sequence must succeed as in the record, so that it can go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_ONLY_READ = frozenset({"GET", "HEAD"})


def places_needed(steps: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the steps whose answers something takes values from that matters: a promise, or a request that changes something.

    What only reads, and is asked neither for a promise nor for a later request, tells nothing: where the thing was not made
    that it asks for, nothing is lost.
    """
    needed: set[int] = set()
    for step in reversed(steps):
        matters = step["promises"] or step["method"] not in _ONLY_READ or step["place"] in needed
        if matters:
            needed.update(_places(step))
    return needed


def _places(step: Mapping[str, Any]) -> Iterator[int]:
    for refs in _refs(step):
        yield from (place for place, _ in refs.values())
    for promise in step["promises"]:
        for member in promise[2]:
            yield from (place for place, _ in member.get("page", {}).get("from", ()))
            yield from member.get("same", ())[:1]


def _refs(step: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield step["from"]
    yield from (refs for _, refs in step["before"])
    yield from (member["from"] for promise in step["promises"] for member in promise[2])
