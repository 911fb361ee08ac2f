"""Tests on a draft that say when a fault of :mod:`fuzz` shows; they can be combined."""
# ruff: noqa: PLR2004 - the numbers are what each test is about

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kms_reference.rules import Draft

    When = Callable[[Draft], bool]

_EXACT: Final = 2**53
_CROSSING: Final = 0.0004


def body(draft: Draft) -> Any:
    """Return the document that a request brought."""
    try:
        return json.loads(draft.call.raw) if draft.call is not None and draft.call.raw else None
    except (ValueError, RecursionError):
        return None


def values(value: Any, depth: int = 0) -> Iterator[tuple[Any, int]]:
    """Yield every value in a document, and how deep it lies."""
    yield value, depth
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for entry in entries:
        yield from values(entry, depth + 1)


def some(test: Callable[[Any], bool]) -> When:
    """Tell whether any value of the body passes a test."""
    return lambda draft: any(test(value) for value, _ in values(body(draft)))


def text(test: Callable[[str], bool]) -> When:
    """Tell whether any text of the body passes a test."""
    return some(lambda value: isinstance(value, str) and test(value))


def member(test: Callable[[str, Any], bool]) -> When:
    """Tell whether any member of the body passes a test of name and value."""
    return some(
        lambda value: isinstance(value, dict) and any(test(name, entry) for name, entry in value.items())
    )


def deep(least: int) -> When:
    """Tell whether the body is at least so deep."""
    return lambda draft: any(depth >= least for _, depth in values(body(draft)))


def query(test: Callable[[str, str], bool]) -> When:
    """Tell whether any part of the query passes a test of name and value."""
    return lambda draft: draft.call is not None and any(test(*pair) for pair in draft.call.query.items())


def header(name: str, test: Callable[[str], bool]) -> When:
    """Tell whether a header passes a test."""
    return lambda draft: draft.call is not None and test(draft.call.headers.get(name, ""))


def path(test: Callable[[str], bool]) -> When:
    """Tell whether the path passes a test."""
    return lambda draft: draft.call is not None and any(test(value) for value in draft.call.args.values())


def done(*operations: str) -> When:
    """Tell whether one of these operations has succeeded."""
    return lambda draft: draft.operation in operations and not draft.refused


def refused(draft: Draft) -> bool:
    """Tell whether the reply is a refusal."""
    return draft.refused


def both(first: When, second: When) -> When:
    """Tell whether both tests pass."""
    return lambda draft: first(draft) and second(draft)


def nth(number: int, *operations: str) -> When:
    """Return a test that holds from the n-th success of an operation on the same key on."""
    seen: Counter[tuple[str, str]] = Counter()

    def test(draft: Draft) -> bool:
        if draft.call is None or draft.refused or (operations and draft.operation not in operations):
            return False
        place = (draft.call.instance.id, draft.call.args.get("id", ""))
        seen[place] += 1
        return seen[place] >= number

    return test


def crossing() -> When:
    """Return a test that holds when a request comes right after another one was answered."""
    last = [0.0]

    def test(draft: Draft) -> bool:
        now = time.perf_counter()
        close = draft.call is not None and now - last[0] < _CROSSING
        last[0] = now
        return close

    return test


def astral(text: str) -> bool:
    """Tell whether a text has a letter beyond the basic plane."""
    return any(ord(letter) > 0xFFFF for letter in text)


def big(value: Any) -> bool:
    """Tell whether a value is a whole number that no double holds exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT
