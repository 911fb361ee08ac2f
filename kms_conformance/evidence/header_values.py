"""Values of headers as a server writes them: it may write anything in the place of a date or a number."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

_MOST_DIGITS = 18


@lru_cache(maxsize=1024)
def http_date(text: str) -> float | None:
    """Return a date of HTTP (RFC 9110, section 5.6.7) in seconds since the epoch, ``None`` where it is none.

    Without an offset it is in UTC. Answers of one second share their date, so it is kept.
    """
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def whole_number(text: str) -> int | None:
    """Return a number that is written in digits (RFC 9110, section 5.6.1), ``None`` where it is none, or no header counts so far."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
