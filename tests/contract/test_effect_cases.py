"""effect-cases.yaml is whole: it fits its schema, its rows are there, and each operation is tried."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import yaml

from kms_conformance.contract.contract import load_contract
from kms_conformance.laws.entries import law_cases

ROOT = Path(__file__).parents[2]
CASES = yaml.safe_load((ROOT / "contracts/key_protect/effect-cases.yaml").read_text("utf-8"))
SCHEMA = json.loads((ROOT / "schemas/effect-cases.schema.json").read_text("utf-8"))
LOOKS = {"getImportToken"}
"""Operations that are tried by looking: each snapshot of a case performs them."""


def test_the_file_fits_its_schema() -> None:
    """The schema is a schema, and the file fits it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(CASES)


def test_every_operation_is_tried() -> None:
    """Each operation of the contract stands in some step, and succeeds there."""
    steps = [step for case in CASES["cases"] for step in case["steps"] if step.get("outcome") != "refused"]
    done = {ask["do"] for step in steps for ask in step.get("all", [step])}
    assert set(load_contract("key_protect").operations) - done == LOOKS


def test_every_row_is_there() -> None:
    """Each case covers rows of the contract, all of the law's are covered, and no id is used twice."""
    contract = load_contract("key_protect")
    covered = {row for case in law_cases("key_protect", "effects").values() for row in case.rows}
    assert covered == {row for row in contract.requirements if row.startswith("law-effects-")}
    assert len(law_cases("key_protect", "effects")) == len(CASES["cases"])


def test_a_kind_of_key_is_tried_in_each_state() -> None:
    """Each kind is there in each state that it can be in."""
    ids = {case["id"] for case in CASES["cases"]}
    kinds = ("root-generated", "root-imported", "standard-generated", "standard-imported")
    assert {f"{kind}-{state}" for kind in kinds for state in ("active", "deactivated", "destroyed")} <= ids
    roots = ("root-generated", "root-imported", "root-by-token")
    assert {f"{kind}-{state}" for kind in roots for state in ("active", "suspended")} <= ids
