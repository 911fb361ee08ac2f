"""Makes what one process of a run learns to be secret known to all: through the pipes between them, never by the disk.

Each worker has a channel to the controller beside the one of pytest-xdist. A worker sends each secret when it becomes known,
before the request leaves that holds it; the controller takes it over and passes it on to the others.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from kms_conformance.run.session import Session


class Channel(Protocol):
    """What is used of a channel of execnet; callbacks run in the thread that reads the pipe."""

    def send(self, item: object) -> None:
        """Send a simple value; raises :class:`OSError` where the other process has gone."""

    def setcallback(self, callback: Callable[[Any], Any]) -> None:
        """Call this with each value that arrives."""


class Hub:
    """The controller's side: takes over what each worker tells, and passes it on."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._get_session = session
        self._channels: list[Channel] = []
        self._lock = threading.Lock()

    def connect(self, channel: Channel) -> Channel:
        """Listen to a worker; return its channel, which goes into what the worker is given to start with."""
        channel.setcallback(lambda text: self._heard(channel, json.loads(text)))
        return channel

    def _heard(self, channel: Channel, pairs: Sequence[Sequence[str]]) -> None:
        session = self._get_session()
        session.learn_secrets(pairs)
        with self._lock:
            is_new = channel not in self._channels
            if is_new:  # what is sent to a worker that does not listen yet is lost, so it speaks first
                self._channels.append(channel)
            others = [other for other in self._channels if other is not channel]
        if is_new:
            _send(channel, session.known_secrets())
        for other in others if pairs else ():
            _send(other, pairs)


def share(session: Session, channel: Channel) -> None:
    """Begin, in a worker, to tell what becomes known to be secret, and to take over what others know."""
    channel.setcallback(lambda text: session.learn_secrets(json.loads(text)))
    session.tell_secrets(lambda value, label: _send(channel, [[value, label]]))
    _send(channel, session.known_secrets())


def _send(channel: Channel, pairs: Sequence[Sequence[str]]) -> None:
    with contextlib.suppress(OSError):  # the other process has ended, and shows nothing any more
        channel.send(json.dumps(pairs))
