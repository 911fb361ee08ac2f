"""The judge: outcomes, messages, targets, members; and expectations as data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.judge import judge, mismatch

SCHEMAS = SchemaFiles()
REASON = {
    "code": "NO_BODY_ERR",
    "message": "There was no body.",
    "status": 400,
    "target": {"type": "field", "name": "x"},
}
BODY = {
    "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
    "resources": [{"errorMsg": "Bad Request: It failed.", "reasons": [REASON]}],
}
CONTRACT = load_contract("key_protect")
PLACES = {f"{name}_at": getattr(CONTRACT.reason, name) for name in ("code", "text", "target", "summary")}
REFUSED = Outcome(
    (400,),
    "NO_BODY_ERR",
    ("There was no body",),
    target=("field", "x"),
    schema="error-envelope",
    **PLACES,
)


def got(status: int, body: Any = None, *, method: str = "POST", **headers: str) -> Exchange:
    """Return an exchange with this answer."""
    sent = Sent(method, "http://x/", "/", {})
    return Exchange(
        "x1",
        "c",
        "s",
        None,
        "manager",
        sent,
        Received(status, headers, body, body is not None, 9, code=CONTRACT.code_of(body)),
    )


def expect(*outcomes: Outcome, members: tuple[Member, ...] = ()) -> Expectation:
    """Return an expectation."""
    return Expectation("x1", "row", Verdict.FAILED, outcomes, members)


def changed(**reason: Any) -> dict[str, Any]:
    """Return the body with members of its reason changed; ``None`` removes one."""
    new = {name: value for name, value in {**REASON, **reason}.items() if value is not None}
    return {**BODY, "resources": [{"errorMsg": "Bad Request: It failed.", "reasons": [new]}]}


def test_fulfilled() -> None:
    """The documented answer fulfils the expectation."""
    assert judge(expect(REFUSED), got(400, BODY), SCHEMAS) is None


@pytest.mark.parametrize(
    ("exchange", "complaint"),
    [
        (got(409, BODY), "409 NO_BODY_ERR"),
        (got(400), "not a error-envelope"),
        (got(400, {}), "not a error-envelope"),
        (got(400, changed(code="BAD_BODY_ERR")), "code 'BAD_BODY_ERR'"),
        (got(400, changed(message="Something else.")), "with message 'Something else.'"),
        (got(400, changed(target=None)), "with target None"),
        (got(400, changed(target={"type": "field", "name": "y"})), "'name': 'y'"),
        (got(200, BODY), "200"),
        (got(204), "204"),
    ],
)
def test_deviations(exchange: Exchange, complaint: str) -> None:
    """Status, envelope, code, message and target are each judged, and the deviation is named."""
    finding = judge(expect(REFUSED), exchange, SCHEMAS)
    assert finding is not None
    assert complaint in finding.got
    assert (finding.requirement, finding.severity, finding.expected) == (
        "row",
        Verdict.FAILED,
        "400 NO_BODY_ERR",
    )


def test_no_answer() -> None:
    """Where no answer came, no expectation is fulfilled, not even one about absence."""
    silent = Exchange(
        "x1", "c", "s", None, "manager", Sent("GET", "u", "/", {}), None, "no complete answer within 1 s"
    )
    assert (
        mismatch(expect(members=(Member("a", "absent"),)), silent, SCHEMAS) == "no complete answer within 1 s"
    )
    assert judge(expect(Outcome((200,))), silent, SCHEMAS) is not None


def test_alternatives() -> None:
    """One fulfilled outcome is enough; of several complaints the one about the answer's own status is told."""
    both = expect(Outcome((410,), "KEY_DELETED_ERR", **PLACES), REFUSED)
    assert judge(both, got(400, BODY), SCHEMAS) is None
    finding = judge(both, got(400, changed(code="ANOTHER_ERR")), SCHEMAS)
    assert finding is not None
    assert finding.got == "400 with code 'ANOTHER_ERR'"
    assert finding.expected == "410 KEY_DELETED_ERR or 400 NO_BODY_ERR"


DOCUMENT = {
    "a": {"b": [1, "two", None, {"id": "x"}, {"id": "y"}], "n": 3, "half": 2.0, "yes": True},
    "empty": [],
}


@pytest.mark.parametrize(
    ("member", "holds"),
    [
        (Member("a.n", "equals", 3), True),
        (Member("a.n", "equals", 4), False),
        (Member("a.n", "equals", "3"), False),
        (Member("a.yes", "equals", 1), False),
        (Member("a.half", "equals", 2), True),
        (Member("a.half", "equals", "2.0"), False),
        (Member("a.n", "equals", True), False),
        (Member("a.b.2", "equals", None), True),
        (Member("a.z", "equals", None), False),
        (Member("a.n", "differs", 4), True),
        (Member("a.n", "differs", 3), False),
        (Member("a.z", "differs", 3), False),
        (Member("a.n", "agrees", 3), True),
        (Member("a.n", "agrees", 4), False),
        (Member("a.z", "agrees", 3), True),
        (Member("a.b.2", "present"), True),
        (Member("a.z", "present"), False),
        (Member("a.z", "absent"), True),
        (Member("a.b.2", "absent"), True),
        (Member("a.n", "absent"), False),
        (Member("a.z", "empty"), True),
        (Member("a.b.2", "empty"), True),
        (Member("a.n", "empty"), False),
        (Member("a.b", "empty"), False),
        (Member("a.b.*.id", "contains", "x"), True),
        (Member("a.b.*.id", "contains", "z"), False),
        (Member("a.n", "contains", 3), False),
        (Member("a.b.*.id", "lacks", "z"), True),
        (Member("a.b.*.id", "lacks", "y"), False),
        (Member("a.n", "lacks", 3), False),
        (Member("a.b.2", "lacks", 3), True),
        (Member("a.b", "length", 5), True),
        (Member("empty", "length", 1), False),
        (Member("x-total", "header", "2"), True),
        (Member("x-total", "header"), True),
        (Member("x-total", "header", "3"), False),
        (Member("x-other", "header"), False),
    ],
    ids=lambda value: value.description() if isinstance(value, Member) else "",
)
def test_members(member: Member, *, holds: bool) -> None:
    """Each check of a member, both ways; 2.0 is 2, true is not 1, and null is not absence."""
    finding = judge(expect(members=(member,)), got(200, DOCUMENT, **{"x-total": "2"}), SCHEMAS)
    assert (finding is None) is holds
    assert member.description()


def test_unknown_check_is_refused() -> None:
    """A check that nobody knows is an error, not a pass."""
    with pytest.raises(ValueError, match="nonsense"):
        judge(expect(members=(Member("a", "nonsense"),)), got(200, DOCUMENT), SCHEMAS)


def test_pick() -> None:
    """A path goes through objects and lists; what is not there is not null."""
    assert pick(DOCUMENT, "a.b.3.id") == "x"
    assert pick(DOCUMENT, "a.b.*.id") == ["x", "y"]
    assert pick(DOCUMENT, "a.b.2") is None
    assert all(pick(DOCUMENT, path) is MISSING for path in ("z", "a.b.9", "a.n.0", "a.*", "a.b.-1", "a.b.x"))
    assert pick(None, "a") is MISSING


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda i: st.lists(i) | st.dictionaries(st.text(), i),
    max_leaves=5,
)
OUTCOMES = st.builds(
    Outcome,
    st.lists(st.integers(100, 599), min_size=1).map(tuple),
    st.none() | st.text(),
    st.lists(st.text()).map(tuple),
    st.booleans(),
    st.none() | st.tuples(st.text(), st.text()),
    st.none() | st.text(),
    st.text(),
)
EXPECTATIONS = st.builds(
    Expectation,
    st.text(),
    st.text(),
    st.sampled_from(Verdict),
    st.lists(OUTCOMES, max_size=3).map(tuple),
    st.lists(st.builds(Member, st.text(), st.sampled_from(["equals", "present"]), JSONS), max_size=3).map(
        tuple
    ),
)


@given(EXPECTATIONS)
def test_expectation_round_trip(expectation: Expectation) -> None:
    """An expectation is data: stored as JSON and read back it is the same."""
    assert from_document(Expectation, json.loads(json.dumps(to_document(expectation)))) == expectation
    assert isinstance(expectation.description(), str)


def test_head_has_no_body() -> None:
    """A refused HEAD needs no envelope, but the right status; any other method needs both."""
    enveloped = expect(Outcome((401, 403), schema="error-envelope"))
    assert mismatch(enveloped, got(401, method="HEAD"), SCHEMAS) is None
    assert mismatch(enveloped, got(200, method="HEAD"), SCHEMAS) is not None
    assert mismatch(enveloped, got(401, method="GET"), SCHEMAS) is not None
