"""The state of one Key Protect instance as immutable, hashable data. Times are seconds since 1970 on the instance's clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

ACTIVE, SUSPENDED, DEACTIVATED, DESTROYED = 1, 2, 3, 5
HOUR, DAY = 3600.0, 86400.0
MONTH = 30 * DAY
"""What the sources call a month of a rotation interval."""
SETTLE, PURGE_WAIT = 30.0, 4 * HOUR
AUTHORISED_FOR, RESTORE_WINDOW, KEPT = 7 * DAY, 30 * DAY, 90 * DAY
DEFAULT_RING = "default"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that no answer has shown yet and no source fixes."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Timing:
    """How exactly times are known, in seconds: ``slack`` for every clock, and what a change may take to be seen.

    The facts sheet (2.3) gives an hour for expiry, five minutes for a removed alias, ten for a move to another ring.
    """

    slack: float = 2.0
    expiry: float = HOUR
    alias: float = 300.0
    ring: float = 600.0


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a root key; ``id`` is empty until an answer has shown it."""

    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of a key: enabled, for rotation the months between two rotations, and when and by whom it was set last."""

    enabled: bool
    interval: int | Unknown | None = None
    at: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One user's authorisation to delete a key."""

    who: str
    at: float


@dataclass(frozen=True, slots=True)
class Registration:
    """A resource of another service that a key protects."""

    crn: str
    owner: str
    description: str | Unknown | None = None
    prevents: bool | Unknown = False
    metadata: str | Unknown | None = None
    version: str = ""
    at: float = 0.0
    changed: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key. ``material`` is what the caller gave, empty where the service made it; ``versions`` are oldest first.

    ``acted`` is the moment of the last disabling or deletion, ``touched`` of any change, ``notified`` of the last
    event that adopting services hear of, ``asked`` of the last success that may have dated it. ``authorised`` holds more
    than one entry where it is open whose holds. ``maker`` and ``deleter`` are callers by the names that the model gives them.
    """

    id: str
    name: str
    standard: bool
    created: float
    ring: str = DEFAULT_RING
    description: str | None = None
    tags: tuple[str, ...] = ()
    aliases: frozenset[str] = frozenset()
    expires: float | None = None
    imported: bool = False
    material: str = ""
    versions: tuple[Version, ...] = ()
    open_versions: bool = False
    state: int = ACTIVE
    state_open: bool = False
    acted: float = float("-inf")
    touched: float = float("-inf")
    notified: float = float("-inf")
    synced: float = float("-inf")
    rotated: float | None = None
    deleted: float | None = None
    moved: tuple[str, float] | None = None
    rotation: Policy | None = None
    dual: Policy | None = None
    authorised: tuple[Authorisation, ...] = ()
    registrations: tuple[Registration, ...] = ()
    maker: str = ""
    deleter: str = ""
    asked: float = float("-inf")

    @property
    def newest(self) -> Version:
        """The version that wraps."""
        return self.versions[-1]

    def states(self, now: float, timing: Timing) -> frozenset[int]:
        """Return the states that it may be in: after its expiration date the change takes up to an hour.

        Whether a suspended key is deactivated when it expires is not stated anywhere.
        """
        if self.state_open and self.state != DESTROYED:
            return frozenset({ACTIVE, SUSPENDED, DEACTIVATED})
        if self.state == DESTROYED or self.expires is None or now < self.expires - timing.slack:
            return frozenset({self.state})
        settled = now > self.expires + timing.expiry + timing.slack
        return (
            frozenset({DEACTIVATED})
            if settled and self.state != SUSPENDED
            else frozenset({self.state, DEACTIVATED})
        )

    def may_have_rotated(self, now: float) -> bool:
        """Whether its rotation policy may have rotated it since the last version that is known."""
        if self.open_versions:
            return True
        if self.rotation is None or not self.rotation.enabled or self.standard:
            return False
        months = self.rotation.interval if isinstance(self.rotation.interval, int) else 1
        return now >= self.newest.at + months * MONTH - DAY

    def must_have_rotated(self, now: float, slack: float) -> bool:
        """Whether its rotation policy has surely rotated it since: within a day of the day on which that was due (2.3).

        It has been active all the time since the policy was set, or it was rotated last, whichever came later.
        """
        policy = self.rotation
        if policy is None or not policy.enabled or self.standard or self.open_versions or self.imported:
            return False
        if (
            not isinstance(policy.interval, int)
            or policy.at is None
            or self.state != ACTIVE
            or self.state_open
        ):
            return False
        begun = max(policy.at, self.newest.at)
        due = begun + policy.interval * MONTH + DAY + slack
        return self.acted < begun and now > due and (self.expires is None or self.expires > due)


@dataclass(frozen=True, slots=True)
class Ring:
    """A key ring beside ``default``."""

    id: str
    at: float
    maker: str = ""


@dataclass(frozen=True, slots=True)
class InstancePolicy:
    """A policy of the instance; ``attributes`` are pairs sorted by name."""

    kind: str
    enabled: bool
    attributes: tuple[tuple[str, Any], ...] = ()
    at: float | None = None
    by: str = ""

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute, or its default where the policy leaves it out."""
        return dict(self.attributes).get(name, default)


@dataclass(frozen=True, slots=True)
class ImportToken:
    """The instance's import token; ``nonce`` and ``payload`` are empty until a retrieval has shown them."""

    serial: int
    at: float
    life: int
    most: int
    left: int
    payload: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate of a KMIP adapter."""

    id: str
    name: str
    pem: str
    at: float
    maker: str = ""


@dataclass(frozen=True, slots=True)
class KmipObject:
    """An object that a KMIP client made; no call of this API makes one. State 0: open."""

    id: str
    state: int = 2


@dataclass(frozen=True, slots=True)
class Adapter:
    """A KMIP adapter."""

    id: str
    name: str
    key: str
    at: float
    description: str | None = None
    maker: str = ""
    certificates: tuple[Certificate, ...] = ()
    objects: tuple[KmipObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """All that one instance holds.

    ``edition`` is ``page`` or ``service``; ``gone`` are ids of purged keys; ``removed`` are aliases taken off a key,
    with the key and the moment; ``serial`` numbers what the service has not named yet; ``callers`` are those whose names
    an answer has shown, with these.
    """

    edition: str = "page"
    timing: Timing = field(default_factory=Timing)
    keys: tuple[Key, ...] = ()
    gone: frozenset[str] = frozenset()
    removed: tuple[tuple[str, str, float], ...] = ()
    rings: tuple[Ring, ...] = ()
    policies: tuple[InstancePolicy, ...] = ()
    token: ImportToken | None = None
    adapters: tuple[Adapter, ...] = ()
    serial: int = 0
    callers: tuple[tuple[str, str], ...] = ()

    def key(self, key_id: str) -> Key:
        """Return a key by its id."""
        return next(key for key in self.keys if key.id == key_id)

    def put(self, key: Key) -> Instance:
        """Return the state with this key in the place of the one with its id, or added."""
        if any(other.id == key.id for other in self.keys):
            return replace(self, keys=tuple(key if other.id == key.id else other for other in self.keys))
        return replace(self, keys=(*self.keys, key))

    def without(self, key_id: str) -> Instance:
        """Return the state without a key: it was purged."""
        return replace(
            self,
            keys=tuple(key for key in self.keys if key.id != key_id),
            gone=self.gone | {key_id},
            removed=tuple(entry for entry in self.removed if entry[1] != key_id),
        )

    def renamed(self, symbol: str, key_id: str) -> Instance:
        """Return the state with the id that the service has chosen for a key, which is its first version's too."""
        keys = tuple(
            replace(
                key,
                id=key_id,
                versions=tuple(
                    replace(version, id=key_id) if version.id == symbol else version
                    for version in key.versions
                ),
            )
            if key.id == symbol
            else key
            for key in self.keys
        )
        return replace(self, keys=keys)

    def policy(self, kind: str) -> InstancePolicy | None:
        """Return a policy of the instance that is enabled."""
        return next((one for one in self.policies if one.kind == kind and one.enabled), None)

    def has_ring(self, ring: str) -> bool:
        """Whether there is a key ring of this id."""
        return ring == DEFAULT_RING or any(one.id == ring for one in self.rings)

    def put_adapter(self, adapter: Adapter) -> Instance:
        """Return the state with this adapter in the place of the one with its id, or added."""
        if any(other.id == adapter.id for other in self.adapters):
            return replace(
                self, adapters=tuple(adapter if other.id == adapter.id else other for other in self.adapters)
            )
        return replace(self, adapters=(*self.adapters, adapter))
