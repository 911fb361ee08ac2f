"""The recorded answers of a deferred case: one that waits longer than a run, begun in one and finished in a later one.

Where an endpoint offers no clock, a rule of an hour or of thirty days is put to the test in two runs. The first plays
a case up to its long wait and writes everything needed to go on to the journal: each answer as it came, encrypted.
The first run after the due date plays the case again from its beginning, takes the answers up to the wait from the
journal instead of the wire, and goes on live from there. A case stays an ordinary function, and the evidence of both
days is one transcript. What is due is decided by the server's own dates.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography.fernet import Fernet, InvalidToken

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.run.journal import DeferredCase, Journal
from kms_conformance.run.outcomes import Deferred, NotTested
from kms_conformance.transport.body import json_document
from kms_conformance.transport.client import Recorded, Reply

NIGHT, _HOUR = 86_400.0, 3600.0
"""``NIGHT``: from one nightly run to the next, in seconds. What has to go on sooner is not deferred."""
_ASKED, _READS = "asked", frozenset({"GET", "HEAD"})


class StaleError(Exception):
    """A deferred case cannot be finished: another suite made it, or a run was killed while it finished it."""


class OtherKeyError(StaleError):
    """A deferred case cannot be read: it is encrypted under another key, whose owner can still finish it."""


@dataclass
class RandomSource:
    """Random bytes that can be made again: HMAC of a counter under a seed."""

    seed: bytes
    counter: int = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        made = b""
        while len(made) < size:
            self.counter += 1
            made += hmac.new(self.seed, self.counter.to_bytes(8, "big"), hashlib.sha256).digest()
        return made[:size]


class Cipher:
    """Encrypts what the journal keeps of deferred cases. The key is derived from a secret of the operator."""

    def __init__(self, secret: str) -> None:
        derived = hashlib.scrypt(
            secret.encode(), salt=b"kms-conformance journal", n=2**14, r=8, p=1, dklen=32
        )
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def encrypt(self, document: Any) -> bytes:
        """Encrypt a JSON document."""
        return self._fernet.encrypt(json.dumps(document).encode())

    def decrypt(self, sealed: bytes) -> Any:
        """Decrypt a document; raise :class:`OtherKeyError` when it was sealed under another key."""
        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise OtherKeyError("the journal was written under another key") from None


@dataclass
class Recording:
    """The answers of a deferred case: first played back, then recorded, event by event.

    Each event is on disk before the next request leaves, and so is that a request which may change something leaves.
    A recording that ends with such a request is of no use: whether it was received, nobody knows.
    """

    journal: Journal
    case: DeferredCase
    cipher: Cipher
    seed: bytes
    events: list[dict[str, Any]] = field(default_factory=list)
    place: int = 0

    @classmethod
    def load(cls, journal: Journal, case: DeferredCase, cipher: Cipher) -> Recording:
        """Read a recording; raise :class:`StaleError` when it cannot be used, or :class:`OtherKeyError`."""
        seed = base64.b64decode(cipher.decrypt(case.seed))
        events = [cipher.decrypt(event) for event in journal.events(case.id)]
        if events and events[-1]["kind"] == _ASKED:
            raise StaleError(f"a run was killed during {events[-1]['what']}")
        return cls(journal, case, cipher, seed, [event for event in events if event["kind"] != _ASKED])

    @property
    def playing(self) -> bool:
        """Whether the next event is a recorded one."""
        return self.place < len(self.events)

    def play(self, kind: str, what: str) -> dict[str, Any] | None:
        """Return the next recorded event, or ``None`` when all recorded ones are played.

        Raises :class:`StaleError` when the case now does something else than when it was deferred.
        """
        if not self.playing:
            return None
        event = self.events[self.place]
        if (event["kind"], event["what"]) != (kind, what):
            raise StaleError(
                f"the case now makes {kind} {what}, before it was deferred it made {event['kind']} {event['what']}"
            )
        self.place += 1
        return event

    def record(self, kind: str, what: str, **members: Any) -> None:
        """Write an event down."""
        event = {"kind": kind, "what": what, **members}
        self.journal.add_event(self.case.id, self.cipher.encrypt(event))
        self.events.append(event)
        self.place = len(self.events)

    def ask(self, method: str, what: str) -> None:
        """Write down that a request leaves now, unless it only reads."""
        if method not in _READS:
            self.journal.add_event(self.case.id, self.cipher.encrypt({"kind": _ASKED, "what": what}))

    def play_reply(self, what: str) -> Recorded | None:
        """Return a recorded answer, or ``None`` to go live."""
        event = self.play("exchange", what)
        if event is None:
            return None

        content = base64.b64decode(event["content"])
        reply = Reply(
            event["status"],
            httpx.Headers([tuple(pair) for pair in event["headers"]]),
            json_document(content),
            content,
        )
        return Recorded(reply, event["started"], event["duration"], event["correlation"])

    def record_reply(self, what: str, reply: Reply, exchange: Exchange) -> None:
        """Write an answer down."""
        self.record(
            "exchange",
            what,
            status=reply.status,
            headers=reply.headers.multi_items(),
            content=base64.b64encode(reply.content).decode(),
            started=exchange.started,
            duration=exchange.duration,
            correlation=exchange.sent.headers.get("correlation-id", ""),
        )

    def suspend(self, seconds: float, server_now: datetime) -> datetime:
        """Write down that the case waits from here; return when it is due on the server's clock."""
        due = server_now + timedelta(seconds=seconds)
        self.record("wait", f"{seconds:g}", due=due.isoformat())
        self.journal.set_due(self.case.id, due.isoformat())
        return due

    def wait(
        self, seconds: float, why: str, within: float | None, server_now: Callable[[], datetime] | None
    ) -> bool:
        """Tell whether a wait is over; raise :class:`Deferred` when the case has to stop here for a later run.

        ``server_now`` reads the server's date, ``None`` for a wait that this run may sit out. Raises
        :class:`NotTested` when no nightly run could go on in time, and :class:`StaleError` when none did.
        """
        window = None if within is None else within - seconds
        if server_now is not None and window is not None and window < NIGHT:
            raise NotTested(
                f"needs a wait of {seconds:,.0f} s ({why}) and to go on {window:,.0f} s later at the latest, so it"
                " cannot be deferred: give [control] url or raise [limits] max_wait"
            )
        now = server_now() if server_now is not None else None
        played = self.play("wait", f"{seconds:g}")
        if played is None and now is not None:
            raise Deferred(f"due {self.suspend(seconds, now):%Y-%m-%d}")
        if played is None:
            self.record("wait", f"{seconds:g}", due="")
        elif window is not None and server_now is not None:
            self._demand_in_time(played["due"], window, server_now())
        return played is not None

    def _demand_in_time(self, due: str, window: float, server_now: datetime) -> None:
        # An hour is left for what the case still has to do.
        last = datetime.fromisoformat(due) + timedelta(seconds=window - min(window / 10, _HOUR))
        if server_now > last:
            raise StaleError(f"it had to go on until {last:%Y-%m-%d %H:%M} UTC, and no run came")

    def finished(self) -> None:
        """Forget what was kept for the case: it has its verdict."""
        self.journal.forget_deferred(self.case.id)


def begin(
    journal: Journal, cipher: Cipher, case: str, *, base_url: str, instance: str, run: str
) -> Recording:
    """Start the recording of a case that is deferred now."""
    seed = os.urandom(32)
    deferred = journal.defer(case, base_url, instance, run, cipher.encrypt(base64.b64encode(seed).decode()))
    return Recording(journal, deferred, cipher, seed)
