"""A case's exchanges as the steps of an Allure result: in our own directory, and in that of allure-pytest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import allure_commons
from allure_commons.model2 import (
    Attachment,
    Label,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.groups import in_any_order, without_variable_parts
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.outputs.overview import gravest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

FINISHED = "finished"
_QUIET = frozenset({Verdict.PASSED, Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED})
STATUS = {
    Verdict.PASSED: Status.PASSED,
    Verdict.WARNED: Status.PASSED,
    Verdict.NOT_APPLICABLE: Status.SKIPPED,
    Verdict.NOT_TESTED: Status.SKIPPED,
    Verdict.INCONCLUSIVE: Status.BROKEN,
    Verdict.FAILED: Status.FAILED,
    Verdict.ERROR: Status.BROKEN,
}


def attach_exchanges(result: TestResult, case: CaseResult, prefix: str, files: dict[str, bytes]) -> None:
    """Give a result a step per exchange; attachments, whose names begin with ``prefix``, go into ``files``.

    Where nothing is wrong there are none: thousands of small files take longer than the run. Elsewhere all exchanges of
    the case are one attachment, and each step that deviates has its request and its response.
    """
    apart = case.verdict not in _QUIET or bool(case.findings)
    result.steps.extend(
        _step(case, exchange, f"{prefix}-{place:03d}", files if apart else None)
        for place, exchange in enumerate(case.exchanges, 1)
    )
    if case.exchanges and apart:
        name = f"{prefix}-exchanges-attachment.json"
        files[name] = _together(case.exchanges)
        result.attachments.append(Attachment(name="exchanges", source=name, type="application/json"))


def add_steps(item: pytest.Item, case: CaseResult) -> None:
    """Give the result that allure-pytest keeps for a test the case's steps, verdict, labels and true times.

    To be called while pytest makes the report of the test's call; does nothing where allure-pytest is not active.
    """
    listener = item.config.pluginmanager.get_plugin("allure_listener")
    result = listener.allure_logger.get_test(None) if listener is not None else None
    if result is None:
        return
    files: dict[str, bytes] = {}
    attach_exchanges(result, case, result.uuid, files)
    for name, content in files.items():
        allure_commons.plugin_manager.hook.report_attached_data(body=content, file_name=name)
    result.start, result.stop = milliseconds(case.started), milliseconds(case.started + case.duration)
    # pytest knows three outcomes: it would call what is inconclusive a failure of the endpoint.
    result.status, result.statusDetails = STATUS[case.verdict], details_of(case)
    labels = [
        ("epic", case.contract),
        *(("story", name) for name in case.requirements),
        ("verdict", case.verdict.value),
    ]
    result.labels.extend(Label(name=name, value=value) for name, value in labels)


def milliseconds(seconds: float) -> int:
    """Return seconds as the milliseconds that Allure counts in."""
    return round(seconds * 1000)


def _step(case: CaseResult, exchange: Exchange, name: str, files: dict[str, bytes] | None) -> TestStepResult:
    findings = [finding for finding in case.findings if finding.exchange == exchange.id]
    status = STATUS[worst(finding.severity for finding in findings)] if findings else Status.PASSED
    if exchange.answer is None and status == Status.PASSED:
        status = Status.BROKEN
    return TestStepResult(
        name=f"{exchange.step or exchange.operation or exchange.sent.path}: {exchange.outcome}",
        status=status,
        statusDetails=StatusDetails(message=_findings_text(findings)) if findings else None,
        stage=FINISHED,
        start=milliseconds(exchange.started),
        stop=milliseconds(exchange.started + exchange.duration),
        parameters=[
            Parameter(name="exchange", value=exchange.id),
            Parameter(name="identity", value=exchange.identity),
        ],
        attachments=[] if files is None or status == Status.PASSED else _apart(exchange, name, files),
    )


def _apart(exchange: Exchange, name: str, files: dict[str, bytes]) -> list[Attachment]:
    """Put an exchange's request and its response into ``files``, and return them as attachments."""
    request, response = f"{name}-request-attachment.json", f"{name}-response-attachment.json"
    files[request] = json.dumps(_request(exchange)).encode("ascii")
    files[response] = json.dumps(_response(exchange)).encode("ascii")
    sent = f"request {exchange.sent.method} {exchange.sent.path}"
    return [
        Attachment(name=sent, source=request, type="application/json"),
        Attachment(name=f"response {exchange.outcome}", source=response, type="application/json"),
    ]


def _together(exchanges: Sequence[Exchange]) -> bytes:
    """Return requests and responses in one document, in their order."""
    documents = [
        {"exchange": exchange.id, "request": _request(exchange), "response": _response(exchange)}
        for exchange in exchanges
    ]
    return json.dumps(documents).encode("ascii")


def _request(exchange: Exchange) -> dict[str, Any]:
    sent = exchange.sent
    body = sent.body if sent.text is None else sent.text
    return {
        "method": sent.method,
        "url": sent.url,
        "headers": dict(sent.headers),
        "body": body,
        "curl": curl_line(exchange),
    }


def _response(exchange: Exchange) -> dict[str, Any]:
    answer = exchange.answer
    if answer is None:
        return {"trouble": exchange.trouble}
    return {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body if answer.is_json else answer.kind,
    }


def details_of(case: CaseResult, accepted: str = "", section: str = "") -> StatusDetails | None:
    """Return what Allure shows next to a status: verdict and message, and every finding.

    Allure puts cases with the same message together, so the message of a finding is the same for all of one cause:
    the title of its ``section``, what was expected and what came, without ids. ``accepted`` is why a baseline keeps the
    failure from failing the run; Allure then calls it a known issue.
    """
    message = case.missing or case.message
    finding = gravest(case)
    if finding is not None and finding.severity is case.verdict:
        expected, got = without_variable_parts(finding.expected), without_variable_parts(finding.got)
        cause = f"expected {expected}, got {in_any_order(got)}"
        message = f"{section}: {cause}" if section else cause
    if accepted:
        message = f"accepted by the baseline, {accepted}: {message}"
    if not message and not case.findings and case.verdict is Verdict.PASSED:
        return None
    return StatusDetails(
        message=f"{case.verdict.value}: {message}",
        trace=_findings_text(list(case.findings)) or None,
        known=bool(accepted) or None,
    )


def _findings_text(findings: list[Finding]) -> str:
    return "\n\n".join(
        f"{finding.severity.value}: {finding.requirement}\nexpected: {finding.expected}\ngot: {finding.got}\n{finding.curl}"
        for finding in findings
    )
