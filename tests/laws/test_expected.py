"""What must be seen of a thing after an operation, stated from what was seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.evidence.members import MISSING
from kms_conformance.judging.expectation import Expectation, Member
from kms_conformance.judging.judge import mismatch
from kms_conformance.laws.changes import Change
from kms_conformance.laws.expected import (
    ExpectedAnswer,
    KnownFacts,
    Window,
    of_list,
    of_number,
    of_object,
    of_probe,
    same,
)
from kms_conformance.laws.snapshot import ObservedValue
from kms_conformance.run.answer import Answer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ABOUT = KnownFacts(("moving",), Window(NOON, NOON, timedelta(seconds=60)), ("ring",), {"id": ["one", "two"]})
KEY = {
    "id": "one",
    "state": 1,
    "tags": ["a", "b"],
    "rotation": {"enabled": True},
    "lastUpdateDate": "2026-11-29T11:00:00Z",
}


class Fake:
    """An answer that was, or was not, a success."""

    def __init__(self, *, ok: bool = True) -> None:
        self.ok = ok


def observed(value: Any, at: str = "", *, ok: bool = True, whole: str = "") -> ObservedValue:
    """Return a thing as an answer shows it."""
    return ObservedValue(cast("Answer", Fake(ok=ok)), at, value, whole)


def complaint(member: Member, body: Any) -> str | None:
    """Return how a body deviates from what is stated of a member."""
    sent = Sent("GET", "https://kms.test/key", "/key", {})
    exchange = Exchange(
        "x1", "case", "look", "getKey", "manager", sent, Received(200, {}, body, is_json=True)
    )
    return mismatch(Expectation("x1", "row", Verdict.FAILED, (), (member,)), exchange, SCHEMA_FILES)


def unmet_paths(stated: ExpectedAnswer | None, body: Any) -> list[str]:
    """Return the paths of the members that a body does not fulfil."""
    assert stated is not None
    return [member.path for member in stated.members if complaint(member, body)]


def seen(after: Mapping[str, Any], *changes: Change) -> list[str]:
    """Return what is wrong with a key that was as above."""
    return unmet_paths(of_object(observed(KEY), observed(after), changes, ABOUT), after)


def test_who_asked_is_named_as_before() -> None:
    """A member names who has asked by the name that is known, or by none that others have."""
    about = replace(ABOUT, callers={"": "me"})

    def by(name: str, caller: str) -> list[str]:
        after = {**KEY, "deletedBy": name}
        change = Change("caller", "deletedBy", caller)
        return unmet_paths(of_object(observed(KEY), observed(after), [change], about), after)

    assert by("me", "") == by("you", "approver") == []
    assert by("you", "") == by("me", "approver") == ["deletedBy"]


def test_a_date_follows_so_much_later() -> None:
    """A date lies so many seconds after the operation, or at the moment that comes sooner; what is not shown is not missed."""

    def at(moment: str, until: Any = MISSING) -> list[str]:
        change = Change("later", "purgeAllowedFrom", 14_400, until=until)
        return seen({**KEY, "purgeAllowedFrom": moment}, change)

    assert at("2026-11-29T16:00:30Z") == at("2026-11-29T13:00:00Z", "2026-11-29T13:00:00Z") == []
    assert at("2026-11-29T16:02:00Z") == at("2026-11-29T16:00:30Z", "2026-11-29T13:00:00Z") != []
    assert seen(KEY, Change("later", "purgeAllowedFrom", 14_400)) == []


def test_what_is_kept_is_as_it_was_shown_last() -> None:
    """A member that comes back has the value that it had last."""
    assert seen({**KEY, "id": "two"}, Change("kept", "id")) == []
    assert seen({**KEY, "id": "one"}, Change("kept", "id")) == ["id"]


def test_what_is_not_named_stays() -> None:
    """Each member that is lost, new or another is found; what moves by itself is not."""
    assert seen({**KEY, "moving": 5}) == []
    assert seen({**KEY, "state": 2}) == ["state"]
    assert seen({**KEY, "tags": ["b", "a"]}) == []
    assert set(seen({**KEY, "tags": ["a"]})) == {"tags"}
    assert seen({**KEY, "rotation": {"enabled": True, "interval_month": 3}}) == ["rotation.interval_month"]
    assert seen({name: value for name, value in KEY.items() if name != "rotation"}) == ["rotation.enabled"]


@pytest.mark.parametrize(
    ("change", "good", "bad"),
    [
        (Change("equals", "state", 2), {"state": 2}, {"state": 1}),
        (Change("absent", "rotation"), {"rotation": None}, {"rotation": {"enabled": True}}),
        (Change("absent", "state"), {"state": False}, {"state": 1}),
        (
            Change("now", "lastUpdateDate"),
            {"lastUpdateDate": "2026-11-29T12:00:30Z"},
            {"lastUpdateDate": "2026-11-29T14:00:00Z"},
        ),
        (Change("not-earlier", "lastUpdateDate"), {}, {"lastUpdateDate": "2026-11-29T10:59:59Z"}),
        (Change("new", "id"), {"id": "three"}, {"id": "two"}),
        (Change("plus-one", "tags", entry={"": "c"}), {"tags": ["c", "a", "b"]}, {"tags": ["c"]}),
        (Change("minus-one", "tags", entry={"": "a"}), {"tags": ["b"]}, {"tags": []}),
        (Change("equals", "ring", "blue"), {}, {"ring": "red"}),
        (Change("unspecified", "tags"), {"tags": []}, {"state": 3}),
    ],
)
def test_what_is_named_has_changed_so(
    change: Change, good: Mapping[str, Any], bad: Mapping[str, Any] | None
) -> None:
    """Each form of change takes what it says, and nothing else."""
    assert seen({**KEY, **good}, change) == []
    if bad is not None:
        assert seen({**KEY, **bad}, change) != []


@pytest.mark.parametrize(
    ("change", "wrong_entry"),
    [
        (Change("equals", "deleted", value=True), {"deleted": False}),
        (Change("new", "keyVersion.id"), {"keyVersion": {"id": "one"}}),
    ],
)
def test_what_an_entry_may_lack_is_not_asked_of_it(change: Change, wrong_entry: Mapping[str, Any]) -> None:
    """A member that a reply lawfully leaves out need not come with a change; one that is shown is judged all the same."""
    about = replace(ABOUT, optional=("deleted", "keyVersion"), earlier={"keyVersion.id": ["one"]})
    whole = {"id": "one", "deleted": False, "keyVersion": {"id": "one"}}
    bare = {"id": "one"}

    def unmet_after(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
        place = (
            observed(before, "resources.0", whole="resources"),
            observed(after, "resources.0", whole="resources"),
        )
        return unmet_paths(of_object(*place, [change], about, entry="id"), {"resources": [after]})

    assert unmet_after(bare, bare) == []
    assert unmet_after(bare, {**bare, **wrong_entry}) != []
    assert f"resources.0.{change.member}" in unmet_after(whole, bare)


def listed(after: Sequence[Mapping[str, Any]], *changes: Change) -> list[str]:
    """Return what is wrong with a list of two entries after changes."""
    before = observed([{"id": "one", "text": "a"}, {"id": "two", "text": "b"}], "resources")
    stated = of_list(before, observed(list(after), "resources"), changes, ABOUT, by="id", ordered=True)
    return unmet_paths(stated, {"resources": list(after)})


def test_a_list_stays_but_for_what_is_named() -> None:
    """Entries come, go and change as named; others, and their order, stay."""
    one, two, three = {"id": "one", "text": "a"}, {"id": "two", "text": "b"}, {"id": "three", "text": "c"}
    first = Change("plus-one", place="first")
    assert listed([one, two]) == []
    assert listed([two, one]) == ["resources.*.id"]
    assert listed([one]) == ["resources", "resources.*.id"]
    assert listed([three, one, two], first) == []
    assert listed([one, two, three], first) == ["resources.0.id"]
    assert listed([one, two], first) != []
    assert listed([two], Change("minus-one", entry={"id": "one"})) == []
    assert listed([], Change("minus-one", entry={"id": "one"})) != []
    assert listed([{**one, "text": "z"}, two], Change("equals", "text", "z", which="one")) == []
    assert listed([one, {**two, "text": "z"}], Change("equals", "text", "z", which="one")) != []
    assert listed([two], Change("server-chosen", having="text")) == []


def test_dates_are_moments() -> None:
    """A date with an offset is the same moment."""
    (member,) = same("date", "2026-11-29T14:00:00+02:00")
    assert complaint(member, {"date": "2026-11-29T12:00:00Z"}) is None
    assert complaint(member, {"date": "2026-11-29T14:00:00Z"})
    assert complaint(member, {})


def test_numbers_and_probes() -> None:
    """A count rises by one, a ciphertext opens as before unless something else is named."""
    stated = of_number(observed("3", "total"), observed("4", "total"), [Change("plus-one")])
    assert stated is not None
    assert stated.members == (Member("total", "header", "4"),)
    opens = of_probe(observed("text"), observed("text", "plaintext"), [], "<text>")
    assert opens is not None
    assert opens.members == (Member("plaintext", "equals", "<text>"),)
    refused = of_probe(
        observed("text"), observed(MISSING, ok=False), [Change("equals", value="refused")], "<text>"
    )
    assert refused is not None
    assert refused.members == ()
    assert refused.outcomes[0].statuses == ()
