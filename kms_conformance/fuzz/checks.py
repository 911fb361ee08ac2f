"""The rules for every answer to a fuzzed request: the wire rules, and a few rows of section ``api-fuzz``.

Pure. The rows say what must hold whatever was sent; a contract without them is judged by the wire rules alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from kms_conformance.contract.refusals import STATUSES_OF_HTTP
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange, Received
from kms_conformance.judging.every_exchange import respelled, wire_findings
from kms_conformance.judging.results import Finding

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.judging.judge import Schemas

SLOW = 5.0
"""Seconds that an answer may take."""
TIME_BOUND = "fuzz-time-bound"
# Codes that a server, or a gateway in front of it, may give any request: they concern its form, not the operation.
_OF_FORM = frozenset({400, 401, 403, 404, 415, 422}) | STATUSES_OF_HTTP
_QUIET = frozenset({"HEAD", "OPTIONS", "TRACE"})
_VARIES = re.compile(r"<[A-Za-z_]\w*:[0-9a-f]{12}>|[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\d+(?:\.\d+)?")
_CORRELATION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Complaint = tuple[str, str, str]


def fuzz_findings(exchange: Exchange, contract: Contract, schemas: Schemas) -> list[Finding]:
    """Return every rule that the answer to a fuzzed request breaks, each at the severity of its row."""
    findings = [
        finding
        for finding in wire_findings(exchange, contract, schemas)
        if not _moot(finding, exchange, contract)
    ]
    if exchange.answer is None:
        return findings
    for row_id, expected, got in _complaints(exchange, exchange.answer, contract):
        row = contract.requirements.get(row_id)
        if row is not None and not row.excluded:
            findings.append(
                Finding(row_id, row.severity, expected, got, exchange.id, curl_line(exchange), exchange.step)
            )
    return findings


def cause_of(finding: Finding) -> str:
    """Return the actual answer without the parts that vary: equal causes are one finding."""
    words = finding.got.split(" ", 1)
    kept = words[0] if words[0].isdigit() and len(words[0]) == 3 else _VARIES.sub("#", words[0])  # noqa: PLR2004 - a status
    return " ".join([kept, *(_VARIES.sub("#", word) for word in words[1:])])


def _moot(finding: Finding, exchange: Exchange, contract: Contract) -> bool:
    """Tell whether a rule does not apply: a correlation id that is no UUID need not come back."""
    sent = exchange.sent.headers.get(contract.correlation, "")
    return finding.requirement == "wire-correlation-id" and not _CORRELATION.fullmatch(sent)


def _complaints(exchange: Exchange, answer: Received, contract: Contract) -> Iterator[Complaint]:
    operation = contract.operations.get(exchange.operation or "")
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        if operation is not None and answer.status not in operation.statuses:
            statuses = " or ".join(
                str(status) for status in operation.statuses if status < HTTPStatus.BAD_REQUEST
            )
            yield "fuzz-success-status", f"{statuses}, or a refusal", str(answer.status)
        if operation is None and exchange.sent.method not in _QUIET:
            yield "fuzz-success-status", "a refusal: no operation has this method and path", exchange.outcome
    allowed = _OF_FORM.union(operation.statuses if operation is not None else ())
    if (
        HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and answer.status not in allowed
    ):
        yield "fuzz-refusal-status", "a status that the operation has", exchange.outcome
    code = answer.code if answer.status >= HTTPStatus.BAD_REQUEST else None
    if code is not None and code not in contract.codes:
        _, meant = respelled(code, contract)
        if meant:
            yield "fuzz-known-code", f"{meant}, as the contract spells it", exchange.outcome
    if exchange.duration > SLOW:
        yield TIME_BOUND, f"an answer within {SLOW:g} s", "a later one"
