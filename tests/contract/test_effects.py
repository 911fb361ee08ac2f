"""effects.yaml is whole: it fits its schema, names every operation, and rests on sources that it tells."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
EFFECTS = yaml.safe_load((ROOT / "contracts/key_protect/effects.yaml").read_text("utf-8"))
SCHEMA = json.loads((ROOT / "schemas/effects.schema.json").read_text("utf-8"))
METHODS = {"get", "put", "post", "patch", "delete", "head"}


@functools.cache
def operations() -> dict[str, str]:
    """Return the operations of the contract with their methods."""
    document = yaml.safe_load((ROOT / "contracts/key_protect/openapi.yaml").read_text("utf-8"))
    return {
        operation["operationId"]: method
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    }


def sourced(value: Any) -> Iterator[str]:
    """Yield each source that anything names."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "source":
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from sourced(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sourced(inner)


def test_the_file_fits_its_schema() -> None:
    """The schema is a schema, and the file fits it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(EFFECTS)


def test_every_operation_says_what_it_changes() -> None:
    """Each operation is there, and no other."""
    assert set(EFFECTS["operations"]) == set(operations())


def test_reading_changes_nothing() -> None:
    """GET and HEAD change nothing, but for the retrieval of an import token, which is counted."""
    changing = {name for name, entry in EFFECTS["operations"].items() if entry["changes"]}
    assert {name for name in changing if operations()[name] in {"get", "head"}} == {"getImportToken"}


def test_every_source_is_told() -> None:
    """Each source that an entry names is in the list, and each of the list is used."""
    assert set(sourced(EFFECTS)) == set(EFFECTS["sources"])


def test_what_is_unspecified_has_no_source_but_says_so() -> None:
    """An entry that is judged rests on a source: nobody's word is for what is unspecified only."""
    for name, entry in EFFECTS["operations"].items():
        for change in entry["changes"]:
            assert (change["source"] != "nobody") or change["how"] == "unspecified", name


@pytest.mark.parametrize("name", sorted(EFFECTS["operations"]))
def test_every_change_is_of_something_known(name: str) -> None:
    """Resources, reads and operations that an entry names exist."""
    resources, operation_ids = EFFECTS["resources"], operations()
    entry = EFFECTS["operations"][name]
    assert entry.get("addresses", "key") in resources
    assert {change["of"] for change in entry["changes"]} <= set(resources)
    assert set(entry.get("as", {}).get("operations", {}).values()) <= set(operation_ids)


def test_reads_and_agreements_are_of_something_known() -> None:
    """The requests that show a resource are reads of the contract or the probe; agreements name what is read."""
    operation_ids = operations()
    for resource in EFFECTS["resources"].values():
        assert resource.get("parent", "key") in EFFECTS["resources"]
        assert {read["operation"] for read in resource["reads"]} <= set(operation_ids)
    for agreement in EFFECTS["agreements"]:
        for side in (agreement["left"], agreement["right"]):
            reads = {read["operation"] for read in EFFECTS["resources"][side["resource"]]["reads"]}
            assert side.get("read") in reads | {None}
