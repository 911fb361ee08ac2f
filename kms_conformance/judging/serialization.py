"""A case's result as plain data, and back.

Workers of a parallel run send these documents to the controller, so they hold nothing but ``str``, ``int``, ``float``,
``bool``, ``None``, ``list`` and ``dict``. Bodies and expected values travel as JSON text in ASCII: whatever a server
sent (``NaN``, half a surrogate pair) then comes out on the other side as it went in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import JSON, Exchange, Received, Sent
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.results import CaseResult, Finding

Document = dict[str, Any]


def case_to_json(case: CaseResult) -> Document:
    """Return a case's result as a document of simple types."""
    return {
        "id": case.id,
        "title": case.title,
        "contract": case.contract,
        "verdict": case.verdict.value,
        "requirements": list(case.requirements),
        "message": case.message,
        "missing": case.missing,
        "started": case.started,
        "duration": case.duration,
        "waited": case.waited,
        "checks": case.checks,
        "judged": list(case.judged),
        "findings": [finding_to_json(finding) for finding in case.findings],
        "exchanges": [exchange_to_json(exchange) for exchange in case.exchanges],
        "expectations": [expectation_to_json(expectation) for expectation in case.expectations],
        "rule": case.rule,
        "nodeid": case.nodeid,
    }


def case_from_json(document: Mapping[str, Any]) -> CaseResult:
    """Return the case's result that :func:`case_to_json` wrote; raise :class:`KeyError` where a member is missing."""
    return CaseResult(
        id=document["id"],
        title=document["title"],
        contract=document["contract"],
        verdict=Verdict(document["verdict"]),
        requirements=tuple(document["requirements"]),
        message=document["message"],
        missing=document["missing"],
        started=document["started"],
        duration=document["duration"],
        waited=document["waited"],
        checks=document["checks"],
        judged=tuple(document["judged"]),
        findings=tuple(finding_from_json(finding) for finding in document["findings"]),
        exchanges=tuple(exchange_from_json(exchange) for exchange in document["exchanges"]),
        expectations=tuple(expectation_from_json(expectation) for expectation in document["expectations"]),
        rule=document["rule"],
        nodeid=document["nodeid"],
    )


def finding_to_json(finding: Finding) -> Document:
    """Return a finding as a document of simple types."""
    return {
        "requirement": finding.requirement,
        "severity": finding.severity.value,
        "expected": finding.expected,
        "got": finding.got,
        "exchange": finding.exchange,
        "curl": finding.curl,
        "step": finding.step,
    }


def finding_from_json(document: Mapping[str, Any]) -> Finding:
    """Return the finding that :func:`finding_to_json` wrote."""
    return Finding(**{**document, "severity": Verdict(document["severity"])})


def expectation_to_json(expectation: Expectation) -> Document:
    """Return an expectation as a document of simple types; expected values are JSON text."""
    return {
        "exchange": expectation.exchange,
        "requirement": expectation.requirement,
        "severity": expectation.severity.value,
        "outcomes": [_outcome_to_json(outcome) for outcome in expectation.outcomes],
        "members": [
            {"path": member.path, "check": member.check, "value": json.dumps(member.value)}
            for member in expectation.members
        ],
        "setup": expectation.setup,
    }


def expectation_from_json(document: Mapping[str, Any]) -> Expectation:
    """Return the expectation that :func:`expectation_to_json` wrote."""
    return Expectation(
        exchange=document["exchange"],
        requirement=document["requirement"],
        severity=Verdict(document["severity"]),
        outcomes=tuple(_outcome_from_json(outcome) for outcome in document["outcomes"]),
        members=tuple(
            Member(member["path"], member["check"], json.loads(member["value"]))
            for member in document["members"]
        ),
        setup=document["setup"],
    )


def _outcome_to_json(outcome: Outcome) -> Document:
    return {
        "statuses": list(outcome.statuses),
        "code": outcome.code,
        "messages": list(outcome.messages),
        "detail": outcome.detail,
        "target": list(outcome.target) if outcome.target else None,
        "schema": outcome.schema,
        "source": outcome.source,
        "code_at": outcome.code_at,
        "text_at": outcome.text_at,
        "patterns": list(outcome.patterns),
    }


def _outcome_from_json(document: Mapping[str, Any]) -> Outcome:
    target = document["target"]
    return Outcome(
        statuses=tuple(document["statuses"]),
        code=document["code"],
        messages=tuple(document["messages"]),
        detail=document["detail"],
        target=(target[0], target[1]) if target else None,
        schema=document["schema"],
        source=document["source"],
        code_at=document["code_at"],
        text_at=document["text_at"],
        patterns=tuple(document["patterns"]),
    )


def exchange_to_json(exchange: Exchange) -> Document:
    """Return an exchange as a document of simple types; the bodies are JSON text, ``None`` where there is none."""
    sent, answer = exchange.sent, exchange.answer
    return {
        "id": exchange.id,
        "case": exchange.case,
        "step": exchange.step,
        "operation": exchange.operation,
        "identity": exchange.identity,
        "sent": {
            "method": sent.method,
            "url": sent.url,
            "path": sent.path,
            "headers": dict(sent.headers),
            "body": _text(sent.body),
            "text": sent.text,
            "secrets": sorted(sent.secrets),
        },
        "answer": None
        if answer is None
        else {
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": _text(answer.body),
            "is_json": answer.is_json,
            "size": answer.size,
            "kind": answer.kind,
        },
        "trouble": exchange.trouble,
        "started": exchange.started,
        "duration": exchange.duration,
        "notes": dict(exchange.notes),
    }


def exchange_from_json(document: Mapping[str, Any]) -> Exchange:
    """Return the exchange that :func:`exchange_to_json` wrote."""
    sent, answer = document["sent"], document["answer"]
    return Exchange(
        id=document["id"],
        case=document["case"],
        step=document["step"],
        operation=document["operation"],
        identity=document["identity"],
        sent=Sent(**{**sent, "body": _value(sent["body"]), "secrets": frozenset(sent["secrets"])}),
        answer=None if answer is None else Received(**{**answer, "body": _value(answer["body"])}),
        trouble=document["trouble"],
        started=document["started"],
        duration=document["duration"],
        notes=document["notes"],
    )


def _text(body: JSON) -> str | None:
    return None if body is None else json.dumps(body)


def _value(text: str | None) -> JSON:
    return None if text is None else json.loads(text)
