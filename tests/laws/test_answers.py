"""What an operation answers is what it has done: which members of an answer are held against what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kms_conformance.laws.answers import of_answer, shown_in_answer
from kms_conformance.laws.changes import Change, CompletedOperation
from kms_conformance.laws.expected import KnownFacts, Window
from kms_conformance.laws.request import OperationRequest
from kms_conformance.laws.snapshot import ObservedValue


def done(resource: dict[str, Any] | None, **entry: Any) -> CompletedOperation:
    """Return an operation on the key 1 whose answer shows a resource."""
    body = None if resource is None else {"resources": [resource]}
    answer: Any = SimpleNamespace(exchange=SimpleNamespace(answer=SimpleNamespace(body=body)), ok=True)
    about = {"answer": {"at": "/resources/0", **entry}}
    request = OperationRequest("deleteKey", path={"id": "one"})
    return CompletedOperation(request, answer, about, datetime.now(UTC), timedelta(), {}, {"key": "1"})


def stated(shown: dict[str, Any], *changes: Change, late: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return which values the members of an answer must have; the key was active and in the ring r before."""
    one = done(shown, of="key")
    observed = shown_in_answer(one)
    assert observed is not None
    before = ObservedValue(one.answer, "resources.0", {"state": 1, "keyRingID": "r", "name": "n"})
    expected = of_answer(one, observed, before, changes, known=KnownFacts(), late=late)
    return {} if expected is None else {member.path: member.value for member in expected.members}


def test_changed_and_unchanged_members() -> None:
    """A member that the operation changes has its new value, any other that is shown its old one."""
    members = stated({"state": 1, "name": "x"}, Change("equals", "state", 5))
    assert members == {"resources.0.state": 5, "resources.0.name": "n"}


def test_members_that_are_late_or_new() -> None:
    """What may show late is not looked at, and what was not seen before may be there."""
    assert stated({"keyRingID": "s", "payload": "p"}, late=frozenset({"keyRingID"})) == {}


@pytest.mark.parametrize("resource", [None, {"name": "n"}])
def test_answers_without_the_thing(resource: dict[str, Any] | None) -> None:
    """An answer without a body shows nothing, and a member that it leaves out is not missed."""
    one = done(resource, shows={"keyId": "$subject.key"})
    observed = shown_in_answer(one)
    if resource is None:
        assert observed is None
    else:
        assert observed is not None
        assert of_answer(one, observed, None, (), known=KnownFacts(), late=frozenset()) is None


def test_known_values() -> None:
    """A member with a known value has it, however the path names the thing."""
    one = done({"keyId": "one"}, shows={"keyId": "$subject.key"})
    observed = shown_in_answer(one)
    assert observed is not None
    expected = of_answer(one, observed, None, (), known=KnownFacts(), late=frozenset())
    assert expected is not None
    assert [(member.path, member.value) for member in expected.members] == [("resources.0.keyId", "1")]


def test_where_members_come_from() -> None:
    """A date of now lies about the moment of the request, and whoever has asked is named as elsewhere."""
    now = datetime.now(UTC)
    one = done(
        {"created": "x", "by": "y"},
        says=[
            {"member": "created", "how": "now"},
            {"member": "by", "how": "caller"},
            {"member": "gone", "how": "now"},
        ],
    )
    observed = shown_in_answer(one)
    assert observed is not None
    known = KnownFacts(window=Window(now, now, timedelta(seconds=1)), callers={"": "me"})
    expected = of_answer(one, observed, None, (), known=known, late=frozenset())
    assert expected is not None
    assert [(member.path, member.check) for member in expected.members] == [
        ("resources.0.created", "between"),
        ("resources.0.by", "equals"),
    ]
    assert expected.members[1].value == "me"


def test_members_of_the_whole_body() -> None:
    """An answer that is the thing itself is read from its top."""
    one = done({}, at="", shows={"resources": "$subject.key"})
    observed = shown_in_answer(one)
    assert observed is not None
    expected = of_answer(one, observed, None, (), known=KnownFacts(), late=frozenset())
    assert expected is not None
    assert [member.path for member in expected.members] == ["resources"]
