"""When a request is sent again: the endpoint limits its rate, or a gateway in front of it answers in its place."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

from kms_conformance.evidence.exchange import OF_GATEWAY, READS
from kms_conformance.evidence.header_values import http_date

_TRIES = 5
_LONGEST = 30.0
_LONGEST_OUTAGE = 5.0
_SHORTEST = 0.25
IN_A_ROW = 3
"""So many answers of a gateway in a row count as the service's own."""


def pause(status: int, headers: Mapping[str, str], tried: int) -> float | None:
    """Return the seconds to wait before the next try, or ``None`` when the answer counts.

    ``headers`` have names in lower case; ``tried`` is how often the request was sent. ``Retry-After`` is seconds or a
    date (RFC 9110, section 10.2.3), the date by the server's own clock where the answer tells it. Without it the waits
    double, as in the vendor's clients. An answer that asks for more than 30 s counts as it is.
    """
    if status != HTTPStatus.TOO_MANY_REQUESTS or tried >= _TRIES:
        return None
    retry_after = _retry_after(headers.get("retry-after", "").strip(), headers.get("date", ""))
    if retry_after is not None and retry_after > _LONGEST:
        return None
    return min(max(2.0 ** (tried - 1) if retry_after is None else retry_after, _SHORTEST), _LONGEST)


def from_gateway(status: int, content: bytes) -> bool:
    """Tell whether an answer may be a gateway's: 502, 503 or 504 with no JSON object, in which a service tells its errors."""
    return status in OF_GATEWAY and content.lstrip()[:1] != b"{"


def gateway_pause(method: str, headers: Mapping[str, str], tried: int) -> float | None:
    """Return the seconds to wait before a request is sent again that a gateway answered; ``None``: it is not.

    Only what reads is sent again, up to twice: whether a change was done, nobody knows.
    """
    if method not in READS or tried >= IN_A_ROW:
        return None
    retry_after = _retry_after(headers.get("retry-after", "").strip(), headers.get("date", ""))
    return min(
        max(_SHORTEST * 2 ** (tried - 1) if retry_after is None else retry_after, _SHORTEST), _LONGEST_OUTAGE
    )


class Outages:
    """Counts, for each operation, how often in a row a gateway answered a request that was sent once only."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()

    def unsure(self, what: str, *, gateway: bool) -> bool:
        """Note an answer; tell whether it is a gateway's and not yet one of so many that it counts."""
        if not gateway:
            self._rows.pop(what, None)
            return False
        self._rows[what] += 1
        return self._rows[what] < IN_A_ROW


def _retry_after(after: str, date: str) -> float | None:
    if after.isascii() and after.isdigit():
        return float(after)
    until = http_date(after)
    if until is None:
        return None
    now = http_date(date)
    return until - (time.time() if now is None else now)
