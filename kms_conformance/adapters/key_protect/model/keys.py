"""Keys: reading, moving, deleting, restoring, purging. Making them is in ``creation``."""

from __future__ import annotations

from dataclasses import replace

from kms_conformance.adapters.key_protect.model import shown
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin
from kms_conformance.adapters.key_protect.model.facts import Equal, decoded
from kms_conformance.adapters.key_protect.model.prediction import (
    ANY_REFUSAL,
    BAD_REQUEST,
    DELETED,
    EARLY,
    NO_BODY,
    QUERY,
    ROOT_ONLY,
    STATE,
    UNMET,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import (
    ACTIVE,
    AUTHORISED_FOR,
    DEACTIVATED,
    DESTROYED,
    PURGE_WAIT,
    RESTORE_WINDOW,
    SETTLE,
    SUSPENDED,
    Key,
)

_COLLECTION = {"metadata.collectionTotal": Equal(1)}


def get_key(attempt: Attempt) -> Outcome:
    """GET /keys/{id}: also of a deleted key (2.8)."""
    rules, key = begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    facts = {**_COLLECTION, **shown.below("resources.0", shown.with_payload(attempt, key))}
    learn = shown.learn_version(attempt, key, "resources.0.keyVersion.id") + shown.learn_callers(
        key, "resources.0"
    )
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=learn))


def get_metadata(attempt: Attempt) -> Outcome:
    """GET /keys/{id}/metadata."""
    rules, key = begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    facts = {**_COLLECTION, **shown.below("resources.0", shown.members(attempt, key))}
    learn = shown.learn_version(attempt, key, "resources.0.keyVersion.id") + shown.learn_callers(
        key, "resources.0"
    )
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=learn))


def patch(attempt: Attempt) -> Outcome:
    """PATCH /keys/{id}: move to another ring; the target ring must exist (1.3.3)."""
    rules, key = begin(attempt)
    body = attempt.operation.body
    ring = body.get("keyRingID") if isinstance(body, dict) else None
    if not isinstance(ring, str) or not ring:
        rules.broken(BAD_REQUEST)
    elif not attempt.state.has_ring(ring):
        rules.broken(refusals((400, 404, 409)))
    if key is None or not isinstance(ring, str):
        return attempt.answer(rules, Success(frozenset({200})))
    if attempt.states(key) != {ACTIVE}:
        rules.perhaps("moving a key that is not active", ANY_REFUSAL)
    if ring == key.ring:
        rules.perhaps("moving a key to the ring that it is in", refusals((400, 409)))
        return attempt.answer(rules, Success(frozenset({200})))
    after = replace(key, ring=ring, moved=(key.ring, attempt.now), touched=attempt.now)
    facts = {"resources.0.id": Equal(key.id)}
    return attempt.answer(rules, Success(frozenset({200}), facts), attempt.state.put(after))


def delete(attempt: Attempt) -> Outcome:
    """DELETE /keys/{id}: dual authorisation, registrations and adapters may hold it back (2.4, 2.5, P19)."""
    rules, key = begin(attempt)
    if attempt.bad_flag("force"):
        rules.perhaps("a force that is no boolean", QUERY)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200, 204})))
    if key.state == DESTROYED:
        # P11: the answer is this one, whatever else holds.
        rules.broken(refusals((410,), "KEY_DELETED_ERR"))
        return attempt.answer(rules, Success(frozenset()))
    _dual(attempt, rules, key)
    force = attempt.flag("force")
    prevents = [registration.prevents for registration in key.registrations]
    if True in prevents:
        held = refusals((409,), "PREV_KEY_DEL_ERR")
        rules.broken(held if force else held | refusals((409,), "PROTECTED_RESOURCE_ERR"))
    elif any(one is not False for one in prevents):
        rules.perhaps("whether a registration prevents deletion", refusals((409,), "PREV_KEY_DEL_ERR"))
    if key.registrations and not force:
        rules.broken(refusals((409,), "PROTECTED_RESOURCE_ERR"))
    if any(adapter.key == key.id for adapter in attempt.state.adapters):
        if force:
            rules.perhaps("force against an adapter", ANY_REFUSAL)
        else:
            rules.broken(refusals((400, 409, 422)))
    states = attempt.states(key)
    after = replace(
        key,
        state=DESTROYED,
        state_open=DEACTIVATED in states,
        deleted=attempt.now,
        acted=attempt.now,
        touched=attempt.now,
        notified=attempt.now,
        authorised=(),
        deleter=attempt.caller.name,
    )
    facts = shown.below("resources.0", shown.identity(attempt, after))
    statuses = (
        frozenset({200}) if attempt.operation.prefer == "return=representation" else frozenset({200, 204})
    )
    return attempt.answer(rules, Success(statuses, facts), attempt.state.put(after))


def _dual(attempt: Attempt, rules: Rules, key: Key) -> None:
    if key.dual is None or not key.dual.enabled:
        return
    slack = attempt.timing.slack
    good = [
        one
        for one in key.authorised
        if one.who != attempt.caller.name and attempt.now < one.at + AUTHORISED_FOR + slack
    ]
    if not good:
        rules.broken(UNMET)
    elif len(good) < len(key.authorised) or any(
        attempt.now > one.at + AUTHORISED_FOR - slack for one in good
    ):
        rules.perhaps("whose authorisation holds", UNMET)


def restore(attempt: Attempt) -> Outcome:
    """POST /keys/{id}/restore: within 30 days, not before 30 seconds, not after expiry (2.3, E22, P13)."""
    rules, key = begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(frozenset({201})))
    if key.state != DESTROYED or key.deleted is None:
        rules.broken(STATE | refusals((400, 409, 422)))
        return attempt.answer(rules, Success(frozenset()))
    _restorable(attempt, rules, key)
    if attempt.state.edition == "page":
        _page_restores(attempt, rules, key)
    elif attempt.operation.body is not None:
        rules.perhaps("a body that today's service does not need", BAD_REQUEST)
    after = replace(
        key,
        state=ACTIVE,
        state_open=key.state_open,
        deleted=None,
        touched=attempt.now,
        notified=attempt.now,
        authorised=(),
    )
    facts = shown.below("resources.0", shown.identity(attempt, after))
    return attempt.answer(rules, Success(frozenset({201}), facts), attempt.state.put(after))


def _restorable(attempt: Attempt, rules: Rules, key: Key) -> None:
    assert key.deleted is not None
    slack = attempt.timing.slack
    expired = refusals((400,), "KEY_EXPIRED_ERR")
    if key.expires is not None and attempt.now > key.expires + slack:
        rules.broken(expired)
    elif key.expires is not None and attempt.now > key.expires - slack:
        rules.perhaps("the moment of expiry", expired)
    late = refusals((400,), "KEY_RESTORE_EXPIRED")
    if attempt.now > key.deleted + RESTORE_WINDOW + slack:
        rules.broken(late)
    elif attempt.now > key.deleted + RESTORE_WINDOW - slack:
        rules.perhaps("the end of 30 days", late)
    settle(attempt, rules, key)


def settle(attempt: Attempt, rules: Rules, key: Key) -> None:
    """Note where 30 seconds since the last action are not over; which actions count is demonstrated for two only (2.3)."""
    if attempt.now < key.acted + SETTLE - attempt.timing.slack:
        rules.broken(EARLY)
    elif attempt.now < max(key.acted, key.touched) + SETTLE + attempt.timing.slack:
        rules.perhaps("which action begins the 30 seconds", EARLY)


def _page_restores(attempt: Attempt, rules: Rules, key: Key) -> None:
    """Note what the page of 2025 refuses and today's service does not; both are accepted (E22, E23)."""
    if key.standard:
        rules.perhaps("E23", ROOT_ONLY | refusals((400,), "KEY_IMPT_REQ_ERR"))
    elif not key.imported:
        rules.perhaps("E22", refusals((400,), "KEY_IMPT_REQ_ERR"))
    if attempt.operation.body is None:
        rules.perhaps("no key material", NO_BODY | BAD_REQUEST)
    elif not _holds(attempt, key):
        rules.perhaps("other key material", BAD_REQUEST)


def _holds(attempt: Attempt, key: Key) -> bool:
    body = attempt.operation.body
    resources = body.get("resources") if isinstance(body, dict) else None
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        return False
    given = resources[0].get("payload")
    # After a rotation it is open which material is the original one.
    return bool(key.material) and decoded(given) == decoded(key.material) and len(key.versions) == 1


def purge(attempt: Attempt) -> Outcome:
    """DELETE /keys/{id}/purge: four hours after the deletion; the state is checked before the time (P14)."""
    rules, key = begin(attempt)
    statuses = (
        frozenset({200}) if attempt.operation.prefer == "return=representation" else frozenset({200, 204})
    )
    if key is None:
        return attempt.answer(rules, Success(statuses))
    if key.state != DESTROYED or key.deleted is None:
        rules.broken(STATE)
        return attempt.answer(rules, Success(statuses))
    if attempt.now < key.deleted + PURGE_WAIT - attempt.timing.slack:
        rules.broken(EARLY)
    elif attempt.now < key.deleted + PURGE_WAIT + attempt.timing.slack:
        rules.perhaps("the end of four hours", EARLY)
    if any(adapter.key == key.id for adapter in attempt.state.adapters):
        rules.perhaps("purging a key behind an adapter", ANY_REFUSAL)
    return attempt.answer(rules, Success(statuses), attempt.state.without(key.id))


def not_deleted(attempt: Attempt, rules: Rules, key: Key, why: str) -> None:
    """Note that a deleted, and perhaps a suspended or expired, key may refuse a change that no source speaks of."""
    if key.state == DESTROYED:
        rules.perhaps(f"{why} of a deleted key", DELETED | ANY_REFUSAL)
    elif attempt.states(key) & {SUSPENDED, DEACTIVATED}:
        rules.perhaps(f"{why} of a key that is not active", ANY_REFUSAL)
