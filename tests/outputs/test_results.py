"""results.json: the documented members, in a fixed order."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema_rs

from kms_conformance.contract.schemas import load_schema
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import results


def test_document_fits_its_schema(realistic: Callable[[int, int], Run]) -> None:
    """A realistic run and an empty one are valid."""
    schema = load_schema("results")
    assert schema["$id"] == "https://kms-conformance.invalid/schemas/results.schema.json"
    jsonschema_rs.meta.validate(schema)
    for run in (realistic(40, 2), Run(Profile.CERTIFY, (), ())):
        jsonschema_rs.validate(schema, results.render(run))


def test_order_is_fixed(realistic: Callable[[int, int], Run]) -> None:
    """The same run gives the same bytes, verdict near the top, in the schema's order."""
    document = results.render(realistic(40, 2))
    assert json.dumps(document) == json.dumps(results.render(realistic(40, 2)))
    assert list(document) == load_schema("results")["required"]
    assert list(document["groups"][0]) == load_schema("results")["$defs"]["group"]["required"]
    assert list(document["groups"][0]) == load_schema("results")["$defs"]["group"]["required"]
    assert list(document["cases"][0]) == load_schema("results")["$defs"]["case"]["required"]
    assert list(document["requirements"][0]) == load_schema("results")["$defs"]["requirement"]["required"]


def test_times_and_durations(realistic: Callable[[int, int], Run]) -> None:
    """Times are RFC 3339 in UTC, durations seconds to the millisecond."""
    document = results.render(realistic(40, 2))
    assert document["started"] == "2025-10-09T08:53:20.000Z"
    assert document["duration_s"] == 41.5
    assert document["cases"][0]["waited_s"] == 30.0


def test_descriptive_blocks(realistic: Callable[[int, int], Run]) -> None:
    """What the run knows of itself is there, and defaults where it knows nothing."""
    document = results.render(realistic(40, 2))
    assert document["contracts"] == [
        {"edition": "2025-01-15", "sha256": "ab" * 32, "id": "demo", "title": "Demo KMS"}
    ]
    assert document["target"]["base_url"] == "http://127.0.0.1:8080"
    assert document["suite"]["commit"] == "0123456789abcdef"
    assert document["baseline"] == []
    assert results.render(Run(Profile.GATE, (), ()))["contracts"] == []
