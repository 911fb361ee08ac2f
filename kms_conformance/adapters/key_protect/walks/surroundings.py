"""Requests on policies, import tokens, aliases, rings and registrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.model.state import Key
from kms_conformance.adapters.key_protect.walks.choices import (
    ALIASES,
    CRNS,
    NOBODY,
    RINGS,
    Choices,
    collection,
    page,
    total,
)


def policy_body(choices: Choices, key: Key | None) -> Any:
    """Return policies of a key."""
    rotation: dict[str, Any] = {}
    if choices.chance(0.8):
        rotation["interval_month"] = choices.one((1, 6, 12, 12, 12, 0, 13))
    if choices.chance(0.5) or not rotation:
        rotation["enabled"] = choices.chance(0.6)
    dual = {"enabled": choices.chance(0.7)}
    kind = f"{KIND}policy+json"
    if key is not None and key.dual is not None and key.dual.enabled and choices.chance(0.7):
        return collection("policy+json", {"type": kind, "rotation": rotation})
    return choices.one(
        (
            collection("policy+json", {"type": kind, "rotation": rotation}),
            collection("policy+json", {"type": kind, "dualAuthDelete": dual}),
            collection("policy+json", {"type": kind, "rotation": rotation, "dualAuthDelete": dual}),
            collection(
                "policy+json", {"type": kind, "rotation": rotation}, {"type": kind, "dualAuthDelete": dual}
            ),
        )
    )


def put_policy(choices: Choices) -> Operation:
    """Set policies of a key."""
    key = choices.key()
    body = policy_body(choices, key)
    resources = body["resources"]
    query: dict[str, str] = {}
    named = [kind for kind in ("rotation", "dualAuthDelete") if kind in resources[0]]
    if len(resources) == 1 and len(named) == 1 and choices.chance(0.5):
        query["policy"] = named[0] if choices.chance(0.9) else "rotation"
    return Operation(
        "putPolicy", path={"id": choices.path(key)}, query=query, body=body, ring=choices.ring(key)
    )


def policy_query(*kinds: str) -> Callable[[Choices], dict[str, str]]:
    """Return the policy that is asked for, if one is."""
    return lambda choices: {"policy": choices.one(kinds)} if choices.chance(0.5) else {}


def get_policy(choices: Choices) -> Operation:
    """Read policies of a key."""
    query = policy_query("rotation", "dualAuthDelete")(choices)
    return Operation("getPolicy", path={"id": choices.path(choices.key())}, query=query)


INSTANCE: Mapping[str, Callable[[Choices], dict[str, Any] | None]] = {
    "dualAuthDelete": lambda _: None,
    "metrics": lambda _: None,
    "rotation": lambda choices: {"interval_month": choices.one((1, 6, 12, 13))},
    "allowedNetwork": lambda _: {"allowed_network": "public-and-private"},
    "keyCreateImportAccess": lambda choices: {
        name: choices.chance(0.3 if name == "enforce_token" else 0.8)
        for name in choices.random.sample(
            (
                "create_root_key",
                "create_standard_key",
                "import_root_key",
                "import_standard_key",
                "enforce_token",
            ),
            3,
        )
    },
}


def instance_policy(choices: Choices, kind: str) -> dict[str, Any]:
    """Return a policy of the instance; mostly off, for they get in the way of everything else."""
    # Mostly off again: the policies of an instance get in the way of everything else.
    enabled = choices.chance(0.4)
    data: dict[str, Any] = {"enabled": enabled}
    attributes = INSTANCE[kind](choices)
    if enabled and attributes is not None:
        data["attributes"] = attributes
    if choices.chance(0.03):
        data |= choices.one(({"attributes": {"strange": 1}}, {"extra": 1}, {"enabled": "yes"}))
    resource: dict[str, Any] = {"policy_type": kind, "policy_data": data}
    return resource | {"extra_field": 1} if choices.chance(0.02) else resource


def put_instance_policy(choices: Choices) -> Operation:
    """Set policies of the instance."""
    kind = choices.one(INSTANCE)
    resources = [instance_policy(choices, kind)]
    if choices.chance(0.2):
        resources.append(instance_policy(choices, choices.one(INSTANCE)))
    query = {"policy": kind if choices.chance(0.9) else "metrics"} if choices.chance(0.6) else {}
    total = None if choices.chance(0.95) else 3
    return Operation(
        "putInstancePolicy", query=query, body=collection("policy+json", *resources, total=total)
    )


def get_instance_policy(choices: Choices) -> Operation:
    """Read policies of the instance."""
    return Operation("getInstancePolicy", query=policy_query(*INSTANCE)(choices))


def post_token(choices: Choices) -> Operation:
    """Make an import token."""
    body = choices.one(
        (
            None,
            {},
            {"expiration": 300},
            {"expiration": 86400, "maxAllowedRetrievals": 3},
            {"maxAllowedRetrievals": 2},
        )
    )
    if choices.chance(0.05):
        body = choices.one(({"expiration": 299}, {"expiration": 86401}, {"maxAllowedRetrievals": 501}))
    return Operation("postImportToken", body=body)


def alias(name: str) -> Callable[[Choices], Operation | None]:
    """Return a builder of a request on an alias."""

    def build(choices: Choices) -> Operation:
        key = choices.key(wanted=(lambda one: bool(one.aliases)) if name == "deleteKeyAlias" else None)
        alias = choices.one(ALIASES) if choices.chance(0.95) else choices.one(("keys", NOBODY, "a"))
        if name == "deleteKeyAlias" and key is not None and key.aliases and choices.chance(0.8):
            alias = choices.one(sorted(key.aliases))
        return Operation(name, path={"id": choices.path(key), "alias": alias}, ring=choices.ring(key))

    return build


def ring_path(choices: Choices) -> dict[str, str]:
    """Return a ring."""
    return {"key_ring_id": choices.one(RINGS) if choices.chance(0.95) else "default"}


def registration_query(choices: Choices) -> dict[str, str]:
    """Return filters of a list of registrations."""
    query = {**page(choices, 5001), **total(choices)}
    if choices.chance(0.4):
        query["preventKeyDeletion"] = choices.one(("true", "false"))
    if choices.chance(0.2):
        query["urlEncodedResourceCRNQuery"] = choices.one((CRNS[0], f"{CRNS[1][:-3]}*"))
    return query


def registration(name: str) -> Callable[[Choices], Operation | None]:
    """Return a builder of a change of a registration."""

    def build(choices: Choices) -> Operation | None:
        if (
            name != "createRegistration"
            and not any(key.registrations for key in choices.state.keys)
            and choices.chance(0.8)
        ):
            return None
        key = choices.key(wanted=lambda one: not one.standard and one.state == 1)
        crn = choices.one(CRNS)
        if name != "createRegistration" and key is not None and key.registrations and choices.chance(0.8):
            crn = choices.one(key.registrations).crn
        resource: dict[str, Any] = {"preventKeyDeletion": choices.chance(0.3)}
        if choices.chance(0.5):
            resource["description"] = choices.one(("a bucket", "another bucket"))
        if choices.chance(0.2):
            resource["registrationMetadata"] = "for the service"
        if choices.chance(0.3) and key is not None and key.versions and key.newest.id:
            resource["keyVersionId"] = choices.one([one.id for one in key.versions if one.id])
        if name == "updateRegistration" and choices.chance(0.5):
            del resource["preventKeyDeletion"]
            resource.setdefault("description", "told anew")
        body = None if name == "deleteRegistration" else collection("registration_input+json", resource)
        return Operation(name, path={"id": choices.path(key), "resource_crn": crn}, body=body)

    return build
