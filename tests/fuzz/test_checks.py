"""What is asked of every answer to a fuzzed request."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.fuzz.checks import cause_of, fuzz_findings
from kms_conformance.judging.results import Finding

CONTRACT = load_contract("key_protect")
ENVELOPE: dict[str, Any] = {
    "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
    "resources": [
        {"errorMsg": "Bad Request: no", "reasons": [{"code": "BAD_BODY_ERR", "message": "no", "status": 400}]}
    ],
}
JSON = {"content-type": "application/json"}


def exchange(
    status: int,
    body: Any = None,
    *,
    operation: str | None = "wrapKey",
    method: str = "POST",
    seconds: float = 0.1,
) -> Exchange:
    """Return an exchange with this answer."""
    answer = Received(
        status,
        JSON if body is not None else {},
        body,
        body is not None,
        10 if body is not None else 0,
        code=CONTRACT.code_of(body),
    )
    return Exchange(
        "x1", "c", "s", operation, "manager", Sent(method, "http://h/x", "/x", {}), answer, "", 0.0, seconds
    )


def rows(given: Exchange) -> set[str]:
    """Return the rows that an exchange breaks."""
    return {finding.requirement for finding in fuzz_findings(given, CONTRACT, SchemaFiles())}


def test_lawful_refusal_breaks_nothing() -> None:
    """A documented refusal is no finding."""
    assert rows(exchange(400, ENVELOPE)) == set()


@pytest.mark.parametrize(
    ("given", "row"),
    [
        (exchange(202, {}), "fuzz-success-status"),
        (exchange(200, {}, operation=None), "fuzz-success-status"),
        (exchange(418, ENVELOPE), "fuzz-refusal-status"),
        (exchange(400, ENVELOPE, seconds=6), "fuzz-time-bound"),
        (exchange(500, {"error": "x"}), "wire-no-server-error"),
        (exchange(200, {"ciphertext": 1}), "wire-success-schema"),
    ],
)
def test_each_rule_finds_its_fault(given: Exchange, row: str) -> None:
    """Each rule is broken by what it is about."""
    assert row in rows(given)


@pytest.mark.parametrize(
    ("code", "severities"), [("BAD_BODY", [Verdict.WARNED]), ("MADE_UP_ERR", []), ("KEY_ALIAS_UNKNOWN", [])]
)
def test_misspelt_code_warns(code: str, severities: list[Verdict]) -> None:
    """A known code with another ending warns; a code of the server's own is lawful where no row fixes one."""
    body = {
        **ENVELOPE,
        "resources": [{"errorMsg": "no", "reasons": [{"code": code, "message": "no", "status": 400}]}],
    }
    findings = [
        finding
        for finding in fuzz_findings(exchange(400, body), CONTRACT, SchemaFiles())
        if finding.requirement == "fuzz-known-code"
    ]
    assert [finding.severity for finding in findings] == severities


def test_quiet_methods_may_succeed_anywhere() -> None:
    """OPTIONS and HEAD of a gateway are no finding where no operation has them."""
    assert "fuzz-success-status" not in rows(exchange(200, {}, operation=None, method="OPTIONS"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("500 after 12.5 ms", "500 after 3 ms"),
        (
            "400 with code 'X' for e3e70682-c209-4cac-a29f-6fbed82c07cd",
            "400 with code 'X' for 00000000-c209-4cac-a29f-6fbed82c07cd",
        ),
        ("400 <payload:0123456789ab>", "400 <payload:ba9876543210>"),
    ],
)
def test_equal_causes_are_one(first: str, second: str) -> None:
    """What differs from time to time does not make another cause; the status does."""
    one, other = (cause_of(Finding("r", Verdict.FAILED, "e", got, "x")) for got in (first, second))
    assert one == other
    assert cause_of(Finding("r", Verdict.FAILED, "e", "401" + first[3:], "x")) != one
