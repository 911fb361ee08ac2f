"""Dates in the bodies of answers: a server may write anything in the place of one."""

from __future__ import annotations

from datetime import datetime

_FIRST_YEAR, _LAST_YEAR = 1970, 8999


def moment_of(value: object) -> datetime | None:
    """Return a date of RFC 3339 with its offset, ``None`` where it is none.

    Nor is one that a calendar cannot go on from: sums with it would have no result.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
