"""The outcomes of expectations taken anew from the contract alone, for a case that cannot be played again.

What the contract says of a reason code or of a success is made anew and has to be what the record holds. Which codes
and members a case states, only playing it again tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from kms_conformance.contract.contract import Contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import READS, Exchange
from kms_conformance.judging.expectation import Expectation, Outcome
from kms_conformance.judging.histories import ONE_ORDER
from kms_conformance.judging.refusals import alternatives, refusal, success_statuses
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.context import CaseInfo

_OK, _SERVER_ERROR = 200, 500
CLEAN_UP = "clean-up"
_OF_LAWS = (Outcome(tuple(range(_OK, _OK + 100))), Outcome(()))
"""What laws state of a look at a thing: any success, or any error."""


def complaints(case: CaseResult, info: CaseInfo, contract: Contract, edition: str) -> Iterator[str]:
    """Yield a sentence for each expectation that the contract does not have."""
    exchanges = {exchange.id: exchange for exchange in case.exchanges}
    for expectation in case.expectations:
        exchange = exchanges.get(expectation.exchange)
        where = (
            f"transcript.har: the expectation of {expectation.requirement} at exchange {expectation.exchange}"
        )
        if exchange is None:
            yield f"{where} is of no exchange of {case.id}"
            continue
        own = contract.success_row(exchange.operation)
        if expectation.requirement not in {*info.covers, own.id if own else ""}:
            yield f"{where} is of a row that the case does not cover"
        elif expectation.severity not in _severities(expectation, contract):
            yield f"{where} has the severity {expectation.severity.value}, which its row does not have"
        elif not _is_derived(expectation, exchange, contract, edition):
            yield f"{where} allows what the contract does not"
    yield from _histories(case)
    if case.verdict in {Verdict.PASSED, Verdict.WARNED}:
        named = {expectation.requirement for expectation in case.expectations}
        for row in info.covers:
            if row not in named:
                yield f"transcript.har: {case.id} lacks an expectation of {row}"


def _histories(case: CaseResult) -> Iterator[str]:
    """Yield a sentence for each exchange of a passed case of several clients that none of its histories holds.

    Whoever leaves one out could leave out the answer that fits no order.
    """
    statements = [
        member.value["requests"]
        for expectation in case.expectations
        for member in expectation.members
        if member.check == ONE_ORDER
    ]
    if not statements or case.verdict not in {Verdict.PASSED, Verdict.WARNED}:
        return
    answered = {name: bool(is_answered) for requests in statements for name, _, is_answered in requests}
    seen = [exchange for exchange in case.exchanges if exchange.notes.get("phase") != CLEAN_UP]
    first = min((exchange.started for exchange in seen if exchange.id in answered), default=0.0)
    for exchange in seen:
        looked_before = exchange.started < first and exchange.sent.method in READS
        if exchange.id not in answered and not looked_before:
            yield f"transcript.har: no history of {case.id} holds exchange {exchange.id} ({exchange.step})"
        elif exchange.id in answered and answered[exchange.id] is (exchange.answer is None):
            yield f"transcript.har: a history of {case.id} is wrong on whether exchange {exchange.id} was answered"


def _severities(expectation: Expectation, contract: Contract) -> set[Verdict]:
    row = contract.requirements.get(expectation.requirement)
    return {Verdict.FAILED} | ({row.severity} if row else set())


def _own_message(outcome: Outcome) -> str | None:
    """Return the one text of an outcome, which may be the case's own; of several texts the contract is the owner."""
    return outcome.messages[0] if len(outcome.messages) == 1 else None


def _is_derived(expectation: Expectation, exchange: Exchange, contract: Contract, edition: str) -> bool:
    outcomes = expectation.outcomes
    if not outcomes:
        return bool(expectation.members)
    row = contract.requirements[expectation.requirement]
    first = outcomes[0]
    if first in _OF_LAWS and expectation.requirement.startswith("law-"):
        return len(outcomes) == 1
    if first == Outcome(tuple(range(_OK, _SERVER_ERROR))):
        return len(outcomes) == 1
    if all(status < _OK + 100 for status in first.statuses) and first.statuses:
        allowed = {_OK, *success_statuses(contract, exchange.operation)}
        return len(outcomes) == 1 and set(first.statuses) <= allowed and first.code is None
    if any(outcome.code for outcome in outcomes):
        codes = {outcome.code for outcome in outcomes} & set(contract.codes)
        return any(
            outcomes
            == alternatives(
                contract,
                row,
                edition,
                refusal(
                    contract, row, contract.codes[code], target=first.target, message=_own_message(first)
                ),
            )
            for code in codes
            if code is not None
        )
    return all(outcome.schema == (contract.envelope or None) for outcome in outcomes[:1])
