"""Lists, their limits and filters."""

import pytest

from kms_conformance.api import covers, waits


@covers("list-keys")
def test_list_shows_the_key(kms):
    """A new key is in the list."""
    key = kms.create_root_key()
    kms.list_keys(search=key.name).succeeds(200).lists("resources.*.id", key.id)


@covers("list-limit", "list-offset")
def test_limit_and_offset(kms):
    """A page holds at most as many keys as asked for, and the next page holds others."""
    stem = kms.name("page")
    for number in range(3):
        kms.create_root_key(name=f"{stem}-{number}")
    first = kms.list_keys(search=stem, limit=2).succeeds(200).counts("resources", 2)
    second = kms.list_keys(search=stem, limit=2, offset=2).succeeds(200)
    second.counts("resources", 1, requirement="list-offset")
    second.lists_not("resources.*.id", first["resources.0.id"], requirement="list-offset")
    second.lists_not("resources.*.id", first["resources.1.id"], requirement="list-offset")


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(0, marks=covers("invalid-query-param-err")),
        pytest.param(5001, marks=covers("invalid-query-param-err-limit-too-high")),
    ],
)
def test_limit_out_of_range(kms, limit):
    """A list with a limit outside 1 to 5000 is refused."""
    kms.list_keys(limit=5000).succeeds(200)
    kms.list_keys(limit=limit).is_refused("INVALID_QUERY_PARAM_ERR", target=("query_param", "limit"))


@covers("invalid-query-param-err-sort")
def test_unknown_sort(kms):
    """Sorting a list by an unknown property is refused, also beside a known one."""
    kms.list_keys(sort="-creationDate,id").succeeds(200)
    for order in ("colour", "id,colour"):
        kms.list_keys(sort=order).is_refused("INVALID_QUERY_PARAM_ERR")


@covers("list-extractable-filter")
def test_extractable_filter(kms):
    """A list of standard keys contains no root key."""
    root, standard = kms.create_root_key(), kms.create_standard_key()
    answer = kms.list_keys(extractable="true", limit=5000).succeeds(200)
    answer.lists("resources.*.id", standard.id).lists_not("resources.*.id", root.id)


@covers("list-state-filter")
def test_state_filter(kms):
    """A list of suspended keys contains no active key."""
    active, suspended = kms.create_root_key(), kms.create_root_key()
    kms.disable(suspended).succeeds(204)
    answer = kms.list_keys(state="2", limit=5000).succeeds(200)
    answer.lists("resources.*.id", suspended.id).lists_not("resources.*.id", active.id)


@covers("key-count")
def test_count(kms):
    """HEAD returns the number of keys in a header and sends no body."""
    kms.create_root_key()
    kms.count_keys().succeeds(200).has_header("key-total")


@covers("list-search")
def test_search(kms):
    """A search finds a key by a part of its name in either case, and no other keys."""
    key, other = kms.create_root_key(name=kms.name("sought")), kms.create_root_key(name=kms.name("other"))
    matches = kms.list_keys(search=key.name[6:].upper()).succeeds(200)
    matches.lists("resources.*.id", key.id).lists_not("resources.*.id", other.id)


@covers("list-filter")
def test_filter(kms):
    """A filter on state and kind finds the keys that match both."""
    standard, active, suspended = kms.create_standard_key(), kms.create_root_key(), kms.create_root_key()
    kms.disable(suspended).succeeds(204)
    matches = kms.list_keys(filter="state=2 extractable=false", limit=5000).succeeds(200)
    matches.lists("resources.*.id", suspended.id)
    matches.lists_not("resources.*.id", active.id).lists_not("resources.*.id", standard.id)


@covers("invalid-query-param-err-filter")
def test_malformed_filter(kms):
    """A filter on an unknown property, or with a value that is none, is refused."""
    kms.list_keys(filter="extractable=false", limit=1).succeeds(200)
    for term in ("colour=blue", "extractable=perhaps", 'creationDate=near:"2026-01-01T00:00:00Z"'):
        kms.list_keys(filter=term, limit=1).is_refused("INVALID_QUERY_PARAM_ERR")
    kms.count_keys(filter="extractable=false").succeeds(200)
    kms.count_keys(filter="colour=blue").is_refused_somehow(400)


@covers("list-sort")
@waits(2)
def test_sort(kms):
    """Keys can be listed in the order of their creation or in the reverse order."""
    name = kms.name("sorted")
    first = kms.create_root_key(name=f"{name}a")
    kms.wait(2, "dates have whole seconds")
    second = kms.create_root_key(name=f"{name}b")
    for order, expected in (("creationDate", first), ("-creationDate", second)):
        listed = kms.list_keys(search=name, sort=order).succeeds(200).counts("resources", 2)
        listed.shows("resources.0.id", expected.id)
