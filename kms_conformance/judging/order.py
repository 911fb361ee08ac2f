"""Statements about lists: which entries a list selects, and in what order they stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

DESCENDING, GROUPED = "descending", "grouped"


def selects(values: object, wanted: Sequence[Any]) -> bool:
    """Tell whether a list holds, of the values ``of``, exactly ``are``, each as often as there; others do not count.

    ``wanted`` is ``[of, are, ordered]``: with ``ordered`` they also stand in this order. A list that is not there is empty.
    """
    of, are, ordered = wanted
    if not isinstance(values, list):
        return not are and not isinstance(values, dict | str)
    ours = set(of)
    selected = [value for value in values if isinstance(value, str) and value in ours]
    return selected == list(are) if ordered else Counter(selected) == Counter(are)


def chosen(values: object, wanted: Sequence[Any]) -> str:
    """Return in words what a list holds of the values that count."""
    if not isinstance(values, list):
        return "no list" if values is None else f"{values!r}"
    selected = [value for value in values if isinstance(value, str) and value in set(wanted[0])]
    return ", ".join(selected) or "none of them"


def is_empty(value: object) -> bool:
    """Tell whether a member says nothing, as if it were not there: null, false, no text, no entries, no members."""
    return value is None or value in ([], {}, False, "")


def is_sorted(entries: object, by: Sequence[Sequence[Any]]) -> bool:
    """Tell whether a list of objects stands in an order; ``by`` is a list of ``[member, order]``, the first the weightiest.

    An order is ``ascending``, ``descending``, ``grouped`` (equal values stand together) or the values in their order.
    Texts that are dates are compared as dates. Where an entry without the member stands, no source says: it is passed over.
    """
    if not isinstance(entries, list):
        return True
    names = [name for name, _ in by]
    full = [
        entry for entry in entries if isinstance(entry, dict) and all(_there(entry, name) for name in names)
    ]
    if [order for _, order in by] == [GROUPED]:
        runs = [
            value
            for at, value in enumerate(_column(full, names[0]))
            if at == 0 or value != _column(full, names[0])[at - 1]
        ]
        return len(runs) == len(set(runs))
    return all(_in_order(one, next_one, by) for one, next_one in pairwise(full))


def _there(entry: dict[str, Any], name: str) -> bool:
    return entry.get(name) is not None


def _column(entries: list[dict[str, Any]], name: str) -> list[Any]:
    return [entry[name] for entry in entries]


def _in_order(one: dict[str, Any], following: dict[str, Any], by: Sequence[Sequence[Any]]) -> bool:
    for name, order in by:
        first, second = comparable(one[name]), comparable(following[name])
        if isinstance(order, list):
            if not {first, second} <= set(order):
                return False
            first, second = order.index(first), order.index(second)
        if first == second:
            continue
        try:
            return bool(first > second) if order == DESCENDING else bool(first < second)
        except TypeError:
            return False
    return True


def comparable(value: Any) -> Any:
    """Return a date as a moment, and any other value as it is."""
    if isinstance(value, str) and "T" in value and ":" in value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment if moment.tzinfo else value
    return value


def is_between(value: object, bounds: Sequence[str | None]) -> bool:
    """Tell whether a text is a date between two others, given with their offsets; ``None`` is no bound."""
    moment = comparable(value)
    if not isinstance(moment, datetime):
        return False
    first, last = (None if bound is None else datetime.fromisoformat(bound) for bound in bounds)
    return (first is None or moment >= first) and (last is None or moment <= last)
