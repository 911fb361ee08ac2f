"""Our own filter, against which a list's is held."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.laws.conditions import holds

ENTRY = {
    "state": 2,
    "name": "Red House",
    "aliases": ["one", "Two"],
    "date": "2026-01-02T00:00:00.000Z",
    "yes": True,
}


@pytest.mark.parametrize(
    ("condition", "right"),
    [
        ({}, True),
        ({"state": [1, 2]}, True),
        ({"state": [1, 5]}, False),
        ({"yes": True, "state": 2}, True),
        ({"yes": True, "state": 1}, False),
        ({"date": "2026-01-02T00:00:00Z"}, True),
        ({"date": {"lt": "2026-01-02T00:00:01Z", "gte": "2026-01-02T00:00:00Z"}}, True),
        ({"date": {"gt": "2026-01-02T00:00:00Z"}}, False),
        ({"date": {"lte": "2026-01-01T00:00:00Z"}}, False),
        ({"gone": {"gt": "2026-01-02T00:00:00Z"}}, False),
        ({"gone": {"none": True}}, True),
        ({"date": {"none": True}}, False),
        ({"date": {"none": False}}, True),
        ({"name": {"has": "RED"}}, True),
        ({"aliases": {"has": "tw"}}, True),
        ({"aliases": {"is": "two"}}, True),
        ({"aliases": {"is": "tw"}}, False),
        ({"name": {"like": "Red*"}}, True),
        ({"name": {"like": "*red*"}}, False),
        ({"any": [{"state": 1}, {"aliases": {"has": "one"}}]}, True),
        ({"all": [{"state": 2}, {"state": 1}]}, False),
        ({"not": {"state": 1}}, True),
    ],
)
def test_condition(condition: dict[str, Any], right: bool) -> None:
    """A condition holds where each of its members does."""
    assert holds(condition, ENTRY) is right


def test_unknown_operator() -> None:
    """An operator that does not exist is an error, not a filter that selects nothing."""
    with pytest.raises(ValueError, match="near"):
        holds({"state": {"near": 2}}, ENTRY)
