"""Lists of keys and their number: filter, search, sort, pages, rings (1.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kms_conformance.adapters.key_protect.model import shown
from kms_conformance.adapters.key_protect.model.attempt import UUID, Attempt, Outcome
from kms_conformance.adapters.key_protect.model.facts import Between, Optional, Rule, seconds_of
from kms_conformance.adapters.key_protect.model.paging import listing, page_of
from kms_conformance.adapters.key_protect.model.prediction import BAD_REQUEST, QUERY, Refusal, Rules, Success
from kms_conformance.adapters.key_protect.model.state import DESTROYED, KEPT, Key

_STATES = frozenset({"0", "1", "2", "3", "5"})
_SORTS = frozenset(
    {
        "id", "state", "extractable", "imported", "creationDate", "lastUpdateDate", "lastRotateDate", "deletionDate",
        "expirationDate",
    }
)  # fmt: skip
_DATES = frozenset({"creationDate", "deletionDate", "expirationDate", "lastRotateDate", "lastUpdateDate"})
_PREFIXES = ("not:", "exact:", "escape:", "alias:", "name:")
_OPERATORS = ("lte:", "gte:", "lt:", "gt:")
_MOST_TERMS = 3

Verdict = bool | None
"""Whether a key fits; nothing where that is open."""
Test = Callable[[Attempt, Key], Verdict]


@dataclass(frozen=True, slots=True)
class _ListResult:
    required: Mapping[str, Mapping[str, Rule]]
    possible: Mapping[str, Mapping[str, Rule]]


def get(attempt: Attempt) -> Outcome:
    """GET /keys: without a state, destroyed keys are left out; ordered by id."""
    rules = Rules()
    page = page_of(attempt, rules)
    tests = _tests(attempt, rules)
    search = attempt.operation.query.get("search")
    if search:
        tests.append(_search(rules, search))
    sort = attempt.operation.query.get("sort")
    if sort is not None and not all(part.removeprefix("-") in _SORTS for part in sort.split(",")):
        rules.broken(QUERY)
    result = _find(attempt, tests)
    order = _ordered(attempt, sort or "id", list(result.required))
    return attempt.answer(
        rules, Success(frozenset({200}), listing(page, "id", result.required, result.possible, order))
    )


def head(attempt: Attempt) -> Outcome:
    """HEAD /keys: how many there are; the answer has no body."""
    rules = Rules()
    result = _find(attempt, _tests(attempt, rules))
    least = len(result.required)
    total = Between(least, least + len(result.possible))
    # A HEAD has no body, so no reason code either.
    rules.must = {Refusal(one.status) for one in rules.must}
    rules.may = {Refusal(one.status) for one in rules.may}
    return attempt.answer(rules, Success(frozenset({200}), headers={"key-total": total}))


def _find(attempt: Attempt, tests: list[Test]) -> _ListResult:
    required: dict[str, Mapping[str, Rule]] = {}
    possible: dict[str, Mapping[str, Rule]] = {}
    for key in attempt.state.keys:
        verdicts = [test(attempt, key) for test in (_in_ring, _there, *tests)]
        if False in verdicts:
            continue
        members = shown.members(attempt, key)
        # Entries of lists do not always show whether a key is deleted (two products' own pages).
        members["deleted"] = Optional(members["deleted"])
        (possible if None in verdicts else required)[key.id] = members
    return _ListResult(required, possible)


def _in_ring(attempt: Attempt, key: Key) -> Verdict:
    ring = attempt.operation.ring
    if ring is None:
        return True
    if key.moved is not None and attempt.now < key.moved[1] + attempt.timing.ring:
        return None if ring in {key.ring, key.moved[0]} else False
    return ring == key.ring


def _there(attempt: Attempt, key: Key) -> Verdict:
    late = (
        key.state == DESTROYED
        and key.deleted is not None
        and attempt.now > key.deleted + KEPT - attempt.timing.slack
    )
    return None if late else True


def _tests(attempt: Attempt, rules: Rules) -> list[Test]:
    query = attempt.operation.query
    tests: list[Test] = []
    terms = _terms(rules, query.get("filter"))
    named = {name for name, _, _ in terms}
    if "state" in query:
        tests.append(_state_test(rules, query["state"]))
    elif "state" not in named:
        tests.append(_not_destroyed)
    if "extractable" in query:
        tests.append(_extractable_test(rules, query["extractable"]))
    if (named & {"state", "extractable"}) & set(query):
        rules.broken(BAD_REQUEST)
    for name, operator, value in terms:
        if name == "state":
            tests.append(_state_test(rules, value))
        elif name == "extractable":
            tests.append(_extractable_test(rules, value))
        else:
            tests.append(_date_test(rules, name, operator, value))
    return tests


def _not_destroyed(_: Attempt, key: Key) -> Verdict:
    return key.state != DESTROYED


def _state_test(rules: Rules, text: str) -> Test:
    wanted = text.split(",")
    if not all(part in _STATES for part in wanted):
        rules.broken(QUERY)

    def test(attempt: Attempt, key: Key) -> Verdict:
        states = {str(state) for state in attempt.states(key)}
        return None if states & set(wanted) and not states <= set(wanted) else bool(states & set(wanted))

    return test


def _extractable_test(rules: Rules, text: str) -> Test:
    if text not in {"true", "false"}:
        rules.broken(QUERY)
    return lambda _, key: key.standard == (text == "true")


def _terms(rules: Rules, text: str | None) -> list[tuple[str, str, str]]:
    """Return the terms of a filter as property, operator and value."""
    terms: list[tuple[str, str, str]] = []
    for term in (text or "").split():
        name, equals, value = term.partition("=")
        operator = next((one for one in _OPERATORS if value.startswith(one)), "")
        if not equals or name not in _DATES | {"state", "extractable"} or not value:
            rules.broken(QUERY)
            continue
        terms.append((name, operator, value.removeprefix(operator).strip('"')))
    names = [name for name, _, _ in terms]
    if any(names.count(name) > _MOST_TERMS for name in names):
        rules.perhaps("more than three terms for one property", QUERY)
    return terms


def _date_test(rules: Rules, name: str, operator: str, value: str) -> Test:
    bound = seconds_of(value)
    if value != "none" and bound is None:
        rules.broken(QUERY)
    if value == "none" and operator:
        rules.broken(QUERY)

    def test(attempt: Attempt, key: Key) -> Verdict:
        at = _date(attempt, key, name)
        if value == "none":
            return at is None if not isinstance(at, _UnknownDate) else None
        if isinstance(at, _UnknownDate) or bound is None:
            return None
        if at is None:
            return False if not operator else None
        if abs(at - bound) <= attempt.timing.slack + 1:
            return None
        return {"": False, "lt:": at < bound, "lte:": at < bound, "gt:": at > bound, "gte:": at > bound}[
            operator
        ]

    return test


@dataclass(frozen=True, slots=True)
class _UnknownDate:
    """A date that is not known."""


def _date(attempt: Attempt, key: Key, name: str) -> float | _UnknownDate | None:
    if name == "creationDate":
        return key.created
    if name == "expirationDate":
        return key.expires
    if name == "deletionDate":
        # A restored key may still show it.
        return key.deleted if key.state == DESTROYED else _UnknownDate()
    if name == "lastRotateDate" and not key.may_have_rotated(attempt.now):
        return key.newest.at if len(key.versions) > 1 else None
    return _UnknownDate()


@dataclass(frozen=True, slots=True)
class _Search:
    """What a search looks for and how: prefixes turn it round, make it exact, or name where to look (1.5.3)."""

    text: str
    inverted: bool
    exact: bool
    scopes: frozenset[str]


def _parsed(text: str) -> _Search:
    prefixes: set[str] = set()
    while prefix := next((one for one in _PREFIXES if text.startswith(one)), ""):
        text = text.removeprefix(prefix)
        prefixes.add(prefix)
        if prefix == "escape:":
            break
    scopes = frozenset(one.removesuffix(":") for one in prefixes & {"alias:", "name:"})
    return _Search(text, "not:" in prefixes, "exact:" in prefixes, scopes or frozenset({"alias", "name"}))


def _search(rules: Rules, text: str) -> Test:
    asked = _parsed(text)
    if not asked.text or (asked.inverted and asked.exact):
        rules.perhaps("an empty search, or E59", QUERY)
        return lambda _ask, _key: None
    # The vendor's Go client appends a comma; what the service makes of it is unknown.
    unclear = asked.text.endswith(",") or bool(UUID.fullmatch(asked.text))

    def test(attempt: Attempt, key: Key) -> Verdict:
        hidden = key.state == DESTROYED or any(one[1] == key.id for one in attempt.state.removed)
        if unclear or ("alias" in asked.scopes and hidden):
            return None
        texts = ({key.name} if "name" in asked.scopes else set()) | (
            key.aliases if "alias" in asked.scopes else set()
        )
        low = asked.text.lower()
        if not asked.exact:
            return any(low in one.lower() for one in texts) != asked.inverted
        # Whether the whole string is compared in exact case is not stated.
        return True if asked.text in texts else (None if low in {one.lower() for one in texts} else False)

    return test


def _ordered(attempt: Attempt, sort: str, ids: list[str]) -> list[str] | None:
    """Return the ids in their order, nothing where it is not fixed: by dates that may be equal, or by other members."""
    if sort in {"id", "-id"}:
        return sorted(ids, reverse=sort == "-id")
    if sort not in {"creationDate", "-creationDate"}:
        return None
    dates = {key.id: key.created for key in attempt.state.keys if key.id in ids}
    if any(
        abs(one - other) <= 1 + attempt.timing.slack
        for one in dates.values()
        for other in dates.values()
        if one != other
    ):
        return None
    if len(set(dates.values())) < len(dates):
        return None
    return sorted(ids, key=lambda one: dates[one], reverse=sort == "-creationDate")
