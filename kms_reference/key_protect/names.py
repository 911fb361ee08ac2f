"""Which names, aliases, tags and key ring ids the service takes."""

from __future__ import annotations

import re
from typing import Final

from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.wire import UUID

MAX_ALIASES: Final = 5
RESERVED_ALIASES: Final = frozenset(
    {"allowed_ip", "key", "keys", "metadata", "policies", "policy", "registration", "registrations", "rewrap"}
    | {"ring", "rings", "rotate", "unwrap", "version", "versions", "wrap"}
)
_ALIAS: Final = re.compile(r"[A-Za-z0-9_-]{2,90}", re.ASCII)
_RING: Final = re.compile(r"[A-Za-z0-9_-]{2,100}", re.ASCII)
_MAX_TAGS: Final = 30
_MAX_TAG: Final = 30
_NOT_IN_TAGS: Final = frozenset("<>,:&|")


def check_alias(alias: str) -> None:
    """Refuse an alias that has another form or is reserved. Raises INVALID_FIELD_ERR."""
    if not _ALIAS.fullmatch(alias) or UUID.fullmatch(alias):
        raise bad_field("alias", "2 to 90 letters, digits, hyphens or underscores, and not a UUID")
    if alias in RESERVED_ALIASES:
        raise bad_field("alias", "none of the reserved words")


def check_aliases(aliases: list[str]) -> None:
    """Return the aliases of a new key. Raises INVALID_FIELD_ERR, KEY_ALIAS_QUOTA_ERR, KEY_ALIAS_NOT_UNIQUE_ERR."""
    for alias in aliases:
        check_alias(alias)
    if len(aliases) > MAX_ALIASES:
        raise RefusalError("KEY_ALIAS_QUOTA_ERR")
    if len(set(aliases)) != len(aliases):
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


def check_tags(tags: list[str]) -> None:
    """Refuse tags that are too many, too long or hold a forbidden character. Raises INVALID_FIELD_ERR."""
    if len(tags) > _MAX_TAGS:
        raise bad_field("tags", f"at most {_MAX_TAGS} tags")
    for tag in tags:
        if len(tag) > _MAX_TAG or _NOT_IN_TAGS & set(tag):
            raise bad_field("tags", f"at most {_MAX_TAG} characters each, none of < > , : & |")


def check_ring_id(ring: str) -> None:
    """Refuse a key ring id of another form. Raises INVALID_FIELD_ERR."""
    if not _RING.fullmatch(ring):
        raise bad_field("key_ring_id", "2 to 100 letters, digits, hyphens or underscores")
