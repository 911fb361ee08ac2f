"""The time by a clock that nobody sets: what a run measures must not depend on whoever corrects this machine's clock meanwhile."""

from __future__ import annotations

import time

# Of those that cannot be set, the one that goes on while a machine sleeps, where there is one.
_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BASE = time.time() - time.clock_gettime(_COUNTER)


def now() -> float:
    """Return seconds since the epoch: this machine's time when the process began, and what has passed since."""
    return _BASE + time.clock_gettime(_COUNTER)
