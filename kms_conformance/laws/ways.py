"""Other ways of making the requests of the law of effects, as ``ways`` of ``effects.yaml`` has them.

A request in another form has the same effects: its key is named by an alias, its action in the older form of
the path, its caller is another one of equal role. No request is sent twice for it. All requests of the cases for one
operation take its ways in turn, so that each is taken at least once where there are enough of them; which request takes
which, the run's seed decides. Ways of different groups come together as they fall.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from typing import Any

from kms_conformance.evidence.members import MISSING
from kms_conformance.laws.entries import EFFECT_CASES, EFFECTS, law_file
from kms_conformance.laws.request import OperationRequest

_FOUND = "$before/"
Place = tuple[str, int, int]
"""A request of the cases: the id of the case, and the numbers of the step and of the request in it."""
Way = Mapping[str, Any]


@cache
def ways_by_place(contract: str, seed: int) -> Mapping[Place, tuple[Way, ...]]:
    """Return the ways that each request of the cases is made in; one that is made as written is left out."""
    places: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for case in law_file(contract, EFFECT_CASES)["cases"]:
        for number, step in enumerate(case["steps"]):
            for place, request in enumerate(step.get("all", [step])):
                if step.get("ways", True):
                    places[request["do"], step.get("outcome", "done")].append((case["id"], number, place))
    groups: dict[str, list[Way]] = defaultdict(list)
    for way in law_file(contract, EFFECTS).get("ways", ()):
        groups[way["group"]].append(way)
    taken: dict[Place, tuple[Way, ...]] = defaultdict(tuple)
    for (operation, outcome), of_one in places.items():
        for group, ways in groups.items():
            fitting = [way for way in ways if operation in way["operations"]]
            turns = list(islice(cycle([*fitting, None]), len(of_one)))
            random.Random(f"{seed} {group} {operation} {outcome}").shuffle(turns)  # noqa: S311 - no secret
            for asked_at, way in zip(of_one, turns, strict=True):
                taken[asked_at] += () if way is None else (way,)
    return taken


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways of one case on one target, which has these identities."""

    contract: str
    case: str
    seed: int
    identities: frozenset[str]

    def other(
        self,
        request: OperationRequest,
        at: tuple[int, int],
        marks: Mapping[str, Any],
        found: Mapping[str, Any],
    ) -> OperationRequest:
        """Return a request in the ways that its place takes, as far as they fit it.

        ``at`` are the numbers of its step and in its step; ``found`` are the members of what it addresses.
        """
        for way in ways_by_place(self.contract, self.seed).get((self.case, *at), ()):
            request = self._in(way, request, marks, found)
        return request

    def _in(
        self, way: Way, request: OperationRequest, marks: Mapping[str, Any], found: Mapping[str, Any]
    ) -> OperationRequest:
        caller = way.get("identity", "")
        if caller and (request.identity or caller not in self.identities):
            return request
        path = dict(request.path)
        for parameter, names in way.get("path", {}).items():
            usual, other = (marks.get(name) for name in names)
            if other is None or path.get(parameter) != usual:
                return request
            path[parameter] = other
        headers = dict(self._headers(way, found))
        if MISSING in headers.values() or headers.keys() & request.headers.keys():
            return request
        query = way.get("query", {}).get(request.operation, {})
        return replace(
            request,
            operation=way.get("do", request.operation),
            path=path,
            query={**query, **request.query},
            headers={**request.headers, **headers},
            identity=caller or request.identity,
            usual_path=request.usual_path or request.path,
        )

    @staticmethod
    def _headers(way: Way, found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in way.get("headers", {}).items():
            is_found = value.startswith(_FOUND)
            yield (
                name,
                found.get(value.removeprefix(_FOUND).replace("/", "."), MISSING) if is_found else value,
            )
