"""Requests in the very form in which the vendor's clients send them, where that form is unusual."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Kms

Expect = Callable[..., dict[str, Any]]


def test_an_empty_state_is_none(kms: Kms) -> None:
    """The generated client sends `state=` with every list, with a filter by state too."""
    key = kms.create()
    asked = {"state": "", "filter": "state=1 extractable=false"}
    assert [entry["id"] for entry in kms.get("/keys", params=asked).json()["resources"]] == [key]
    assert kms.call("HEAD", "/keys", params=asked).headers["key-total"] == "1"


def test_filters_take_words_in_any_case(kms: Kms) -> None:
    """`none`, `true` and `false` are documented as case-insensitive."""
    key = kms.create()
    kms.create_standard()
    for text in ("lastRotateDate=NONE extractable=False", "extractable=FALSE"):
        reply = kms.get("/keys", params={"filter": text})
        assert [one["id"] for one in reply.json()["resources"]] == [key]


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
    resources = kms.get("/keys", params=[("state", "1"), ("state", "5")]).json()["resources"]
    assert {key["id"] for key in resources} == {active, deleted}


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("*", True),
        ("crn:v1:*:bucket:b", True),
        ("crn:*:cloud-object-storage:*", True),
        ("crn:v1:*:bucket:b*", True),
        ("crn:v1:*:bucket:c", False),
        ("bucket:b", False),
        ("crn:v1:*:bucket:b:bucket:b", False),
        ("*a" * 200 + "*", False),
    ],
)
def test_wildcards_in_a_resource_query(kms: Kms, query: str, is_found: bool) -> None:
    """Any number of wildcards is answered at once; a pattern of many once held up the server for minutes."""
    key = kms.create()
    kms.register(key)
    listed = kms.get(f"/keys/{key}/registrations", params={"urlEncodedResourceCRNQuery": query})
    assert listed.json()["metadata"]["collectionTotal"] == is_found


def test_many_wildcards_do_not_hold_up_the_server(kms: Kms) -> None:
    """Nearly matching text and many wildcards took a regular expression minutes."""
    key = kms.create()
    kms.register(key, kms.crn() + "a" * 60)
    query = "*a" * 12 + "*!"
    listed = kms.get(f"/keys/{key}/registrations", params={"urlEncodedResourceCRNQuery": query}, timeout=5)
    assert listed.json()["metadata"]["collectionTotal"] == 0


@pytest.mark.parametrize("edition", ["page", "service"])
def test_summaries_that_name_their_code(serve: Callable[..., Kms], expect: Expect, edition: str) -> None:
    """`redstone` looks for the code in errorMsg of purge and sync, which the page does not describe."""
    kms = serve(edition=edition)
    key = kms.create()
    alive = expect(kms.delete(f"/keys/{key}/purge", who="purger"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert alive["errorMsg"].endswith(" (KEY_ACTION_INVALID_STATE_ERR)")
    kms.delete(f"/keys/{key}")
    for early in (kms.delete(f"/keys/{key}/purge", who="purger"), kms.act(key, "sync")):
        assert expect(early, 409, "REQ_TOO_EARLY_ERR")["errorMsg"].endswith(" (REQ_TOO_EARLY_ERR)")


def test_a_search_that_names_one_key(kms: Kms, monkeypatch: pytest.MonkeyPatch, expect: Expect) -> None:
    """An id or an alias is also looked up: that key comes first, and alone where a search would be too broad."""
    named = kms.create(aliases=["wanted"])
    other = kms.create(name="the-wanted", aliases=["wanted-too"])
    for order in ("id", "-id"):
        resources = kms.get(f"/keys?search=wanted&sort={order}").json()["resources"]
        assert [key["id"] for key in resources] == [named, other]
    assert kms.get(f"/keys?search={other}").json()["resources"][0]["id"] == other
    assert kms.get("/keys?search=name:wanted").json()["metadata"]["collectionTotal"] == 1
    monkeypatch.setattr("kms_reference.key_protect.search.MAX_PAGE", 1)
    alone = kms.get("/keys?search=wanted&limit=1").json()
    assert [key["id"] for key in alone["resources"]] == [named]
    assert alone["metadata"]["incompleteSearch"] is True
    expect(kms.get("/keys?search=ante&limit=1"), 400, "KEY_SEARCH_TOO_BROAD")
    assert kms.get("/keys?search=ante&state=5&limit=1").json()["metadata"]["collectionTotal"] == 0
