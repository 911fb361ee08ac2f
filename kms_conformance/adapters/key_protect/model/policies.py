"""Policies of one key: rotation and dual authorisation (1.3.6, 2.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model import keys, shown
from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin
from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.callers import called, learn_names
from kms_conformance.adapters.key_protect.model.facts import ByKind, Equal, Optional, Rule
from kms_conformance.adapters.key_protect.model.prediction import (
    BAD_REQUEST,
    BODY,
    BODY_OR_FIELD,
    FIELD,
    NO_BODY,
    QUERY,
    ROOT_ONLY,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import UNKNOWN, Key, Policy

_KINDS = ("dualAuthDelete", "rotation")
_LONGEST = 12


def put(attempt: Attempt) -> Outcome:
    """PUT /keys/{id}/policies: what is not named stays as it is."""
    rules, key = begin(attempt)
    query = attempt.operation.query.get("policy")
    given = _given(rules, attempt.operation.body, query)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    keys.not_deleted(attempt, rules, key, "policies")
    # What the policy of before has made until now, the one of now does not tell.
    after = replace(key, touched=attempt.now, open_versions=key.may_have_rotated(attempt.now))
    if "rotation" in given:
        if key.standard:
            rules.broken(ROOT_ONLY | refusals((400, 409)))
        elif key.imported:
            rules.perhaps("a rotation policy of an imported key", refusals((400, 409)))
        after = replace(after, rotation=read_rotation(attempt, rules, given["rotation"], key.rotation))
    if "dualAuthDelete" in given:
        dual = read_dual(attempt, rules, given["dualAuthDelete"])
        if key.dual is not None and key.dual.enabled and not (dual and dual.enabled):
            rules.broken(refusals((400, 409)))  # 2.4: it is never turned off; the code is not shown
        after = replace(after, dual=dual)
    return attempt.answer(
        rules, Success(frozenset({200}), _replied(after, tuple(given), query)), attempt.state.put(after)
    )


def get(attempt: Attempt) -> Outcome:
    """GET /keys/{id}/policies: those that were set; none: total 0."""
    rules, key = begin(attempt)
    query = attempt.operation.query.get("policy")
    if query not in {None, *_KINDS}:
        rules.broken(QUERY)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    if key.state == 5:  # noqa: PLR2004 - destroyed
        keys.not_deleted(attempt, rules, key, "reading policies")
    wanted = [kind for kind in _KINDS if query in {None, kind} and _policy(key, kind) is not None]
    facts: dict[str, Rule] = {
        "metadata.collectionTotal": Equal(len(wanted)),
        "resources": ByKind({kind: _listed(attempt, _policy(key, kind), kind) for kind in wanted}),
    }
    policy = _policy(key, wanted[0]) if len(wanted) == 1 else None
    learn = learn_names(("resources.0.updatedBy", policy.by)) if policy else ()
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=learn))


def _listed(attempt: Attempt, policy: Policy | None, kind: str) -> dict[str, Rule]:
    """Return what a list shows of a policy: what it says, and when and by whom it was set last."""
    facts = shown.policy_facts(policy, kind)
    if policy is not None and policy.at is not None:
        facts["lastUpdateDate"] = Optional(shown.near(attempt, policy.at))
        facts["updatedBy"] = called(attempt, policy.by)
    return facts


def read_rotation(attempt: Attempt, rules: Rules, value: Any, before: Policy | None) -> Policy:
    """Return a rotation policy; enabling it anew without an interval keeps the older one (1.3.6)."""
    return replace(_rotation(rules, value, before), at=attempt.now, by=attempt.caller.name)


def _rotation(rules: Rules, value: Any, before: Policy | None) -> Policy:
    if not isinstance(value, dict):
        rules.broken(BODY_OR_FIELD)
        return Policy(enabled=True)
    enabled = value.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        rules.broken(BODY_OR_FIELD)
    interval = value.get("interval_month")
    if interval is None:
        kept = before.interval if before else None
        if not isinstance(kept, int):
            (rules.perhaps if enabled is not None else _surely(rules))(
                "a rotation policy without interval", BAD_REQUEST
            )
        return Policy(enabled=enabled is not False, interval=kept if kept is not None else UNKNOWN)
    if not isinstance(interval, int) or isinstance(interval, bool) or not 1 <= interval <= _LONGEST:
        rules.broken(FIELD if isinstance(interval, int) else BODY_OR_FIELD)
        return Policy(enabled=True)
    return Policy(enabled=enabled is not False, interval=interval)


def read_dual(attempt: Attempt, rules: Rules, value: Any) -> Policy | None:
    """Return a policy of dual authorisation."""
    if not isinstance(value, dict) or not isinstance(value.get("enabled"), bool):
        rules.broken(BODY_OR_FIELD)
        return None
    return Policy(enabled=value["enabled"], at=attempt.now, by=attempt.caller.name)


def _surely(rules: Rules) -> Any:
    return lambda _why, *refusals: rules.broken(*refusals)


def _given(rules: Rules, body: Any, query: str | None) -> dict[str, Any]:
    """Return the policies that a body names; note what is wrong with it. Codes are fixed for intervals only."""
    if query not in {None, *_KINDS}:
        rules.broken(QUERY)
    if not isinstance(body, dict):
        rules.broken(NO_BODY | BODY if body is None else BODY)
        return {}
    metadata, resources = body.get("metadata"), body.get("resources")
    if not isinstance(resources, list) or not resources:
        rules.broken(BAD_REQUEST)
        return {}
    members = metadata if isinstance(metadata, dict) else {}
    if (members.get("collectionType"), members.get("collectionTotal")) != (
        f"{KIND}policy+json",
        len(resources),
    ):
        rules.broken(BAD_REQUEST)
    policies: dict[str, Any] = {}
    for resource in resources:
        named = [kind for kind in _KINDS if isinstance(resource, dict) and resource.get(kind) is not None]
        if not named or any(kind in policies for kind in named):
            rules.broken(BAD_REQUEST)
        policies |= {kind: resource[kind] for kind in named}
    if query is not None and (set(policies) != {query} or len(resources) != 1):
        rules.broken(BAD_REQUEST)
    return policies


def _policy(key: Key, kind: str) -> Policy | None:
    return key.rotation if kind == "rotation" else key.dual


def _replied(key: Key, given: tuple[str, ...], query: str | None) -> dict[str, Rule]:
    # Whether the reply shows what was set, or all that is set, is not stated; with one policy it is the same.
    wanted = [kind for kind in _KINDS if _policy(key, kind) is not None]
    if len(wanted) == 1 and (query in {None, wanted[0]}) and given == (wanted[0],):
        return shown.below("resources.0", shown.policy_facts(_policy(key, wanted[0]), wanted[0]))
    return {}
