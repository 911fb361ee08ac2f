"""The laws of the contracts name what exists, and each of their rows is put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.laws.limited import MAKERS as LIMITED
from kms_conformance.adapters.key_protect.laws.listed import MAKERS as LISTED
from kms_conformance.adapters.key_protect.laws.owned import MAKERS as OWNED
from kms_conformance.contract.contract import known_contracts, load_contract
from kms_conformance.laws.entries import law_cases, law_file
from kms_conformance.laws.entrypoints import LAWS
from kms_conformance.laws.request import filled

CONTRACT = "key_protect"
FEWEST, MOST = 120, 340


def steps(case: Any) -> Iterator[Any]:
    """Yield the steps of a case of ownership, in their order."""
    yield from case.get("steps", ())
    yield from (step for step in case.get("each", {}).get("operations", ()) if isinstance(step, dict))
    yield from case.get("after", ())


@pytest.mark.parametrize("law", sorted(LAWS))
def test_rows_of_a_law(law: str) -> None:
    """Every row of a law is covered by one of its cases, and every case covers rows of its law."""
    rows = {row for row in load_contract(CONTRACT).requirements if row.startswith(f"law-{law}-")}
    covered = {row for case in law_cases(CONTRACT, law).values() for row in case.rows}
    assert covered == rows


def test_number_of_cases() -> None:
    """The laws stay within what a default run can bear."""
    assert FEWEST <= sum(len(law_cases(CONTRACT, law)) for law in LAWS) <= MOST


@pytest.mark.parametrize("contract", sorted(set(known_contracts()) - {CONTRACT}))
def test_system_without_laws(contract: str) -> None:
    """A system without the data has no laws."""
    assert not any(law_cases(contract, law) for law in LAWS)


def test_subjects_have_names_of_their_own() -> None:
    """No two laws call different subjects by one name."""
    assert len({**LISTED, **OWNED, **LIMITED}) == len(LISTED) + len(OWNED) + len(LIMITED)


def test_lists_name_operations() -> None:
    """Lists and what counts them are operations of the contract; their cases' subjects can be made."""
    operations, document = load_contract(CONTRACT).operations, law_file(CONTRACT, "relations")
    for entry in document["lists"].values():
        assert entry["operation"] in operations
        assert entry.get("count", {}).get("operation", entry["operation"]) in operations
    for case in document["cases"]:
        assert case["list"] in document["lists"]
        assert case["subjects"] in LISTED


def test_every_operation_belongs_somewhere() -> None:
    """Every operation but those that no path parameter or identity can lead astray has a request, and is used by a case."""
    contract, document = load_contract(CONTRACT), law_file(CONTRACT, "ownership")
    recipes = document["operations"]
    named = {recipe.get("do", name) for name, recipe in recipes.items()}
    assert named <= set(contract.operations)
    missing = set(contract.operations) - named
    assert missing == {"getAllowedIPPort", "eventAcknowledge"}
    used = {step["do"] for case in document["cases"] for step in steps(case) if "do" in step}
    used |= {
        name
        for case in document["cases"]
        for name in case.get("each", {}).get("operations", ())
        if isinstance(name, str)
    }
    assert used == set(recipes)


def test_a_refused_operation_succeeds_too() -> None:
    """Whatever a case expects to be refused it also sees succeed: that is the refusal's positive control."""
    for case in law_file(CONTRACT, "ownership")["cases"]:
        assert case["subjects"] in OWNED
        refused = {step["do"] for step in steps(case) if step.get("expect") == "refusal"}
        worked = {step["do"] for step in steps(case) if "do" in step and step.get("expect") != "refusal"}
        worked |= {name for name in case.get("each", {}).get("operations", ()) if isinstance(name, str)}
        assert refused <= worked, case["id"]


def test_waits_are_declared() -> None:
    """A case of ownership declares as long a wait as its steps make."""
    for case in law_file(CONTRACT, "ownership")["cases"]:
        assert sum(step.get("wait", 0) for step in steps(case)) == case.get("waits", 0), case["id"]


def test_marks_are_filled() -> None:
    """A text that is one name becomes the thing itself; names inside a text become their text."""
    assert filled({"a": ["{n}", "x{n}y", "{m}"]}, {"n": 7}) == {"a": [7, "x7y", "{m}"]}
