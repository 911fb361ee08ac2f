"""When requests are sent that belong to the same moment, try after try: pasted into each script, standard library only."""

from __future__ import annotations

from collections.abc import Sequence

AS_RECORDED = 2
"""Tries with the moments of the record, before others are tried."""
APART = (0.010, 0.0, 0.001, 0.004, 0.002, 0.0005)
"""Seconds between the first of several requests and the others: what is under way for 50 ms is met, and a window of 1 ms."""


def moments(recorded: Sequence[float], number: int) -> list[float]:
    """Return how many seconds after the first request each one is sent in a try: as in the record, then each of them first in turn."""
    if number < AS_RECORDED or len(recorded) < 2:  # noqa: PLR2004 - one has nobody beside it
        return list(recorded)
    first = (number - AS_RECORDED) % len(recorded)
    apart = APART[(number - AS_RECORDED) // len(recorded) % len(APART)]
    # As near to each other as in the record, but for the one that comes first.
    others = min(at for place, at in enumerate(recorded) if place != first)
    return [0.0 if place == first else apart + at - others for place, at in enumerate(recorded)]
