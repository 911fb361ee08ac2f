"""Rate limits of the endpoint: how long to wait before a request that was refused with 429 is sent again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

_TRIES = 5
_LONGEST = 30.0
_SHORTEST = 0.25


def pause(status: int, headers: Mapping[str, str], tried: int) -> float | None:
    """Return the seconds to wait before the next try, or ``None`` when the answer counts.

    ``headers`` have names in lower case; ``tried`` is how often the request was sent. ``Retry-After`` is seconds or a
    date (RFC 9110, section 10.2.3), the date by the server's own clock where the answer tells it. Without it the waits
    double, as the known clients' do. Nobody knocks sooner than told: an answer that asks for a longer wait counts.
    """
    if status != HTTPStatus.TOO_MANY_REQUESTS or tried >= _TRIES:
        return None
    told = _told(headers.get("retry-after", "").strip(), headers.get("date", ""))
    if told is not None and told > _LONGEST:
        return None
    return min(max(2.0 ** (tried - 1) if told is None else told, _SHORTEST), _LONGEST)


def _told(after: str, date: str) -> float | None:
    if after.isascii() and after.isdigit():
        return float(after)
    until = _seconds(after)
    if until is None:
        return None
    now = _seconds(date)
    return until - (time.time() if now is None else now)


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
