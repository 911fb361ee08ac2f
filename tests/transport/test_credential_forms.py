"""The form of a credential that a case has made: what it was changed in, and nothing of the token that it was made from."""

from __future__ import annotations

import base64
import json

import pytest

from kms_conformance.outputs.repro_credentials import forged
from kms_conformance.transport.credential_forms import credential_form, sealed

OWN = {"alg": "RS256", "kid": "k"}, {"sub": "somebody", "exp": 1, "account": {"bss": "a"}}


def coded(document: object) -> str:
    """Return a document as a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


TEXT = f"{coded(OWN[0])}.{coded(OWN[1])}"
TOKEN = f"{TEXT}.c2VhbC1vZi10aGUtaXNzdWVy"
GUESSED = f"{coded({**OWN[0], 'alg': 'HS256'})}.{coded(OWN[1])}"


@pytest.mark.parametrize(
    "credential",
    [
        f"{coded({**OWN[0], 'alg': 'none'})}.{coded(OWN[1])}.",
        f"{GUESSED}.{sealed('secret', GUESSED)}",
        f"{GUESSED}.{sealed('', GUESSED)}",
        f"{coded(OWN[0])}.{coded({**OWN[1], 'sub': 'other'})}.{TOKEN.rpartition('.')[2]}",
        f"{TEXT}.A2VhbC1vZi10aGUtaXNzdWVy",
    ],
)
def test_changed_token(credential: str) -> None:
    """A changed token is made again from its form and the token, and the form holds nothing of it."""
    form = credential_form(f"Bearer {credential}", [TOKEN, "another"])
    assert forged(json.loads(form), TOKEN) == credential
    assert "somebody" not in form
    assert TOKEN.rpartition(".")[2] not in form


@pytest.mark.parametrize("credential", ["$ACCESS_TOKEN", "notatoken", "a.b.c"])
def test_garbage(credential: str) -> None:
    """Of what is no token the form has the lengths; another one like it has them too."""
    form = credential_form(f"Bearer {credential}", [TOKEN])
    made = forged(json.loads(form), "")
    assert [len(part) for part in made.split(".")] == [len(part) for part in credential.split(".")]


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}",
        "Bearer another",
        TOKEN,
        f"Bearer {TOKEN[:40]}",
    ],
)
def test_no_form(header: str) -> None:
    """A token that somebody has, and one that was cut, have none."""
    assert credential_form(header, [TOKEN, "another"]) == ""
