"""Cases that wait longer than a run: planted in one, finished in a later one.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from kms_conformance.evidence.exchange import Exchange
from kms_conformance.run.journal import Journal, Plant
from kms_conformance.run.outcomes import NotTested, Planted
from kms_conformance.transport.client import Recorded, Reply

NIGHT, _HOUR = 86_400.0, 3600.0
"""``NIGHT``: from one nightly run to the next, in seconds. What has to go on sooner is not planted."""
_ASKED, _READS = "asked", frozenset({"GET", "HEAD"})
_ENTROPY: ContextVar[Entropy | None] = ContextVar("entropy", default=None)


class StaleError(Exception):
    """What was planted cannot be finished: another suite made it, or a run was killed while it finished it."""


class SealedError(StaleError):
    """What was planted cannot be read: it is sealed under another key, whose owner can still finish it."""


@dataclass
class Entropy:
    """Random bytes that can be made again: HMAC of a counter under the plant's seed."""

    seed: bytes
    counter: int = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        made = b""
        while len(made) < size:
            self.counter += 1
            made += hmac.new(self.seed, self.counter.to_bytes(8, "big"), hashlib.sha256).digest()
        return made[:size]


def random_bytes(size: int) -> bytes:
    """Return random bytes; in a planted case, the same ones each time it is played."""
    entropy = _ENTROPY.get()
    return os.urandom(size) if entropy is None else entropy.take(size)


@contextmanager
def reproducible(seed: bytes | None) -> Iterator[None]:
    """Make :func:`random_bytes` reproducible for the length of a block (in this thread only)."""
    token = _ENTROPY.set(Entropy(seed) if seed is not None else None)
    try:
        yield
    finally:
        _ENTROPY.reset(token)


class Lock:
    """Encrypts what the journal keeps of planted cases. The key is derived from a secret of the operator."""

    def __init__(self, secret: str) -> None:
        derived = hashlib.scrypt(
            secret.encode(), salt=b"kms-conformance journal", n=2**14, r=8, p=1, dklen=32
        )
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, document: Any) -> bytes:
        """Encrypt a JSON document."""
        return self._fernet.encrypt(json.dumps(document).encode())

    def open(self, sealed: bytes) -> Any:
        """Decrypt a document; raise :class:`SealedError` when it was sealed under another key."""
        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise SealedError("the journal was written under another key") from None


@dataclass
class Tape:
    """The answers of a planted case: first played back, then recorded, event by event.

    Each event is on disk before the next request leaves, and so is that a request which may change something leaves.
    A tape that ends with such a request is of no use: whether it was received, nobody knows.
    """

    journal: Journal
    plant: Plant
    lock: Lock
    seed: bytes
    events: list[dict[str, Any]] = field(default_factory=list)
    place: int = 0

    @classmethod
    def load(cls, journal: Journal, plant: Plant, lock: Lock) -> Tape:
        """Read a tape; raise :class:`StaleError` when it cannot be used, or :class:`SealedError`."""
        seed = base64.b64decode(lock.open(plant.seed))
        events = [lock.open(event) for event in journal.events(plant.id)]
        if events and events[-1]["kind"] == _ASKED:
            raise StaleError(f"a run was killed during {events[-1]['what']}")
        return cls(journal, plant, lock, seed, [event for event in events if event["kind"] != _ASKED])

    @property
    def playing(self) -> bool:
        """Whether the next event comes from the tape."""
        return self.place < len(self.events)

    def play(self, kind: str, what: str) -> dict[str, Any] | None:
        """Return the next recorded event, or ``None`` when the tape is at its end.

        Raises :class:`StaleError` when the case now does something else than when it was planted.
        """
        if not self.playing:
            return None
        event = self.events[self.place]
        if (event["kind"], event["what"]) != (kind, what):
            raise StaleError(f"the case now makes {kind} {what}, planted was {event['kind']} {event['what']}")
        self.place += 1
        return event

    def record(self, kind: str, what: str, **members: Any) -> None:
        """Write an event down."""
        event = {"kind": kind, "what": what, **members}
        self.journal.add_event(self.plant.id, self.lock.seal(event))
        self.events.append(event)
        self.place = len(self.events)

    def ask(self, method: str, what: str) -> None:
        """Write down that a request leaves now, unless it only reads."""
        if method not in _READS:
            self.journal.add_event(self.plant.id, self.lock.seal({"kind": _ASKED, "what": what}))

    def play_reply(self, what: str) -> Recorded | None:
        """Return a recorded answer, or ``None`` to go live."""
        event = self.play("exchange", what)
        if event is None:
            return None
        import httpx  # noqa: PLC0415 - planted cases only

        content = base64.b64decode(event["content"])
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = None
        reply = Reply(
            event["status"], httpx.Headers([tuple(pair) for pair in event["headers"]]), body, content
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
        self.journal.planted(self.plant.id, due.isoformat())
        return due

    def wait(
        self, seconds: float, why: str, within: float | None, server_now: Callable[[], datetime] | None
    ) -> bool:
        """Tell whether a wait lies behind us; raise :class:`Planted` when the case has to stop here for a later run.

        ``server_now`` reads the server's date, ``None`` for a wait that this run may sit out. Raises
        :class:`NotTested` when no nightly run could go on in time, and :class:`StaleError` when none did.
        """
        window = None if within is None else within - seconds
        if server_now is not None and window is not None and window < NIGHT:
            raise NotTested(
                f"needs a wait of {seconds:,.0f} s ({why}) and to go on {window:,.0f} s later at the latest, so it"
                " cannot be planted: give [control] url or raise [limits] max_wait"
            )
        now = server_now() if server_now is not None else None
        played = self.play("wait", f"{seconds:g}")
        if played is None and now is not None:
            raise Planted(f"due {self.suspend(seconds, now):%Y-%m-%d}")
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
        self.journal.uprooted(self.plant.id)


def begin(journal: Journal, lock: Lock, case: str, *, base_url: str, instance: str, run: str) -> Tape:
    """Start the tape of a case that is planted now."""
    seed = os.urandom(32)
    plant = journal.plant(case, base_url, instance, run, lock.seal(base64.b64encode(seed).decode()))
    return Tape(journal, plant, lock, seed)
