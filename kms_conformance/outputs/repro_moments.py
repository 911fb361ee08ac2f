"""What a model has to know of the requests of a recorded history to judge them again: all of them, and the clock of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kms_conformance.evidence.exchange import Exchange

_WAIT = "wait"


def whole_history(exchanges: Sequence[Exchange], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a history as said of all requests of the sequence, by their numbers.

    The record names as few as show what is wrong. Another endpoint may answer the others so that they matter: what the last
    answer shows then comes from a request that the record can do without. The seconds are those by which the clock was
    ahead before any wait moved it.
    """
    ahead = {str(name): float(seconds) for name, seconds, _ in value["requests"]}
    moved = _moved(exchanges)
    base = next(
        (ahead[one.id] - seconds for one, seconds in zip(exchanges, moved, strict=True) if one.id in ahead),
        0.0,
    )
    return {**value, "requests": [[place, round(base, 3), True] for place in range(len(exchanges))]}


def _moved(exchanges: Sequence[Exchange]) -> list[float]:
    """Return for each request by how many seconds the clock had been moved; a wait that took its time has moved nothing."""
    moved, all_moved, before = 0.0, list[float](), None
    for exchange in exchanges:
        notes = json.loads(exchange.notes.get("before", "[]"))
        waited = sum(float(how[0]) for what, *how in notes if what == _WAIT)
        if before is None or exchange.started - before < waited:
            moved += waited
        before = exchange.started
        all_moved.append(moved)
    return all_moved
