"""Aliases of a key (1.5.6)."""

from __future__ import annotations

from dataclasses import replace

from kms_conformance.adapters.key_protect.model import keys
from kms_conformance.adapters.key_protect.model.asking import Ask, Outcome, begin
from kms_conformance.adapters.key_protect.model.bodies import is_alias
from kms_conformance.adapters.key_protect.model.creation import check_unique
from kms_conformance.adapters.key_protect.model.facts import Equal
from kms_conformance.adapters.key_protect.model.prediction import ANY_REFUSAL, Success, refusals

_MOST = 5


def create(ask: Ask) -> Outcome:
    """POST /keys/{id}/aliases/{alias}: unique in the instance, five for a key."""
    rules, key = begin(ask)
    alias = ask.operation.path["alias"]
    if not is_alias(alias):
        rules.broken(refusals((400, 404, 405, 409)))
    if key is None:
        return ask.answer(rules, Success(frozenset({200, 201})))
    keys.not_deleted(ask, rules, key, "an alias")
    check_unique(ask, rules, alias)
    if len(key.aliases) >= _MOST:
        rules.broken(refusals((400, 409), "KEY_ALIAS_QUOTA_ERR"))
    elif len(key.aliases) + _recent(ask, key.id) >= _MOST:
        rules.perhaps("an alias that was just removed", refusals((400, 409), "KEY_ALIAS_QUOTA_ERR"))
    after = replace(
        ask.state.put(replace(key, aliases=key.aliases | {alias}, touched=ask.now)),
        removed=tuple(entry for entry in ask.state.removed if entry[0] != alias),
    )
    facts = {"resources.0.alias": Equal(alias), "resources.0.keyId": Equal(key.id)}
    return ask.answer(rules, Success(frozenset({200, 201}), facts), after)


def delete(ask: Ask) -> Outcome:
    """DELETE /keys/{id}/aliases/{alias}; an alias of another key is not taken off through this one."""
    rules, key = begin(ask)
    alias = ask.operation.path["alias"]
    if key is None:
        return ask.answer(rules, Success(frozenset({204})))
    keys.not_deleted(ask, rules, key, "an alias")
    if alias not in key.aliases:
        if any(alias in other.aliases for other in ask.state.keys):
            rules.broken(ANY_REFUSAL)
        else:
            rules.perhaps("an alias that is not there", ANY_REFUSAL)
        return ask.answer(rules, Success(frozenset({204})))
    after = replace(
        ask.state.put(replace(key, aliases=key.aliases - {alias}, touched=ask.now)),
        removed=(*_still(ask), (alias, key.id, ask.now)),
    )
    return ask.answer(rules, Success(frozenset({204})), after)


def _still(ask: Ask) -> tuple[tuple[str, str, float], ...]:
    return tuple(entry for entry in ask.state.removed if ask.now < entry[2] + ask.timing.alias)


def _recent(ask: Ask, key_id: str) -> int:
    return sum(1 for entry in _still(ask) if entry[1] == key_id)
