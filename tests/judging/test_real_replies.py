"""Answers that services were seen to give are accepted as their source says, and their neighbours are not."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.judge import judge
from kms_conformance.judging.refusals import alternatives, refusal

KEY_PROTECT, IKS = load_contract("key_protect"), load_contract("iks")
EXPIRED = "unauthorized-err-expired-token"


def findings(
    contract: Any, row_id: str, status: int, body: Any, *, edition: str = "page", code: str = ""
) -> Verdict:
    """Return what an answer does to a row about a refusal."""
    row = contract.requirement(row_id)
    primary = refusal(contract, row, contract.codes[code or row.code])
    expectation = Expectation("x", row.id, row.severity, alternatives(contract, row, edition, primary))
    answer = Received(status, {}, body, body is not None, 9, "" if body is not None else "text")
    exchange = Exchange("x", "c", "s", None, "manager", Sent("GET", "http://x/", "/", {}), answer)
    finding = judge(expectation, exchange)
    return Verdict.PASSED if finding is None else finding.severity


def envelope(text: str, **reason: Any) -> dict[str, Any]:
    """Return the error envelope, with a reason where one is given."""
    resource: dict[str, Any] = {"errorMsg": text}
    if reason:
        resource["reasons"] = [{"moreInfo": "https://x.test", "message": "m", **reason}]
    return {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [resource],
    }


@pytest.mark.parametrize(
    ("status", "body", "page", "service"),
    [
        (401, envelope("Unauthorized: Token is expired"), "passed", "passed"),
        (400, envelope("Bad Request: Token is expired"), "warned", "passed"),
        (401, envelope("Unauthorized: Token is fine"), "failed", "failed"),
        (400, envelope("Bad Request: Token is fine"), "failed", "failed"),
        (200, envelope("Bad Request: Token is expired"), "failed", "failed"),
        (200, {"metadata": {"collectionTotal": 0}}, "failed", "failed"),
        (400, None, "failed", "failed"),
        (401, None, "failed", "failed"),
        (403, envelope("Bad Request: Token is expired"), "failed", "failed"),
        (400, {"error": "Bad Request: Token is expired"}, "failed", "failed"),
    ],
)  # fmt: skip
def test_expired_token(status: int, body: Any, page: str, service: str) -> None:
    """That the token is expired may be told by 401, or by 400, which the page does not know; by nothing else."""
    for edition, worst in (("page", page), ("service", service)):
        both = [
            findings(KEY_PROTECT, row, status, body, edition=edition)
            for row in (EXPIRED, f"{EXPIRED}-status")
        ]
        assert max(both, key=lambda verdict: verdict.rank) is Verdict(worst), edition


@pytest.mark.parametrize(
    "row", ["unauthorized-err", "unauthorized-err-bad-token", "unauthorized-err-outsider"]
)
@pytest.mark.parametrize("status", [400, 401])
def test_only_an_expired_token_is_expired(row: str, status: int) -> None:
    """Other refusals do not say that a token is expired."""
    text = {400: "Bad Request: Token is expired", 401: "Unauthorized: Token is expired"}[status]
    for edition in ("page", "service"):
        assert findings(KEY_PROTECT, row, status, envelope(text), edition=edition) is Verdict.FAILED


@pytest.mark.parametrize("word", ["can't", "can\u2019t", "cannot"])
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("WORKER_INSTANCE_NOT_FOUND", "The worker node instance 'a' {} be found. Review 'b' infrastructure user permissions."),
        ("WORKER_INSTANCE_MISSING", "The worker node instance {} be found. Review 'b' infrastructure user permissions."),
        ("WORKER_INSTANCE_UNIDENTIFIED", "The worker node instance {} be identified. Review 'b' infrastructure user permissions."),
    ],
)  # fmt: skip
def test_cannot(word: str, code: str, text: str) -> None:
    """Messages 4 to 6 may say can't or cannot; another word is another message."""
    assert findings(IKS, "iks-12", 404, {"description": text.format(word)}, code=code) is Verdict.PASSED
    assert findings(IKS, "iks-12", 404, {"description": text.format("can")}, code=code) is Verdict.FAILED
    assert (
        findings(IKS, "iks-12", 404, {"description": text.format("could not")}, code=code) is Verdict.FAILED
    )


@pytest.mark.parametrize(
    ("row", "text", "verdict"),
    [
        ("iks-11", IKS.codes["INFRASTRUCTURE_NOT_CONNECTED"].messages[0], "passed"),
        ("iks-11", IKS.codes["INFRASTRUCTURE_NOT_CONNECTED"].messages[1], "passed"),
        ("iks-11", IKS.codes["INFRASTRUCTURE_NOT_CONNECTED"].messages[0].replace("Softlayer", "other"), "failed"),
        ("iks-13", IKS.codes["REGISTRY_ROLE_MISSING"].messages[0], "passed"),
        ("iks-13", IKS.codes["REGISTRY_ROLE_MISSING"].messages[1], "passed"),
        ("iks-13", IKS.codes["REGISTRY_ROLE_MISSING"].messages[0].replace("Administrator", "Viewer"), "failed"),
    ],
)  # fmt: skip
def test_earlier_product_names(row: str, text: str, verdict: str) -> None:
    """Messages 2 and 8 may name the product as earlier editions did, and nothing else."""
    code = {"iks-11": "INFRASTRUCTURE_NOT_CONNECTED", "iks-13": "REGISTRY_ROLE_MISSING"}[row]
    assert findings(IKS, row, 401, {"description": text}, code=code) is Verdict(verdict)


@pytest.mark.parametrize(
    ("status", "code", "text", "verdict"),
    [
        (401, "E0057", IKS.codes["E0057"].messages[0], "passed"),
        (401, "E0057", IKS.codes["INFRASTRUCTURE_NOT_CONNECTED"].messages[0], "passed"),
        (401, "E0057", "No account.", "failed"),
        (401, "E0058", IKS.codes["E0057"].messages[0], "failed"),
        (403, "E0057", IKS.codes["E0057"].messages[0], "failed"),
        (200, "E0057", IKS.codes["E0057"].messages[0], "failed"),
    ],
)
def test_successor_of_message_2(status: int, code: str, text: str, verdict: str) -> None:
    """E0057 with 401 and its text takes the place of message 2; with another text, code or status it does not."""
    assert findings(IKS, "iks-11", status, {"code": code, "description": text}) is Verdict(verdict)
