"""Lists of keys: paging, states, filters, search and order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import parse_stamp, stamp
from kms_reference.key_protect.errors import RefusalError, bad_query
from kms_reference.key_protect.key_view import full
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call, Reply, collection
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key

MAX_PAGE: Final = 5_000
PAGE: Final = 200
SORTS: Final = (
    "id",
    "state",
    "extractable",
    "imported",
    "creationDate",
    "lastUpdateDate",
    "lastRotateDate",
    "deletionDate",
    "expirationDate",
)
_STATES: Final = frozenset({"0", "1", "2", "3", "5"})
_TERM: Final = re.compile(r"(\w+)=(?:(lte|lt|gte|gt):)?(\"[^\"]*\"|[^\s\"]+)(?:\s+|$)", re.ASCII)
_MAX_TERMS: Final = 3
_VALID_FILTER: Final = (
    'a valid filter query with a valid operator for a property specified after an "=" symbol'
)
COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "": lambda a, b: a == b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
DATES: Final[dict[str, Callable[[Key], float | None]]] = {
    "creationDate": lambda key: key.created,
    "deletionDate": lambda key: key.deleted,
    "expirationDate": lambda key: key.expires,
    "lastRotateDate": lambda key: key.rotated,
    "lastUpdateDate": lambda key: key.updated,
}

Test = Callable[["Key"], bool]


@rule
def head_keys(call: Call) -> Reply:
    """HEAD /keys: how many keys match."""
    return Reply(200, None, {"Key-Total": str(len(matching(call, _tests(call))))})


def list_keys(call: Call) -> Reply:
    """GET /keys. Never shows a payload."""
    offset, limit = page(call, MAX_PAGE, PAGE)
    tests = _tests(call)
    metadata: dict[str, Any] = {}
    keys = matching(call, tests)
    first: list[Key] = []
    if call.query.get("search"):
        search = read_search(call, call.query["search"])
        metadata["searchQuery"] = search.view()
        first = [key for key in keys if search.names(key)]
        if len(keys) <= MAX_PAGE:
            keys = [key for key in keys if found_by(call, search, key) and key not in first]
        elif first:
            keys, metadata["incompleteSearch"] = [], True
        else:
            raise RefusalError("KEY_SEARCH_TOO_BROAD")
    keys = first + in_order(call, keys, _order(call))
    shown = shown_in_list(call, page_of(call, keys, offset, limit))
    return Reply(200, collection("key+json", shown, **metadata))


@rule
def in_order(_: Call, keys: list[Key], order: list[tuple[str, bool]]) -> list[Key]:
    """Return the keys in an order of members, each with whether it descends."""
    sorted_keys = list(keys)
    for name, descending in reversed(order):
        # Keys without the member come last in ascending order.
        sorted_keys.sort(key=lambda key: sort_value(key, name), reverse=descending)
    return sorted_keys


@rule
def page_of(_: Call, keys: list[Key], offset: int, limit: int) -> list[Key]:
    """Return one page of the list."""
    return keys[offset : offset + limit]


@rule
def shown_in_list(call: Call, keys: list[Key]) -> list[dict[str, Any]]:
    """Return the keys as a list shows them: without payload."""
    return [full(call, key) for key in keys]


def list_versions(call: Call) -> Reply:
    """GET /keys/{id}/versions, newest first."""
    key = call.key()
    offset, limit = page(call, MAX_PAGE, PAGE)
    any_state = call.flag("allKeyStates")
    counted = call.flag("totalCount")
    if not any_state:
        check_listed(call, key)
    versions = version_views(call, key)
    metadata = {"totalCount": len(versions)} if counted else {}
    return Reply(200, collection("key.version+json", versions[offset : offset + limit], **metadata))


@rule
def check_listed(call: Call, key: Key) -> None:
    """Versions of an active key are listed without being asked for. Raises KEY_ACTION_INVALID_STATE_ERR."""
    if key.state == State.DESTROYED and call.rules.varies("destroyed-key-is-gone"):
        raise RefusalError("KEY_DELETED_ERR")
    if key.state != State.ACTIVE:
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")


@rule
def version_views(_: Call, key: Key) -> list[dict[str, Any]]:
    """Return the versions as lists show them, newest first."""
    return [{"id": v.id, "creationDate": stamp(v.created)} for v in reversed(key.versions)]


@rule
def page(call: Call, most: int, default: int) -> tuple[int, int]:
    """Offset and limit of a list. Raises INVALID_QUERY_PARAM_ERR."""
    limit = call.number("limit", 1, most, default)
    return call.number("offset", 0, None, 0), limit


@rule
def paged(call: Call, kind: str, views: list[dict[str, Any]], most: int, default: int) -> Reply:
    """One page of a list, with `totalCount` when asked."""
    offset, limit = page(call, most, default)
    metadata = {"totalCount": len(views)} if call.flag("totalCount") else {}
    return Reply(200, collection(kind, views[offset : offset + limit], **metadata))


@rule
def matching(call: Call, tests: list[Test]) -> list[Key]:
    """Return the keys of the list's ring that pass every test."""
    keys = call.instance.keys.values()
    ring = ring_of_list(call)
    return [key for key in keys if (ring is None or key.ring == ring) and all(test(key) for test in tests)]


@rule
def ring_of_list(call: Call) -> str | None:
    """Return the key ring whose keys are listed: the one that the header names, None for all."""
    return call.ring


@rule
def tests_by_default(_: Call) -> list[Test]:
    """Return what a key passes where no state is asked for: it is not destroyed."""
    return [lambda key: key.state != State.DESTROYED]


def _tests(call: Call) -> list[Test]:
    tests: list[Test] = []
    terms = _terms(call)
    for name in ("state", "extractable"):
        # The vendor's client sends `state=` with every list: empty means not given.
        if call.query.get(name) and any(term[0] == name for term in terms):
            raise bad_query(name, "given once: in the filter or on its own")
    states = call.query.get("state")
    if states:
        wanted = states.split(",")
        if not set(wanted) <= _STATES:
            raise bad_query("state", "a comma separated list of key states 0, 1, 2, 3, 5")
        numbers = {int(state) for state in wanted}
        tests.append(lambda key: key.state in numbers)
    elif not any(term[0] == "state" for term in terms):
        tests += tests_by_default(call)
    if call.query.get("extractable"):
        extractable = call.flag("extractable")
        tests.append(lambda key: key.extractable == extractable)
    return tests + [filter_test(call, *term) for term in terms]


@rule
def terms_held(_: Call, terms: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return the terms of a filter that a key has to fulfil: all of them."""
    return terms


def _terms(call: Call) -> list[tuple[str, str, str]]:
    text = call.query.get("filter", "").strip()
    terms: list[tuple[str, str, str]] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise bad_query("filter", _VALID_FILTER)
        terms.append((match[1], match[2] or "", match[3].strip('"')))
        at = match.end()
    for name, _, _ in terms:
        if sum(term[0] == name for term in terms) > _MAX_TERMS:
            raise bad_query("filter", _VALID_FILTER)
    return terms_held(call, terms)


@rule
def filter_test(_: Call, name: str, operator: str, value: str) -> Test:
    """Return what a key has to pass for one term. Raises INVALID_QUERY_PARAM_ERR."""
    refusal = bad_query("filter", _VALID_FILTER)
    if name in DATES:
        read = DATES[name]
        if value.lower() == "none" and not operator:
            return lambda key: read(key) is None
        moment = parse_stamp(value)
        if moment is None:
            raise refusal
        compare = COMPARE[operator]
        # Replies show whole seconds, so whole seconds are compared, unless the filter asks for more.
        exactly: Callable[[float], float] = float if "." in value else int
        return lambda key: (held := read(key)) is not None and compare(exactly(held), exactly(moment))
    if operator:
        raise refusal
    if name == "extractable" and value.lower() in ("true", "false"):
        return lambda key: key.extractable == (value.lower() == "true")
    if name == "state" and set(value.split(",")) <= _STATES:
        numbers = {int(state) for state in value.split(",")}
        return lambda key: key.state in numbers
    raise refusal


def _order(call: Call) -> list[tuple[str, bool]]:
    text = call.query.get("sort") or "id"
    order = [(name.removeprefix("-"), name.startswith("-")) for name in text.split(",")]
    check_order(call, order)
    return order


@rule
def check_order(_: Call, order: list[tuple[str, bool]]) -> None:
    """Lists are sorted by known properties. Raises INVALID_QUERY_PARAM_ERR."""
    if any(name not in SORTS for name, _ in order):
        raise bad_query("sort", f"a valid string from one of this [{','.join(SORTS)}]")


def sort_value(key: Key, name: str) -> tuple[bool, float | str]:
    """Return what a key is sorted by: whether it lacks the member, and the member."""
    if name in DATES:
        moment = DATES[name](key)
        return (moment is None, moment or 0.0)
    if name == "state":
        return (False, key.state)
    if name in ("extractable", "imported"):
        return (False, key.extractable if name == "extractable" else key.imported)
    return (False, key.id)


@dataclass(frozen=True, slots=True)
class Search:
    """A search taken apart: the text, where it is looked for, whether it is inverted, whether it is a whole name."""

    text: str
    scopes: tuple[str, ...]
    inverted: bool
    exact: bool

    def names(self, key: Key) -> bool:
        """Whether the search is the id or an alias of this very key, which then comes first."""
        return not self.inverted and (
            key.id == self.text or ("alias" in self.scopes and self.text in key.aliases)
        )

    def matches(self, key: Key) -> bool:
        """Whether the text is found in the key's names."""
        names = [key.name] if "name" in self.scopes else []
        names += list(key.aliases) if "alias" in self.scopes else []
        wanted = self.text.lower()
        any_match = any(wanted == n.lower() if self.exact else wanted in n.lower() for n in names)
        return any_match != self.inverted

    def view(self) -> dict[str, Any]:
        """Return the search as the reply's metadata show it."""
        view: dict[str, Any] = {"query": self.text, "scopes": list(self.scopes)}
        if self.inverted:
            view["not"] = True
        if self.exact:
            view["exact"] = True
        return view


@rule
def found_by(_: Call, search: Search, key: Key) -> bool:
    """Whether the search finds the key by its names."""
    return search.matches(key)


@rule
def read_search(call: Call, text: str) -> Search:
    """Take a search apart: its prefixes, in any order, and its text.

    The vendor's Go client ends each search with a comma, which the edition `service` leaves out.
    """
    if not call.rules.page:
        text = text.removesuffix(",")
    scopes: list[str] = []
    inverted = exact = False
    while True:
        prefix, colon, rest = text.partition(":")
        if not colon or prefix not in ("not", "exact", "escape", "alias", "name"):
            break
        text = rest
        if prefix == "escape":
            break
        if prefix == "not":
            inverted = True
        elif prefix == "exact":
            exact = True
        else:
            scopes.append(prefix)
    return Search(text, tuple(dict.fromkeys(scopes)) or ("name", "alias"), inverted, exact)
