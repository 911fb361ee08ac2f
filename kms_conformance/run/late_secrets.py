"""Replaces secrets in results that became known only afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.results import CaseResult, Finding

Scrub = Callable[[str], str]
AreClear = Callable[[Sequence[str]], bool]


def scrubbed(result: CaseResult, scrub: Scrub, are_clear: AreClear = lambda _: False) -> CaseResult:
    """Return the result of a case without what ``scrub`` replaces; ``are_clear`` as in :func:`scrubbed_exchange`."""
    return replace(
        result,
        message=scrub(result.message),
        missing=scrub(result.missing),
        findings=tuple(scrubbed_finding(finding, scrub) for finding in result.findings),
        expectations=tuple(scrubbed_expectation(entry, scrub) for entry in result.expectations),
        exchanges=tuple(scrubbed_exchange(exchange, scrub, are_clear) for exchange in result.exchanges),
    )


def scrub_again(
    findings: list[Finding],
    expectations: list[Expectation],
    exchanges: list[Exchange],
    scrub: Scrub,
    are_clear: AreClear,
) -> None:
    """Replace, in what a case has so far, secrets that became known since."""
    findings[:] = [scrubbed_finding(finding, scrub) for finding in findings]
    # Most texts of a case stand in it many times: one look at each of them shows nearly always that all are clear.
    texts = {text for exchange in exchanges for text in _texts_of(exchange)}
    values = (member.value for expectation in expectations for member in expectation.members)
    texts.update(text for value in values for text in _texts(value))
    if are_clear(list(texts)):
        return
    expectations[:] = [scrubbed_expectation(expectation, scrub) for expectation in expectations]
    exchanges[:] = [scrubbed_exchange(exchange, scrub, are_clear) for exchange in exchanges]


def scrubbed_finding(finding: Finding, scrub: Scrub) -> Finding:
    """Return a finding in which ``scrub`` has replaced secrets."""
    return replace(
        finding, expected=scrub(finding.expected), got=scrub(finding.got), curl=scrub(finding.curl)
    )


def scrubbed_expectation(expectation: Expectation, scrub: Scrub) -> Expectation:
    """Return an expectation likewise: its values may come from an earlier answer."""
    values = [_each_text(member.value, scrub) for member in expectation.members]
    if values == [member.value for member in expectation.members]:
        return expectation  # as nearly always
    members = (
        replace(member, value=value) for member, value in zip(expectation.members, values, strict=True)
    )
    return replace(expectation, members=tuple(members))


def scrubbed_exchange(exchange: Exchange, scrub: Scrub, are_clear: AreClear = lambda _: False) -> Exchange:
    """Return an exchange in which ``scrub`` has replaced secrets.

    ``are_clear`` tells at one look that no text needs it: nearly all evidence holds nothing that was learned later.
    """
    answer, sent = exchange.answer, exchange.sent
    if are_clear(list(_texts_of(exchange))):
        return exchange
    sent = replace(sent, url=scrub(sent.url), path=scrub(sent.path))
    if answer is not None:
        headers = {scrub(name): scrub(value) for name, value in answer.headers.items()}
        answer = replace(answer, headers=headers, body=_each_text(answer.body, scrub))
    return replace(exchange, sent=sent, answer=answer)


def _texts_of(exchange: Exchange) -> Iterator[str]:
    """Yield the texts of an exchange in which a secret may stand."""
    yield exchange.sent.url
    yield exchange.sent.path
    if exchange.answer is not None:
        yield from exchange.answer.headers
        yield from exchange.answer.headers.values()
        yield from _texts(exchange.answer.body)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield name
            yield from _texts(entry)


def _each_text(value: Any, change: Scrub) -> Any:
    """Return a JSON value with every text and every name of a member changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_each_text(entry, change) for entry in value)
    if isinstance(value, dict):
        return {change(name): _each_text(entry, change) for name, entry in value.items()}
    return value
