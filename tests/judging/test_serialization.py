"""Records: what a worker sends arrives as it was."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from random_runs import cases

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.expectation import Expectation, Member
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.serialization import (
    case_from_json,
    case_to_json,
    exchange_from_json,
    exchange_to_json,
    expectation_to_json,
)

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
    document = case_to_json(case)
    assert is_simple(document)
    assert case_from_json(document) == case
    assert case_from_json(json.loads(json.dumps(document))) == case


@pytest.mark.parametrize("body", ['{"a": "\ud800"}', "\ud83d", {"\udfff": ["\ud800"]}])
def test_half_a_character_survives(body: Any) -> None:
    """A lone surrogate, which no UTF-8 can carry, travels in the bodies."""
    exchange = replace(_exchange(), answer=Received(200, {}, body, is_json=True))
    document = exchange_to_json(exchange)
    assert document["answer"]["body"].isascii()
    assert exchange_from_json(document) == exchange


def test_not_a_number_survives() -> None:
    """Some servers send NaN, and Python's parser takes it."""
    exchange = replace(_exchange(), answer=Received(200, {}, [math.nan, math.inf], is_json=True))
    answer = exchange_from_json(exchange_to_json(exchange)).answer
    assert answer is not None
    assert math.isnan(answer.body[0])
    assert answer.body[1] == math.inf


def test_record_says_what_the_expectation_says() -> None:
    """Records and ``Expectation.to_json`` name the same members."""
    expectation = Expectation("x1", "r", Verdict.FAILED, (), (Member("a", "equals", 1),))
    assert expectation_to_json(expectation).keys() == expectation.to_json().keys()


def _exchange() -> Exchange:
    return Exchange("x1", "a", "", None, "manager", Sent("GET", "http://127.0.0.1/", "/", {}), None)
