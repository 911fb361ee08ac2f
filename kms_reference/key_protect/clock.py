"""Time as one instance sees it, and how the service writes and reads points in time."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

DAY: Final = 86_400.0
# Offsets beyond this would leave the range of calendar dates; a run needs at most a few hundred days.
MAX_OFFSET: Final = 100 * 366 * DAY

_LAST: Final = 253_402_300_799.0
"""9999-12-31T23:59:59Z: what has no four-digit year cannot be written back."""
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def real_now() -> float:
    """Seconds since 1970 by the machine's clock. Token expiry is always judged by this one."""
    return time.time()


def stamp(moment: float) -> str:
    """RFC 3339 in UTC with whole seconds, as every documented example has it."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def go_stamp(moment: float) -> str:
    """Go's default text of a time, as the key-expired message has it."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def parse_stamp(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, None when it is not one."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        return None
    return moment if moment <= _LAST else None
