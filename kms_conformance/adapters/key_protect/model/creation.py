"""Making keys: POST /keys and POST /keys_with_policy_overrides (1.3.1, 1.3.2, 3.2, 3.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model import shown
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome
from kms_conformance.adapters.key_protect.model.bodies import flag, is_alias, material, single, tags, text
from kms_conformance.adapters.key_protect.model.facts import (
    Bytes,
    Equal,
    NoneOf,
    Optional,
    Rule,
    Same,
    seconds_of,
)
from kms_conformance.adapters.key_protect.model.import_tokens import check_packing
from kms_conformance.adapters.key_protect.model.policies import read_dual, read_rotation
from kms_conformance.adapters.key_protect.model.prediction import (
    BODY_OR_FIELD,
    NO_ACCESS,
    ROOT_ONLY,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import (
    DEFAULT_RING,
    DESTROYED,
    Instance,
    Key,
    Policy,
    Version,
)

_RING_UNKNOWN = refusals((400, 404), "KEY_RING_NOT_FOUND_ERR")
_NOT_UNIQUE = refusals((400, 409), "KEY_ALIAS_NOT_UNIQUE_ERR")
_MOST_ALIASES = 5


def create(attempt: Attempt) -> Outcome:
    """POST /keys: the policies of the instance pass to the new key."""
    rules = Rules()
    resource = single(rules, attempt.operation.body, "key+json")
    if resource is None:
        return attempt.answer(rules, Success(frozenset({201})))
    key = _read(attempt, rules, resource)
    if attempt.state.policy("dualAuthDelete"):
        key = replace(key, dual=Policy(enabled=True, at=attempt.now, by=attempt.caller.name))
    rotation = attempt.state.policy("rotation")
    if rotation and not key.standard and not key.imported:
        interval = rotation.attribute("interval_month", None)
        policy = Policy(enabled=True, interval=interval, at=attempt.now, by=attempt.caller.name)
        key = replace(key, rotation=policy)
    return _made(attempt, rules, key)


def create_with_overrides(attempt: Attempt) -> Outcome:
    """POST /keys_with_policy_overrides: what it names, and nothing of the instance's policies (1.3.2)."""
    rules = Rules()
    resource = single(rules, attempt.operation.body, "key+json")
    if resource is None:
        return attempt.answer(rules, Success(frozenset({201})))
    key = _read(attempt, rules, resource)
    if resource.get("dualAuthDelete") is not None:
        key = replace(key, dual=read_dual(attempt, rules, resource["dualAuthDelete"]))
    if resource.get("rotation") is not None:
        key = replace(key, rotation=read_rotation(attempt, rules, resource["rotation"], None))
        if key.standard:
            rules.broken(ROOT_ONLY)
        elif key.imported:
            rules.perhaps("a rotation policy of an imported key", refusals((400, 409, 422)))
    return _made(attempt, rules, key)


def _read(attempt: Attempt, rules: Rules, resource: dict[str, Any]) -> Key:
    """Return the key that a resource describes; its id stays a symbol until the answer names it."""
    standard = flag(rules, resource, "extractable")
    if resource.get("type") not in (None, shown.KEY_TYPE):
        rules.broken(BODY_OR_FIELD)
    if resource.get("type") is None or standard is None:
        rules.perhaps("type or extractable left out", BODY_OR_FIELD)
    ring = attempt.operation.ring or DEFAULT_RING
    if not attempt.state.has_ring(ring):
        rules.broken(_RING_UNKNOWN)
    given = resource.get("payload") is not None
    packed = resource.get("encryptedNonce") is not None or resource.get("iv") is not None
    symbol = f"key#{attempt.state.serial}"
    return Key(
        id=symbol,
        name=text(rules, resource, "name", 2, 90, needed=True) or "",
        description=text(rules, resource, "description", 2, 240),
        tags=tags(rules, resource),
        aliases=_aliases(attempt, rules, resource),
        expires=_expires(attempt, rules, resource),
        standard=bool(standard),
        created=attempt.now,
        touched=attempt.now,
        ring=ring,
        imported=given,
        material=_material(attempt, rules, resource, standard=bool(standard), packed=packed),
        versions=(Version(symbol, attempt.now),),
        open_versions=False,
        maker=attempt.caller.name,
    )


def _material(
    attempt: Attempt, rules: Rules, resource: dict[str, Any], *, standard: bool, packed: bool
) -> str:
    given = resource.get("payload")
    _access(attempt, rules, standard=standard, imported=given is not None, packed=packed)
    if packed:
        if standard:
            rules.broken(refusals((400, 409, 422)))
        return check_packing(attempt, rules, resource)
    return "" if given is None else material(rules, given, standard=standard)


def _access(attempt: Attempt, rules: Rules, *, standard: bool, imported: bool, packed: bool) -> None:
    policy = attempt.state.policy("keyCreateImportAccess")
    if policy is None:
        return
    kind = f"{'import' if imported else 'create'}_{'standard' if standard else 'root'}_key"
    if policy.attribute(kind, True) is False:
        rules.broken(NO_ACCESS)
    if imported and policy.attribute("enforce_token", False) is True and (standard or not packed):
        rules.broken(NO_ACCESS)


def _aliases(attempt: Attempt, rules: Rules, resource: dict[str, Any]) -> frozenset[str]:
    given = resource.get("aliases") or []
    if not isinstance(given, list) or not all(is_alias(one) for one in given):
        rules.broken(refusals((400, 409, 422)))
        return frozenset()
    if len(given) > _MOST_ALIASES:
        rules.broken(refusals((400, 409, 422)))
    if len(set(given)) < len(given):
        rules.perhaps("an alias given twice", refusals((400, 409, 422)))
    for alias in given:
        check_unique(attempt, rules, alias)
    return frozenset(given)


def check_unique(attempt: Attempt, rules: Rules, alias: str) -> None:
    """Note where an alias is taken in the instance (1.5.6); whether a deleted key holds on to its own is not stated."""
    holders = [key for key in attempt.state.keys if alias in key.aliases]
    if any(key.state != DESTROYED for key in holders):
        rules.broken(_NOT_UNIQUE)
    elif holders:
        rules.perhaps("the alias of a deleted key", _NOT_UNIQUE)
    elif any(
        one[0] == alias and attempt.now < one[2] + attempt.timing.alias for one in attempt.state.removed
    ):
        rules.perhaps("an alias that was just removed", _NOT_UNIQUE)


def _expires(attempt: Attempt, rules: Rules, resource: dict[str, Any]) -> float | None:
    given = resource.get("expirationDate")
    if given is None:
        return None
    seconds = seconds_of(given)
    if seconds is None or seconds < attempt.now - attempt.timing.slack:
        rules.broken(BODY_OR_FIELD)
    elif seconds < attempt.now + attempt.timing.slack:
        rules.perhaps("an expiration date of this moment", BODY_OR_FIELD)
    return seconds


def _made(attempt: Attempt, rules: Rules, key: Key) -> Outcome:
    after = replace(attempt.state.put(key), serial=attempt.state.serial + 1)
    facts: dict[str, Rule] = {
        "metadata.collectionTotal": Equal(1),
        "resources.0.id": NoneOf(frozenset(one.id for one in attempt.state.keys) | attempt.state.gone),
        **shown.below("resources.0", shown.identity(attempt, key)),
    }
    if attempt.operation.prefer == "return=minimal":
        # What a minimal answer leaves out, no source says.
        for name in ("imported", "deleted", "description", "expirationDate"):
            facts[f"resources.0.{name}"] = Optional(facts[f"resources.0.{name}"])
    if key.aliases:
        facts["resources.0.aliases"] = Optional(Same(key.aliases))
    if key.tags:
        facts["resources.0.tags"] = Optional(Same(frozenset(key.tags)))
    facts["resources.0.keyRingID"] = Optional(Equal(key.ring))
    if key.standard:
        facts["resources.0.payload"] = Optional(Equal(key.material) if key.material else Bytes())

    def take(state: Instance, value: Any) -> Instance:
        return state.renamed(key.id, value) if isinstance(value, str) else state

    return attempt.answer(rules, Success(frozenset({201}), facts, learn=(("resources.0.id", take),)), after)
