"""What a fuzzed request has made, read from the request and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from kms_conformance.adapters.key_protect.base import step
from kms_conformance.evidence.exchange import JSON

MADE: Mapping[str, str] = {
    "createKey": "key",
    "createKeyWithPoliciesOverrides": "key",
    "restoreKey": "key",
    "actionOnKey": "key",
    "createKeyAlias": "alias",
    "createKeyRing": "ring",
    "createKmipAdapter": "kmip_adapter",
    "addKmipClientCertificate": "kmip_certificate",
    "createRegistration": "registration",
    "replaceRegistration": "registration",
}
"""Which kind of thing an operation makes."""
CREATES_KEYS = frozenset({"createKey", "createKeyWithPoliciesOverrides"})


def names_in(body: JSON) -> list[str]:
    """Return the names of the resources of a request; ``""`` for one without a name."""
    resources = body.get("resources") if isinstance(body, dict) else None
    names = (
        [entry.get("name") for entry in resources if isinstance(entry, dict)]
        if isinstance(resources, list)
        else []
    )
    return [name if isinstance(name, str) else "" for name in names]


def ids_in(body: JSON) -> list[str]:
    """Return the ids of the resources of an answer."""
    resources = body.get("resources") if isinstance(body, dict) else None
    if not isinstance(resources, list):
        return []
    return [
        str(entry["id"])
        for entry in resources
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    ]


def path_parts(kind: str, path: str, body: JSON) -> tuple[str, ...]:
    """Return the path parameters of a thing that a request has made."""
    steps = [unquote(step) for step in path.strip("/").split("/")]
    name = next(iter(names_in(body)), "")
    match kind:
        case "alias" | "registration":
            return (steps[3], "/".join(steps[5:]))
        case "kmip_certificate":
            return (steps[3], name)
        case "kmip_adapter":
            return (name,)
    return (steps[-1],)


def removal_path(kind: str, path: str, body: JSON, given: str = "") -> str:
    """Return the path, below the API's root, by which a thing is removed; ``given`` is the id of one without a name."""
    below = path.partition("/api/v2")[2]
    if kind in {"kmip_adapter", "kmip_certificate"}:
        name = next(iter(names_in(body)), "") or given
        return f"{below.rstrip('/')}/{step(name)}" if name else below.rstrip("/")
    return below
