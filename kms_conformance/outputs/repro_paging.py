"""How a statement about a page of a list follows from the answers before it: see :mod:`.repro_pages`, which a script brings along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.header_values import whole_number
from kms_conformance.evidence.members import pick
from kms_conformance.judging.expectation import Expectation, Member
from kms_conformance.judging.results import CaseResult
from kms_conformance.outputs.repro_pages import NONE, REST, SLICE

_ONLY_READ = frozenset({"GET", "HEAD"})


def page_of(exchanges: Sequence[Exchange], place: int, member: Member) -> dict[str, Any]:
    """Return how the entries that a statement names follow from earlier answers, nothing where they do not."""
    parts = member.path.split(".")
    # Only what is collected from all entries of a list stands on its pages; what a number names is of one entry.
    if member.check != "selects" or "*" not in parts or any(part.isdigit() for part in parts):
        return {}
    of, are, ordered = member.value
    if ordered and are:
        return _slice(exchanges, place, member.path, of, are)
    url = exchanges[place].sent.url
    pages = [
        (number, shown)
        for number, earlier in enumerate(exchanges[:place])
        if is_page_of_same_list(earlier.sent.url, url)
        and (shown := _entries(earlier, member.path)) is not None
    ]
    if not pages:
        return {}
    known = set(chain.from_iterable(shown for _, shown in pages))
    about = {"from": [[number, member.path.split(".")] for number, _ in pages]}
    if not are and set(of) <= known:
        return {**about, "kind": NONE}
    return {**about, "kind": REST, "last": set(are) == set(of) - known}


def with_count_first(
    exchanges: Sequence[Exchange], place: int, stated: Sequence[Expectation]
) -> list[Exchange]:
    """Return the exchanges with what tells how long a list is before the list itself, where the list was asked for first.

    A statement that both agree is broken at the list, and is judged there. Requests that only read, or look at the same moment of
    a sequence, may come in any order.
    """
    look = exchanges[place].step.partition(" ")[2]
    members = [member for one in stated if one.exchange == exchanges[place].id for member in one.members]
    for later in exchanges[place + 1 :]:
        if later.sent.method not in _ONLY_READ and (not look or later.step.partition(" ")[2] != look):
            break
        if any(_counts(later, exchanges[place], member) for member in members):
            others = [one for one in exchanges if one is not later]
            return [*others[:place], later, *others[place:]]
    return list(exchanges)


def counted_by(exchanges: Sequence[Exchange], place: int, member: Member) -> list[Any]:
    """Return which earlier answer without a body has told in a header how long a list is, and the header; nothing where none has."""
    for number in reversed(range(place)):
        header = _counts(exchanges[number], exchanges[place], member)
        if header:
            return [number, header]
    return []


def _counts(head: Exchange, whole: Exchange, member: Member) -> str:
    """Return the header by which an answer without a body tells the length of a list that a statement is about, ``""`` where none does."""
    is_of_list = head.sent.method == "HEAD" and _without_numbers(head.sent.url) == _without_numbers(
        whole.sent.url
    )
    if member.check != "length" or not is_of_list:
        return ""
    headers = head.answer.headers if head.answer is not None else {}
    told = (name for name, value in headers.items() if whole_number(value) == member.value)
    return next((name for name in told if name != "content-length"), "")


def of_earlier_pages(
    case: CaseResult, exchanges: Sequence[Exchange], broken: Mapping[str, list[Expectation]]
) -> dict[str, list[Expectation]]:
    """Return what the case has stated of earlier pages of a list, of the members whose statement about a later one is broken.

    On which page an entry stands chance may decide, where a list is in the order of ids.
    """
    last = exchanges[-1] if exchanges else None
    stated = {(one.requirement, _totals(one)) for one in broken[last.id]} if last is not None else set()
    pages = [one.id for one in exchanges[:-1] if last and is_page_of_same_list(one.sent.url, last.sent.url)]
    return {
        page: own
        for page in pages
        if (own := [one for one in case.expectations if one.exchange == page
                    and _totals(one) and (one.requirement, _totals(one)) in stated])
    }  # fmt: skip


def _totals(expectation: Expectation) -> tuple[str, ...]:
    """Return the members of which it says a number, nothing where it says more."""
    are_numbers = all(one.check == "equals" and type(one.value) is int for one in expectation.members)
    return tuple(one.path for one in expectation.members) if are_numbers else ()


def _slice(
    exchanges: Sequence[Exchange], place: int, path: str, of: list[str], are: list[str]
) -> dict[str, Any]:
    """Return of which whole list a page is a part, and from which place on."""
    address = _without_numbers(exchanges[place].sent.url)
    for number, earlier in enumerate(exchanges[:place]):
        shown = _entries(earlier, path)
        if (
            shown
            and earlier.sent.url != exchanges[place].sent.url
            and _without_numbers(earlier.sent.url) == address
        ):
            starts = [at for at in range(len(shown)) if shown[at : at + len(are)] == are]
            if starts and set(shown) <= set(of):
                return {"kind": SLICE, "start": starts[0], "from": [[number, path.split(".")]]}
    return {}


def _entries(exchange: Exchange, path: str) -> list[Any] | None:
    shown = pick(exchange.answer.body, path) if exchange.answer is not None else None
    return shown if isinstance(shown, list) else None


def _without_numbers(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return an address without the parameters that are numbers."""
    path, _, query = url.partition("?")
    return path, tuple(sorted((name, value) for name, value in parse_qsl(query) if not value.isdigit()))


def is_page(url: str) -> bool:
    """Tell whether an address asks for a part of a list by numbers: what stands there chance decides, where a list is in the order of ids."""
    return any(value.isdigit() for _, value in parse_qsl(url.partition("?")[2]))


def is_page_of_same_list(one: str, other: str) -> bool:
    """Tell whether two addresses are different ones, and in numbers alone: where a page begins, and how long it is."""
    (path, _, query), (other_path, _, other_query) = one.partition("?"), other.partition("?")
    ours, theirs = dict(parse_qsl(query)), dict(parse_qsl(other_query))
    return (
        one != other
        and path == other_path
        and ours.keys() == theirs.keys()
        and any(value.isdigit() for value in ours.values())
        and all(value == theirs[name] or (value + theirs[name]).isdigit() for name, value in ours.items())
    )
