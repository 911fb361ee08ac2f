"""Requests on KMIP adapters, their certificates and objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.walks.choices import NOBODY, Choices, collection, page, total

ADAPTERS = ("first-adapter", "first_adapter", "third")
CERTIFICATES = ("cert-1", "cert_1", "cert-3")


def with_adapter(build: Callable[[Choices], Operation | None]) -> Callable[[Choices], Operation | None]:
    """Ask only where there is an adapter, but for now and then."""
    return lambda choices: build(choices) if choices.state.adapters or choices.chance(0.1) else None


def adapter_path(choices: Choices) -> dict[str, str]:
    """Return an adapter by id or name."""
    if not choices.state.adapters or choices.chance(0.05):
        return {"adapter_id": choices.one((NOBODY, "nothing"))}
    adapter = choices.one(choices.state.adapters)
    return {"adapter_id": choices.one((adapter.id, adapter.name))}


def create_adapter(choices: Choices) -> Operation:
    """Make an adapter."""
    key = choices.key(wanted=lambda one: not one.standard and one.state == 1)
    resource: dict[str, Any] = {
        "profile": "native_1.0",
        "profile_data": {"crk_id": key.id if key is not None and choices.chance(0.95) else NOBODY},
    }
    if choices.chance(0.6):
        resource["name"] = choices.one(ADAPTERS)
    if choices.chance(0.3):
        resource["description"] = "an adapter"
    if choices.chance(0.05):
        resource |= choices.one(({"profile": "native_9"}, {"name": "a b"}, {"description": "x" * 241}))
    query = {"allowExpiringKey": "true"} if choices.chance(0.3) else {}
    return Operation("createKmipAdapter", query=query, body=collection("kmip_adapter+json", resource))


def add_certificate(choices: Choices) -> Operation | None:
    """Add a client certificate."""
    if not choices.walker.certificates:
        return None
    resource: dict[str, Any] = {"certificate": choices.one(choices.walker.certificates)}
    if choices.chance(0.6):
        resource["name"] = choices.one(CERTIFICATES)
    if choices.chance(0.05):
        resource["certificate"] = "no certificate"
    body = collection("kmip_client_certificate+json", resource)
    return Operation("addKmipClientCertificate", path=adapter_path(choices), body=body)


def certificate(name: str) -> Callable[[Choices], Operation | None]:
    """Return a builder of a request on one certificate, sometimes through another adapter."""

    def build(choices: Choices) -> Operation:
        path = adapter_path(choices)
        every = [(adapter, one) for adapter in choices.state.adapters for one in adapter.certificates]
        if not every:
            return Operation(name, path={**path, "cert_id": NOBODY})
        adapter, one = choices.one(every)
        if choices.chance(0.8):
            path = {"adapter_id": adapter.id}
        return Operation(name, path={**path, "cert_id": choices.one((one.id, one.name))})

    return build


def kmip_object(name: str) -> Callable[[Choices], Operation | None]:
    """Return a builder of a request on one object, sometimes through another adapter."""

    def build(choices: Choices) -> Operation:
        every = [(adapter, one) for adapter in choices.state.adapters for one in adapter.objects]
        query = {"force": "true"} if name == "deleteKmipObject" and choices.chance(0.6) else {}
        if not every:
            return Operation(name, path={**adapter_path(choices), "object_id": NOBODY}, query=query)
        adapter, one = choices.one(every)
        path = {"adapter_id": adapter.id} if choices.chance(0.8) else adapter_path(choices)
        return Operation(name, path={**path, "object_id": one.id}, query=query)

    return build


def kmip_objects(choices: Choices) -> Operation:
    """List objects."""
    query = {**page(choices, 5001), **total(choices)}
    if choices.chance(0.3):
        query["state"] = choices.one(("2", "1,2,3,4", "1,2,3,4,5,6", "7"))
    return Operation("getKmipObjects", path=adapter_path(choices), query=query)


def adapters(choices: Choices) -> Operation:
    """List adapters."""
    query = {**page(choices, 201), **total(choices)}
    if choices.chance(0.3) and choices.state.keys:
        query["crk_id"] = choices.one(choices.state.keys).id
    return Operation("getKmipAdapters", query=query)
