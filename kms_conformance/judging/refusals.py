"""The outcomes that a contract allows: of a refusal, of a success, and what a row tolerates beside them.

Pure: the same contract, row and edition give the same outcomes, so that whoever judges a transcript again can derive
them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kms_conformance.contract.contract import Contract
from kms_conformance.contract.rows import ReasonCode, Requirement
from kms_conformance.judging.expectation import Outcome

_ANY_SUCCESS = (200, 201, 202, 204)


def refusal(
    contract: Contract,
    row: Requirement,
    reason: ReasonCode,
    *,
    target: tuple[str, str] | None = None,
    message: str | None = None,
) -> Outcome:
    """Return the refusal with a reason code as the contract has it; ``target`` and ``message`` are of the request."""
    places = contract.reason
    return Outcome(
        statuses=reason.refusals,
        code=reason.code if reason.in_body else None,
        messages=(message,) if message else _texts(reason),
        detail=reason.detail,
        target=target or row.target or reason.target,
        schema=contract.envelope or None,
        code_at=places.code,
        text_at=places.text,
        target_at=places.target,
        summary_at=places.summary,
        patterns=reason.patterns,
    )


def alternatives(contract: Contract, row: Requirement, edition: str, primary: Outcome) -> tuple[Outcome, ...]:
    """Return an outcome as the edition has it, and what the row tolerates, each with its source."""
    fixed = row.editions.get(edition)
    documented: tuple[Outcome, ...] = ()
    if fixed is not None and fixed.get("code") is None:
        # An edition that answers otherwise does not make the page's own answer wrong.
        documented, primary = (primary,), Outcome((fixed["status"],))
    tolerated = [
        _tolerated(contract, accepted)
        for accepted in row.accepts
        if accepted.get("edition", edition) == edition
    ]
    return (primary, *documented, *tolerated)


def success_statuses(contract: Contract, operation_id: str | None) -> tuple[int, ...]:
    """Return the statuses of success that the contract gives an operation; for an unknown one, the usual four."""
    operation = contract.operations.get(operation_id or "")
    statuses = tuple(
        status for status in (operation.statuses if operation else ()) if status < HTTPStatus.MULTIPLE_CHOICES
    )
    return statuses or _ANY_SUCCESS


def _tolerated(contract: Contract, accepted: Mapping[str, Any]) -> Outcome:
    status = accepted["status"]
    code = accepted.get("code")
    reason = contract.codes.get(code) if code else None
    places = contract.reason
    is_refusal = status is None or status >= HTTPStatus.BAD_REQUEST
    return Outcome(
        statuses=() if status is None else (status,),
        code=code if reason is None or reason.in_body else None,
        messages=(accepted["message"],) if "message" in accepted else _texts(reason),
        detail=bool(reason and reason.detail),
        schema=(contract.envelope or None) if is_refusal and not accepted.get("bare") else None,
        source=str(accepted.get("source", "")),
        code_at=places.code,
        text_at=places.text,
        target_at=places.target,
        summary_at=places.summary,
        patterns=reason.patterns if reason else (),
    )


def _texts(reason: ReasonCode | None) -> tuple[str, ...]:
    """Return the texts that a code's message must be one of: none where no source page fixes them."""
    return reason.messages if reason is not None and reason.documented else ()
