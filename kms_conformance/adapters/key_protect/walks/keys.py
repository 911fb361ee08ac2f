"""Requests that make, list, move, delete and restore keys."""

from __future__ import annotations

from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.facts import date_of
from kms_conformance.adapters.key_protect.model.operation import Operation, Packing
from kms_conformance.adapters.key_protect.model.state import DESTROYED, Key
from kms_conformance.adapters.key_protect.walks.dice import (
    ALIASES,
    MOST_KEYS,
    NAMES,
    NOBODY,
    RINGS,
    SORTS,
    Dice,
    collection,
    dead,
    page,
    total,
)


def new_key(dice: Dice) -> dict[str, Any]:
    """Return a resource that describes a key."""
    resource: dict[str, Any] = {
        "type": f"{KIND}key+json",
        "name": dice.one(NAMES),
        "extractable": dice.chance(0.2),
    }
    if dice.chance(0.5):
        resource["description"] = dice.one(("what it is for", "another text"))
    if dice.chance(0.3):
        resource["tags"] = dice.one((["red"], ["red", "a b"]))
    if dice.chance(0.4):
        resource["aliases"] = sorted(dice.random.sample(ALIASES, dice.one((1, 1, 2))))
    if dice.chance(0.2):
        resource["expirationDate"] = date_of(dice.now + dice.one((3600, 7200, 86400 * 10, 60)))
    if dice.chance(0.4):
        long = resource["extractable"] and dice.chance(0.3)
        resource["payload"] = dice.bytes(7500 if long else dice.one((16, 24, 32)))
    if dice.chance(0.06):
        spoil(dice, resource)
    return resource


def spoil(dice: Dice, resource: dict[str, Any]) -> None:
    """Break one rule of it."""
    wrong = {
        "name": dice.one(("x", "y" * 91, None)),
        "description": "d",
        "payload": dice.one(("not base64!", dice.bytes(17))),
        "expirationDate": date_of(dice.now - 3600),
        "tags": ["a<b"],
        "aliases": dice.one((["keys"], [NOBODY], ["a"], list(ALIASES[:6]))),
        "iv": dice.bytes(12),
    }
    name = dice.one(sorted(wrong))
    if name == "payload" and resource["extractable"]:
        resource["payload"] = "not base64!"
    elif name == "iv":
        resource["payload"] = dice.bytes(32)
        resource["iv"] = wrong["iv"]
    else:
        resource[name] = wrong[name]


def create(dice: Dice) -> Operation | None:
    """Make a key, some of them by import token."""
    if len(dice.state.keys) >= MOST_KEYS:
        return None
    resource = new_key(dice)
    packing = packed(dice, resource) if dice.chance(0.3) else None
    resources = (resource, resource) if dice.chance(0.02) else (resource,)
    if dice.chance(0.03):
        return Operation("createKey", body=broken_collection(dice, resource))
    return Operation(
        "createKey",
        ring=None if dice.chance(0.7) else dice.one(("default", *RINGS)),
        prefer=dice.one((None, None, "return=minimal", "return=representation")),
        body=collection("key+json", *resources, total=1),
        packing=packing,
    )


def broken_collection(dice: Dice, resource: dict[str, Any]) -> Any:
    """Return a body whose envelope is broken."""
    good = collection("key+json", resource)
    return dice.one(
        (
            None,
            {**good, "metadata": {}},
            {"resources": good["resources"]},
            {"metadata": good["metadata"]},
            {**good, "resources": []},
            {**good, "resources": [{}]},
            collection("policy+json", resource),
        )
    )


def packed(dice: Dice, resource: dict[str, Any]) -> Packing | None:
    """Put material into a resource that is packed for an import token, mostly the present one."""
    tokens, pack = dice.walker.tokens, dice.walker.pack
    if not tokens or pack is None:
        return None
    if resource.get("extractable"):
        return None
    key_of, nonce_of = (tokens[-1], tokens[-1]) if dice.chance(0.8) else (dice.one(tokens), dice.one(tokens))
    material, opens = dice.bytes(dice.one((16, 32))), dice.chance(0.9)
    resource.update(pack(material, key_of, nonce_of, opens))
    return Packing(material, key_of.serial, nonce_of.serial, opens)


def create_with_overrides(dice: Dice) -> Operation | None:
    """Make a key with policies of its own."""
    if len(dice.state.keys) >= MOST_KEYS:
        return None
    resource = new_key(dice)
    if dice.chance(0.5):
        resource["rotation"] = {"enabled": dice.chance(0.8), "interval_month": dice.one((1, 3, 12, 12, 13))}
    if dice.chance(0.3):
        resource["dualAuthDelete"] = {"enabled": dice.chance(0.6)}
    return Operation("createKeyWithPoliciesOverrides", body=collection("key+json", resource))


def list_query(dice: Dice) -> dict[str, str]:
    """Return filters of a list."""
    query: dict[str, str] = {}
    if dice.chance(0.4):
        query["state"] = dice.one(("1", "2", "5", "1,2", "0,1,2,3,5", "3", "7"))
    if dice.chance(0.2):
        query["extractable"] = dice.one(("true", "false", "maybe"))
    if dice.chance(0.2):
        query["filter"] = dice.one(
            (
                "state=1,2",
                "extractable=false",
                "state=5 extractable=true",
                "expirationDate=none",
                "deletionDate=none",
                f'creationDate=lt:"{date_of(dice.now - 40)}"',
                f'creationDate=gte:"{date_of(dice.now - 3600)}"',
                "colour=red",
                "state=",
            )
        )
    return query


def head(dice: Dice) -> Operation:
    """Count keys."""
    return Operation("getKeyCollectionMetadata", query=list_query(dice), ring=dice.ring(dice.key()))


def listing(dice: Dice) -> Operation:
    """List keys."""
    query = list_query(dice)
    if dice.chance(0.3):
        query["search"] = dice.one(
            (
                "key",
                "KEY",
                "alpha",
                "not:key",
                "exact:alpha",
                "alias:beta",
                "name:alpha",
                "escape:not:x",
                "exact:notes",
            )
        )
    if dice.chance(0.3):
        query["sort"] = dice.one(SORTS)
    query |= page(dice, 5001)
    return Operation("getKeys", query=query, ring=dice.ring(dice.key()))


def delete_key(dice: Dice) -> Operation:
    """Delete a key."""
    key = dice.key(wanted=lambda one: one.state != DESTROYED and bool(one.registrations or one.authorised))
    query = {"force": dice.one(("true", "true", "false"))} if dice.chance(0.5) else {}
    return Operation(
        "deleteKey",
        path={"id": dice.path(key)},
        query=query,
        ring=dice.ring(key),
        prefer=dice.one((None, None, "return=minimal", "return=representation")),
    )


def restore(dice: Dice) -> Operation | None:
    """Restore a key, with or without its material."""
    if not any(map(dead, dice.state.keys)) and dice.chance(0.8):
        return None
    key = dice.key(wanted=dead)
    body = None
    if key is not None and dice.chance(0.5):
        body = collection(
            "key+json", {"payload": key.material if key.material and dice.chance(0.8) else dice.bytes(32)}
        )
    return Operation("restoreKey", path={"id": dice.path(key)}, ring=dice.ring(key), body=body)


def versions(dice: Dice) -> Operation:
    """List the versions of a key."""
    key = dice.key(wanted=lambda one: not one.standard)
    query = {**page(dice, 5001), **total(dice)}
    if dice.chance(0.4):
        query["allKeyStates"] = "true"
    return Operation("getKeyVersions", path={"id": dice.path(key)}, query=query, ring=dice.ring(key))


def patch_body(dice: Dice, _: Key | None) -> Any:
    """Return the ring to move to."""
    return (
        {"keyRingID": dice.one(("default", *RINGS))}
        if dice.chance(0.95)
        else dice.one(({}, None, {"keyRingID": 1}))
    )
