"""Secrets of a case's own making, made anew from their form: pasted into each script, standard library only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import urllib.parse
from typing import Any

from kms_conformance.outputs.repro_sending import OPENER, CouldNotRunError


class Credentials:
    """The tokens of the identities; ``grant`` is what the token issuer wants of whoever has an API key."""

    def __init__(self, grant: list[str]) -> None:
        self.grant = grant
        self.tokens: dict[str, str] = {}

    def forged(self, form: dict[str, Any], identity: str) -> str:
        """Return a credential that nobody has given, from its form and the token of an identity."""
        try:
            return forged(form, "" if "lengths" in form else self.token(identity))
        except ValueError:
            raise CouldNotRunError("it changes a JSON Web Token, and the token here is none") from None

    def token(self, identity: str) -> str:
        """Return the token of an identity, from the environment or from the token issuer."""
        stem = "KMS" if identity == "manager" else f"KMS_{identity.upper()}"
        if identity not in self.tokens:
            token, key, iam = (
                os.environ.get(name) for name in (f"{stem}_TOKEN", f"{stem}_API_KEY", "KMS_IAM_URL")
            )
            token = token or os.environ.get(f"KMS_TOKEN_{identity.upper()}")
            if not token and key and iam and self.grant:
                kind, member = self.grant
                form = {"grant_type": kind, member: key}
                try:
                    with OPENER.open(iam, urllib.parse.urlencode(form).encode(), timeout=60) as answer:
                        token = json.loads(answer.read())["access_token"]
                except (OSError, ValueError, KeyError) as error:
                    raise CouldNotRunError(f"{iam} gives no token for {identity} ({error})") from None
            if not token:
                raise CouldNotRunError(
                    f"set KMS_TOKEN_{identity.upper()}, or {stem}_API_KEY and KMS_IAM_URL"
                    if identity != "manager"
                    else "set KMS_TOKEN, or KMS_API_KEY and KMS_IAM_URL"
                )
            self.tokens[identity] = token
        return self.tokens[identity]


def forged(form: dict[str, Any], token: str) -> str:
    """Return a credential of a form; a changed token is made from ``token``; raise :class:`ValueError` where that is no JWT."""
    if "lengths" in form:
        return ".".join("x" * length for length in form["lengths"])
    head, claims, seal = token.split(".")
    text = f"{_changed(head, form['head'])}.{_changed(claims, form['claims'])}"
    kind, _, key = form["seal"].partition(" ")
    if kind == "none":
        return f"{text}."
    if kind == "key":
        digest = hmac.digest(key.encode(), text.encode(), hashlib.sha256)
        return f"{text}.{_coded(digest)}"
    return f"{text}.{seal}" if kind == "kept" else f"{text}.{'B' if seal.startswith('A') else 'A'}{seal[1:]}"


def _changed(part: str, change: dict[str, Any]) -> str:
    if not change["set"] and not change["drop"]:
        return part
    document = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    kept = {name: value for name, value in document.items() if name not in change["drop"]}
    return _coded(json.dumps({**kept, **change["set"]}).encode())


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def material(form: str) -> str:
    """Make a secret of the form that the record tells: what it is made of, the octets at its ends, and its size."""
    kind, _, size = form.partition(" ")
    made_of, *ends = kind.split(":")
    if made_of == "base64":
        first, last = map(bytes.fromhex, ends or ("", ""))
        drawn = bytearray(secrets.token_bytes(max(0, int(size) - len(first) - len(last))))
        for end in (0, -1) if drawn else ():
            drawn[end] |= 0x80
        return base64.b64encode((first + drawn + last)[: int(size)]).decode()
    if ends:
        # Base64 but for its padding, or its alphabet.
        pads = int(ends[0][3:] or 0) if ends[0].startswith("url") else 0
        drawn = bytearray(secrets.token_bytes(int(size) * 3 // 4 - pads))
        drawn[:2] = b"\xfb\xff"[: len(drawn)]
        plain = base64.b64encode(drawn).decode()
        return plain.replace("+", "-").replace("/", "_") if ends[0] != "unpadded" else plain.rstrip("=")
    # No base64 either.
    return (secrets.token_urlsafe(int(size))[: int(size)])[:-1] + "$"
