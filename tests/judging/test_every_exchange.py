"""Each wire rule, both ways: the answer it lets pass and the answer it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.every_exchange import wire_findings
from kms_conformance.judging.results import Finding

CONTRACT, SCHEMAS = load_contract("key_protect"), SchemaFiles()
KEY_ID = "0f0f0f0f-0000-4000-8000-000000000001"
LIST = CONTRACT.operation_of("GET", "/api/v2/keys") or ""
SECRET = "<plaintext:0123456789ab>"
JSON_TYPE = {"content-type": "application/json"}


def envelope(status: int = 409, code: str = "KEY_ACTION_INVALID_STATE_ERR", **reason: Any) -> dict[str, Any]:
    """Return an error envelope."""
    phrase = {400: "Bad Request", 409: "Conflict", 410: "Gone", 500: "Internal Server Error"}.get(
        status, "Conflict"
    )
    details = {"code": code, "message": "Key is not in a valid state.", "status": status, **reason}
    text = f"{phrase}: Action could not be performed on key. Please see `reasons` for more details."
    return {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [{"errorMsg": text, "reasons": [details]}],
    }


def answered(
    status: int, body: Any = None, method: str = "POST", operation: str = "", **more: Any
) -> Exchange:
    """Return an exchange with this answer."""
    headers = more.pop("headers", JSON_TYPE if body is not None else {})
    answer = Received(
        status,
        headers,
        body,
        is_json=body is not None,
        size=0 if body is None else 50,
        code=CONTRACT.code_of(body),
        **more,
    )
    sent = Sent(
        method, "http://x/api/v2/keys", "/api/v2/keys", {"correlation-id": "a"}, secrets=frozenset({SECRET})
    )
    return Exchange("x1", "case", "step", operation or None, "manager", sent, answer)


def rows(exchange: Exchange) -> dict[str, Finding]:
    """Return the findings by row."""
    return {finding.requirement: finding for finding in wire_findings(exchange, CONTRACT, SCHEMAS)}


def PAGE(status: int, operation: str) -> Exchange:  # noqa: N802 - stands among the answers of the table
    """Return an exchange that a web server answers with a page of its own."""
    plain = answered(status, operation=operation)
    assert plain.answer is not None
    page = replace(
        plain.answer, headers={"content-type": "text/html"}, size=40, kind="an HTML page of 40 bytes"
    )
    return replace(plain, answer=page)


def AT(path: str, exchange: Exchange) -> Exchange:  # noqa: N802 - stands among the answers of the table
    """Return an exchange whose request went to a path, as it was sent."""
    return replace(exchange, sent=replace(exchange.sent, url=f"http://x{path}", path=path))


CONTROL, PLAIN = "/api/v2/keys/a%0Ab", "/api/v2/keys/a%250Ab?x=%0A"
ENTRY = {
    "type": "application/vnd.ibm.kms.key+json",
    "id": KEY_ID,
    "name": "n",
    "state": 1,
    "extractable": False,
    "crn": f"crn:v1:bluemix:public:kms:us-south:a/0:{KEY_ID}:key:{KEY_ID}",
    "imported": False,
    "deleted": False,
}
GOOD_LIST = {
    "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 0},
    "resources": [],
}
TABLE = [
    # row, an answer that is right, one that is wrong
    ("wire-error-envelope", AT(CONTROL, PAGE(400, LIST)), AT(PLAIN, PAGE(400, LIST))),
    ("wire-error-envelope", AT(CONTROL, PAGE(404, LIST)), AT(PLAIN, PAGE(404, LIST))),
    ("wire-error-envelope", AT("/api/v2/keys/%7f", PAGE(400, LIST)), AT(CONTROL, PAGE(409, LIST))),
    ("wire-no-server-error", AT(CONTROL, PAGE(404, LIST)), AT(CONTROL, PAGE(500, LIST))),
    (
        "wire-complete-answer",
        answered(204),
        replace(answered(204), answer=None, trouble="no complete answer"),
    ),
    ("wire-no-server-error", answered(409, envelope()), answered(503, envelope(503))),
    ("wire-no-redirect", answered(204), answered(302, headers={"location": "http://elsewhere"})),
    ("wire-error-envelope", answered(409, envelope()), answered(409, {"errors": []})),
    ("wire-error-envelope", PAGE(413, LIST), PAGE(409, LIST)),
    ("wire-error-envelope", PAGE(404, ""), PAGE(404, LIST)),
    ("wire-error-envelope", PAGE(404, "createRegistration"), PAGE(401, "createRegistration")),
    ("wire-error-envelope", PAGE(405, LIST), answered(405, {"metadata": {"collectionType": "x"}})),
    ("wire-media-type", PAGE(405, ""), PAGE(400, LIST)),
    ("wire-no-server-error", PAGE(501, ""), PAGE(501, LIST)),
    ("wire-no-server-error", replace(PAGE(501, LIST), notes={"raw": "x"}), PAGE(503, "")),
    ("wire-error-envelope", answered(409, envelope()), answered(409, kind="an HTML page of 9 bytes")),
    ("wire-error-envelope", answered(404, method="HEAD"), answered(404, operation=LIST)),
    (
        "wire-media-type",
        answered(409, envelope()),
        answered(409, envelope(), headers={"content-type": "text/plain"}),
    ),
    (
        "wire-media-type",
        answered(
            409, envelope(), headers={"content-type": "application/vnd.ibm.kms.error+json; charset=utf-8"}
        ),
        answered(409, envelope(), headers={}),
    ),
    (
        "wire-collection-total",
        answered(200, GOOD_LIST),
        answered(200, {**GOOD_LIST, "metadata": {**GOOD_LIST["metadata"], "collectionTotal": 1}}),  # type: ignore[dict-item]  # a nested table
    ),
    ("wire-reason-status", answered(409, envelope()), answered(409, envelope(status=400))),
    ("wire-known-code", answered(409, envelope()), answered(400, envelope(400))),
    (
        "wire-known-code",
        answered(409, envelope()),
        answered(409, envelope(code="KEY_ACTION_INVALID_STATE_ERR ")),
    ),
    (
        "wire-known-code",
        answered(409, envelope(code="BRAND_NEW_ERR")),
        answered(409, envelope(code="KEY_ACTION_INVALID_STATE")),
    ),
    (
        "wire-new-style-code",
        answered(409, envelope()),
        answered(
            409, {**envelope(), "resources": [{**envelope()["resources"][0], "errorMsg": "No (OTHER_ERR)"}]}
        ),
    ),
    (
        "wire-status-phrase",
        answered(409, envelope()),
        answered(
            409, {**envelope(), "resources": [{**envelope()["resources"][0], "errorMsg": "Bad Request: x"}]}
        ),
    ),
    ("wire-no-secret-echo", answered(409, envelope()), answered(409, envelope(message=f"not {SECRET}"))),
    ("wire-no-secret-echo", answered(204), answered(204, headers={"x-debug": SECRET})),
    ("wire-no-secret-echo", answered(204), answered(400, kind=f"an HTML page that holds {SECRET}")),
    (
        "wire-correlation-id",
        answered(204, headers={"correlation-id": "a"}),
        answered(204, headers={"correlation-id": "b"}),
    ),
    (
        "wire-success-schema",
        answered(200, GOOD_LIST, "GET", LIST),
        answered(200, {}, "GET", LIST),
    ),
]


@pytest.mark.parametrize(
    ("row", "right", "breaking"), TABLE, ids=[f"{place}-{row}" for place, (row, _, __) in enumerate(TABLE)]
)
def test_rule(row: str, right: Exchange, breaking: Exchange) -> None:
    """A rule names the answer that breaks it, and lets the other pass."""
    assert row not in rows(right)
    finding = rows(breaking)[row]
    assert finding.exchange == "x1"
    assert finding.expected
    assert finding.got
    mild = row == "wire-known-code" and finding.got == "'KEY_ACTION_INVALID_STATE'"
    assert finding.severity is (Verdict.WARNED if mild else CONTRACT.requirements[row].severity)


def test_every_wire_row_has_a_rule() -> None:
    """Each row of the section is put to the test above."""
    wire = {row.id for row in CONTRACT.requirements.values() if row.section == "wire" and not row.excluded}
    assert wire == {row for row, _, _ in TABLE}


@pytest.mark.parametrize(
    "exchange",
    [
        answered(409, envelope()),
        answered(200, GOOD_LIST, "GET", LIST),
        answered(204),
        answered(200, method="HEAD"),
        answered(500, envelope(500, "INCOMPLETE_METADATA_ERR")),
    ],
)
def test_what_is_right_breaks_nothing(exchange: Exchange) -> None:
    """A documented answer breaks no rule; the documented 500 is no server error."""
    assert rows(exchange) == {}


def test_secret_where_it_belongs() -> None:
    """A success may hold the secret that it is asked for: unwrap answers with the plaintext."""
    unwrap = next(
        operation for operation in CONTRACT.operations.values() if "plaintext" in operation.secret_paths
    )
    body = {"plaintext": SECRET, "keyVersion": {"id": KEY_ID}}
    assert "wire-no-secret-echo" not in rows(answered(200, body, operation=unwrap.id))
    assert "wire-no-secret-echo" in rows(answered(200, {**body, "more": SECRET}, operation=unwrap.id))


def test_a_contract_without_the_row_is_not_judged_by_it() -> None:
    """Another system's contract may lack a rule; then nobody is judged by it."""
    without = replace(CONTRACT, requirements={})
    assert wire_findings(answered(503), without, SCHEMAS) == []


IKS = load_contract("iks")


def flat(status: int, description: str | None) -> list[str]:
    """Return the rows that a flat error of the Kubernetes Service breaks; ``None`` is an empty body."""
    body = None if description is None else {"description": description}
    return [finding.requirement for finding in wire_findings(answered(status, body), IKS, SCHEMAS)]


def test_a_text_whose_status_nobody_knows_may_come_with_500() -> None:
    """A documented text excuses a server error only where no source gives its status."""
    assert flat(500, IKS.codes["INVALID_API_KEY"].messages[0]) == []
    assert flat(500, IKS.codes["E0051"].messages[0]) == ["wire-no-server-error"]
    assert flat(500, "Something else.") == ["wire-no-server-error"]


def test_an_answer_that_a_gateway_may_give_has_no_envelope() -> None:
    """The body of a refused token is in no source; other errors have the envelope."""
    assert flat(401, None) == []
    assert flat(400, None) == ["wire-error-envelope"]


def test_the_other_system_has_its_own_contract() -> None:
    """What another system answers with 5xx is not this contract's matter."""
    exchange = answered(503, {"resources": []})
    assert "wire-no-server-error" in rows(exchange)
    assert "wire-no-server-error" not in rows(replace(exchange, notes={"system": "the KMS"}))


def listed(**members: Any) -> dict[str, Finding]:
    """Return what is wrong with a list whose entry has these members; ``None`` leaves one out."""
    entry = {name: value for name, value in {**ENTRY, **members}.items() if value is not None}
    body = {"metadata": {**GOOD_LIST["metadata"], "collectionTotal": 1}, "resources": [entry]}  # type: ignore[dict-item]  # a nested table
    return rows(answered(200, body, "GET", LIST))


def test_entries_without_deleted_are_warned() -> None:
    """A list entry may lack ``deleted`` with a warning; in another form, or without another member, it fails."""
    assert listed() == {}
    assert listed(deleted=None)["wire-success-schema"].severity is Verdict.WARNED
    assert listed(deleted="no")["wire-success-schema"].severity is Verdict.FAILED
    for name in ("id", "name", "state", "extractable", "crn", "imported", "type"):
        assert listed(**{name: None})["wire-success-schema"].severity is Verdict.FAILED, name
    assert listed(deleted=None, payload="x")["wire-success-schema"].severity is Verdict.FAILED
