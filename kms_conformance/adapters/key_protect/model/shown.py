"""What the API shows of a key: in metadata, GET, lists and replies that hold the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.asking import Ask
from kms_conformance.adapters.key_protect.model.facts import (
    Absent,
    AbsentOrFalse,
    Bytes,
    Ending,
    Equal,
    Near,
    NoneOf,
    OneOf,
    Optional,
    Rule,
    Same,
)
from kms_conformance.adapters.key_protect.model.prediction import Learn
from kms_conformance.adapters.key_protect.model.state import (
    AUTHORISED_FOR,
    DESTROYED,
    KEPT,
    PURGE_WAIT,
    RESTORE_WINDOW,
    Instance,
    Key,
    Policy,
)

KEY_TYPE = "application/vnd.ibm.kms.key+json"


def identity(ask: Ask, key: Key) -> dict[str, Rule]:
    """Return what each reply that holds a key shows of it, the shortest included (1.4.1)."""
    states = ask.states(key)
    gone = key.state == DESTROYED
    return {
        **({} if "#" in key.id else {"id": Equal(key.id), "crn": Ending(f":key:{key.id}")}),
        **({} if key.standard else {"payload": Absent()}),
        "type": Equal(KEY_TYPE),
        "name": Equal(key.name),
        "state": OneOf(frozenset(states)),
        "extractable": Equal(key.standard),
        "imported": Equal(key.imported),
        "deleted": Equal(True) if gone else AbsentOrFalse(),
        "description": Absent() if key.description is None else Equal(key.description),
        **_expiry(ask, key),
    }


def members(ask: Ask, key: Key) -> dict[str, Rule]:
    """Return what metadata, GET and lists show of a key."""
    return {
        **identity(ask, key),
        "payload": Absent(),
        "tags": Same(frozenset(key.tags)) if key.tags else Absent(),
        **_aliases(ask, key),
        "keyRingID": Optional(_ring(ask, key)),
        "creationDate": _near(ask, key.created),
        "lastUpdateDate": Optional(Near(key.created - ask.timing.slack, ask.now + ask.timing.slack)),
        **_version(ask, key),
        **_policies(ask, key),
        **_deletion(ask, key),
    }


def with_payload(ask: Ask, key: Key) -> dict[str, Rule]:
    """Return what GET shows: of a standard key its payload too; what of a deleted one, is not stated."""
    facts = members(ask, key)
    if key.standard:
        del facts["payload"]
        if key.state != DESTROYED:
            facts["payload"] = Equal(key.material) if key.material else Bytes()
    return facts


def below(prefix: str, facts: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return facts about what stands below a path."""
    return {f"{prefix}.{path}": rule for path, rule in facts.items()}


def learn_version(key: Key, path: str) -> tuple[Learn, ...]:
    """Return how an answer that names the newest version of a key is taken."""

    def take(state: Instance, value: Any) -> Instance:
        now = state.key(key.id)
        if not isinstance(value, str) or now.newest.id or now.open_versions:
            return state
        return state.put(replace(now, versions=(*now.versions[:-1], replace(now.newest, id=value))))

    return ((path, take),)


def newest_id(ask: Ask, key: Key) -> Rule | None:
    """Return what the id of the newest version is: known, or none of the older ones; nothing where it is open."""
    if key.may_have_rotated(ask.now) or not key.versions:
        return None
    if key.newest.id:
        return Equal(key.newest.id) if "#" not in key.newest.id else None
    return NoneOf(frozenset(version.id for version in key.versions[:-1] if version.id))


def _near(ask: Ask, moment: float) -> Near:
    return Near(moment - ask.timing.slack, moment + ask.timing.slack)


def _expiry(ask: Ask, key: Key) -> dict[str, Rule]:
    return {"expirationDate": Absent() if key.expires is None else _near(ask, key.expires)}


def _aliases(ask: Ask, key: Key) -> dict[str, Rule]:
    late = any(one[1] == key.id and ask.now < one[2] + ask.timing.alias for one in ask.state.removed)
    if late or key.state == DESTROYED:
        return {}
    return {"aliases": Same(key.aliases) if key.aliases else Absent()}


def _ring(ask: Ask, key: Key) -> Rule:
    if key.moved is not None and ask.now < key.moved[1] + ask.timing.ring:
        return OneOf(frozenset({key.ring, key.moved[0]}))
    return Equal(key.ring)


def _version(ask: Ask, key: Key) -> dict[str, Rule]:
    if key.standard:
        return {}
    facts: dict[str, Rule] = {}
    newest = newest_id(ask, key)
    if newest is not None:
        facts["keyVersion.id"] = newest
        facts["lastRotateDate"] = Absent() if len(key.versions) == 1 else _near(ask, key.newest.at)
    return facts


def _policies(ask: Ask, key: Key) -> dict[str, Rule]:
    facts: dict[str, Rule] = {}
    if key.rotation is None:
        facts["rotation"] = Absent()
    else:
        facts["rotation.enabled"] = Equal(key.rotation.enabled)
        if key.rotation.enabled and isinstance(key.rotation.interval, int):
            facts["rotation.interval_month"] = Equal(key.rotation.interval)
    if key.dual is None or not key.dual.enabled:
        facts["dualAuthDelete.enabled"] = AbsentOrFalse()
        return facts
    facts["dualAuthDelete.enabled"] = Equal(True)
    if key.state == DESTROYED or len(key.authorised) > 1:
        return facts
    if not key.authorised:
        facts["dualAuthDelete.keySetForDeletion"] = AbsentOrFalse()
        return facts
    lapses = key.authorised[0].at + AUTHORISED_FOR
    if ask.now < lapses - ask.timing.slack:
        facts["dualAuthDelete.keySetForDeletion"] = Equal(True)
        facts["dualAuthDelete.authExpiration"] = Optional(_near(ask, lapses))
    return facts


def _deletion(ask: Ask, key: Key) -> dict[str, Rule]:
    if key.state != DESTROYED or key.deleted is None:
        # A restored key may still show when it was deleted (R-list of real replies).
        return {}
    until = key.deleted + RESTORE_WINDOW
    if key.expires is not None:
        until = min(until, key.expires)
    return {
        "deletionDate": _near(ask, key.deleted),
        "restoreExpirationDate": Optional(_near(ask, until)),
        "purgeAllowedFrom": Optional(_near(ask, key.deleted + PURGE_WAIT)),
        "purgeScheduledOn": Optional(_near(ask, key.deleted + KEPT)),
    }


def policy_facts(policy: Policy | None, name: str) -> dict[str, Rule]:
    """Return what a reply shows of a key's policy below its name."""
    if policy is None:
        return {}
    facts: dict[str, Rule] = {f"{name}.enabled": Equal(policy.enabled)}
    if name == "rotation" and isinstance(policy.interval, int):
        facts["rotation.interval_month"] = (
            Equal(policy.interval) if policy.enabled else Optional(Equal(policy.interval))
        )
    return facts
