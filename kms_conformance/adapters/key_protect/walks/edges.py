"""Moments at which something begins or ends for a key or a token, and what shows on which side of it one is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from kms_conformance.adapters.key_protect.model.state import (
    ACTIVE,
    AUTHORISED_FOR,
    DAY,
    DESTROYED,
    HOUR,
    KEPT,
    MONTH,
    PURGE_WAIT,
    RESTORE_WINDOW,
    SETTLE,
    SUSPENDED,
    Instance,
    Key,
)

_ASIDE = 12.0
"""Seconds before or after a moment: more than clocks may be apart, and less than the shortest span."""
_BEFORE = 0.35
"""The share of those who ask before it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A moment, what is asked about it, and the key that it is about; no key for the import token's."""

    at: float
    asks: tuple[str, ...]
    key: str = ""


def edge_of(random: Random, state: Instance, now: float) -> tuple[float, str, str] | None:
    """Return seconds to wait, an operation and the key to ask it of; nothing where no moment is to come."""
    edges = [edge for edge in (*_of_keys(state), *_of_token(state)) if edge.at > now - _ASIDE + 1]
    if not edges:
        return None
    edge = random.choice(edges)
    early = edge.at - _ASIDE - now
    seconds = early if early > 0 and random.random() < _BEFORE else edge.at + _ASIDE - now
    return seconds, random.choice(edge.asks), edge.key


def _of_keys(state: Instance) -> Iterator[Edge]:
    for key in state.keys:
        yield from _of_deleted(key) if key.state == DESTROYED else _of_living(key)


def _of_deleted(key: Key) -> Iterator[Edge]:
    assert key.deleted is not None
    for span, asks in (
        (SETTLE, ("restoreKey",)),
        (PURGE_WAIT, ("purgeKey", "getKeyMetadata")),
        (RESTORE_WINDOW, ("restoreKey", "getKeyMetadata")),
        (KEPT, ("getKeyMetadata", "getKeys", "getKeyCollectionMetadata")),
        (HOUR, ("syncAssociatedResources",)),
    ):
        yield Edge(key.deleted + span, asks, key.id)


def _of_living(key: Key) -> Iterator[Edge]:
    if key.state == SUSPENDED:
        yield Edge(key.acted + SETTLE, ("enableKey",), key.id)
    if key.rotated is not None:
        yield Edge(key.rotated + HOUR, ("rotateKey",), key.id)
    if key.synced > 0:
        yield Edge(key.synced + HOUR, ("syncAssociatedResources",), key.id)
    for one in key.authorised:
        yield Edge(one.at + AUTHORISED_FOR, ("deleteKey", "deleteKey", "getKeyMetadata"), key.id)
    if key.expires is not None:
        yield Edge(key.expires, ("wrapKey", "getKeyMetadata", "restoreKey"), key.id)
        yield Edge(
            key.expires + HOUR, ("wrapKey", "getKeyMetadata", "unwrapKey", "disableKey", "getKeys"), key.id
        )
    policy = key.rotation
    if (
        policy is not None
        and isinstance(policy.interval, int)
        and policy.at is not None
        and key.state == ACTIVE
    ):
        looks = ("getKeyVersions", "getKeyMetadata", "wrapKey", "unwrapKey")
        yield Edge(key.newest.at + policy.interval * MONTH - DAY, looks, key.id)
        yield Edge(max(policy.at, key.newest.at) + policy.interval * MONTH + DAY, looks, key.id)


def _of_token(state: Instance) -> Iterator[Edge]:
    if state.token is not None:
        yield Edge(state.token.at + state.token.life, ("getImportToken", "createKey"))
