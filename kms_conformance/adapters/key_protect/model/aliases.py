"""Aliases of a key (1.5.6)."""

from __future__ import annotations

from dataclasses import replace

from kms_conformance.adapters.key_protect.model import keys
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin
from kms_conformance.adapters.key_protect.model.bodies import is_alias
from kms_conformance.adapters.key_protect.model.callers import called, learn_names
from kms_conformance.adapters.key_protect.model.creation import check_unique
from kms_conformance.adapters.key_protect.model.facts import Equal, Optional, Rule
from kms_conformance.adapters.key_protect.model.prediction import ANY_REFUSAL, Success, refusals
from kms_conformance.adapters.key_protect.model.shown import near

_MOST = 5


def create(attempt: Attempt) -> Outcome:
    """POST /keys/{id}/aliases/{alias}: unique in the instance, five for a key."""
    rules, key = begin(attempt)
    alias = attempt.operation.path["alias"]
    if not is_alias(alias):
        rules.broken(refusals((400, 404, 405, 409, 422)))
    if key is None:
        return attempt.answer(rules, Success(frozenset({200, 201})))
    keys.not_deleted(attempt, rules, key, "an alias")
    check_unique(attempt, rules, alias)
    if len(key.aliases) >= _MOST:
        rules.broken(refusals((400, 409), "KEY_ALIAS_QUOTA_ERR"))
    elif len(key.aliases) + _recent(attempt, key.id) >= _MOST:
        rules.perhaps("an alias that was just removed", refusals((400, 409), "KEY_ALIAS_QUOTA_ERR"))
    after = replace(
        attempt.state.put(replace(key, aliases=key.aliases | {alias}, touched=attempt.now)),
        # Another key may go on to show it for a while.
        removed=tuple(entry for entry in attempt.state.removed if entry[:2] != (alias, key.id)),
    )
    facts: dict[str, Rule] = {
        "resources.0.alias": Equal(alias),
        "resources.0.keyId": Equal(key.id),
        "resources.0.createdBy": called(attempt, attempt.caller.name),
        "resources.0.creationDate": Optional(near(attempt, attempt.now)),
    }
    if alias in key.aliases:
        # Whether an alias that the key has is given anew is not stated.
        del facts["resources.0.createdBy"], facts["resources.0.creationDate"]
    learn = learn_names(("resources.0.createdBy", "" if alias in key.aliases else attempt.caller.name))
    return attempt.answer(rules, Success(frozenset({200, 201}), facts, learn=learn), after)


def delete(attempt: Attempt) -> Outcome:
    """DELETE /keys/{id}/aliases/{alias}; an alias of another key is not taken off through this one."""
    rules, key = begin(attempt)
    alias = attempt.operation.path["alias"]
    if key is None:
        return attempt.answer(rules, Success(frozenset({204})))
    keys.not_deleted(attempt, rules, key, "an alias")
    if alias not in key.aliases:
        if any(alias in other.aliases for other in attempt.state.keys):
            rules.broken(ANY_REFUSAL)
        else:
            rules.perhaps("an alias that is not there", ANY_REFUSAL)
        return attempt.answer(rules, Success(frozenset({204})))
    after = replace(
        attempt.state.put(replace(key, aliases=key.aliases - {alias}, touched=attempt.now)),
        removed=(*_still(attempt), (alias, key.id, attempt.now)),
    )
    return attempt.answer(rules, Success(frozenset({204})), after)


def _still(attempt: Attempt) -> tuple[tuple[str, str, float], ...]:
    return tuple(entry for entry in attempt.state.removed if attempt.now < entry[2] + attempt.timing.alias)


def _recent(attempt: Attempt, key_id: str) -> int:
    return sum(1 for entry in _still(attempt) if entry[1] == key_id)
