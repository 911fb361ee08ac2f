"""One instance: its keys and policies, its clock, and what time alone does to them."""

from __future__ import annotations

from dataclasses import asdict
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from kms_reference.key_protect.clock import DAY, real_now
from kms_reference.key_protect.model import (
    ImportToken,
    InstancePolicy,
    Key,
    KeyPolicy,
    KmipAdapter,
    State,
    Version,
)
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.rules import Rules

MONTH: Final = 30 * DAY
HOUR: Final = 3_600.0
NEVER: Final = float("inf")
DEFAULT_RING: Final = "default"
# A policy that slept for years would otherwise rotate for ever in one sweep.
_MAX_CATCH_UP: Final = 400
# Months. A defect lets any number in, also one that no clock can count.
_ENDLESS: Final = 1_000_000


class Instance:
    """The state of one instance; `changed` and `changed_keys` say what the store has to write."""

    def __init__(self, instance_id: str, rules: Rules) -> None:
        self.id = instance_id
        self.rules = rules
        self.offset = 0.0
        self.keys: dict[str, Key] = {}
        self.alias_index: dict[str, str] = {}
        self.rings: dict[str, list[Any]] = {}
        """ring id -> [created, created_by]; `default` is not in here."""
        self.policies: dict[str, InstancePolicy] = {}
        self.import_token: ImportToken | None = None
        self.adapters: dict[str, KmipAdapter] = {}
        self.faults: dict[str, dict[str, Any]] = {}
        self.changed = True
        self.changed_keys: set[str] = set()
        self._next_due = NEVER

    def now(self) -> float:
        """Seconds since 1970 by this instance's clock."""
        return real_now() + self.offset

    def touch(self, key: Key, now: float | None = None) -> None:
        """Mark the key as changed (`now`: also its last update) and note when time will change it."""
        if now is not None:
            key.updated = now
        self.changed_keys.add(key.id)
        self._next_due = min(self._next_due, self._due(key))

    def add(self, key: Key) -> None:
        """Take in a new key with its aliases."""
        self.keys[key.id] = key
        for alias in key.aliases:
            self.alias_index[alias] = key.id
        self.touch(key)

    def remove(self, key: Key) -> None:
        """Forget a key for good."""
        self.keys.pop(key.id, None)
        for alias in key.aliases:
            if self.alias_index.get(alias) == key.id:
                del self.alias_index[alias]
        self.changed_keys.add(key.id)

    def find(self, reference: str) -> Key | None:
        """Return the key by id or alias."""
        key = self.keys.get(reference)
        if key is None:
            key = self.keys.get(self.alias_index.get(reference, ""))
        return key

    def authorized(self, key: Key, now: float) -> bool:
        """Whether an authorisation to delete stands; it lapses after seven days."""
        life = self.rules.seconds("dual-auth-window", 7 * DAY)
        return bool(key.authorized_by) and now < key.authorized + life

    def sweep(self, now: float) -> None:
        """Let time act: expire, purge after 90 days, rotate by policy."""
        if now < self._next_due:
            return
        for key in list(self.keys.values()):
            self.expire(key, now)
            if now >= self.purge_due(key):
                self.remove(key)
                continue
            self.rotate_by_policy(key, now)
        self._next_due = min((self._due(key) for key in self.keys.values()), default=NEVER)

    def _due(self, key: Key) -> float:
        moments = [NEVER]
        if key.expires is not None and key.state in (State.ACTIVE, State.SUSPENDED):
            moments.append(key.expires + self.rules.seconds("expiry-sweep", 0))
        moments.append(self.purge_due(key))
        if key.state == State.ACTIVE and key.rotation is not None and self.runs(key.rotation):
            moments.append(self.rotation_due(key))
        return min(moments)

    @rule
    def purge_due(self, key: Key) -> float:
        """Return when the key is purged without a request: 90 days after its deletion."""
        return NEVER if key.deleted is None else key.deleted + self.rules.seconds("auto-purge", 90 * DAY)

    @rule
    def expire(self, key: Key, now: float) -> None:
        """A key whose date has passed is deactivated."""
        if (
            key.expires is not None
            and key.state in (State.ACTIVE, State.SUSPENDED)
            and now >= key.expires + self.rules.seconds("expiry-sweep", 0)
        ):
            key.state = State.DEACTIVATED
            self.touch(key)

    @rule
    def rotation_due(self, key: Key) -> float:
        """Return when the key's policy rotates next: so many months of 30 days after it was set, or rotated last."""
        assert key.rotation is not None
        start = max(key.rotation.updated, key.rotated or 0.0)
        return start + min(key.rotation.interval, _ENDLESS) * MONTH

    @rule
    def runs(self, policy: KeyPolicy) -> bool:
        """Whether the rotation policy rotates: while it is enabled."""
        return policy.enabled

    @rule
    def rotate_by_policy(self, key: Key, now: float) -> None:
        """Make each version that the key's policy asks for until now."""
        policy = key.rotation
        if policy is None or not self.runs(policy) or policy.interval < 1 or key.state != State.ACTIVE:
            return
        for _ in range(_MAX_CATCH_UP):
            due = self.rotation_due(key)
            if now < due:
                return
            new_version(key, due, token_bytes(32), by_token=False)
            self.touch(key, due)

    def to_row(self) -> dict[str, Any]:
        """All but the keys, as JSON values."""
        return {
            "offset": self.offset,
            "rings": self.rings,
            "policies": {name: asdict(policy) for name, policy in self.policies.items()},
            "import_token": asdict(self.import_token) if self.import_token else None,
            "adapters": {name: asdict(adapter) for name, adapter in self.adapters.items()},
        }

    def load(self, row: dict[str, Any]) -> None:
        """Take over what `to_row` wrote."""
        self.offset = row["offset"]
        self.rings = row["rings"]
        self.policies = {name: InstancePolicy(**policy) for name, policy in row["policies"].items()}
        self.import_token = ImportToken(**row["import_token"]) if row["import_token"] else None
        self.adapters = {name: KmipAdapter.from_row(adapter) for name, adapter in row["adapters"].items()}
        self.changed = False


@rule
def new_id(_: Instance) -> str:
    """Return the id of a new key, policy, adapter or certificate."""
    return str(uuid4())


def new_version(key: Key, now: float, material: bytes, *, by_token: bool) -> None:
    """Give the key a new newest version."""
    key.versions.append(Version(id=str(uuid4()), created=now, material=material.hex(), by_token=by_token))
    key.rotated = now
