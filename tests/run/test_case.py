"""A case: what it may claim, what counts as proof, and what becomes of its mistakes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from null_servers import ENVELOPE, NULLS, always, serving
from runs import run_cases, served_target, session_and_context, target_of, write_case

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import AuthorError
from kms_conformance.judging.results import CaseResult
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import Options
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.run.session import Session
from kms_conformance.target.identity import Identity
from kms_reference.server import Server

Body = Callable[[Any], object]
Judge = Callable[..., CaseResult]


def judge_case(session: Session, body: Body, *covers: str, **declared: Any) -> CaseResult:
    """Run a body as a case of its own."""
    info = CaseInfo("own.case", "a case", "key_protect", covers or ("list-keys",), **declared)

    def plain(kms: Any) -> None:
        body(kms)

    return session.run_case(session.open(info), plain)


@pytest.fixture
def judged(reference: Server) -> Iterator[Judge]:
    """Return a function that runs a body as a case against the unbroken reference."""
    session, _ = session_and_context(served_target(reference))
    yield lambda body, *covers, **declared: judge_case(session, body, *covers, **declared)
    session.close()


def test_requests_at_once_are_all_kept(judged: Judge) -> None:
    """Requests that are sent at the same moment leave one exchange each, and none of them is judged unseen."""
    asked: list[str] = []

    def body(kms: Any) -> None:
        answers = kms.at_once(lambda limit: kms.list_keys(limit=limit), *range(1, 9))
        asked.extend(answer.exchange.id for answer in answers)
        for answer in answers[1:]:
            answer.succeeds(200)

    result = judged(body)

    assert len(set(asked)) == len(asked) == 8
    assert sorted(exchange.id for exchange in result.exchanges) == sorted(asked)
    assert result.verdict is Verdict.ERROR
    assert "built no expectation" in result.message


def test_passes(judged: Judge) -> None:
    """A refusal after its positive control passes, with its evidence."""

    def body(kms: Any) -> None:
        key = kms.create_root_key()
        kms.delete_key(key).succeeds()
        kms.delete_key(key).is_refused("KEY_DELETED_ERR")

    result = judged(body, "key-deleted-err")
    assert (result.verdict, result.checks, len(result.exchanges), result.message) == (
        Verdict.PASSED,
        2,
        3,
        "",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda kms: kms.list_keys(limit=0).is_refused("INVALID_QUERY_PARAM_ERR"), "never seen to succeed"),
        (lambda kms: kms.list_keys(limit=0).is_refused_somehow(400), "never seen to succeed"),
        (lambda kms: kms.list_keys(), "built no expectation for"),
        (lambda kms: kms.name(), "the case judged nothing"),
        (lambda kms: kms.list_keys().needed(), "the case judged nothing"),
        (lambda kms: kms.wait(1, "no reason"), "it waits 1 s but declares @waits(0)"),
        (lambda kms: kms.list_keys().succeeds(requirement="key-deleted-err"), "which it does not cover"),
        (lambda kms: kms.list_keys().succeeds(requirement="no-such-row"), "which it does not cover"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (
            lambda kms: kms.list_keys().succeeds(200).is_refused("NO_SUCH_CODE"),
            "no reason code 'NO_SUCH_CODE'",
        ),
        (lambda kms: kms.as_identity("nobody").list_keys(), "MissingSecretError"),
    ],
)
def test_mistakes_of_an_author(judged: Judge, body: Body, message: str) -> None:
    """What is the author's fault is an error of the suite, never a failure of the endpoint and never green."""
    result = judged(body)
    assert result.verdict is Verdict.ERROR
    assert message in result.message


def test_row_that_no_contract_has(judged: Judge) -> None:
    """A case that covers a row that is not there is an error too."""
    result = judged(lambda kms: kms.list_keys().succeeds(200), "no-such-row")
    assert result.verdict is Verdict.ERROR
    assert "no row 'no-such-row'" in result.message


def test_control_that_failed(judged: Judge) -> None:
    """A positive control that did not succeed proves nothing: inconclusive."""

    def body(kms: Any) -> None:
        control = kms.list_keys(limit=0)
        kms.case.unjudged.clear()
        kms.list_keys(limit=5001).is_refused("INVALID_QUERY_PARAM_ERR", control=control)

    result = judged(body)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "positive control" in result.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            lambda kms: kms.get_key(kms.case.instance).needed(),
            "precondition",
        ),
        (lambda kms: kms.list_keys()["no.such"], "has no member no.such"),
        (lambda kms: kms.create_root_key(expirationDate="yesterday"), "precondition create key"),
    ],
)
def test_precondition_that_does_not_hold(judged: Judge, body: Body, message: str) -> None:
    """A precondition that does not hold is inconclusive, and its answer is told."""
    result = judged(body)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert message in result.message


def test_failure(judged: Judge) -> None:
    """A promise that is not kept fails the case at once, and names row, expectation and answer."""

    def body(kms: Any) -> None:
        kms.list_keys(limit=1).succeeds(204)
        raise AssertionError("not reached")

    result = judged(body)
    assert result.verdict is Verdict.FAILED
    assert result.message == "list-keys: expected 204, got 200"
    (finding,) = result.findings
    assert finding.curl.startswith("curl ")
    assert "$KMS_TOKEN" in finding.curl


def test_mild_failure_goes_on(judged: Judge) -> None:
    """A row whose deviation only warns does not end the case."""
    rows = load_contract("key_protect").requirements.values()
    mild = next(row.id for row in rows if row.severity is Verdict.WARNED and not row.excluded)
    reached = []

    def body(kms: Any) -> None:
        kms.list_keys(limit=1).succeeds(200).shows("no.such", requirement=mild)
        reached.append(True)

    result = judged(body, "list-keys", mild)
    assert (result.verdict, reached) == (Verdict.WARNED, [True])


def test_wire_rule_fails_a_case() -> None:
    """A case whose own expectations hold still fails when an answer breaks a rule that holds everywhere."""
    body = b'{"metadata": {"collectionType": "x", "collectionTotal": 7}, "resources": []}'
    with serving(always(200, body)) as server:
        session = Session(Options(), target_of(server.url))
        result = judge_case(session, lambda kms: kms.list_keys().succeeds(200))
        session.close()
    assert result.verdict is Verdict.FAILED
    assert "wire-collection-total" in {finding.requirement for finding in result.findings}


def test_rate_limit_is_no_failure() -> None:
    """Where no try gets past a rate limit nothing was seen, and the case says what to change."""
    with serving(always(429, b"slow down", "text/plain", **{"retry-after": "0"})) as server:
        session = Session(Options(), target_of(server.url))
        result = judge_case(session, lambda kms: kms.list_keys().succeeds(200))
        session.close()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "requests_per_second" in result.message


@pytest.mark.parametrize(("status", "verdict"), [(413, Verdict.PASSED), (409, Verdict.FAILED)])
def test_refusal_of_the_http_layer(status: int, verdict: Verdict) -> None:
    """A web server refuses a large body in its own words; the service's own refusals have the envelope."""
    with serving(always(status, b"<html>no</html>", "text/html")) as server:
        session = Session(Options(), target_of(server.url))
        result = judge_case(session, lambda kms: kms.list_keys().is_refused_somehow(control="another case"))
        session.close()
    assert result.verdict is verdict


def test_no_answer_at_all() -> None:
    """No answer fails what was expected, and leaves a precondition inconclusive but the wire rule broken."""
    with serving(NULLS["random-bytes"]) as server:
        session = Session(Options(), target_of(server.url))
        failed = judge_case(session, lambda kms: kms.list_keys().succeeds(200))
        session.close()
    assert failed.verdict is Verdict.FAILED
    assert {finding.requirement for finding in failed.findings} == {"wire-complete-answer", "list-keys"}


@pytest.mark.parametrize(
    ("declared", "verdict", "message"),
    [
        (
            {"identities": ("approver", "reader")},
            Verdict.NOT_TESTED,
            "[identities.approver], [identities.reader]",
        ),
        ({"control": True}, Verdict.NOT_TESTED, "[control] url"),
        ({"impact": ("instance",)}, Verdict.NOT_TESTED, "[allow] instance_policies = true"),
        ({"impact": ("import-token",)}, Verdict.NOT_TESTED, "[allow] import_token = true"),
        ({"capabilities": ("kmip",)}, Verdict.NOT_APPLICABLE, "capabilities.kmip = false"),
    ],
)
def test_what_the_target_does_not_give(
    reference: Server, declared: dict[str, Any], verdict: Verdict, message: str
) -> None:
    """Without identity, control or permission a case is not tested and says what to add; a declared lack is not applicable."""
    full = served_target(reference, control=False)
    target = replace(
        full,
        instance="00000000-0000-4000-8000-0000000000cc",
        identities={"manager": full.identities["manager"]},
        capabilities={"kmip": False},
    )
    session, _ = session_and_context(target)
    result = judge_case(session, lambda kms: kms.list_keys().succeeds(200), **declared)
    session.close()
    assert result.verdict is verdict
    assert message in result.message
    assert result.exchanges == ()
    assert bool(result.missing) is (verdict is Verdict.NOT_TESTED)


def test_fresh_instances_need_no_permission(reference: Server) -> None:
    """Where every case has its own instance, nothing outlives it, so nothing has to be allowed."""
    session, _ = session_and_context(served_target(reference))
    result = judge_case(session, lambda kms: kms.list_keys().succeeds(200), impact=("instance",))
    session.close()
    assert result.verdict is Verdict.PASSED


def test_token_issuer_that_fails_in_mid_run(reference: Server) -> None:
    """An identity that gets no token makes the case inconclusive: neither the endpoint's fault nor the suite's."""
    full = served_target(reference)
    bad = {**full.identities, "reader": Identity("reader", api_key=Secret("no-such-key-anywhere"))}
    session, _ = session_and_context(replace(full, identities=bad))
    result = judge_case(session, lambda kms: kms.as_identity("reader").list_keys().succeeds(200))
    session.close()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "gave no token for the identity 'reader'" in result.message
    assert "no-such-key-anywhere" not in result.message


def test_material_is_evidence_without_being_shown(judged: Judge) -> None:
    """A round trip is judged from tokens: the same plaintext passes, another fails, and neither is in the evidence."""
    material, other = (Secret(base64.b64encode(os.urandom(32)).decode()) for _ in range(2))

    def round_trip(kms: Any, expected: str) -> None:
        key = kms.create_root_key()
        ciphertext = kms.wrap(key, material).succeeds(200)["ciphertext"]
        kms.unwrap(key, ciphertext).succeeds(200).shows("plaintext", expected)

    good = judged(lambda kms: round_trip(kms, material))
    bad = judged(lambda kms: round_trip(kms, other))
    assert (good.verdict, bad.verdict) == (Verdict.PASSED, Verdict.FAILED)
    assert not [secret for secret in (material, other) if str(secret) in f"{good!r}{bad!r}"]


def test_inconclusive_by_the_author(judged: Judge) -> None:
    """A case may say itself that nothing was proved."""

    def body(kms: Any) -> None:
        kms.list_keys().succeeds(200)
        raise Inconclusive("the moon is not full")

    result = judged(body)
    assert (result.verdict, result.message) == (Verdict.INCONCLUSIVE, "the moon is not full")


def test_author_error_names_case_and_page() -> None:
    """An author's error says which case it is and where to read on."""
    error = AuthorError("own.case", "it does nothing")
    assert str(error).startswith("The case own.case is not well written: it does nothing.")
    assert "docs/" in error.hint


def test_stumbling_over_an_answer_without_its_form() -> None:
    """What breaks a case after an answer of another form is that form: the endpoint fails, and the suite is not at fault."""
    with serving(always(200, b'{"metadata": {}, "resources": 7}')) as server:
        session = Session(Options(), target_of(server.url))
        result = judge_case(session, lambda kms: list(kms.list_keys().needed()["resources"]))
        session.close()
    assert result.verdict is Verdict.FAILED
    assert result.message.startswith("wire-success-schema")


def test_control_that_its_row_only_warns_of() -> None:
    """A success that should come, and need not, is no control where it did not come: the refusal after it is inconclusive."""
    rows = ("kmip-certificate-life", "kmip-certificate-duplicate")

    def body(kms: Any) -> None:
        kms.add_certificate("adapter", "name", "text").succeeds(201, requirement=rows[0])
        kms.add_certificate("adapter", "name", "text").is_refused(
            "KMIP_CERT_DUPLICATE_ERR", requirement=rows[1]
        )

    with serving(always(409, json.dumps(ENVELOPE).encode())) as server:
        session = Session(Options(), target_of(server.url))
        result = judge_case(session, body, *rows)
        session.close()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the positive control addKmipClientCertificate: 409" in result.message


@pytest.mark.parametrize(("within", "verdict"), [(24, Verdict.INCONCLUSIVE), (3600, Verdict.PASSED)])
def test_too_late_after_a_wait(tmp_path: Path, within: float, verdict: Verdict) -> None:
    """What holds for so long after a moment is not judged by an answer that came later: waits and requests take that time."""
    path = write_case(
        tmp_path,
        f'''
@covers("list-keys")
@waits(24)
def test_late(kms):
    """A case that waits until it is late."""
    kms.list_keys(limit=1).succeeds(200)
    kms.wait(24, "the test wants it", within={within})
    kms.list_keys(limit=1).succeeds(200)
''',
    )
    with Server() as server:
        (case,) = run_cases(served_target(server), place=str(path)).cases
    assert case.verdict is verdict, case.message
    assert ("after the moment" in case.message) is (verdict is Verdict.INCONCLUSIVE)
