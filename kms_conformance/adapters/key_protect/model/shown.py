"""What the API shows of a key: in metadata, GET, lists and replies that hold the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt
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
_APART = frozenset({"manager", "approver"})
"""Callers who are certainly two users: one authorises what the other deletes."""


def identity(attempt: Attempt, key: Key) -> dict[str, Rule]:
    """Return what each reply that holds a key shows of it, the shortest included (1.4.1)."""
    states = attempt.states(key)
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
        **_expiry(attempt, key),
    }


def members(attempt: Attempt, key: Key) -> dict[str, Rule]:
    """Return what metadata, GET and lists show of a key."""
    return {
        **identity(attempt, key),
        "payload": Absent(),
        "tags": Same(frozenset(key.tags)) if key.tags else Absent(),
        **_aliases(attempt, key),
        "keyRingID": Optional(_ring(attempt, key)),
        "creationDate": _near(attempt, key.created),
        **callers(attempt, createdBy=key.maker),
        "lastUpdateDate": Optional(
            Near(key.created - attempt.timing.slack, attempt.now + attempt.timing.slack)
        ),
        **_version(attempt, key),
        **_policies(attempt, key),
        **_deletion(attempt, key),
    }


def with_payload(attempt: Attempt, key: Key) -> dict[str, Rule]:
    """Return what GET shows: of a standard key its payload too; what of a deleted one, is not stated."""
    facts = members(attempt, key)
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


def newest_id(attempt: Attempt, key: Key) -> Rule | None:
    """Return what the id of the newest version is: known, or none of the older ones; nothing where it is open."""
    if key.may_have_rotated(attempt.now) or not key.versions:
        return None
    if key.newest.id:
        return Equal(key.newest.id) if "#" not in key.newest.id else None
    return NoneOf(frozenset(version.id for version in key.versions[:-1] if version.id))


def callers(attempt: Attempt, **members: str) -> dict[str, Rule]:
    """Return what members show that name callers: their names as before, or at least nobody else's."""
    known = dict(attempt.state.callers)
    facts: dict[str, Rule] = {}
    for member, name in members.items():
        if name in known:
            facts[member] = Optional(Equal(known[name]))
        elif name in _APART:
            facts[member] = Optional(NoneOf(frozenset(known[one] for one in _APART & known.keys())))
    return facts


def learn_callers(prefix: str, **members: str) -> tuple[Learn, ...]:
    """Return how an answer is taken that names callers, in members below a path."""

    def keeper(name: str) -> Callable[[Instance, Any], Instance]:
        return lambda state, value: state.called(name, value) if isinstance(value, str) else state

    return tuple((f"{prefix}.{member}", keeper(name)) for member, name in members.items() if name)


def _near(attempt: Attempt, moment: float) -> Near:
    return Near(moment - attempt.timing.slack, moment + attempt.timing.slack)


def _expiry(attempt: Attempt, key: Key) -> dict[str, Rule]:
    return {"expirationDate": Absent() if key.expires is None else _near(attempt, key.expires)}


def _aliases(attempt: Attempt, key: Key) -> dict[str, Rule]:
    late = any(
        one[1] == key.id and attempt.now < one[2] + attempt.timing.alias for one in attempt.state.removed
    )
    if late or key.state == DESTROYED:
        return {}
    return {"aliases": Same(key.aliases) if key.aliases else Absent()}


def _ring(attempt: Attempt, key: Key) -> Rule:
    if key.moved is not None and attempt.now < key.moved[1] + attempt.timing.ring:
        return OneOf(frozenset({key.ring, key.moved[0]}))
    return Equal(key.ring)


def _version(attempt: Attempt, key: Key) -> dict[str, Rule]:
    if key.standard:
        return {}
    facts: dict[str, Rule] = {}
    newest = newest_id(attempt, key)
    if newest is not None:
        facts["keyVersion.id"] = newest
        facts["keyVersion.creationDate"] = Optional(_near(attempt, key.newest.at))
        facts["lastRotateDate"] = Absent() if len(key.versions) == 1 else _near(attempt, key.newest.at)
    return facts


def _policies(attempt: Attempt, key: Key) -> dict[str, Rule]:
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
    if attempt.now < lapses - attempt.timing.slack:
        facts["dualAuthDelete.keySetForDeletion"] = Equal(True)
        facts["dualAuthDelete.authExpiration"] = Optional(_near(attempt, lapses))
    return facts


def _deletion(attempt: Attempt, key: Key) -> dict[str, Rule]:
    if key.state != DESTROYED or key.deleted is None:
        # A restored key may still show when it was deleted (R-list of real replies).
        return {}
    until = key.deleted + RESTORE_WINDOW
    if key.expires is not None:
        until = min(until, key.expires)
    return {
        "deletionDate": _near(attempt, key.deleted),
        **callers(attempt, deletedBy=key.deleter),
        **_sure(attempt, "restoreAllowed", until, before=True),
        **_sure(attempt, "purgeAllowed", key.deleted + PURGE_WAIT, before=False),
        "restoreExpirationDate": Optional(_near(attempt, until)),
        "purgeAllowedFrom": Optional(_near(attempt, key.deleted + PURGE_WAIT)),
        "purgeScheduledOn": Optional(_near(attempt, key.deleted + KEPT)),
    }


def _sure(attempt: Attempt, member: str, moment: float, *, before: bool) -> dict[str, Rule]:
    """Return a member that is true before a moment or after it, where it is sure on which side of it the answer is."""
    if abs(attempt.now - moment) < attempt.timing.slack:
        return {}
    return {member: Optional(Equal((attempt.now < moment) is before))}


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
