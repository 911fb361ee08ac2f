"""Records: what a worker sends arrives as it was."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from random_runs import cases

from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.results import CaseResult

SIMPLE = (str, int, float, bool, type(None))


def is_simple(value: Any) -> bool:
    """Tell whether a document holds nothing but simple types, and no subclass of them."""
    if type(value) is dict:
        return all(type(key) is str and is_simple(member) for key, member in value.items())
    if type(value) is list:
        return all(is_simple(entry) for entry in value)
    return type(value) in SIMPLE


@given(cases())
def test_round_trip_is_exact(case: CaseResult) -> None:
    """A case's result is the same after the journey, directly and by way of JSON text."""
    document = to_document(case)
    assert is_simple(document)
    assert from_document(CaseResult, document) == case
    assert from_document(CaseResult, json.loads(json.dumps(document))) == case


@pytest.mark.parametrize("body", ['{"a": "\ud800"}', "\ud83d", {"\udfff": ["\ud800"]}])
def test_half_a_character_survives(body: Any) -> None:
    """A lone surrogate, which no UTF-8 can carry, travels in the bodies."""
    exchange = replace(_exchange(), answer=Received(200, {}, body, is_json=True))
    document = to_document(exchange)
    assert document["answer"]["body"].isascii()
    assert from_document(Exchange, document) == exchange


def test_not_a_number_survives() -> None:
    """Some servers send NaN, and Python's parser takes it."""
    exchange = replace(_exchange(), answer=Received(200, {}, [math.nan, math.inf], is_json=True))
    answer = from_document(Exchange, to_document(exchange)).answer
    assert answer is not None
    assert math.isnan(answer.body[0])
    assert answer.body[1] == math.inf


def _exchange() -> Exchange:
    return Exchange("x1", "a", "", None, "manager", Sent("GET", "http://127.0.0.1/", "/", {}), None)
