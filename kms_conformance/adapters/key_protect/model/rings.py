"""Key rings (1.5.7, 2.7)."""

from __future__ import annotations

import re
from dataclasses import replace

from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome
from kms_conformance.adapters.key_protect.model.callers import called
from kms_conformance.adapters.key_protect.model.facts import Near, Rule
from kms_conformance.adapters.key_protect.model.paging import Page, listing, page_of
from kms_conformance.adapters.key_protect.model.prediction import ANY_REFUSAL, QUERY, Rules, Success, refusals
from kms_conformance.adapters.key_protect.model.state import DEFAULT_RING, DESTROYED, Instance, Ring

_FORM = re.compile(r"[A-Za-z0-9_-]{2,100}")
_QUOTA = 50
"""Rings that an instance may hold by the documentation; whether the service keeps to it is doubtful (E52)."""
_SHORTEST_DEFAULT = 51


def get(attempt: Attempt) -> Outcome:
    """GET /key_rings: ``default`` is always there."""
    rules = Rules()
    page = page_of(attempt, rules, default=_SHORTEST_DEFAULT)
    slack = attempt.timing.slack
    entries: dict[str, dict[str, Rule]] = {DEFAULT_RING: {}}
    for ring in attempt.state.rings:
        entries[ring.id] = {
            "creationDate": Near(ring.at - slack, ring.at + slack),
            "createdBy": called(attempt, ring.maker),
        }
    if "limit" not in attempt.operation.query and len(entries) > _SHORTEST_DEFAULT:
        page = Page(100, page.offset, page.total)  # E52: 51 or 100
        rules.perhaps("E52")
        return attempt.answer(rules, Success(frozenset({200})))
    return attempt.answer(rules, Success(frozenset({200}), listing(page, "id", entries)))


def create(attempt: Attempt) -> Outcome:
    """POST /key_rings/{id}; what an id that is taken gets is fixed nowhere."""
    rules, ring = Rules(), attempt.operation.path["key_ring_id"]
    if not _FORM.fullmatch(ring):
        rules.perhaps("the form of ring ids", ANY_REFUSAL)
    if ring == DEFAULT_RING:
        rules.broken(ANY_REFUSAL)
    if len(attempt.state.rings) + 1 >= _QUOTA:
        rules.perhaps("E52", refusals((400, 409, 422)))
    if attempt.state.has_ring(ring):
        rules.perhaps("a ring that exists", refusals((400, 409, 422)))
        return attempt.answer(rules, Success(frozenset({200, 201, 204})))
    after = replace(attempt.state, rings=(*attempt.state.rings, Ring(ring, attempt.now, attempt.caller.name)))
    return attempt.answer(rules, Success(frozenset({201})), after)


def delete(attempt: Attempt) -> Outcome:
    """DELETE /key_rings/{id}: empty of keys in any state, or by force where each key in it is destroyed (2.7)."""
    rules, ring = Rules(), attempt.operation.path["key_ring_id"]
    if attempt.bad_flag("force"):
        rules.perhaps("a force that is no boolean", QUERY)
    if ring == DEFAULT_RING:
        rules.broken(refusals((400, 409, 422)))
        return attempt.answer(rules, Success(frozenset()))
    if not attempt.state.has_ring(ring):
        rules.broken(refusals((400, 404, 422)))
        return attempt.answer(rules, Success(frozenset()))
    inside = [key for key in attempt.state.keys if key.ring == ring]
    if inside and not attempt.flag("force"):
        rules.broken(refusals((409,), "KEY_RING_NOT_EMPTY_ERR"))
    if attempt.flag("force") and any(key.state != DESTROYED for key in inside):
        rules.broken(refusals((400, 409), "KEY_RING_KEYS_NOT_DELETED_ERR"))
    if any(
        key.moved and key.moved[0] == ring and attempt.now < key.moved[1] + attempt.timing.ring
        for key in attempt.state.keys
    ):
        rules.perhaps("a key that was just moved", refusals((409,)))
    return attempt.answer(rules, Success(frozenset({204})), _without(attempt.state, ring, attempt.now))


def _without(state: Instance, ring: str, now: float) -> Instance:
    """Return the state without a ring, whose keys are moved: that may be seen late (2.3)."""
    keys = tuple(
        replace(key, ring=DEFAULT_RING, moved=(ring, now)) if key.ring == ring else key for key in state.keys
    )
    return replace(state, rings=tuple(one for one in state.rings if one.id != ring), keys=keys)
