"""What a JSON Web Token (RFC 7519) says of its holder, where it can be read; nothing of it is checked, and nothing shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

_PARTS = 3
_NO_DATE = 253_402_300_800
"""The first second of the year 10,000, which no calendar here can tell."""


def claims_of(token: str) -> Mapping[str, Any] | None:
    """Return the claims of a token; ``None`` where it is none of three parts, or cannot be read."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def looks_like_jwt(token: str) -> bool:
    """Tell whether a token means to be a JSON Web Token, readable or not."""
    return token.startswith("eyJ")


def subject_of(token: str) -> tuple[str, ...]:
    """Return whom a token names, by its issuer: ``iam_id``, else ``sub``; nobody (``()``) where it does not say so."""
    claims = claims_of(token) or {}
    for name in ("iam_id", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return (name, str(claims.get("iss", "")), value)
    return ()


def end_of(token: str) -> float | None:
    """Return when a token ends, in seconds since 1970; ``None`` where it does not say so, or names no date."""
    end = (claims_of(token) or {}).get("exp")
    if not isinstance(end, int | float) or isinstance(end, bool):
        return None
    return float(end) if 0 <= end < _NO_DATE else None


def account_of(token: str) -> str:
    """Return the account that a token belongs to, ``""`` where it does not say so."""
    account = (claims_of(token) or {}).get("account")
    number = account.get("bss") if isinstance(account, dict) else account
    return number if isinstance(number, str) else ""
