"""Addresses of services: what may be one, how it is shown, and whether it is on this machine."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.errors import BadValueError


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked_url(name: str, value: Any) -> str:
    """Return an address if it is one of a service; raise :class:`BadValueError` for anything else, secrets left out."""
    advice = "an address looks like https://kms.example.com or http://127.0.0.1:8080."
    shown = shown_url(str(value))
    if not isinstance(value, str):
        raise BadValueError(name, shown, "it must be text", advice)
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise BadValueError(name, shown, "that is no URL", advice) from None
    if parts.username or parts.password:
        raise BadValueError(name, shown, "a URL may not carry a secret", advice)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not port_is_fine
        or any(sign.isspace() for sign in value)
    ):
        raise BadValueError(name, shown, "that is no http or https URL", advice)
    if parts.query or parts.fragment:
        raise BadValueError(name, shown, "it must not have a query or a fragment", advice)
    return value


def shown_url(value: str) -> str:
    """Return a URL without what may be a secret in it: user, password, query, fragment."""
    place, question, _ = value.partition("?")
    place, number, _ = place.partition("#")
    scheme, slashes, rest = place.rpartition("://")
    _, at, host = rest.rpartition("@")
    return (
        f"{scheme}{slashes}{'…@' if at else ''}{host}{question or number}{'…' if question or number else ''}"
    )
