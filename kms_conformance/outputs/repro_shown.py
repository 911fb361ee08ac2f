"""What the answers of a recorded sequence have shown, and where: what a request or a promise may have from there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.outputs.repro_values import MOST_AT_ONCE

_SHORTEST_ID, _DIGIT = 8, re.compile(r"\d")
Place = tuple[int, str]
"""Where a value was shown: the number of a step, and the path in its answer."""


def shown_in(exchanges: Sequence[Exchange]) -> dict[str, list[Place]]:
    """Return where each value was shown that a request may have from an answer."""
    shown: dict[str, list[Place]] = {}
    for place, exchange in enumerate(exchanges):
        for path, value in _leaves(exchange.answer.body if exchange.answer else None, ""):
            if len(value) >= _SHORTEST_ID and _DIGIT.search(value):
                shown.setdefault(value, []).append((place, path))
    return shown


def groups_of(exchanges: Sequence[Exchange], most: int = MOST_AT_ONCE) -> list[int]:
    """Return for each request the number of those that were sent before the others were answered, at most so many."""
    groups: list[int] = []
    until = -1.0
    for exchange in exchanges:
        together = exchange.started < until and groups.count(groups[-1]) < most
        groups.append(groups[-1] if together else len(groups))
        end = exchange.started + exchange.duration
        until = max(until, end) if together else end
    return groups


def telling(entries: list[Any]) -> str:
    """Return the member whose values are texts and tell the entries of a list apart, ``""`` where there is none."""
    if len(entries) < 2 or not all(isinstance(entry, dict) for entry in entries):  # noqa: PLR2004 - one needs no name
        return ""
    names = ["id", *(str(name) for name in entries[0] if "." not in name)]
    for name in names:
        values = [entry.get(name) for entry in entries]
        if all(isinstance(value, str) for value in values) and len(set(values)) == len(values):
            return name
    return ""


def _leaves(body: JSON, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and value of each text in a document."""
    entries: Iterable[tuple[Any, JSON]] = ()
    if isinstance(body, dict):
        entries = body.items()
    elif isinstance(body, list):
        entries = enumerate(body)
    elif isinstance(body, str):
        yield path, body
    for name, value in entries:
        if "." not in str(name):
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
