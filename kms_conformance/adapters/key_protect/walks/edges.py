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

_ASIDE = 8.0
"""Seconds before or after a moment: more than clocks may be apart, and less than the shortest span."""
_BEFORE, _LATER = 0.35, 0.2
"""Shares of those who ask before it, and of those who ask on a later day, at the hour at which it was too early."""
_DAYS = (1, 1, 2, 7)


@dataclass(frozen=True, slots=True)
class Edge:
    """A moment, what is asked about it, and the key that it is about; no key for the import token's.

    ``span`` is how long before it the time was too early, where that is less than a day.
    """

    what: str
    at: float
    asks: tuple[str, ...]
    key: str = ""
    span: float = 0.0


def edge_of(random: Random, state: Instance, now: float, focus: str = "") -> tuple[float, str, str] | None:
    """Return seconds to wait, an operation and the key to ask it of; nothing where no moment is to come.

    What is about the key ``focus`` comes first, and each kind of moment is as likely as the others.
    """
    edges = [edge for edge in (*_of_keys(state), *_of_token(state)) if edge.at > now - _ASIDE + 1]
    edges = [edge for edge in edges if edge.key == focus] or edges
    if not edges:
        return None
    what = random.choice(sorted({edge.what for edge in edges}))
    edge = random.choice([edge for edge in edges if edge.what == what])
    early, chance = edge.at - _ASIDE - now, random.random()
    if early > 0 and chance < _BEFORE:
        return early, random.choice(edge.asks), edge.key
    seconds = edge.at + _ASIDE - now
    if edge.span and chance > 1 - _LATER:
        seconds = edge.at - edge.span / 2 + random.choice(_DAYS) * DAY - now
    return seconds, random.choice(edge.asks), edge.key


def _of_keys(state: Instance) -> Iterator[Edge]:
    for key in state.keys:
        yield from _of_deleted(key) if key.state == DESTROYED else _of_living(key)


def _of_deleted(key: Key) -> Iterator[Edge]:
    assert key.deleted is not None
    for what, span, asks in (
        ("settled", SETTLE, ("restoreKey",)),
        ("purge", PURGE_WAIT, ("purgeKey", "getKeyMetadata")),
        ("restore", RESTORE_WINDOW, ("restoreKey", "getKeyMetadata")),
        ("kept", KEPT, ("getKeyMetadata", "getKeys", "getKeyCollectionMetadata")),
        ("sync", HOUR, ("syncAssociatedResources",)),
    ):
        yield Edge(what, key.deleted + span, asks, key.id, span if span < DAY else 0.0)


def _of_living(key: Key) -> Iterator[Edge]:
    if key.state == SUSPENDED:
        yield Edge("settled", key.acted + SETTLE, ("enableKey",), key.id, SETTLE)
    if key.rotated is not None:
        yield Edge("hour", key.rotated + HOUR, ("rotateKey",), key.id, HOUR)
    if key.synced > 0:
        yield Edge("sync", key.synced + HOUR, ("syncAssociatedResources",), key.id, HOUR)
    for one in key.authorised:
        yield Edge(
            "authorised", one.at + AUTHORISED_FOR, ("deleteKey", "deleteKey", "getKeyMetadata"), key.id
        )
    if key.expires is not None:
        yield Edge("expiry", key.expires, ("wrapKey", "getKeyMetadata", "restoreKey"), key.id)
        yield Edge(
            "expired",
            key.expires + HOUR,
            ("wrapKey", "getKeyMetadata", "unwrapKey", "disableKey", "getKeys"),
            key.id,
        )
    policy = key.rotation
    if (
        policy is not None
        and isinstance(policy.interval, int)
        and policy.at is not None
        and key.state == ACTIVE
    ):
        looks = ("getKeyVersions", "getKeyMetadata", "wrapKey", "unwrapKey")
        yield Edge("not due", key.newest.at + policy.interval * MONTH - DAY, looks, key.id)
        yield Edge("due", max(policy.at, key.newest.at) + policy.interval * MONTH + DAY, looks, key.id)


def _of_token(state: Instance) -> Iterator[Edge]:
    if state.token is not None:
        yield Edge("token", state.token.at + state.token.life, ("getImportToken", "createKey"))
