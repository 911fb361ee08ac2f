"""What a page of a list has to hold, where that follows from other answers: pasted into each script, standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

SLICE, REST, NONE = "slice", "rest", "none"
"""A page holds entries of the whole list from a place on; entries that no page before it has shown; or none of those."""


def of_page(
    value: Any, wanted: Sequence[Any], about: dict[str, Any], lists: Sequence[Any]
) -> list[Any] | None:
    """Return what a page has to hold, as ``selects`` takes it; ``None`` where that is not known.

    ``wanted`` is that of the record in the values of this run, ``value`` the entries of the page, and ``lists`` those of the answers
    that it follows from: for a slice the whole list, else the pages before this one.
    """
    of, are, ordered = wanted
    shown = [
        one
        for one in chain.from_iterable(one for one in lists if isinstance(one, list))
        if isinstance(one, str)
    ]
    if about["kind"] == SLICE:
        start = about["start"]
        # Entries of others would take places.
        return [of, shown[start : start + len(are)], ordered] if set(shown) <= set(of) else None
    if about["kind"] == NONE:
        return [shown, [], False]
    rest = [one for one in of if one not in shown]
    here = value if isinstance(value, list) else []
    return [of, rest if about["last"] else [one for one in rest if one in here], False]
