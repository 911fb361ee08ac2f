"""Which promises of a recorded sequence were broken, and what else was said of the requests they are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.expectation import Expectation, Outcome
from kms_conformance.judging.results import CaseResult

_OK, _BAD_REQUEST = 200, 400
_OPEN_LAW, _NOT_TAKEN = "law-ownership", (400, 405, 409, 415, 422)
"""The law that may leave open whether a request is taken, and how one is refused that is not."""


def open_to(expectations: Iterable[Expectation], exchange: Exchange) -> list[int]:
    """Return by what a request may be refused that has succeeded: then what its answer shows is promised of a success only."""
    stated = [one for one in expectations if one.exchange == exchange.id and one.outcomes]
    if exchange.answer is None or exchange.answer.status >= _BAD_REQUEST:
        return []
    if not stated:
        return list(range(_BAD_REQUEST, _BAD_REQUEST + 100))
    # The law says of a success that it succeeds where it leaves open whether a request is taken.
    return list(_NOT_TAKEN) if all(one.requirement.startswith(_OPEN_LAW) for one in stated) else []


def broken_of(case: CaseResult, exchange: Exchange) -> list[Expectation]:
    """Return the expectations of an exchange that did not hold."""
    outcomes = {
        (finding.requirement, finding.expected)
        for finding in case.findings
        if finding.exchange == exchange.id and finding.severity is Verdict.FAILED
    }
    return [
        expectation
        for expectation in case.expectations
        if expectation.exchange == exchange.id
        and (expectation.requirement, expectation.description()) in outcomes
    ]


def command_of(exchange: Exchange) -> str:
    """Return what a step asks for, without what it says of the thing: the same in steps that ask again."""
    return exchange.step.partition(",")[0]


def outcomes_of(broken: Expectation, exchange: Exchange) -> tuple[Outcome, ...]:
    """Return what was expected; a law that leaves open whether a request is refused says only how."""
    refused = exchange.answer is not None and exchange.answer.status >= _BAD_REQUEST
    only_how = refused and all(
        status >= _BAD_REQUEST for outcome in broken.outcomes for status in outcome.statuses
    )
    open_law = only_how and broken.outcomes and broken.requirement.startswith(_OPEN_LAW)
    return (*broken.outcomes, Outcome(tuple(range(_OK, _OK + 100)))) if open_law else broken.outcomes


def bare(schema: Any) -> Any:
    """Return a schema without its texts for people."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if isinstance(schema, dict):
        left_out = {"$schema", "$id", "title", "description"}
        return {
            name: bare(one)
            for name, one in schema.items()
            if name not in left_out or not isinstance(one, str)
        }
    return schema
