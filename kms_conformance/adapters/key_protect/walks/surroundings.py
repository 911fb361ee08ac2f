"""Requests on policies, import tokens, aliases, rings and registrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.model.state import Key
from kms_conformance.adapters.key_protect.walks.dice import (
    ALIASES,
    CRNS,
    NOBODY,
    RINGS,
    Dice,
    collection,
    page,
    total,
)


def policy_body(dice: Dice, key: Key | None) -> Any:
    """Return policies of a key."""
    rotation: dict[str, Any] = {}
    if dice.chance(0.8):
        rotation["interval_month"] = dice.one((1, 6, 12, 12, 12, 0, 13))
    if dice.chance(0.5) or not rotation:
        rotation["enabled"] = dice.chance(0.6)
    dual = {"enabled": dice.chance(0.7)}
    kind = f"{KIND}policy+json"
    if key is not None and key.dual is not None and key.dual.enabled and dice.chance(0.7):
        return collection("policy+json", {"type": kind, "rotation": rotation})
    return dice.one(
        (
            collection("policy+json", {"type": kind, "rotation": rotation}),
            collection("policy+json", {"type": kind, "dualAuthDelete": dual}),
            collection("policy+json", {"type": kind, "rotation": rotation, "dualAuthDelete": dual}),
            collection(
                "policy+json", {"type": kind, "rotation": rotation}, {"type": kind, "dualAuthDelete": dual}
            ),
        )
    )


def put_policy(dice: Dice) -> Operation:
    """Set policies of a key."""
    key = dice.key()
    body = policy_body(dice, key)
    resources = body["resources"]
    query: dict[str, str] = {}
    named = [kind for kind in ("rotation", "dualAuthDelete") if kind in resources[0]]
    if len(resources) == 1 and len(named) == 1 and dice.chance(0.5):
        query["policy"] = named[0] if dice.chance(0.9) else "rotation"
    return Operation("putPolicy", path={"id": dice.path(key)}, query=query, body=body, ring=dice.ring(key))


def policy_query(*kinds: str) -> Callable[[Dice], dict[str, str]]:
    """Return the policy that is asked for, if one is."""
    return lambda dice: {"policy": dice.one(kinds)} if dice.chance(0.5) else {}


def get_policy(dice: Dice) -> Operation:
    """Read policies of a key."""
    query = policy_query("rotation", "dualAuthDelete")(dice)
    return Operation("getPolicy", path={"id": dice.path(dice.key())}, query=query)


INSTANCE: Mapping[str, Callable[[Dice], dict[str, Any] | None]] = {
    "dualAuthDelete": lambda _: None,
    "metrics": lambda _: None,
    "rotation": lambda dice: {"interval_month": dice.one((1, 6, 12, 13))},
    "allowedNetwork": lambda _: {"allowed_network": "public-and-private"},
    "keyCreateImportAccess": lambda dice: {
        name: dice.chance(0.3 if name == "enforce_token" else 0.8)
        for name in dice.random.sample(
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


def instance_policy(dice: Dice, kind: str) -> dict[str, Any]:
    """Return a policy of the instance; mostly off, for they get in the way of everything else."""
    # Mostly off again: the policies of an instance get in the way of everything else.
    enabled = dice.chance(0.4)
    data: dict[str, Any] = {"enabled": enabled}
    attributes = INSTANCE[kind](dice)
    if enabled and attributes is not None:
        data["attributes"] = attributes
    if dice.chance(0.03):
        data |= dice.one(({"attributes": {"strange": 1}}, {"extra": 1}, {"enabled": "yes"}))
    resource: dict[str, Any] = {"policy_type": kind, "policy_data": data}
    return resource | {"extra_field": 1} if dice.chance(0.02) else resource


def put_instance_policy(dice: Dice) -> Operation:
    """Set policies of the instance."""
    kind = dice.one(INSTANCE)
    resources = [instance_policy(dice, kind)]
    if dice.chance(0.2):
        resources.append(instance_policy(dice, dice.one(INSTANCE)))
    query = {"policy": kind if dice.chance(0.9) else "metrics"} if dice.chance(0.6) else {}
    total = None if dice.chance(0.95) else 3
    return Operation(
        "putInstancePolicy", query=query, body=collection("policy+json", *resources, total=total)
    )


def get_instance_policy(dice: Dice) -> Operation:
    """Read policies of the instance."""
    return Operation("getInstancePolicy", query=policy_query(*INSTANCE)(dice))


def post_token(dice: Dice) -> Operation:
    """Make an import token."""
    body = dice.one(
        (
            None,
            {},
            {"expiration": 300},
            {"expiration": 86400, "maxAllowedRetrievals": 3},
            {"maxAllowedRetrievals": 2},
        )
    )
    if dice.chance(0.05):
        body = dice.one(({"expiration": 299}, {"expiration": 86401}, {"maxAllowedRetrievals": 501}))
    return Operation("postImportToken", body=body)


def alias(name: str) -> Callable[[Dice], Operation | None]:
    """Return a builder of a request on an alias."""

    def build(dice: Dice) -> Operation:
        key = dice.key(wanted=(lambda one: bool(one.aliases)) if name == "deleteKeyAlias" else None)
        alias = dice.one(ALIASES) if dice.chance(0.95) else dice.one(("keys", NOBODY, "a"))
        if name == "deleteKeyAlias" and key is not None and key.aliases and dice.chance(0.8):
            alias = dice.one(sorted(key.aliases))
        return Operation(name, path={"id": dice.path(key), "alias": alias}, ring=dice.ring(key))

    return build


def ring_path(dice: Dice) -> dict[str, str]:
    """Return a ring."""
    return {"key_ring_id": dice.one(RINGS) if dice.chance(0.95) else "default"}


def registration_query(dice: Dice) -> dict[str, str]:
    """Return filters of a list of registrations."""
    query = {**page(dice, 5001), **total(dice)}
    if dice.chance(0.2):
        query["preventKeyDeletion"] = dice.one(("true", "false"))
    if dice.chance(0.2):
        query["urlEncodedResourceCRNQuery"] = dice.one((CRNS[0], f"{CRNS[1][:-3]}*"))
    return query


def registration(name: str) -> Callable[[Dice], Operation | None]:
    """Return a builder of a change of a registration."""

    def build(dice: Dice) -> Operation | None:
        if (
            name != "createRegistration"
            and not any(key.registrations for key in dice.state.keys)
            and dice.chance(0.8)
        ):
            return None
        key = dice.key(wanted=lambda one: not one.standard and one.state == 1)
        crn = dice.one(CRNS)
        if name != "createRegistration" and key is not None and key.registrations and dice.chance(0.8):
            crn = dice.one(key.registrations).crn
        resource: dict[str, Any] = {"preventKeyDeletion": dice.chance(0.3)}
        if dice.chance(0.5):
            resource["description"] = dice.one(("a bucket", "another bucket"))
        if dice.chance(0.2):
            resource["registrationMetadata"] = "for the service"
        if dice.chance(0.3) and key is not None and key.versions and key.newest.id:
            resource["keyVersionId"] = dice.one([one.id for one in key.versions if one.id])
        if name == "updateRegistration" and dice.chance(0.5):
            del resource["preventKeyDeletion"]
            resource.setdefault("description", "told anew")
        body = None if name == "deleteRegistration" else collection("registration_input+json", resource)
        return Operation(name, path={"id": dice.path(key), "resource_crn": crn}, body=body)

    return build
