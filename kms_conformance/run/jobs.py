"""How many cases are under way at once by default: enough to fill the round trip."""

from __future__ import annotations

import math

MOST_JOBS = 64
"""As many as the operator may ask for."""
ON_LOOPBACK = 1
"""For an endpoint on this machine."""
READERS = 4
"""How many clients share the requests of a case that only read, where several cases are under way at once."""
_LOOPBACK = 0.008
"""A round trip, in seconds, below which the endpoint's own work and ours are what takes the time."""
_OWN_WORK = 0.001
"""What a request costs this process, in seconds: while one answer is awaited, so many others can be worked on."""
_USUAL_MOST = 32
_FAR, _FAR_MOST = 0.1, 48
"""From this round trip on, in seconds, a few more are needed to be as fast as it can be."""


def jobs_for(round_trip: float, per_second: float | None) -> int:
    """Return how many cases to run at once; ``round_trip`` in seconds, ``per_second`` the rate limit or ``None``.

    Under a rate limit, more jobs than it takes to use the rate up would only wait.
    """
    wanted = ON_LOOPBACK if round_trip < _LOOPBACK else math.ceil(round_trip / _OWN_WORK) + 1
    if per_second:
        # Twice the requests that are on their way at that rate: cases also work, wait and clean up.
        wanted = min(wanted, math.ceil(2 * per_second * round_trip) + 1)
    return max(1, min(wanted, _USUAL_MOST if round_trip < _FAR else _FAR_MOST))
