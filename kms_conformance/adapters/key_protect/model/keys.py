"""Keys: reading, moving, deleting, restoring, purging. Making them is in ``creation``."""

from __future__ import annotations

from dataclasses import replace

from kms_conformance.adapters.key_protect.model import shown
from kms_conformance.adapters.key_protect.model.asking import Ask, Outcome, begin
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


def get_key(ask: Ask) -> Outcome:
    """GET /keys/{id}: also of a deleted key (2.8)."""
    rules, key = begin(ask)
    if key is None:
        return ask.answer(rules, Success(frozenset({200})))
    facts = {**_COLLECTION, **shown.below("resources.0", shown.with_payload(ask, key))}
    learn = shown.learn_version(key, "resources.0.keyVersion.id")
    return ask.answer(rules, Success(frozenset({200}), facts, learn=learn))


def get_metadata(ask: Ask) -> Outcome:
    """GET /keys/{id}/metadata."""
    rules, key = begin(ask)
    if key is None:
        return ask.answer(rules, Success(frozenset({200})))
    facts = {**_COLLECTION, **shown.below("resources.0", shown.members(ask, key))}
    learn = shown.learn_version(key, "resources.0.keyVersion.id")
    return ask.answer(rules, Success(frozenset({200}), facts, learn=learn))


def patch(ask: Ask) -> Outcome:
    """PATCH /keys/{id}: move to another ring; the target ring must exist (1.3.3)."""
    rules, key = begin(ask)
    body = ask.operation.body
    ring = body.get("keyRingID") if isinstance(body, dict) else None
    if not isinstance(ring, str) or not ring:
        rules.broken(BAD_REQUEST)
    elif not ask.state.has_ring(ring):
        rules.broken(refusals((400, 404, 409)))
    if key is None or not isinstance(ring, str):
        return ask.answer(rules, Success(frozenset({200})))
    if ask.states(key) != {ACTIVE}:
        rules.perhaps("moving a key that is not active", ANY_REFUSAL)
    if ring == key.ring:
        rules.perhaps("moving a key to the ring that it is in", refusals((400, 409)))
        return ask.answer(rules, Success(frozenset({200})))
    after = replace(key, ring=ring, moved=(key.ring, ask.now), touched=ask.now)
    facts = {"resources.0.id": Equal(key.id)}
    return ask.answer(rules, Success(frozenset({200}), facts), ask.state.put(after))


def delete(ask: Ask) -> Outcome:
    """DELETE /keys/{id}: dual authorisation, registrations and adapters may hold it back (2.4, 2.5, P19)."""
    rules, key = begin(ask)
    if ask.bad_flag("force"):
        rules.perhaps("a force that is no boolean", QUERY)
    if key is None:
        return ask.answer(rules, Success(frozenset({200, 204})))
    if key.state == DESTROYED:
        # P11: the answer is this one, whatever else holds.
        rules.broken(refusals((410,), "KEY_DELETED_ERR"))
        return ask.answer(rules, Success(frozenset()))
    _dual(ask, rules, key)
    force = ask.flag("force")
    prevents = [registration.prevents for registration in key.registrations]
    if True in prevents:
        held = refusals((409,), "PREV_KEY_DEL_ERR")
        rules.broken(held if force else held | refusals((409,), "PROTECTED_RESOURCE_ERR"))
    elif any(one is not False for one in prevents):
        rules.perhaps("whether a registration prevents deletion", refusals((409,), "PREV_KEY_DEL_ERR"))
    if key.registrations and not force:
        rules.broken(refusals((409,), "PROTECTED_RESOURCE_ERR"))
    if any(adapter.key == key.id for adapter in ask.state.adapters):
        if force:
            rules.perhaps("force against an adapter", ANY_REFUSAL)
        else:
            rules.broken(refusals((400, 409, 422)))
    states = ask.states(key)
    after = replace(
        key,
        state=DESTROYED,
        state_open=DEACTIVATED in states,
        deleted=ask.now,
        acted=ask.now,
        touched=ask.now,
        notified=ask.now,
        authorised=(),
    )
    facts = shown.below("resources.0", shown.identity(ask, after))
    statuses = frozenset({200}) if ask.operation.prefer == "return=representation" else frozenset({200, 204})
    return ask.answer(rules, Success(statuses, facts), ask.state.put(after))


def _dual(ask: Ask, rules: Rules, key: Key) -> None:
    if key.dual is None or not key.dual.enabled:
        return
    slack = ask.timing.slack
    good = [
        one
        for one in key.authorised
        if one.who != ask.caller.name and ask.now < one.at + AUTHORISED_FOR + slack
    ]
    if not good:
        rules.broken(UNMET)
    elif len(good) < len(key.authorised) or any(ask.now > one.at + AUTHORISED_FOR - slack for one in good):
        rules.perhaps("whose authorisation holds", UNMET)


def restore(ask: Ask) -> Outcome:
    """POST /keys/{id}/restore: within 30 days, not before 30 seconds, not after expiry (2.3, E22, P13)."""
    rules, key = begin(ask)
    if key is None:
        return ask.answer(rules, Success(frozenset({201})))
    if key.state != DESTROYED or key.deleted is None:
        rules.broken(STATE | refusals((400, 409, 422)))
        return ask.answer(rules, Success(frozenset()))
    _restorable(ask, rules, key)
    if ask.state.edition == "page":
        _page_restores(ask, rules, key)
    elif ask.operation.body is not None:
        rules.perhaps("a body that today's service does not need", BAD_REQUEST)
    after = replace(
        key,
        state=ACTIVE,
        state_open=key.state_open,
        deleted=None,
        touched=ask.now,
        notified=ask.now,
        authorised=(),
    )
    facts = shown.below("resources.0", shown.identity(ask, after))
    return ask.answer(rules, Success(frozenset({201}), facts), ask.state.put(after))


def _restorable(ask: Ask, rules: Rules, key: Key) -> None:
    assert key.deleted is not None
    slack = ask.timing.slack
    expired = refusals((400,), "KEY_EXPIRED_ERR")
    if key.expires is not None and ask.now > key.expires + slack:
        rules.broken(expired)
    elif key.expires is not None and ask.now > key.expires - slack:
        rules.perhaps("the moment of expiry", expired)
    late = refusals((400,), "KEY_RESTORE_EXPIRED")
    if ask.now > key.deleted + RESTORE_WINDOW + slack:
        rules.broken(late)
    elif ask.now > key.deleted + RESTORE_WINDOW - slack:
        rules.perhaps("the end of 30 days", late)
    settle(ask, rules, key)


def settle(ask: Ask, rules: Rules, key: Key) -> None:
    """Note where 30 seconds since the last action are not over; which actions count is demonstrated for two only (2.3)."""
    if ask.now < key.acted + SETTLE - ask.timing.slack:
        rules.broken(EARLY)
    elif ask.now < max(key.acted, key.touched) + SETTLE + ask.timing.slack:
        rules.perhaps("which action begins the 30 seconds", EARLY)


def _page_restores(ask: Ask, rules: Rules, key: Key) -> None:
    """Note what the page of 2025 refuses and today's service does not; both are accepted (E22, E23)."""
    if key.standard:
        rules.perhaps("E23", ROOT_ONLY | refusals((400,), "KEY_IMPT_REQ_ERR"))
    elif not key.imported:
        rules.perhaps("E22", refusals((400,), "KEY_IMPT_REQ_ERR"))
    if ask.operation.body is None:
        rules.perhaps("no key material", NO_BODY | BAD_REQUEST)
    elif not _holds(ask, key):
        rules.perhaps("other key material", BAD_REQUEST)


def _holds(ask: Ask, key: Key) -> bool:
    body = ask.operation.body
    resources = body.get("resources") if isinstance(body, dict) else None
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        return False
    given = resources[0].get("payload")
    # After a rotation it is open which material is the original one.
    return bool(key.material) and decoded(given) == decoded(key.material) and len(key.versions) == 1


def purge(ask: Ask) -> Outcome:
    """DELETE /keys/{id}/purge: four hours after the deletion; the state is told before the time (P14)."""
    rules, key = begin(ask)
    statuses = frozenset({200}) if ask.operation.prefer == "return=representation" else frozenset({200, 204})
    if key is None:
        return ask.answer(rules, Success(statuses))
    if key.state != DESTROYED or key.deleted is None:
        rules.broken(STATE)
        return ask.answer(rules, Success(statuses))
    if ask.now < key.deleted + PURGE_WAIT - ask.timing.slack:
        rules.broken(EARLY)
    elif ask.now < key.deleted + PURGE_WAIT + ask.timing.slack:
        rules.perhaps("the end of four hours", EARLY)
    if any(adapter.key == key.id for adapter in ask.state.adapters):
        rules.perhaps("purging a key behind an adapter", ANY_REFUSAL)
    return ask.answer(rules, Success(statuses), ask.state.without(key.id))


def not_deleted(ask: Ask, rules: Rules, key: Key, why: str) -> None:
    """Note that a deleted, and perhaps a suspended or expired, key may refuse a change that no source speaks of."""
    if key.state == DESTROYED:
        rules.perhaps(f"{why} of a deleted key", DELETED | ANY_REFUSAL)
    elif ask.states(key) & {SUSPENDED, DEACTIVATED}:
        rules.perhaps(f"{why} of a key that is not active", ANY_REFUSAL)
