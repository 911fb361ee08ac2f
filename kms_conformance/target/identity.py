"""Who asks: an identity of a target, and where its secrets come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kms_conformance.errors import BadValueError, MissingSecretError
from kms_conformance.redaction.redactor import Secret
from kms_conformance.target.schema import secret_members
from kms_conformance.target.urls import is_loopback

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""How variables are named that hold a secret: what looks otherwise may be the secret itself, and is not shown."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody the endpoint knows: an API key to fetch tokens with, a token, or secrets that its system names."""

    name: str
    api_key: Secret | None = None
    token: Secret | None = None
    more: Mapping[str, Secret] = field(default_factory=dict)

    def secrets(self) -> dict[str, Secret]:
        """Return the secrets by the member that holds each."""
        named = {"api_key": self.api_key, "token": self.token, **self.more}
        return {member: value for member, value in named.items() if value is not None}


def identity_of(name: str, entry: Mapping[str, Any], base_url: str, environ: Mapping[str, str]) -> Identity:
    """Return the identity that a table describes; raise :class:`BadValueError` or :class:`MissingSecretError`."""
    _demand_texts(name, entry)
    api_key = _secret(name, "api_key", entry, base_url, environ)
    token = _secret(name, "token", entry, base_url, environ)
    secrets = {member: _secret(name, member, entry, base_url, environ) for member in secret_members()}
    more = {member: value for member, value in secrets.items() if value is not None}
    if api_key is None and token is None and not more:
        raise MissingSecretError(name, "the table names none")
    if api_key is not None and token is not None:
        given = [key for key in entry if key.startswith(("api_key", "token"))]
        why = "it has an API key and a token, and only one of them can be used"
        raise BadValueError(
            f"identities.{name}", ", ".join(_flagless(key) for key in given), why, "leave one of them out."
        )
    return Identity(name, api_key=api_key, token=token, more=more)


def _secret(
    identity: str, member: str, entry: Mapping[str, Any], base_url: str, environ: Mapping[str, str]
) -> Secret | None:
    if f"{member}_flag" in entry:
        value = str(entry[f"{member}_flag"]).strip()
    elif f"{member}_env" in entry:
        value = _of_variable(identity, member, str(entry[f"{member}_env"]), environ)
    elif f"{member}_file" in entry:
        value = _of_file(identity, str(entry[f"{member}_file"]))
    elif member in entry:
        if not is_loopback(base_url):
            raise MissingSecretError(identity, f"a literal {member} is accepted for loopback addresses only")
        value = str(entry[member]).strip()
        if not value:
            raise MissingSecretError(identity, f"its {member} is empty")
    else:
        return None
    value = value.removeprefix("Bearer ").strip() if member == "token" else value
    if not value.isascii() or not value.isprintable():
        raise MissingSecretError(identity, f"its {member} holds signs that no header can carry")
    return Secret(value)


def _of_variable(identity: str, member: str, variable: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable, "").strip()
    if not value:
        # Somebody may have put the secret itself where its variable belongs.
        shown = f" {variable}" if VARIABLE.fullmatch(variable) else ""
        raise MissingSecretError(
            identity, f"the environment variable{shown} that {member}_env names is not set"
        )
    return value


def _of_file(identity: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        raise MissingSecretError(identity, f"the file {path!r} cannot be read") from None
    if not value:
        raise MissingSecretError(identity, f"the file {path!r} is empty")
    return value


def _demand_texts(name: str, entry: Mapping[str, Any]) -> None:
    """Refuse a value of an identity that is no text; it may be a secret, so only its kind is told."""
    for key, value in entry.items():
        if not isinstance(value, str):
            kind = (
                "a list"
                if isinstance(value, list)
                else "a table"
                if isinstance(value, Mapping)
                else "no text"
            )
            raise BadValueError(
                f"identities.{name}.{key}",
                "…",
                f"it must be a text, and it is {kind}",
                'write it in quotes: "..."',
            )


def _flagless(key: str) -> str:
    return f"--{key.removesuffix('_flag').replace('_', '-')}" if key.endswith("_flag") else key
