"""Lists of an instance that are read before its first case."""

from __future__ import annotations

from typing import Any

from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.contract.contract import Contract
from kms_conformance.transport.client import Client, Request


def read_resources(
    client: Client, contract: Contract, instance: str, path: str, *, step: str, case: str
) -> list[Any] | None:
    """Return the resources that a GET below ``/api/v2`` lists, ``None`` where they cannot be read."""
    request = Request(
        "GET",
        ROOT + path,
        headers={"bluemix-instance": instance},
        operation=contract.operation_of("GET", ROOT + path),
        step=step,
    )
    reply, _ = client.send(request, case)
    resources = reply.body.get("resources") if reply is not None and isinstance(reply.body, dict) else None
    return resources if isinstance(resources, list) else None
