"""Further cases on lists: all pages, each filter, reverse order, and counts."""

import pytest

from kms_conformance.api import covers, needs, waits


@covers("list-offset", "list-limit")
def test_every_page(kms):
    """Read page by page, each key is listed exactly once, and the page after the last is empty."""
    stem = kms.name("page")
    made = [kms.create_root_key(name=f"{stem}-{number}").id for number in range(5)]
    pages = [kms.list_keys(search=stem, limit=2, offset=offset).succeeds(200) for offset in (0, 2, 4)]
    seen = [entry["id"] for page in pages for entry in page.body.get("resources", [])]
    for page, count in zip(pages, (2, 2, 1), strict=True):
        page.counts("resources", count, requirement="list-limit")
    whole = kms.list_keys(search=stem, limit=5000).succeeds(200).counts("resources", 5)
    for key in made:
        whole.lists("resources.*.id", key)
        place = seen.index(key) // 2 if key in seen else 0
        pages[place].lists("resources.*.id", key, requirement="list-offset")
    kms.list_keys(search=stem, limit=2, offset=6).succeeds(200).shows("metadata.collectionTotal", 0)


@pytest.mark.parametrize("query", [{"limit": "many"}, {"limit": -1}, {"offset": -1}])
@covers("invalid-query-param-err-page")
def test_page_that_is_none(kms, query):
    """A limit or offset that is not a number, or an offset below 0, is refused."""
    kms.list_keys(limit=1, offset=0).succeeds(200)
    kms.list_keys(**query).is_refused("INVALID_QUERY_PARAM_ERR")


@pytest.mark.parametrize("limit", [0, 5001])
@covers("invalid-query-param-err-versions")
def test_limit_of_versions(kms, limit):
    """A list of versions with a limit outside 1 to 5000 is refused."""
    key = kms.create_root_key()
    kms.list_versions(key, limit=5000).succeeds(200)
    kms.list_versions(key, limit=limit).is_refused("INVALID_QUERY_PARAM_ERR")


@covers("list-several-states")
def test_several_states(kms):
    """A list can be filtered by several states at once."""
    stem = kms.name("states")
    active, suspended, destroyed = (kms.create_root_key(name=f"{stem}-{number}") for number in range(3))
    kms.disable(suspended).succeeds(204)
    kms.delete_key(destroyed).succeeds()
    listed = kms.list_keys(search=stem, state="2,5").succeeds(200).counts("resources", 2)
    listed.lists("resources.*.id", suspended.id).lists("resources.*.id", destroyed.id)
    kms.list_keys(search=stem, state="1,2,3,5").succeeds(200).counts("resources", 3)
    usual = kms.list_keys(search=stem).succeeds(200).counts("resources", 2)
    usual.lists("resources.*.id", active.id).lists("resources.*.id", suspended.id)


MEMBERS = ("id", "type", "name", "state", "extractable", "imported", "crn", "creationDate")


@covers("list-entries-agree")
def test_entries_of_a_list(kms):
    """A list and a read agree with a key's metadata, and a list contains no key material."""
    stem = kms.name("entry")
    root, standard = kms.import_root_key(name=f"{stem}-1"), kms.create_standard_key(name=f"{stem}-2")
    kms.disable(root).succeeds(204)
    for key in (root, standard):
        shown, read = kms.get_metadata(key).succeeds(200), kms.get_key(key).succeeds(200)
        shown.shows("resources.0.type", "application/vnd.ibm.kms.key+json")
        shown.shows("resources.0.extractable", value=key is standard)
        shown.shows("resources.0.imported", value=key is root)
        shown.shows("resources.0.state", 2 if key is root else 1)
        listed = kms.list_keys(search=key.name).succeeds(200).counts("resources", 1)
        listed.lacks("resources.0.payload").agrees("resources.0.deleted", shown["resources.0.deleted"])
        read.shows("resources.0.deleted", shown["resources.0.deleted"])
        for member in MEMBERS:
            listed.shows(f"resources.0.{member}", shown[f"resources.0.{member}"])
            read.shows(f"resources.0.{member}", shown[f"resources.0.{member}"])


@covers("list-extractable-false")
def test_root_keys_only(kms):
    """A list of root keys contains no standard key."""
    root, standard = kms.create_root_key(), kms.create_standard_key()
    answer = kms.list_keys(extractable="false", limit=5000).succeeds(200)
    answer.lists("resources.*.id", root.id).lists_not("resources.*.id", standard.id)


@covers("list-filter-dates")
@waits(4)
def test_filter_on_dates(kms):
    """A filter on dates finds keys before or after a date, and keys without one."""
    stem = kms.name("dates")
    first = kms.create_root_key(name=f"{stem}-1")
    kms.wait(2, "dates have whole seconds")
    moment = kms.later(0)
    kms.wait(2, "dates have whole seconds")
    second = kms.create_root_key(name=f"{stem}-2", expirationDate=kms.later(7200))
    for term, only in ((f'creationDate=lt:"{moment}"', first), (f'creationDate=gt:"{moment}"', second)):
        listed = kms.list_keys(search=stem, filter=term).succeeds(200).counts("resources", 1)
        listed.shows("resources.0.id", only.id)
    forever = kms.list_keys(search=stem, filter="expirationDate=none").succeeds(200)
    forever.counts("resources", 1).shows("resources.0.id", first.id)


@covers("list-filter-twice")
def test_state_in_filter_and_query(kms):
    """A state given both in the filter and as a parameter of its own is refused."""
    kms.list_keys(filter="state=1", limit=1).succeeds(200)
    kms.list_keys(filter="state=1", state="1", limit=1).is_refused_somehow(400)


@covers("list-sort-states")
def test_sort_by_state(kms):
    """Keys can be sorted by their state, in either order."""
    stem = kms.name("order")
    suspended, active = kms.create_root_key(name=f"{stem}-1"), kms.create_root_key(name=f"{stem}-2")
    kms.disable(suspended).succeeds(204)
    for order, first in (("state", active), ("-state", suspended)):
        listed = kms.list_keys(search=stem, sort=order).succeeds(200).counts("resources", 2)
        listed.shows("resources.0.id", first.id)


@covers("list-search-scopes")
@needs(capability="aliases")
def test_scopes_of_a_search(kms):
    """A search covers ids, names and aliases, or one of them, and can be exact or negated."""
    alias = kms.short_name("scope")
    key, other = kms.create_root_key(aliases=[alias]), kms.create_root_key(name=kms.name("scope"))
    for search in (alias, f"alias:{alias}", f"exact:{alias}", key.id):
        kms.list_keys(search=search).succeeds(200).lists("resources.*.id", key.id)
    kms.list_keys(search=f"name:{alias}").succeeds(200).shows("metadata.collectionTotal", 0)
    kms.list_keys(search=f"exact:{alias[:-1]}").succeeds(200).shows("metadata.collectionTotal", 0)
    turned = kms.list_keys(search=f"not:{alias}", limit=5000).succeeds(200)
    turned.lists("resources.*.id", other.id).lists_not("resources.*.id", key.id)


@covers("key-count-filter", "key-ring-count", "law-ownership-foreign-query")
@needs(capability="key_rings")
def test_count_of_states(kms):
    """A count leaves deleted keys out, and can be limited to a state or kind, but not to a page."""
    inside, row = kms.in_ring(kms.new_ring()), "key-count-filter"
    keys = [inside.create_root_key(), inside.create_root_key(), inside.create_standard_key()]
    deleted = inside.create_root_key()
    kms.disable(keys[0]).succeeds(204)
    kms.delete_key(deleted).succeeds(200, 204)
    inside.count_keys().succeeds(200).has_header("key-total", "3", requirement="key-ring-count")
    for query, total in (({"state": "2"}, "1"), ({"state": "5"}, "1"), ({"extractable": "true"}, "1")):
        inside.count_keys(**query).succeeds(200).has_header("key-total", total, requirement=row)
    inside.list_keys().succeeds(200).counts("resources", 3, requirement=row)
    of_lists = inside.count_keys(limit=1, offset=1)
    if of_lists.ok:
        of_lists.has_header("key-total", "3", requirement="law-ownership-foreign-query")


@covers("law-relations-keys-pages", "law-relations-keys-pairs")
@needs(capability="key_rings")
def test_lists_asked_before(kms):
    """A page, a sorted, filtered or searched list that was read before holds the keys that have come or changed since."""
    inside, stem = kms.in_ring(kms.new_ring()), kms.name("again")
    first, second = inside.create_root_key(name=f"{stem}-1"), inside.create_root_key(name=f"{stem}-2")
    pages = ({"offset": 1}, {"limit": 3, "sort": "-id"}, {"offset": 1, "limit": 2})
    lists = ({"state": "1"}, {"filter": "state=1 extractable=false"}, {"search": stem}, {"sort": "state"})
    for query in (*pages, *lists):
        inside.list_keys(**query).succeeds(200)
    third = inside.create_root_key(name=f"{stem}-3")
    inside.delete_key(first).succeeds(200, 204)
    fourth = inside.create_root_key(name=f"{stem}-4")
    for query, count in zip(pages, (2, 3, 2), strict=True):
        inside.list_keys(**query).succeeds(200).counts(
            "resources", count, requirement="law-relations-keys-pages"
        )
    for query in lists:
        listed = inside.list_keys(**query).succeeds(200)
        listed.lists_not("resources.*.id", first.id, requirement="law-relations-keys-pairs")
        for key in (second, third, fourth):
            listed.lists("resources.*.id", key.id, requirement="law-relations-keys-pairs")
