"""Whether the endpoint is there at all: an outage is no fault of its answers, so it is waited for and never judged.

A request that got no complete answer may have met an outage, or an operation that is never answered. A harmless request
that nobody judges tells them apart: where it is answered, the endpoint is there; where it is not, everybody waits until it
is again, for a stated time. After that the endpoint counts as gone, and the run ends.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus

import httpx

from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.exchange import OF_GATEWAY
from kms_conformance.transport.body import UnfitAnswerError
from kms_conformance.transport.parsing import CUT

NO_CONNECTION = "no connection"
LATE = "no complete answer within"
BROKEN = "a broken connection"
TRIES = 3
"""So often a request that only reads is sent before its silence counts, and so often in a row a change is not answered."""
_LOST = re.compile(f"{NO_CONNECTION}|{LATE}|{BROKEN}|{CUT}")
_SHORTEST, _LONGEST = 0.25, 5.0


class State(Enum):
    """What became of the endpoint after a request that got no answer."""

    THERE = "there"
    BACK = "back"
    GONE = "gone"


def is_lost(trouble: str) -> bool:
    """Tell whether trouble with an answer is its absence; an answer that is wrong, or too long, is there."""
    return _LOST.match(trouble) is not None


def trouble_of(error: Exception) -> str:
    """Say what happened to the connection, in the words of the field and in none of the server's own.

    A parser's complaint quotes the bytes that it could not read, which may hold anything.
    """
    if isinstance(error, UnfitAnswerError):
        return str(error)
    if isinstance(error, httpx.ConnectError):
        return f"{NO_CONNECTION} ({error})"
    said = re.split(r"[(:]|b['\"]", str(error), maxsplit=1)[0].strip().rstrip(".").lower()
    if isinstance(error, httpx.RemoteProtocolError):
        if said.startswith(("peer closed", "server disconnected")):
            return f"a connection closed before the answer was complete ({said})"
        return f"an answer that is not HTTP ({said})"
    return f"{BROKEN} ({said or type(error).__name__})"


def is_refused(trouble: str) -> bool:
    """Tell whether no connection came about, so that nothing was sent."""
    return trouble.startswith(NO_CONNECTION)


def is_away(status: int) -> bool:
    """Tell whether a status may say that nobody is there to answer."""
    return status in OF_GATEWAY


def delay(tried: int) -> float:
    """Return the seconds before the next try: they double."""
    return float(min(_SHORTEST * 2 ** (tried - 1), _LONGEST))


def clock_time(moment: float) -> str:
    """Return a moment (seconds since the epoch) as people tell it: the time of day, UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(moment))


class Presence:
    """What the threads of a client know of the endpoint; safe between them.

    ``ask`` sends a harmless request and returns its status, 0 where no complete answer came. ``patience`` is how many
    seconds an outage is waited for. ``gone`` is when the endpoint went away for good (seconds since the epoch), else 0.
    """

    def __init__(self, patience: float, ask: Callable[[], int]) -> None:
        self._patience, self._ask = patience, ask
        self._began = self._answered = 0.0
        self._outages: list[tuple[float, float]] = []
        self._one_asks = threading.Lock()
        self._stopped = threading.Event()
        self.gone = 0.0

    def answered(self) -> None:
        """Note that the endpoint has answered a request just now."""
        self._answered = steady_clock.now()

    def leave(self, moment: float) -> None:
        """Note that the endpoint is gone since a moment: what every request needs besides it is."""
        self.gone = self.gone or moment

    def stop(self) -> None:
        """End every wait."""
        self._stopped.set()

    def settle(self, begun: float) -> State:
        """Return whether the endpoint is there, after it did not answer a request of the time ``begun``; wait for it.

        Raises what ``ask`` raises.
        """
        lost = steady_clock.now()
        with self._one_asks:
            if self.gone:
                return State.GONE
            if self._outages and self._outages[-1][1] >= lost:
                return State.BACK  # another thread has waited
            # A moment is enough to tell: who has answered since needs not be asked.
            if self._answered > lost or self._is_there():
                return State.THERE
            self._began = begun
            return self._wait()

    def _wait(self) -> State:
        tried = 0
        while not self._stopped.is_set():
            tried += 1
            left = self._began + self._patience - steady_clock.now()
            if left <= 0:
                break
            self._stopped.wait(min(delay(tried), left))
            if self._is_there():
                self._outages.append((self._began, steady_clock.now()))
                return State.BACK
        self.gone = self._began
        return State.GONE

    def _is_there(self) -> bool:
        status = self._ask()
        return status >= HTTPStatus.OK and not is_away(status)

    def outage_since(self, moment: float) -> tuple[float, float] | None:
        """Return beginning and end of an outage that ended after a moment, ``None`` where there was none."""
        last = self._outages[-1] if self._outages else None
        return last if last is not None and last[1] > moment else None


class Silences:
    """Counts, for each operation, how often in a row a change was not answered although the endpoint was there.

    What is not answered at one time counts as one: a server that is killed drops all that is under way.
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def counts(self, what: str, begun: float) -> bool:
        """Note that an operation was not answered; tell whether that is one of so many that it counts."""
        with self._lock:
            times, last = self._rows.get(what, (0, 0.0))
            if begun > last:
                times, last = times + 1, steady_clock.now()
            self._rows[what] = times, last
            return times >= TRIES

    def never(self, what: str) -> bool:
        """Tell whether an operation is known not to be answered."""
        return self._rows.get(what, (0, 0.0))[0] >= TRIES

    def answered(self, what: str) -> None:
        """Note that an operation was answered."""
        if what in self._rows:
            with self._lock:
                self._rows.pop(what, None)
