"""What one instance of the service holds, as plain data that goes to JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Self


class StoreError(Exception):
    """The data file cannot be used: not a database, not ours, in use, or not writable."""


class State(IntEnum):
    """Key states as numbers on the wire; 0 and 4 never occur."""

    ACTIVE = 1
    SUSPENDED = 2
    DEACTIVATED = 3
    DESTROYED = 5


@dataclass(slots=True)
class Version:
    """One version of a key: its id (also the ciphertext's handle), its birth and its material (hex)."""

    id: str
    created: float
    material: str
    by_token: bool = False


@dataclass(slots=True)
class KeyPolicy:
    """A rotation or dualAuthDelete policy of one key; `interval` is in months of 30 days."""

    id: str
    enabled: bool
    created: float
    created_by: str
    updated: float
    updated_by: str
    interval: int = 0


@dataclass(slots=True)
class Registration:
    """The use of a key by a resource of another service."""

    crn: str
    description: str
    prevent_deletion: bool
    metadata: str | None
    version_id: str
    created: float
    created_by: str
    updated: float
    updated_by: str


@dataclass(slots=True)
class Key:
    """A root key (`extractable` false) or a standard key, living, deleted, but not purged."""

    id: str
    name: str
    description: str
    extractable: bool
    imported: bool
    ring: str
    created: float
    created_by: str
    updated: float
    versions: list[Version]
    tags: list[str] = field(default_factory=list)
    aliases: dict[str, list[Any]] = field(default_factory=dict)
    """alias -> [created, created_by]"""
    state: int = State.ACTIVE
    state_before: int = State.ACTIVE
    expires: float | None = None
    rotated: float | None = None
    acted: float = 0.0
    """When the key was last disabled or deleted: the 30 seconds run from here."""
    notified: float | None = None
    """Last sync or life-cycle notification: the hour before the next sync runs from here."""
    deleted: float | None = None
    deleted_by: str = ""
    authorized_by: str = ""
    """The user who set the key for deletion, empty when nobody did."""
    authorized: float = 0.0
    dual_auth: KeyPolicy | None = None
    rotation: KeyPolicy | None = None
    registrations: dict[str, Registration] = field(default_factory=dict)
    corrupt: bool = False
    bad_signature: bool = False

    @property
    def newest(self) -> Version:
        """The version that wraps."""
        return self.versions[-1]

    def to_row(self) -> dict[str, Any]:
        """Return the key as JSON values."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return the key that `to_row` wrote."""
        row = dict(row)
        row["versions"] = [Version(**v) for v in row["versions"]]
        for name in ("dual_auth", "rotation"):
            row[name] = KeyPolicy(**row[name]) if row[name] else None
        row["registrations"] = {crn: Registration(**r) for crn, r in row["registrations"].items()}
        return cls(**row)


@dataclass(slots=True)
class InstancePolicy:
    """One policy of the whole instance."""

    enabled: bool
    attributes: dict[str, Any]
    created: float
    created_by: str
    updated: float
    updated_by: str


@dataclass(slots=True)
class ImportToken:
    """The instance's import token; `private_pem` stays empty until somebody fetches the public key."""

    created: float
    life: int
    allowed: int
    remaining: int
    nonce: str
    private_pem: str = ""
    public_pem: str = ""


@dataclass(slots=True)
class KmipCertificate:
    """A client certificate of an adapter (PEM)."""

    id: str
    name: str
    pem: str
    fingerprint: str
    created: float
    created_by: str


@dataclass(slots=True)
class KmipObject:
    """An object made over the KMIP protocol; the control path stands in for that protocol."""

    id: str
    state: int
    created: float
    certificate_id: str
    destroyed: float | None = None


@dataclass(slots=True)
class KmipAdapter:
    """A KMIP adapter in front of a root key."""

    id: str
    name: str
    description: str
    key_id: str
    created: float
    created_by: str
    updated: float
    updated_by: str
    certificates: dict[str, KmipCertificate] = field(default_factory=dict)
    objects: dict[str, KmipObject] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return the adapter that `asdict` wrote."""
        row = dict(row)
        row["certificates"] = {k: KmipCertificate(**v) for k, v in row["certificates"].items()}
        row["objects"] = {k: KmipObject(**v) for k, v in row["objects"].items()}
        return cls(**row)
