"""What a target file may hold: the general part, and what each registered system adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from kms_conformance.contract.schemas import load_schema
from kms_conformance.system import systems

_WAYS = ("", "_env", "_file")
"""How a secret is given: literally, by the name of an environment variable, or by that of a file."""

# Environment variable -> place in the target document; identities follow the pattern KMS_<NAME>_API_KEY.
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "KMS_BASE_URL": ("base_url",),
    "KMS_CONTRACT": ("contract",),
    "KMS_INSTANCE": ("instance",),
    "KMS_RESCUE_URL": ("rescue_url",),
    "KMS_IAM_URL": ("iam", "url"),
    "KMS_CONTROL_URL": ("control", "url"),
    "KMS_REQUESTS_PER_SECOND": ("limits", "requests_per_second"),
    "KMS_MAX_WAIT": ("limits", "max_wait"),
    "KMS_TIMEOUT": ("limits", "timeout"),
    "KMS_PATIENCE": ("limits", "patience"),
    "KMS_CA_FILE": ("tls", "ca_file"),
    "KMS_CLIENT_CERT": ("tls", "cert_file"),
    "KMS_CLIENT_KEY": ("tls", "key_file"),
    "KMS_PROXY": ("proxy", "url"),
    "KMS_ALLOW": ("allow",),
    "KMS_CAPABILITIES": ("capabilities",),
}


@cache
def target_schema() -> Mapping[str, Any]:
    """Return the schema of the target file with the identities, names and tables of every registered system."""
    document = load_schema("target")
    properties, identity = document["properties"], document["$defs"]["identity"]["properties"]
    for system in systems().values():
        for name in system.identities:
            properties["identities"]["properties"].setdefault(name, {"$ref": "#/$defs/identity"})
        for secret in system.secrets:
            for way in _WAYS:
                identity.setdefault(f"{secret}{way}", {"type": "string"})
        for key, names in (
            ("capabilities", system.capabilities),
            ("allow", [impact.switch for impact in system.impacts.values()]),
        ):
            allowed = properties[key].setdefault("propertyNames", {}).setdefault("enum", [])
            allowed += [name for name in dict.fromkeys(names) if name not in allowed]
        if system.table:
            properties[system.id] = {
                "type": "object",
                "additionalProperties": False,
                "properties": dict(system.table),
            }
    return document


def secret_members() -> tuple[str, ...]:
    """Return the members of an identity that hold a secret, beside ``api_key`` and ``token``."""
    return tuple(dict.fromkeys(name for system in systems().values() for name in system.secrets))


def tables() -> list[tuple[str, str]]:
    """Return table and key of all that the systems' own tables may hold."""
    return [(system.id, key) for system in systems().values() for key in system.table]
