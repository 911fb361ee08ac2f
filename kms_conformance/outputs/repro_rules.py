"""The rules that hold for every exchange, as data that a script can judge by: see ``rule_complaint``."""

from __future__ import annotations

from typing import Any

from kms_conformance.contract.contract import Contract
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.members import pick
from kms_conformance.judging.results import Finding
from kms_conformance.outputs.repro_checks import FIRST_FAULT


def rule_of(finding: Finding, exchange: Exchange, contract: Contract) -> tuple[str, dict[str, Any]] | None:
    """Return a rule of every exchange as data, ``None`` where the finding is of none that a script knows."""
    answer, places = exchange.answer, contract.reason
    faults = [
        [code.code, status]
        for code in contract.codes.values()
        for status in code.statuses
        if status >= FIRST_FAULT
    ]
    known: dict[str, dict[str, Any]] = {
        "wire-complete-answer": {"rule": "complete"},
        "wire-no-server-error": {"rule": "server-error", "code": places.code, "lawful": faults},
        "wire-no-redirect": {"rule": "redirect"},
        "wire-error-envelope": {"rule": "envelope", "schema": contract.envelope},
        "wire-media-type": {"rule": "media-type", "known": list(contract.media_types)},
        "wire-reason-status": {"rule": "reason-status", "status": places.status},
        "wire-new-style-code": {"rule": "new-style-code", "summary": places.summary, "code": places.code},
        "wire-status-phrase": {"rule": "phrase", "summary": places.summary},
        "wire-correlation-id": {"rule": "correlation", "header": contract.correlation},
    }
    if contract.collection is not None:
        total, entries = contract.collection
        known["wire-collection-total"] = {"rule": "total", "total": total, "entries": entries}
    operation = contract.operations.get(exchange.operation or "")
    if operation is not None:
        by_status = {str(status): name for status, name in operation.schemas.items()}
        known["wire-success-schema"] = {"rule": "success-schema", "schemas": by_status}
    lawful = list(operation.secret_paths) if operation is not None else []
    secrets = sorted(exchange.sent.secrets)
    known["wire-no-secret-echo"] = {"rule": "echo", "lawful": lawful, "secrets": secrets}
    if answer is not None and places.code:
        recorded = [pick(answer.body, places.code), answer.status]
        known["wire-known-code"] = {"rule": "code", "code": places.code, "recorded": recorded}
    if finding.requirement not in known:
        return None
    return f"{finding.expected} ({finding.requirement})", known[finding.requirement]
