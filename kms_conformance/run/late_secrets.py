"""Replaces secrets in results that became known only afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.results import CaseResult, Finding

Scrub = Callable[[str], str]


def scrubbed(result: CaseResult, scrub: Scrub) -> CaseResult:
    """Return the result of a case without what ``scrub`` replaces."""
    return replace(
        result,
        message=scrub(result.message),
        missing=scrub(result.missing),
        findings=tuple(scrubbed_finding(finding, scrub) for finding in result.findings),
        expectations=tuple(scrubbed_expectation(entry, scrub) for entry in result.expectations),
        exchanges=tuple(scrubbed_exchange(exchange, scrub) for exchange in result.exchanges),
    )


def scrubbed_finding(finding: Finding, scrub: Scrub) -> Finding:
    """Return a finding in which ``scrub`` has replaced secrets."""
    return replace(
        finding, expected=scrub(finding.expected), got=scrub(finding.got), curl=scrub(finding.curl)
    )


def scrubbed_expectation(expectation: Expectation, scrub: Scrub) -> Expectation:
    """Return an expectation likewise: its values may come from an earlier answer."""
    members = (replace(member, value=_each_text(member.value, scrub)) for member in expectation.members)
    return replace(expectation, members=tuple(members))


def scrubbed_exchange(exchange: Exchange, scrub: Scrub) -> Exchange:
    """Return an exchange in which ``scrub`` has replaced secrets."""
    answer, sent = exchange.answer, exchange.sent
    sent = replace(sent, url=scrub(sent.url), path=scrub(sent.path))
    if answer is not None:
        headers = {scrub(name): scrub(value) for name, value in answer.headers.items()}
        answer = replace(answer, headers=headers, body=_each_text(answer.body, scrub))
    return replace(exchange, sent=sent, answer=answer)


def _each_text(value: Any, change: Scrub) -> Any:
    """Return a JSON value with every text and every name of a member changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_each_text(entry, change) for entry in value)
    if isinstance(value, dict):
        return {change(name): _each_text(entry, change) for name, entry in value.items()}
    return value
