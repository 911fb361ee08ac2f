"""Rules on bodies that several operations share: the collection envelope, names, base64."""

from __future__ import annotations

import re
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import UUID
from kms_conformance.adapters.key_protect.model.facts import decoded
from kms_conformance.adapters.key_protect.model.prediction import (
    BAD_REQUEST,
    BODY,
    BODY_OR_FIELD,
    NO_BODY,
    Refusal,
    Rules,
)

KIND = "application/vnd.ibm.kms."
RESERVED = frozenset(
    {
        "allowed_ip", "key", "keys", "metadata", "policy", "policies", "registration", "registrations", "ring", "rings",
        "rotate", "wrap", "unwrap", "rewrap", "version", "versions",
    }
)  # fmt: skip
_ALIAS = re.compile(r"[A-Za-z0-9_-]{2,90}")
_TAG = re.compile(r"[^<>,:&|]{0,30}")
_KMIP_NAME = re.compile(r"[A-Za-z0-9_-]{2,40}")
_MOST_TAGS = 30
AES_SIZES = frozenset({16, 24, 32})
LONGEST_PAYLOAD = 7500


def single(
    rules: Rules, body: Any, kind: str, *, missing: frozenset[Refusal] = BODY
) -> dict[str, Any] | None:
    """Return the one resource of a collection of this type; note what is wrong with the envelope.

    Which code a broken envelope gets is documented for two resources (BAD_BODY_ERR) and for empty metadata only.
    """
    if body is None:
        rules.broken(NO_BODY | missing)
        return None
    if not isinstance(body, dict):
        rules.broken(BODY)
        return None
    metadata, resources = body.get("metadata"), body.get("resources")
    if not isinstance(metadata, dict) or not metadata:
        rules.broken(BODY | BAD_REQUEST if metadata is not None else BAD_REQUEST)
    elif metadata.get("collectionType") != KIND + kind or metadata.get("collectionTotal") != 1:
        rules.broken(BAD_REQUEST)
    if not isinstance(resources, list) or len(resources) != 1:
        rules.broken(BODY if isinstance(resources, list) and len(resources) > 1 else BAD_REQUEST)
        return None
    resource = resources[0]
    if not isinstance(resource, dict) or not resource:
        rules.broken(BODY_OR_FIELD)
        return None
    return resource


def text(
    rules: Rules, resource: dict[str, Any], name: str, least: int, most: int, *, needed: bool = False
) -> str | None:
    """Return a text member; note where it is missing or too short or long."""
    value = resource.get(name)
    if value is None:
        if needed:
            rules.broken(BODY_OR_FIELD)
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        rules.broken(BODY_OR_FIELD)
        return None
    return value


def flag(rules: Rules, resource: dict[str, Any], name: str) -> bool | None:
    """Return a boolean member; note where it is something else."""
    value = resource.get(name)
    if value is None or isinstance(value, bool):
        return value
    rules.broken(BODY_OR_FIELD)
    return None


def tags(rules: Rules, resource: dict[str, Any]) -> tuple[str, ...]:
    """Return the tags; note where they break their form or number (1.3.1)."""
    value = resource.get("tags") or []
    right = isinstance(value, list) and all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in value)
    if not right or len(value) > _MOST_TAGS:
        rules.broken(BODY_OR_FIELD)
        return ()
    return tuple(value)


def is_alias(value: Any) -> bool:
    """Whether a text has the form of an alias (1.5.6)."""
    return (
        isinstance(value, str)
        and bool(_ALIAS.fullmatch(value))
        and not UUID.fullmatch(value)
        and value not in RESERVED
    )


def is_kmip_name(value: Any) -> bool:
    """Whether a text has the form of a KMIP name (1.3.9)."""
    return isinstance(value, str) and bool(_KMIP_NAME.fullmatch(value)) and not UUID.fullmatch(value)


def additional_data(rules: Rules, body: dict[str, Any]) -> tuple[str, ...]:
    """Return the additional authenticated data; note where it is no list of texts of at most 255 characters."""
    value = body.get("aad") or []
    if not isinstance(value, list) or not all(isinstance(one, str) and len(one) <= 255 for one in value):  # noqa: PLR2004 - 1.3.5
        rules.broken(BODY_OR_FIELD)
        return ()
    return tuple(value)


def material(rules: Rules, value: Any, *, standard: bool) -> str:
    """Return key material given in clear; note where it is no base64 or of a wrong length."""
    data = decoded(value)
    fits = bool(data) and (len(data or b"") <= LONGEST_PAYLOAD if standard else len(data or b"") in AES_SIZES)
    if not fits:
        rules.broken(BODY_OR_FIELD)
    return value if isinstance(value, str) else ""
