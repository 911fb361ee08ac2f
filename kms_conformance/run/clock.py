"""The three ways to wait.

``ControlledClock``: the endpoint's own clock is moved, so that a wait takes no time. ``RealClock``: time passes, and the waits
of different cases overlap, because each waiting case has a thread of its own. ``NoClock``: nobody waits, and cases
that would are not tested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httpx

from kms_conformance.errors import UnreachableError
from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.dates import moment_of
from kms_conformance.evidence.header_values import http_date
from kms_conformance.transport.body import json_document, read_body
from kms_conformance.transport.deadline import DeadlineTransport
from kms_conformance.transport.outage import trouble_of

if TYPE_CHECKING:
    from kms_conformance.target.target import Target


_MOST_SKEW = 1000 * 365 * 86400.0
_UNMOVED = "the control protocol did not move the clock"


class Cancelled(BaseException):
    """The run is being stopped while a case waits or sends; no ``Exception``, so no case swallows it."""


class TooLong(Exception):  # noqa: N818 - a reason, not an error
    """The wait is longer than the operator allows."""


class Clock(Protocol):
    """Something that lets an instance's time pass."""

    overlaps: bool

    def wait(self, instance: str, seconds: float) -> None:
        """Let ``seconds`` pass for an instance; raise :class:`TooLong` or :class:`Cancelled`."""

    def now(self, instance: str) -> datetime:
        """Return the instance's time, as far as it is known."""

    def cancel(self) -> None:
        """End every wait that is under way."""

    def close(self) -> None:
        """Close what the clock has opened."""


class ControlledClock:
    """Moves the endpoint's clock by the control protocol."""

    overlaps = False

    def __init__(self, target: Target, take_turn: Callable[[], None] = lambda: None) -> None:
        # Its own connections, as many as there are cases: no call waits for another one's answer.
        self._url, self._take_turn = target.control_url, take_turn
        self._transport = DeadlineTransport(target.timeout, settings=target.connection)

    def wait(self, instance: str, seconds: float) -> None:
        """Advance the instance's clock."""
        self._advance(instance, seconds)

    def now(self, instance: str) -> datetime:
        """Ask the instance for its time."""
        return self._advance(instance, 0)

    def cancel(self) -> None:
        """Do nothing: no wait can be cancelled here."""

    def close(self) -> None:
        """Close the connection to the control protocol."""
        self._transport.close()

    def _advance(self, instance: str, seconds: float) -> datetime:
        self._take_turn()
        url = f"{self._url}/instances/{instance}/clock"
        try:
            # Straight to the transport, as requests that are evidence go: a full client takes twice the time.
            request = httpx.Request("POST", url, json={"advance_seconds": seconds})
            with closing(self._transport.handle_request(request)) as answer:
                document = json_document(read_body(answer))
            if answer.status_code != HTTPStatus.OK:
                raise UnreachableError(url, f"{_UNMOVED}: it answers {answer.status_code}")
        except httpx.HTTPError as error:
            raise UnreachableError(url, f"{_UNMOVED}: {trouble_of(error)}") from None
        moment = moment_of(document.get("now")) if isinstance(document, dict) else None
        if moment is None:
            raise UnreachableError(url, f"{_UNMOVED}: its answer tells no time")
        return moment


class RealClock:
    """Lets real time pass; a wait can be cancelled at any moment."""

    overlaps = True

    def __init__(self, target: Target) -> None:
        self._longest = target.max_wait
        self._stop = threading.Event()
        self._ahead = 0.0

    def learn(self, date: str | None) -> None:
        """Take the endpoint's clock skew from the ``Date`` header of an answer."""
        told = http_date(date or "")
        if told is None:
            return
        skew = told - steady_clock.now()
        # The header has whole seconds, so less than two of difference is no skew at all; a thousand years are none either.
        self._ahead = skew if 2 <= abs(skew) < _MOST_SKEW else 0.0  # noqa: PLR2004

    def wait(self, instance: str, seconds: float) -> None:  # noqa: ARG002 - one signature for all clocks
        """Wait."""
        if seconds > self._longest:
            raise TooLong
        if self._stop.wait(seconds):
            raise Cancelled

    def now(self, instance: str) -> datetime:  # noqa: ARG002 - one signature for all clocks
        """Return this machine's time, corrected by the endpoint's skew."""
        return datetime.fromtimestamp(steady_clock.now() + self._ahead, UTC)

    def cancel(self) -> None:
        """End every wait that is under way."""
        self._stop.set()

    def close(self) -> None:
        """Do nothing: nothing is open."""


class NoClock(RealClock):
    """Refuses every wait (``--max-wait 0``)."""

    overlaps = False

    def wait(self, instance: str, seconds: float) -> None:  # noqa: ARG002 - one signature for all clocks
        """Refuse."""
        raise TooLong


def choose_clock(target: Target, take_turn: Callable[[], None] = lambda: None) -> ControlledClock | RealClock:
    """Return the clock that the target allows: none, the endpoint's own, or the real one.

    ``take_turn`` waits for the run's rate limit before a request of the control protocol.
    """
    if target.max_wait == 0:
        return NoClock(target)
    if target.control_url:
        return ControlledClock(target, take_turn)
    return RealClock(target)
