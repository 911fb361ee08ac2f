"""A gateway in front of the service: what it answers now and then is told and not counted, what it always answers is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from runs import case_of, served_target, session_and_context

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import GATEWAY, UNSURE
from kms_conformance.judging.results import CaseResult
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.session import Session
from kms_conformance.transport.client import Client, Reply
from kms_conformance.transport.retry import IN_A_ROW
from kms_reference.server import Server

PAGE = b"<html><body><h1>Service Unavailable</h1></body></html>"
ENVELOPE = (
    b'{"metadata":{"collectionType":"application/vnd.ibm.kms.error+json","collectionTotal":1},'
    b'"resources":[{"errorMsg":"Service Unavailable: The service is not available"}]}'
)
Run = Callable[..., CaseResult]


@pytest.fixture
def session(reference: Server) -> Iterator[Session]:
    """Return a session on the unbroken reference."""
    made, _ = session_and_context(served_target(reference))
    yield made
    made.close()


def outage(client: Client, method: str, times: int, status: int = 503, content: bytes = PAGE) -> None:
    """Let the next ``times`` requests of a method be answered by somebody in front of the service."""
    read, left = client._read, times

    def answer(built: httpx.Request) -> Reply:
        nonlocal left
        if built.method == method and left:
            left -= 1
            body = None if content is PAGE else {"resources": [{"errorMsg": "Service Unavailable: x"}]}
            return Reply(status, httpx.Headers({"content-type": "text/html"}), body, content)
        return read(built)

    client._read = answer  # type: ignore[method-assign]  # stands for a gateway


def run(session: Session, body: Callable[[Any], object]) -> CaseResult:
    """Run a body as a case of its own."""
    info = CaseInfo("own.case", "a case", "key_protect", ("list-keys",))

    def plain(kms: Any) -> None:
        body(kms)

    return session.run_case(session.open(info), plain)


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("times", [1, 2])
def test_a_read_is_asked_again(session: Session, status: int, times: int) -> None:
    """One or two answers of a gateway to a GET are noted, and the service's own answer is judged."""
    outage(session.context("key_protect").client, "GET", times, status)
    result = run(session, lambda kms: kms.list_keys(limit=1).succeeds(200))
    assert (result.verdict, result.findings) == (Verdict.PASSED, ())
    assert result.exchanges[-1].notes[GATEWAY] == ", ".join([str(status)] * times)
    assert result.exchanges[-1].answer is not None
    assert result.exchanges[-1].answer.status == 200


def test_a_head_is_asked_again(session: Session) -> None:
    """HEAD only reads, too."""
    outage(session.context("key_protect").client, "HEAD", 1)
    result = run(session, lambda kms: kms.count_keys().succeeds(200))
    assert result.verdict is Verdict.PASSED
    assert result.exchanges[-1].notes[GATEWAY] == "503"


@pytest.mark.parametrize(
    ("times", "status", "content"),
    [(IN_A_ROW, 503, PAGE), (1, 500, PAGE), (1, 503, ENVELOPE)],
    ids=["three-in-a-row", "no-gateway's-status", "the-service's-own-envelope"],
)
def test_what_is_no_passing_outage_is_found(
    session: Session, times: int, status: int, content: bytes
) -> None:
    """The third such answer in a row is a finding; the first of another status, or in the envelope, is one at once."""
    outage(session.context("key_protect").client, "GET", times, status, content)
    result = run(session, lambda kms: kms.list_keys(limit=1).succeeds(200))
    assert result.verdict is Verdict.FAILED
    assert "wire-no-server-error" in {finding.requirement for finding in result.findings}


def test_a_change_is_not_asked_again(session: Session) -> None:
    """Whether a change was done nobody knows: it is sent once, the case is inconclusive, the thing stays in the journal."""
    context = session.context("key_protect")
    sent = []
    outage(context.client, "POST", 1)
    answer = context.client._read
    context.client._read = lambda built: (sent.append(built.method), answer(built))[1]  # type: ignore[method-assign]  # counts
    result = run(session, lambda kms: kms.create_key().succeeds(201))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "a gateway answered 503" in result.message
    assert sent.count("POST") == 1
    assert result.exchanges[0].notes[GATEWAY] == UNSURE
    assert result.findings == ()
    assert len([thing for thing in context.journal.left_over() if thing.run == context.run]) == 1
    assert session.tidy() == []  # it was not made, so nothing is left to remove


def test_a_change_that_is_never_done_is_found(session: Session) -> None:
    """An operation whose third answer in a row is a gateway's fails its case."""
    outage(session.context("key_protect").client, "POST", IN_A_ROW)
    verdicts = [run(session, lambda kms: kms.create_key().succeeds(201)) for _ in range(IN_A_ROW + 1)]
    assert [result.verdict for result in verdicts] == [
        Verdict.INCONCLUSIVE,
        Verdict.INCONCLUSIVE,
        Verdict.FAILED,
        Verdict.PASSED,
    ]
    assert "wire-no-server-error" in {finding.requirement for finding in verdicts[2].findings}


def test_an_answer_between_begins_the_count_anew(session: Session) -> None:
    """Two answers of a gateway, one of the service, and two more are four outages and no finding."""
    client = session.context("key_protect").client
    verdicts = []
    for times in (2, 2):
        outage(client, "POST", times)
        verdicts += [
            run(session, lambda kms: kms.create_key().succeeds(201)).verdict for _ in range(times + 1)
        ]
    assert Verdict.FAILED not in verdicts
    assert verdicts.count(Verdict.PASSED) == 2


def test_a_changed_thing_in_the_service_s_envelope_is_found_at_once(session: Session) -> None:
    """A 503 with the service's envelope is the service's answer, also to a change."""
    outage(session.context("key_protect").client, "POST", 1, 503, ENVELOPE)
    assert run(session, lambda kms: kms.create_key().succeeds(201)).verdict is Verdict.FAILED


def test_clean_up_that_met_a_gateway_stays_in_the_journal(session: Session) -> None:
    """What could not be removed because of a gateway is not taken for removed; the end of the run removes it."""
    context = session.context("key_protect")

    def body(kms: Any) -> None:
        kms.create_key().succeeds(201)
        outage(context.client, "DELETE", 3)

    assert run(session, body).verdict is Verdict.PASSED
    assert len([thing for thing in context.journal.left_over() if thing.run == context.run]) == 1
    assert session.tidy() == []
    assert [thing for thing in context.journal.left_over() if thing.run == context.run] == []


def test_case_of_is_not_fooled_by_a_note(session: Session) -> None:
    """A note excuses only what a gateway may answer: not a 500, not the service's envelope, not a read."""
    from dataclasses import replace  # noqa: PLC0415 - this test only

    from kms_conformance.judging.every_exchange import of_gateway  # noqa: PLC0415 - same

    context = session.context("key_protect")
    outage(context.client, "POST", 1)
    case = case_of(context)
    result = run(session, lambda kms: kms.create_key().succeeds(201))
    exchange = result.exchanges[0]
    assert case.findings == []
    assert of_gateway(exchange)
    assert exchange.answer is not None
    for other in (
        replace(exchange, answer=replace(exchange.answer, status=500)),
        replace(exchange, answer=replace(exchange.answer, body={"resources": []})),
        replace(exchange, sent=replace(exchange.sent, method="GET")),
        replace(exchange, notes={}),
    ):
        assert not of_gateway(other)
