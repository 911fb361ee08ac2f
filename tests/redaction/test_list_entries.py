"""Evidence of long lists: what two of them show alike is in memory once, also after a secret became known."""

from __future__ import annotations

from typing import Any

from kms_conformance.redaction.list_entries import FEW
from kms_conformance.redaction.redactor import Redactor

NUMBER = FEW + 30


def listed(number: int, **more: Any) -> dict[str, Any]:
    """Return a list of so many things, as an answer shows it."""
    return {"resources": [{"id": f"thing-{place:06d}", "state": 1, **more} for place in range(number)]}


def test_equal_entries_of_two_lists_are_one_object() -> None:
    """A list that has grown shares with the earlier one all that is equal, although secrets came to be known between them."""
    redactor = Redactor(public=("id", "state", "resources", "name"))
    first = redactor.reply(listed(NUMBER))["resources"]
    redactor.remember("A secret of 32 characters, or so!", "payload")
    second = redactor.reply(listed(NUMBER + 5))["resources"]
    assert second[:NUMBER] == first
    assert all(one is other for one, other in zip(first, second, strict=False))


def test_what_differs_is_not_shared() -> None:
    """Entries that differ in a value or its kind are told apart."""
    redactor = Redactor(public=("id", "state", "resources", "on"))
    first = redactor.reply(listed(NUMBER, on=1))["resources"]
    second = redactor.reply(listed(NUMBER, on=True))["resources"]
    assert first[0]["on"] is not second[0]["on"]
    assert second[0]["on"] is True


def test_a_secret_in_an_entry_is_replaced_from_then_on() -> None:
    """What is shared is the evidence, so a value that became known as a secret is a token in the next list."""
    redactor = Redactor(secret=("payload",), public=("id", "state", "resources", "name"))
    first = redactor.reply(listed(NUMBER, name="Zm9yIHRoaXMgdGVzdCBvbmx5ISEh"))["resources"]
    token = redactor.remember("Zm9yIHRoaXMgdGVzdCBvbmx5ISEh", "payload")
    second = redactor.reply(listed(NUMBER, name="Zm9yIHRoaXMgdGVzdCBvbmx5ISEh"))["resources"]
    assert {entry["name"] for entry in first} == {"Zm9yIHRoaXMgdGVzdCBvbmx5ISEh"}
    assert {entry["name"] for entry in second} == {token}
