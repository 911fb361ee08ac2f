"""Other ways of making a request: which request takes which, and what becomes of it."""

from __future__ import annotations

from collections import defaultdict

import pytest

from kms_conformance.laws.entries import EFFECT_CASES, EFFECTS, law_file
from kms_conformance.laws.request import OperationRequest
from kms_conformance.laws.ways import Ways, ways_by_place

CONTRACT = "key_protect"
SEEDS = (1, 2, 77)
MARKS = {"key": "1", "alias": "one"}


def places() -> dict[tuple[str, str], list[tuple[str, int, int]]]:
    """Return the requests of the cases by operation and outcome."""
    by_operation = defaultdict(list)
    for case in law_file(CONTRACT, EFFECT_CASES)["cases"]:
        for number, step in enumerate(case["steps"]):
            for place, request in enumerate(step.get("all", [step])):
                by_operation[request["do"], step.get("outcome", "done")].append((case["id"], number, place))
    return by_operation


@pytest.mark.parametrize("seed", SEEDS)
def test_each_way_is_taken(seed: int) -> None:
    """Whatever the seed, each way of an operation is taken once where its group has no more ways than it has requests."""
    taken = ways_by_place(CONTRACT, seed)
    for (operation, _), of_one in places().items():
        groups = defaultdict(list)
        for way in law_file(CONTRACT, EFFECTS)["ways"]:
            if operation in way["operations"]:
                groups[way["group"]].append(way["id"])
        seen = {way["id"] for place in of_one for way in taken.get(place, ())}
        for ways in groups.values():
            assert len(set(ways) & seen) == min(len(ways), len(of_one)), operation


def ways(
    members: dict[str, str], *, at: tuple[int, int], identities: frozenset[str] = frozenset()
) -> OperationRequest:
    """Return a wrap of the case of an active key in the ways that its place takes."""
    request = OperationRequest("wrapKey", path={"id": "1"})
    return Ways(CONTRACT, "root-generated-active", 1, identities).other(request, at, MARKS, members)


def test_ways_of_a_request() -> None:
    """A request in other ways names its key otherwise, keeps its usual path, and takes what was found of the key."""
    every = [
        ways({"keyRingID": "r"}, at=(1, place), identities=frozenset({"approver"})) for place in range(5)
    ]
    assert any(request.path == {"id": "one"} and request.usual_path == {"id": "1"} for request in every)
    assert any(
        request.operation == "actionOnKey" and request.query == {"action": "wrap"} for request in every
    )
    assert any(request.headers == {"x-kms-key-ring": "r"} for request in every)
    assert any(request.identity == "approver" for request in every)


def test_ways_that_do_not_fit() -> None:
    """Without the ring of the key no header names one, and an identity that the target lacks does not ask."""
    every = [ways({}, at=(1, place)) for place in range(5)]
    assert not any(request.headers or request.identity for request in every)
