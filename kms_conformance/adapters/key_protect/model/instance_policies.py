"""Policies of the instance (1.3.7, No. 1, 2, 4, 16, 32; P5 to P8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome
from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.callers import called, learn_names
from kms_conformance.adapters.key_protect.model.facts import Absent, Entries, Equal, Optional, Rule
from kms_conformance.adapters.key_protect.model.prediction import (
    BAD_REQUEST,
    BODY,
    BODY_OR_FIELD,
    FIELD,
    NO_BODY,
    QUERY,
    UNAUTHORISED,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.shown import near
from kms_conformance.adapters.key_protect.model.state import Instance, InstancePolicy

KINDS = ("allowedNetwork", "dualAuthDelete", "allowedIP", "keyCreateImportAccess", "metrics", "rotation")
_ACCESS: Mapping[str, bool] = {
    "create_root_key": True,
    "create_standard_key": True,
    "import_root_key": True,
    "import_standard_key": True,
    "enforce_token": False,
}
_LONGEST, _MOST_RANGES = 12, 1000
_TOTAL = refusals((400,), "COLLECTION_TOTAL_MISMATCH_ERR")
_MISMATCH = refusals((400,), "BODY_QUERY_PARAM_MISMATCH_ERR")
_SINGLE = refusals((400,), "NUM_COLLECTION_RESOURCE_ERR")
_RESTRICTED = refusals((403,), "FEATURE_RESTRICTED_ERR")


def put(attempt: Attempt) -> Outcome:
    """PUT /instance/policies: those that are named, nothing of them where one is refused."""
    rules, query = Rules(), attempt.operation.query.get("policy")
    if query not in {None, *KINDS}:
        rules.broken(QUERY)
    resources = _resources(rules, attempt.operation.body, query)
    policies = [_read(attempt, rules, resource) for resource in resources]
    if query is None and len({one.kind for one in policies}) < len(policies):
        rules.broken(BODY | _SINGLE)
    state = attempt.state
    for one in policies:
        state = _with(state, one)
    return attempt.answer(rules, Success(frozenset({204})), state)


def get(attempt: Attempt) -> Outcome:
    """GET /instance/policies: one entry for each policy that was ever set."""
    rules, query = Rules(), attempt.operation.query.get("policy")
    if query not in {None, *KINDS}:
        rules.broken(QUERY)
    wanted = [one for one in attempt.state.policies if query in {None, one.kind}]
    entries = {one.kind: _shown(attempt, one) for one in wanted}
    facts: dict[str, Rule] = {
        "resources": Entries("policy_type", entries),
        "metadata.collectionTotal": Equal(len(entries)),
    }
    learn = learn_names(("resources.0.updatedBy", wanted[0].by)) if len(wanted) == 1 else ()
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=learn))


def get_port(attempt: Attempt) -> Outcome:
    """GET /instance/allowed_ip_port: a port only under an allowedIP policy."""
    rules = Rules()
    facts: dict[str, Rule] = {} if attempt.state.policy("allowedIP") else {"resources": Absent()}
    return attempt.answer(rules, Success(frozenset({200}), facts))


def locked_out(attempt: Attempt) -> bool:
    """Whether a network policy may keep callers out: from where they call is not known to the model."""
    network = attempt.state.policy("allowedNetwork")
    closed = network is not None and network.attribute("allowed_network", "") == "private-only"
    return closed or attempt.state.policy("allowedIP") is not None


def _shown(attempt: Attempt, one: InstancePolicy) -> dict[str, Rule]:
    facts: dict[str, Rule] = {"policy_data.enabled": Equal(one.enabled)}
    if one.at is not None:
        facts["lastUpdated"], facts["updatedBy"] = Optional(near(attempt, one.at)), called(attempt, one.by)
    if not one.enabled or not one.attributes:
        facts["policy_data.attributes"] = Absent()
        return facts
    for name, value in one.attributes:
        fact: Rule = Equal(list(value) if isinstance(value, tuple) else value)
        facts[f"policy_data.attributes.{name}"] = fact
    if one.kind == "keyCreateImportAccess":
        for name, default in _ACCESS.items():
            if one.attribute(name, None) is None:
                facts[f"policy_data.attributes.{name}"] = Optional(Equal(default))
    return facts


def _with(state: Instance, one: InstancePolicy) -> Instance:
    others = tuple(policy for policy in state.policies if policy.kind != one.kind)
    return replace(state, policies=tuple(sorted((*others, one), key=lambda policy: policy.kind)))


def _resources(rules: Rules, body: Any, query: str | None) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        rules.broken(NO_BODY | BODY if body is None else BODY)
        return []
    metadata, resources = body.get("metadata"), body.get("resources")
    if not isinstance(metadata, dict) or metadata.get("collectionType") != f"{KIND}policy+json":
        rules.broken(BAD_REQUEST)
    if (
        not isinstance(resources, list)
        or not resources
        or not all(isinstance(one, dict) for one in resources)
    ):
        rules.broken(BODY | _TOTAL)
        return []
    total = metadata.get("collectionTotal") if isinstance(metadata, dict) else None
    if total != len(resources):
        rules.broken(_TOTAL if isinstance(total, int) else BAD_REQUEST)
    if query is not None and len(resources) > 1:
        rules.broken(_SINGLE)
    if query is not None and resources[0].get("policy_type") != query:
        rules.broken(_MISMATCH)
    elif any(one.get("policy_type") not in KINDS for one in resources):
        rules.broken(BODY_OR_FIELD | _MISMATCH)
    return resources


def _read(attempt: Attempt, rules: Rules, resource: dict[str, Any]) -> InstancePolicy:
    kind, data = resource.get("policy_type"), resource.get("policy_data")
    if set(resource) - {"policy_type", "policy_data"}:
        rules.broken(BODY)
    if not isinstance(data, dict) or not isinstance(data.get("enabled"), bool):
        rules.broken(BODY_OR_FIELD)
        return InstancePolicy(str(kind), enabled=False)
    if set(data) - {"enabled", "attributes"}:
        rules.broken(BODY)
    enabled, attributes = data["enabled"], data.get("attributes")
    if attributes is not None and not isinstance(attributes, dict):
        rules.broken(BODY)
        attributes = None
    if kind == "allowedIP" and enabled:
        rules.perhaps("allowedIP has to be enabled for the account", _RESTRICTED)
    if not enabled and attributes:
        rules.perhaps("attributes with enabled false", BODY_OR_FIELD | BAD_REQUEST)
        attributes = None
    if enabled:
        _attributes(rules, str(kind), attributes)
    pairs = tuple(
        sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in (attributes or {}).items())
    )
    if enabled and locked_out(_as_if(attempt, str(kind), pairs)):
        rules.perhaps("a policy that keeps its own caller out", UNAUTHORISED)
    return InstancePolicy(str(kind), enabled, pairs, at=attempt.now, by=attempt.caller.name)


def _as_if(attempt: Attempt, kind: str, attributes: tuple[tuple[str, Any], ...]) -> Attempt:
    """Return the request as if an enabled policy stood already."""
    return replace(
        attempt, state=_with(attempt.state, InstancePolicy(kind, enabled=True, attributes=attributes))
    )


def _attributes(rules: Rules, kind: str, attributes: dict[str, Any] | None) -> None:
    allowed: Mapping[str, frozenset[str]] = {
        "allowedNetwork": frozenset({"allowed_network"}),
        "allowedIP": frozenset({"allowed_ip"}),
        "keyCreateImportAccess": frozenset(_ACCESS),
        "rotation": frozenset({"interval_month"}),
    }
    takes = allowed.get(kind, frozenset())
    if not takes:
        if attributes is not None:
            rules.broken(BODY_OR_FIELD | BAD_REQUEST)
        return
    if not attributes:
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
        return
    if set(attributes) - takes:
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
    if not all(_fits(name, value) for name, value in attributes.items() if name in takes):
        rules.broken(FIELD | BODY_OR_FIELD | BAD_REQUEST)


def _fits(name: str, value: Any) -> bool:
    if name == "allowed_network":
        return value in ("public-and-private", "private-only")
    if name == "allowed_ip":
        return (
            isinstance(value, list)
            and 1 <= len(value) <= _MOST_RANGES
            and all(isinstance(one, str) for one in value)
        )
    if name == "interval_month":
        return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LONGEST
    return isinstance(value, bool)
