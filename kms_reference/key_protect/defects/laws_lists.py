"""Defects of lists that documented sequences do not show: a list asked in another way gives another answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import kmip, registrations, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.defects.conditions import answering, of_operation
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.key_protect.model import State
from kms_reference.key_protect.search import Search
from kms_reference.switches import Change, Defect, gives, instead

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

    Test = Callable[[Key], bool]
    Term = tuple[str, str, str]

_SHORT_PAGE: Final = 5


# -- questions that are read otherwise ---------------------------------------------------------------


def _asked_without(operation: str, *names: str, besides: str = "") -> Change:
    """Leave parameters of an operation out; with ``besides`` only where that one is given as well."""

    def act(lawful: RuleLike, call: Call) -> Any:
        if besides and besides not in call.query:
            return lawful(call)
        return lawful(replace(call, query={k: v for k, v in call.query.items() if k not in names}))

    return instead(answered, act, of_operation(operation))


def _without_ring(operation: str, besides: str) -> Change:
    """Leave the key ring out where a parameter is given."""

    def act(lawful: RuleLike, call: Call) -> Any:
        headers = {name: value for name, value in call.headers.items() if name != "x-kms-key-ring"}
        return lawful(replace(call, headers=headers) if besides in call.query else call)

    return instead(answered, act, of_operation(operation))


def _cut_first(operation: str, *filters: str) -> Change:
    """Take the page of the whole list, and leave out of it what the filters do not select."""

    def act(lawful: RuleLike, call: Call) -> Any:
        if not {"limit", "offset"} & call.query.keys():
            return lawful(call)
        unfiltered = {name: value for name, value in call.query.items() if name not in filters}
        unpaged = {name: value for name, value in call.query.items() if name not in {"limit", "offset"}}
        page: Reply = lawful(replace(call, query=unfiltered))
        wanted = lawful(replace(call, query=unpaged)).body.get("resources", [])
        kept = [entry for entry in page.body.get("resources", []) if entry in wanted]
        return _with(page, kept)

    return instead(answered, act, of_operation(operation))


def _counted_without(operation: str, *filters: str) -> Change:
    """Let ``totalCount`` count what there is without the filters."""

    def act(lawful: RuleLike, call: Call) -> Any:
        reply: Reply = lawful(call)
        total = reply.body["metadata"].get("totalCount")
        if total is not None:
            unfiltered = {name: value for name, value in call.query.items() if name not in filters}
            whole: Reply = lawful(replace(call, query=unfiltered))
            reply.body["metadata"]["totalCount"] = whole.body["metadata"]["totalCount"]
        return reply

    return instead(answered, act, of_operation(operation))


def _counted_in_page(reply: Reply, _: Call) -> Reply:
    if "totalCount" in reply.body["metadata"]:
        reply.body["metadata"]["totalCount"] = len(reply.body.get("resources", []))
    return reply


def _with(reply: Reply, entries: list[Any]) -> Reply:
    """Return a reply with other entries."""
    reply.body["metadata"]["collectionTotal"] = len(entries)
    reply.body.pop("resources", None)
    if entries:
        reply.body["resources"] = entries
    return reply


# -- filters of keys ---------------------------------------------------------------------------------


def _operators(**others: str) -> Change:
    """Take some operators for others, on dates that the client has given."""

    def act(lawful: RuleLike, call: Call, name: str, operator: str, value: str) -> Any:
        return lawful(
            call, name, others.get(operator, operator) if name == "expirationDate" else operator, value
        )

    return instead(search.filter_test, act)


def _column(shown: str, right: str) -> Change:
    """Read another date than the one that the term names."""

    def act(lawful: RuleLike, call: Call, _: str, operator: str, value: str) -> Any:
        return lawful(call, right, operator, value)

    return instead(search.filter_test, act, lambda _, name, *__: name == shown)


def _missing_is_late(test: Test, _: Call, name: str, operator: str, __: str) -> Test:
    if name != "expirationDate" or operator not in {"gt", "gte"}:
        return test
    return lambda key: key.expires is None or test(key)


def _only_day(test: Test, _: Call, name: str, operator: str, value: str) -> Test:
    moment = parse_stamp(value)
    if name != "lastRotateDate" or moment is None or operator not in {"lt", "gt"}:
        return test
    day = int(moment) // 86_400

    def same_day(key: Key) -> bool:
        if key.rotated is None:
            return False
        rotated = int(key.rotated) // 86_400
        return rotated <= day if operator == "lt" else rotated >= day

    return same_day


def _several(_: Call, terms: list[Term]) -> bool:
    return len({term[0] for term in terms}) < len(terms)


def _last_of_each(terms: list[Term], _: Call, __: list[Term]) -> list[Term]:
    return list({term[0]: term for term in terms}.values())


def _two_of_each(terms: list[Term], _: Call, __: list[Term]) -> list[Term]:
    kept: list[Term] = []
    for term in terms:
        if sum(earlier[0] == term[0] for earlier in kept) < 1 or term[1].startswith("l"):
            kept.append(term)
    return kept


def _none_of_unset(test: Test, _: Call, name: str, __: str, value: str) -> Test:
    return (lambda _: True) if name == "lastRotateDate" and value == "none" else test


# -- order and pages ---------------------------------------------------------------------------------


def _first_only(lawful: RuleLike, call: Call, keys: list[Key], order: list[tuple[str, bool]]) -> Any:
    return lawful(call, keys, order[:1])


def _all_descending(lawful: RuleLike, call: Call, keys: list[Key], order: list[tuple[str, bool]]) -> Any:
    return lawful(call, keys, [(name, order[0][1]) for name, _ in order])


def _unknown_expiration(lawful: RuleLike, call: Call, keys: list[Key], order: list[tuple[str, bool]]) -> Any:
    return lawful(
        call, keys, [("id", False) if name == "expirationDate" else (name, down) for name, down in order]
    )


def _by_creation(lawful: RuleLike, call: Call, keys: list[Key], order: list[tuple[str, bool]]) -> Any:
    return lawful(
        call, keys, [("creationDate" if name == "lastUpdateDate" else name, down) for name, down in order]
    )


def _unsorted_in_ring(lawful: RuleLike, call: Call, keys: list[Key], order: list[tuple[str, bool]]) -> Any:
    return keys if call.ring else lawful(call, keys, order)


def _sorted_in_page(lawful: RuleLike, call: Call) -> Any:
    """Sort what is on the page only."""
    if "sort" not in call.query or not {"limit", "offset"} & call.query.keys():
        return lawful(call)
    page: Reply = lawful(replace(call, query={k: v for k, v in call.query.items() if k != "sort"}))
    unpaged = {name: value for name, value in call.query.items() if name not in {"limit", "offset"}}
    ids = [entry["id"] for entry in lawful(replace(call, query=unpaged)).body.get("resources", [])]
    return _with(page, sorted(page.body.get("resources", []), key=lambda entry: ids.index(entry["id"])))


def _short_page(chosen: list[Key], call: Call, *_: Any) -> list[Key]:
    return chosen if "limit" in call.query else chosen[:_SHORT_PAGE]


def _offset_needs_limit(lawful: RuleLike, call: Call, keys: list[Key], offset: int, limit: int) -> Any:
    return lawful(call, keys, offset if "limit" in call.query else 0, limit)


def _default_repeated(reply: Reply, call: Call) -> Reply:
    entries = reply.body.get("resources", [])
    if entries and call.query.get("offset", "0") != "0":
        return _with(reply, [{"id": DEFAULT_RING}, *entries[1:]])
    return reply


def _default_uncounted(reply: Reply, _: Call) -> Reply:
    if "totalCount" in reply.body["metadata"]:
        reply.body["metadata"]["totalCount"] -= 1
    return reply


# -- searches ----------------------------------------------------------------------------------------


def _also_described(found: bool, _: Call, search_: Search, key: Key) -> bool:
    text = search_.text.lower()
    return found or (
        not search_.inverted and (text in key.description.lower() or text in "".join(key.tags).lower())
    )


def _alias_begins(found: bool, _: Call, search_: Search, key: Key) -> bool:
    text = search_.text.lower()
    named = "name" in search_.scopes and text in key.name.lower()
    return found and (
        search_.inverted or named or any(alias.lower().startswith(text) for alias in key.aliases)
    )


def _cased_alias(lawful: RuleLike, call: Call, search_: Search, key: Key) -> Any:
    if search_.inverted or any(search_.text.lower() in name.lower() for name in (key.name,)):
        return lawful(call, search_, key)
    return lawful(call, search_, key) and any(search_.text in alias for alias in key.aliases)


def _escape_ignored(lawful: RuleLike, call: Call, text: str) -> Any:
    return lawful(call, text.replace("escape:", ""))


def _id_in_any_ring(keys: list[Key], call: Call, _: Any) -> list[Key]:
    key = call.instance.keys.get(call.query.get("search", ""))
    return keys if key is None or key in keys or key.state == State.DESTROYED else [*keys, key]


# -- lists of other things ---------------------------------------------------------------------------


def _prefix(found: bool, _: Call, text: str, pattern: str) -> bool:
    return found or ("*" not in pattern and text.startswith(pattern))


def _one_star(lawful: RuleLike, call: Call, text: str, pattern: str) -> Any:
    return lawful(call, text, pattern.partition("*")[0] + "*" if "*" in pattern else pattern)


def _false_is_unset(lawful: RuleLike, call: Call) -> Any:
    query = dict(call.query)
    if query.get("preventKeyDeletion") == "false":
        del query["preventKeyDeletion"]
    return lawful(replace(call, query=query))


def _all_where_none(reply: Reply, call: Call) -> Reply:
    if "crk_id" in call.query and "resources" not in reply.body:
        query = {name: value for name, value in call.query.items() if name != "crk_id"}
        return kmip.list_adapters(replace(call, query=query))
    return reply


def _of_all_adapters(reply: Reply, call: Call) -> Reply:
    if {"limit", "offset"} & call.query.keys():
        return reply
    everything = []
    for adapter in call.instance.adapters.values():
        listed = kmip.list_certificates(replace(call, args={"adapter": adapter.id}))
        everything += listed.body.get("resources", [])
    return _with(reply, everything)


def _first_state(lawful: RuleLike, call: Call) -> Any:
    states = call.query.get("state", "").partition(",")[0]
    return lawful(replace(call, query={**call.query, "state": states}) if states else call)


def _after(operation: str, make: RuleLike) -> Change:
    return gives(answered, make, of_operation(operation))


_KEYS, _HEAD = "getKeys", "getKeyCollectionMetadata"
_USES, _ALL_USES = "getRegistrations", "getRegistrationsAllKeys"

_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("count-ignores-filter", "HEAD takes no notice of the filter that GET obeys.", _asked_without(_HEAD, "filter")),
    ("count-of-states-in-all-rings", "HEAD with a state counts the keys of every key ring.", _without_ring(_HEAD, "state")),
    ("count-takes-one-filter", "HEAD with a state takes no notice of the kind.", _asked_without(_HEAD, "extractable", besides="state")),
    ("date-bound-left-out", "lte and gte on dates leave the moment itself out.", _operators(lte="lt", gte="gt")),
    ("date-bound-taken-in", "lt on a date takes the moment itself in.", _operators(lt="lte")),
    ("last-term-wins", "Of several filter terms on one date the last one counts.", gives(search.terms_held, _last_of_each, _several)),
    ("second-lower-bound-ignored", "Of several terms on one date only the first lower bound counts.", gives(search.terms_held, _two_of_each, _several)),
    ("missing-date-is-later", "Keys without an expiration date count as expiring later than any date.", gives(search.filter_test, _missing_is_late)),
    ("rotation-date-by-day", "Rotation dates are compared by day.", gives(search.filter_test, _only_day)),
    ("update-filter-reads-creation", "A filter on lastUpdateDate reads the creation date.", _column("lastUpdateDate", "creationDate")),
    ("deletion-filter-reads-update", "A filter on deletionDate reads the creation date.", _column("deletionDate", "creationDate")),
    ("never-rotated-not-found", "A filter for keys that were never rotated selects all keys.", gives(search.filter_test, _none_of_unset)),
    ("sorted-by-first-only", "Of several members to sort by only the first one counts.", instead(search.in_order, _first_only, lambda _, __, order: len(order) > 1)),
    ("hyphen-for-all", "A hyphen before the first member to sort by turns all of them.", instead(search.in_order, _all_descending, lambda _, __, order: len(order) > 1)),
    ("unsorted-by-expiration", "Sorting by expiration dates is accepted and sorts by id.", instead(search.in_order, _unknown_expiration, lambda _, __, order: "expirationDate" in dict(order))),
    ("updates-sorted-by-creation", "A list sorted by lastUpdateDate is sorted by creation.", instead(search.in_order, _by_creation, lambda _, __, order: "lastUpdateDate" in dict(order))),
    ("unsorted-in-ring", "A list of one key ring is not sorted.", instead(search.in_order, _unsorted_in_ring, lambda call, _, __: call.ring is not None)),
    ("sorted-after-paging", "What is on a page is sorted, not the whole list.", answering(_KEYS, _sorted_in_page)),
    ("filtered-after-paging", "The page is taken before the filter is applied.", _cut_first(_KEYS, "filter")),
    ("kind-filtered-after-paging", "The page is taken before the kind is looked at.", _cut_first(_KEYS, "extractable")),
    ("short-default-page", "Without a limit a page holds five keys.", gives(search.page_of, _short_page, lambda _, keys, *__: len(keys) > _SHORT_PAGE)),
    ("offset-without-limit-ignored", "An offset without a limit has no effect.", instead(search.page_of, _offset_needs_limit, lambda _, __, offset, ___: offset > 0)),
    ("search-in-descriptions", "A search looks at descriptions and tags as well.", gives(search.found_by, _also_described)),
    ("search-at-start-of-alias", "A search finds an alias by its beginning only.", gives(search.found_by, _alias_begins)),
    ("search-in-case-of-alias", "A search finds an alias in its own case only.", instead(search.found_by, _cased_alias)),
    ("escape-ignored", "What follows escape is read as prefixes.", instead(search.read_search, _escape_ignored)),
    ("id-found-in-any-ring", "A search for an id finds the key in other key rings.", gives(search.matching, _id_in_any_ring, lambda call, _: call.query.get("search", "") in call.instance.keys)),
    ("unprevented-not-filtered", "preventKeyDeletion=false is taken for not given.", answering(_USES, _false_is_unset), answering(_ALL_USES, _false_is_unset)),
    ("registrations-counted-unfiltered", "totalCount counts registrations that the filter leaves out.", _counted_without(_USES, "preventKeyDeletion", "urlEncodedResourceCRNQuery")),
    ("registrations-filtered-after-paging", "The page of registrations is taken before the filter is applied.", _cut_first(_USES, "preventKeyDeletion")),
    ("registrations-of-any-ring", "The list over all keys takes no notice of the key ring when a resource is named.", _without_ring(_ALL_USES, "urlEncodedResourceCRNQuery")),
    ("resource-found-by-beginning", "A resource name without a star is found by its beginning.", gives(registrations.fits, _prefix)),
    ("text-after-star-ignored", "What follows a star in a resource name has no effect.", instead(registrations.fits, _one_star)),
    ("default-ring-on-every-page", "Every page of key rings begins with the default one.", _after("listKeyRings", _default_repeated)),
    ("default-ring-uncounted", "totalCount of key rings leaves the default one out.", _after("listKeyRings", _default_uncounted)),
    ("adapters-counted-unfiltered", "totalCount counts the adapters of other keys.", _counted_without("getKmipAdapters", "crk_id")),
    ("adapters-filtered-after-paging", "The page of adapters is taken before the root key is looked at.", _cut_first("getKmipAdapters", "crk_id")),
    ("all-adapters-where-none", "A root key without adapters is answered with those of all keys.", _after("getKmipAdapters", _all_where_none)),
    ("certificates-of-all-adapters", "An adapter's list holds the certificates of all adapters.", _after("getKmipClientCertificates", _of_all_adapters)),
    ("certificates-without-offset", "The offset of a list of certificates has no effect.", _asked_without("getKmipClientCertificates", "offset")),
    ("objects-of-first-state", "Of several states of KMIP objects the first one counts.", answering("getKmipObjects", _first_state)),
    ("objects-counted-in-page", "totalCount of KMIP objects counts those on the page.", _after("getKmipObjects", _counted_in_page)),
)  # fmt: skip

LIST_DEFECTS: Final[tuple[Defect, ...]] = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
