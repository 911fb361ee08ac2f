"""Requests in the very form in which the vendor's clients send them, where that form is unusual."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Kms

Expect = Callable[..., dict[str, Any]]


def test_an_empty_state_is_none(kms: Kms) -> None:
    """The generated client sends `state=` with every list, with a filter by state too."""
    key = kms.create()
    asked = {"state": "", "filter": "state=1 extractable=false"}
    assert [found["id"] for found in kms.get("/keys", params=asked).json()["resources"]] == [key]
    assert kms.call("HEAD", "/keys", params=asked).headers["key-total"] == "1"


def test_filters_take_words_in_any_case(kms: Kms) -> None:
    """`none`, `true` and `false` are documented as case-insensitive."""
    key = kms.create()
    kms.create_standard()
    for text in ("lastRotateDate=NONE extractable=False", "extractable=FALSE"):
        found = kms.get("/keys", params={"filter": text})
        assert [one["id"] for one in found.json()["resources"]] == [key]


def test_null_as_additional_data(kms: Kms, expect: Expect) -> None:
    """`redstone.crypto.encrypt` without a context sends `"aad": [null]`; it must open what it sealed."""
    key = kms.create()
    sealed = kms.act(key, "wrap", {"aad": [None]}).json()
    opened = kms.act(key, "unwrap", {"ciphertext": sealed["ciphertext"], "aad": [None]}).json()
    assert opened["plaintext"] == sealed["plaintext"]
    expect(kms.act(key, "wrap", {"aad": [1]}), 400, "BAD_BODY_ERR")


def test_a_list_given_piece_by_piece(kms: Kms) -> None:
    """`redstone` lists KMIP objects with `state=1&state=2&state=3&state=4`."""
    active, deleted = kms.create(), kms.create()
    kms.delete(f"/keys/{deleted}")
    found = kms.get("/keys", params=[("state", "1"), ("state", "5")]).json()["resources"]
    assert {key["id"] for key in found} == {active, deleted}
