"""concurrency.yaml is whole: it fits its schema, tries all pairs of changes, and rests on rows and operations that exist."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import jsonschema
import yaml

from kms_conformance.adapters.key_protect.laws.concurrency import MAKERS
from kms_conformance.contract.contract import load_contract

ROOT = Path(__file__).parents[2]
LAW = yaml.safe_load((ROOT / "contracts/key_protect/concurrency.yaml").read_text("utf-8"))
PAIRS = {frozenset(case["at_once"]) for case in LAW["cases"] if "at_once" in case}
CHANGES = {
    "an active key": ("rotate", "disable", "delete", "interval", "name"),
    "a policy": ("interval", "longer"),
    "a registration": ("register", "replace", "describe", "unregister"),
    "a token": ("renew", "fetch"),
    "an adapter": ("adapt", "delete"),
    "its certificates": ("trust", "distrust"),
}
"""What changes a thing. Two requests that are the same one and come out as one are named below."""
SAME_TWICE = {"interval", "longer", "describe", "adapt", "trust", "name", "replace"}
"""Sent twice, they come out as sent once (or are another thing's case): what is left after either order is the same."""


def test_the_data_fit_their_schema() -> None:
    """The file is what its schema says."""
    schema = json.loads((ROOT / "schemas/concurrency.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(LAW)


def test_all_pairs_of_changes_are_tried() -> None:
    """Each two changes of a thing are asked for at once, also a change and itself where that can show."""
    for changes in CHANGES.values():
        for pair in itertools.combinations_with_replacement(changes, 2):
            if len(set(pair)) == 2 or pair[0] not in SAME_TWICE:
                assert frozenset(pair) in PAIRS, pair


def test_what_a_case_names_exists() -> None:
    """Operations, things, rows and what is read afterwards are there; each operation and each row is used."""
    contract = load_contract("key_protect")
    named: set[str] = set()
    assert {recipe["do"] for recipe in LAW["operations"].values()} <= set(contract.operations)
    for case in LAW["cases"]:
        asked = {*case.get("at_once", ()), *case.get("clients", {}).get("do", ()), *case["reads"]}
        asked |= {*case.get("each", ()), *case.get("beside", ()), *itertools.chain(*case.get("lanes", ()))}
        assert asked <= set(LAW["operations"]), case["id"]
        named |= asked
        assert case["thing"] in MAKERS
        assert case["row"] in contract.requirements
    rows = {name for name in contract.requirements if name.startswith("law-concurrency-")}
    assert rows == {case["row"] for case in LAW["cases"]}
    assert set(LAW["operations"]) == named
    assert len({case["id"] for case in LAW["cases"]}) == len(LAW["cases"])
