"""How a credential of a case's own making differs from the token of whoever sends it, so that another one like it can be made.

Nothing of a token stands in a form: of a JSON Web Token (RFC 7519) it has the members that the case has changed, and how it is
signed; of anything else how many signs stand between its dots.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

CREDENTIAL = "credential"
"""The note that holds the form."""
_GUESSED = ("", "secret", "public")
"""Keys by which anybody would sign."""
_MOST_PARTS, _LONGEST, _PARTS, _ALIKE = 8, 64, 3, 8


def credential_form(header: str, tokens: Sequence[str]) -> str:
    """Return the form of the credential in a header as JSON; ``""`` where it is a token that somebody has, or has no form.

    ``tokens`` are all that are known, that of whoever sends it first. A token that was changed has a form only where both are
    JSON Web Tokens; whatever shares no eight signs with a token is of the case's own making.
    """
    credential = header.partition(" ")[2] or header
    if credential in tokens:
        return ""
    theirs = _documents(credential)
    if theirs is not None:
        mine = _documents(tokens[0]) if tokens else None
        form = None if mine is None else _changed_token(mine, theirs, tokens[0], credential)
        return "" if form is None else json.dumps(form)
    lengths = [len(part) for part in credential.split(".")]
    windows = {credential[start : start + _ALIKE] for start in range(max(len(credential) - _ALIKE + 1, 0))}
    derived = any(window in token for token in tokens for window in windows)
    return "" if derived or len(lengths) > _MOST_PARTS else json.dumps({"lengths": lengths})


def _documents(token: str) -> list[dict[str, Any]] | None:
    """Return header and claims of a JSON Web Token, ``None`` for anything else."""
    parts = token.split(".")
    try:
        documents = [
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
        ]
    except (ValueError, RecursionError):
        return None
    whole = len(parts) == _PARTS and all(isinstance(document, dict) for document in documents)
    return documents if whole else None


def _changed_token(
    mine: list[dict[str, Any]], theirs: list[dict[str, Any]], own: str, credential: str
) -> dict[str, Any] | None:
    changes = [_changes(one, other) for one, other in zip(mine, theirs, strict=True)]
    if any(change is None for change in changes):
        return None
    text, _, seal = credential.rpartition(".")
    guessed = next((key for key in _GUESSED if seal and seal == sealed(key, text)), None)
    kept = seal == own.rpartition(".")[2]
    how = "none" if not seal else "kept" if kept else "other" if guessed is None else f"key {guessed}"
    return {"head": changes[0], "claims": changes[1], "seal": how}


def _changes(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was set and dropped, ``None`` where that is too much to be a change."""
    put = {name: value for name, value in theirs.items() if mine.get(name) != value or name not in mine}
    if len(put) > _MOST_PARTS or len(json.dumps(put)) > _LONGEST:
        return None
    return {"set": put, "drop": [name for name in mine if name not in theirs]}


def sealed(key: str, text: str) -> str:
    """Return the signature of the head and claims of a token by HS256."""
    digest = hmac.digest(key.encode(), text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
