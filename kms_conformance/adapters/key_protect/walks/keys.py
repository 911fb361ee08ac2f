"""Requests that make, list, move, delete and restore keys."""

from __future__ import annotations

from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.facts import date_of
from kms_conformance.adapters.key_protect.model.operation import Operation, Packing
from kms_conformance.adapters.key_protect.model.state import DESTROYED, Key
from kms_conformance.adapters.key_protect.walks.choices import (
    ALIASES,
    MOST_KEYS,
    NAMES,
    NOBODY,
    RINGS,
    SORTS,
    Choices,
    collection,
    dead,
    page,
    total,
)


def new_key(choices: Choices) -> dict[str, Any]:
    """Return a resource that describes a key."""
    resource: dict[str, Any] = {
        "type": f"{KIND}key+json",
        "name": choices.one(NAMES),
        "extractable": choices.chance(0.2),
    }
    if choices.chance(0.5):
        resource["description"] = choices.one(("what it is for", "another text", "für Zürich: 鍵"))
    if choices.chance(0.45):
        resource["tags"] = choices.one((["red"], ["red", "a b"]))
    if choices.chance(0.5):
        resource["aliases"] = sorted(choices.random.sample(ALIASES, choices.one((1, 1, 2))))
    if choices.chance(0.2):
        resource["expirationDate"] = date_of(choices.now + choices.one((3600, 7200, 86400 * 10, 60)))
    if choices.chance(0.4):
        long = resource["extractable"] and choices.chance(0.3)
        resource["payload"] = choices.bytes(7500 if long else choices.one((16, 24, 32)))
    if choices.chance(0.04):
        spoil(choices, resource)
    return resource


def spoil(choices: Choices, resource: dict[str, Any]) -> None:
    """Break one rule of it."""
    replacements = {
        "name": choices.one(("x", "y" * 91, None)),
        "description": "d",
        "payload": choices.one(("not base64!", choices.bytes(17))),
        "expirationDate": date_of(choices.now - 3600),
        "tags": ["a<b"],
        "aliases": choices.one((["keys"], [NOBODY], ["a"], list(ALIASES[:6]))),
        "iv": choices.bytes(12),
    }
    name = choices.one(sorted(replacements))
    if name == "payload" and resource["extractable"]:
        resource["payload"] = "not base64!"
    elif name == "iv":
        resource["payload"] = choices.bytes(32)
        resource["iv"] = replacements["iv"]
    else:
        resource[name] = replacements[name]


def create(choices: Choices) -> Operation | None:
    """Make a key, some of them by import token."""
    if len(choices.state.keys) >= MOST_KEYS:
        return None
    resource = new_key(choices)
    packing = packed(choices, resource) if choices.chance(0.3) else None
    resources = (resource, resource) if choices.chance(0.02) else (resource,)
    if choices.chance(0.03):
        return Operation("createKey", body=broken_collection(choices, resource))
    return Operation(
        "createKey",
        ring=None if choices.chance(0.7) else choices.one(("default", *RINGS)),
        prefer=choices.one((None, None, "return=minimal", "return=representation")),
        body=collection("key+json", *resources, total=1),
        packing=packing,
    )


def broken_collection(choices: Choices, resource: dict[str, Any]) -> Any:
    """Return a body whose envelope is broken."""
    good = collection("key+json", resource)
    return choices.one(
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


def packed(choices: Choices, resource: dict[str, Any]) -> Packing | None:
    """Put material into a resource that is packed for an import token, mostly the present one."""
    tokens, pack = choices.walker.tokens, choices.walker.pack
    if not tokens or pack is None:
        return None
    if resource.get("extractable"):
        return None
    key_of, nonce_of = (
        (tokens[-1], tokens[-1]) if choices.chance(0.8) else (choices.one(tokens), choices.one(tokens))
    )
    material, opens = choices.bytes(choices.one((16, 32))), choices.chance(0.9)
    resource.update(pack(material, key_of, nonce_of, opens))
    return Packing(material, key_of.serial, nonce_of.serial, opens)


def create_with_overrides(choices: Choices) -> Operation | None:
    """Make a key with policies of its own."""
    if len(choices.state.keys) >= MOST_KEYS:
        return None
    resource = new_key(choices)
    if choices.chance(0.5):
        resource["rotation"] = {
            "enabled": choices.chance(0.8),
            "interval_month": choices.one((1, 3, 12, 12, 13)),
        }
    if choices.chance(0.3):
        resource["dualAuthDelete"] = {"enabled": choices.chance(0.6)}
    return Operation("createKeyWithPoliciesOverrides", body=collection("key+json", resource))


def list_query(choices: Choices) -> dict[str, str]:
    """Return filters of a list."""
    query: dict[str, str] = {}
    if choices.chance(0.4):
        query["state"] = choices.one(("1", "2", "5", "1,2", "0,1,2,3,5", "3", "7"))
    if choices.chance(0.2):
        query["extractable"] = choices.one(("true", "false", "maybe"))
    if choices.chance(0.2):
        query["filter"] = choices.one(
            (
                "state=1,2",
                "extractable=false",
                "state=5 extractable=true",
                "expirationDate=none",
                "deletionDate=none",
                f'creationDate=lt:"{date_of(choices.now - 40)}"',
                f'creationDate=gte:"{date_of(choices.now - 3600)}"',
                "colour=red",
                "state=",
            )
        )
    return query


def head(choices: Choices) -> Operation:
    """Count keys."""
    return Operation("getKeyCollectionMetadata", query=list_query(choices), ring=choices.ring(choices.key()))


def listing(choices: Choices) -> Operation:
    """List keys."""
    query = list_query(choices)
    if choices.chance(0.3):
        query["search"] = choices.one(
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
    if choices.chance(0.3):
        query["sort"] = choices.one(SORTS)
    query |= page(choices, 5001)
    return Operation("getKeys", query=query, ring=choices.ring(choices.key()))


def delete_key(choices: Choices) -> Operation:
    """Delete a key."""
    key = choices.key(wanted=lambda one: one.state != DESTROYED and bool(one.registrations or one.authorised))
    query = {"force": choices.one(("true", "true", "false"))} if choices.chance(0.5) else {}
    return Operation(
        "deleteKey",
        path={"id": choices.path(key)},
        query=query,
        ring=choices.ring(key),
        prefer=choices.one((None, None, "return=minimal", "return=representation")),
    )


def restore(choices: Choices) -> Operation | None:
    """Restore a key, with or without its material."""
    if not any(map(dead, choices.state.keys)) and choices.chance(0.8):
        return None
    key = choices.key(wanted=dead)
    body = None
    if key is not None and choices.chance(0.5):
        body = collection(
            "key+json",
            {"payload": key.material if key.material and choices.chance(0.8) else choices.bytes(32)},
        )
    return Operation("restoreKey", path={"id": choices.path(key)}, ring=choices.ring(key), body=body)


def versions(choices: Choices) -> Operation:
    """List the versions of a key."""
    key = choices.key(wanted=lambda one: not one.standard)
    query = {**page(choices, 5001), **total(choices)}
    if choices.chance(0.4):
        query["allKeyStates"] = "true"
    return Operation("getKeyVersions", path={"id": choices.path(key)}, query=query, ring=choices.ring(key))


def patch_body(choices: Choices, _: Key | None) -> Any:
    """Return the ring to move to."""
    return (
        {"keyRingID": choices.one(("default", *RINGS))}
        if choices.chance(0.95)
        else choices.one(({}, None, {"keyRingID": 1}))
    )
