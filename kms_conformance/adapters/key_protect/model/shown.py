"""What the API shows of a key: in metadata, GET, lists and replies that hold the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt
from kms_conformance.adapters.key_protect.model.callers import called, learn_names
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
    DAY,
    DESTROYED,
    KEPT,
    MONTH,
    PURGE_WAIT,
    RESTORE_WINDOW,
    Instance,
    Key,
    Policy,
)

KEY_TYPE = "application/vnd.ibm.kms.key+json"


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
        "creationDate": near(attempt, key.created),
        "createdBy": called(attempt, key.maker),
        "lastUpdateDate": Optional(_updated(attempt, key)),
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


def learn_callers(key: Key, path: str) -> tuple[Learn, ...]:
    """Return how an answer that shows a key tells the names of callers."""
    deleted = (f"{path}.deletedBy", key.deleter if key.state == DESTROYED else "")
    return learn_names((f"{path}.createdBy", key.maker), deleted)


def learn_version(attempt: Attempt, key: Key, path: str) -> tuple[Learn, ...]:
    """Return how an answer that names the newest version of a key is taken: not where a policy may have made another."""
    if key.may_have_rotated(attempt.now):
        return ()

    def take(state: Instance, value: Any) -> Instance:
        now = state.key(key.id)
        if not isinstance(value, str) or now.newest.id or now.open_versions:
            return state
        return state.put(replace(now, versions=(*now.versions[:-1], replace(now.newest, id=value))))

    return ((path, take),)


def newest_id(attempt: Attempt, key: Key) -> Rule | None:
    """Return what the id of the newest version is: known, or none of the older ones; nothing where it is open."""
    if key.must_have_rotated(attempt.now, attempt.timing.slack):
        return NoneOf(frozenset(version.id for version in key.versions if version.id))
    if key.may_have_rotated(attempt.now) or not key.versions:
        return None
    if key.newest.id:
        return Equal(key.newest.id) if "#" not in key.newest.id else None
    return NoneOf(frozenset(version.id for version in key.versions[:-1] if version.id))


def near(attempt: Attempt, moment: float) -> Near:
    """Return a date of about a moment."""
    return Near(moment - attempt.timing.slack, moment + attempt.timing.slack)


def _updated(attempt: Attempt, key: Key) -> Near:
    """Return when a key was updated last: not before its last rotation, and not after the last thing that was done to it."""
    slack, latest = attempt.timing.slack, max(key.created, key.asked)
    if key.open_versions or key.may_have_rotated(attempt.now) or attempt.states(key) != {key.state}:
        latest = attempt.now
    if key.expires is not None and attempt.now > key.expires - slack:
        latest = attempt.now
    # A rotation is an update, also one by a policy that a list of versions has told of.
    rotated = max(key.rotated or key.created, key.newest.at if key.versions else key.created)
    if key.must_have_rotated(attempt.now, slack):
        rotated = _since(key)
    return Near(rotated - slack, max(latest, rotated) + slack)


def _since(key: Key) -> float:
    """Return the earliest moment of a rotation by policy that must have come."""
    months = key.rotation.interval if key.rotation is not None else 1
    return key.newest.at + (months if isinstance(months, int) else 1) * MONTH - 2 * DAY


def _expiry(attempt: Attempt, key: Key) -> dict[str, Rule]:
    return {"expirationDate": Absent() if key.expires is None else near(attempt, key.expires)}


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
    if newest is None:
        return {}
    facts["keyVersion.id"] = newest
    if key.must_have_rotated(attempt.now, attempt.timing.slack):
        facts["lastRotateDate"] = Near(_since(key), attempt.now + attempt.timing.slack)
        return facts
    facts["lastRotateDate"] = Absent() if len(key.versions) == 1 else near(attempt, key.newest.at)
    facts["keyVersion.creationDate"] = Optional(near(attempt, key.newest.at))
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
        facts["dualAuthDelete.authExpiration"] = Optional(near(attempt, lapses))
    return facts


def _deletion(attempt: Attempt, key: Key) -> dict[str, Rule]:
    if key.state != DESTROYED or key.deleted is None:
        # A restored key may still show when it was deleted (R-list of real replies).
        return {}
    until = key.deleted + RESTORE_WINDOW
    if key.expires is not None:
        until = min(until, key.expires)
    facts: dict[str, Rule] = {
        "deletionDate": near(attempt, key.deleted),
        "deletedBy": called(attempt, key.deleter),
        "restoreExpirationDate": Optional(near(attempt, until)),
        "purgeAllowedFrom": Optional(near(attempt, key.deleted + PURGE_WAIT)),
        "purgeScheduledOn": Optional(near(attempt, key.deleted + KEPT)),
    }
    slack = attempt.timing.slack
    if attempt.now > until + slack:
        facts["restoreAllowed"] = AbsentOrFalse()
    if abs(attempt.now - key.deleted - PURGE_WAIT) > slack:
        allowed = attempt.now > key.deleted + PURGE_WAIT
        facts["purgeAllowed"] = Optional(Equal(True)) if allowed else AbsentOrFalse()
    return facts


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
