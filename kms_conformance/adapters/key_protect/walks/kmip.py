"""Requests on KMIP adapters, their certificates and objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.walks.dice import NOBODY, Dice, collection, page, total


def with_adapter(build: Callable[[Dice], Operation | None]) -> Callable[[Dice], Operation | None]:
    """Ask only where there is an adapter, but for now and then."""
    return lambda dice: build(dice) if dice.state.adapters or dice.chance(0.1) else None


def adapter_path(dice: Dice) -> dict[str, str]:
    """Return an adapter by id or name."""
    if not dice.state.adapters or dice.chance(0.05):
        return {"adapter_id": dice.one((NOBODY, "nothing"))}
    adapter = dice.one(dice.state.adapters)
    return {"adapter_id": dice.one((adapter.id, adapter.name))}


def create_adapter(dice: Dice) -> Operation:
    """Make an adapter."""
    key = dice.key(wanted=lambda one: not one.standard and one.state == 1)
    resource: dict[str, Any] = {
        "profile": "native_1.0",
        "profile_data": {"crk_id": key.id if key is not None and dice.chance(0.95) else NOBODY},
    }
    if dice.chance(0.6):
        resource["name"] = dice.one(("first-adapter", "second_adapter", "third"))
    if dice.chance(0.3):
        resource["description"] = "an adapter"
    if dice.chance(0.05):
        resource |= dice.one(({"profile": "native_9"}, {"name": "a b"}, {"description": "x" * 241}))
    query = {"allowExpiringKey": "true"} if dice.chance(0.3) else {}
    return Operation("createKmipAdapter", query=query, body=collection("kmip_adapter+json", resource))


def add_certificate(dice: Dice) -> Operation | None:
    """Add a client certificate."""
    if not dice.walker.certificates:
        return None
    resource: dict[str, Any] = {"certificate": dice.one(dice.walker.certificates)}
    if dice.chance(0.6):
        resource["name"] = dice.one(("cert-1", "cert-2", "cert-3"))
    if dice.chance(0.05):
        resource["certificate"] = "no certificate"
    body = collection("kmip_client_certificate+json", resource)
    return Operation("addKmipClientCertificate", path=adapter_path(dice), body=body)


def certificate(name: str) -> Callable[[Dice], Operation | None]:
    """Return a builder of a request on one certificate, sometimes through another adapter."""

    def build(dice: Dice) -> Operation:
        path = adapter_path(dice)
        every = [(adapter, one) for adapter in dice.state.adapters for one in adapter.certificates]
        if not every:
            return Operation(name, path={**path, "cert_id": NOBODY})
        adapter, one = dice.one(every)
        if dice.chance(0.8):
            path = {"adapter_id": adapter.id}
        return Operation(name, path={**path, "cert_id": dice.one((one.id, one.name))})

    return build


def kmip_object(name: str) -> Callable[[Dice], Operation | None]:
    """Return a builder of a request on one object, sometimes through another adapter."""

    def build(dice: Dice) -> Operation:
        every = [(adapter, one) for adapter in dice.state.adapters for one in adapter.objects]
        query = {"force": "true"} if name == "deleteKmipObject" and dice.chance(0.6) else {}
        if not every:
            return Operation(name, path={**adapter_path(dice), "object_id": NOBODY}, query=query)
        adapter, one = dice.one(every)
        path = {"adapter_id": adapter.id} if dice.chance(0.8) else adapter_path(dice)
        return Operation(name, path={**path, "object_id": one.id}, query=query)

    return build


def kmip_objects(dice: Dice) -> Operation:
    """List objects."""
    query = {**page(dice, 5001), **total(dice)}
    if dice.chance(0.3):
        query["state"] = dice.one(("2", "1,2,3,4", "1,2,3,4,5,6", "7"))
    return Operation("getKmipObjects", path=adapter_path(dice), query=query)


def adapters(dice: Dice) -> Operation:
    """List adapters."""
    query = {**page(dice, 201), **total(dice)}
    if dice.chance(0.3) and dice.state.keys:
        query["crk_id"] = dice.one(dice.state.keys).id
    return Operation("getKmipAdapters", query=query)
