"""Forged tokens: the claims of a token count only with a valid signature."""

import base64
import hashlib
import hmac
import json

import pytest

from kms_conformance.api import Inconclusive, Secret, covers


def parts_of(token):
    """Return header and claims of a token."""
    try:
        head, claims, _ = str(token).split(".")
        return [
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims)
        ]
    except ValueError:
        raise Inconclusive("the issuer's tokens are no JSON web tokens") from None


def coded(document):
    """Return a document as one base64url part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def refused(kms, token):
    """Send a forged token after the valid one succeeded, and expect a refusal."""
    control = kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(Secret(f"Bearer {token}")).list_keys(limit=1).is_refused_somehow(
        400, 401, control=control
    )


@covers("security-token-algorithm")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_token_without_signature(kms, algorithm):
    """A token that claims to need no signature (algorithm none) is refused."""
    head, claims = parts_of(kms.current_token())
    refused(kms, f"{coded({**head, 'alg': algorithm})}.{coded(claims)}.")


@covers("security-token-algorithm")
@pytest.mark.parametrize("key", [b"", b"secret", b"public"])
def test_token_signed_by_anybody(kms, key):
    """A token signed with a guessable secret is refused."""
    head, claims = parts_of(kms.current_token())
    text = f"{coded({**head, 'alg': 'HS256'})}.{coded(claims)}"
    seal = (
        base64.urlsafe_b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    )
    refused(kms, f"{text}.{seal}")


@covers("security-token-claims")
@pytest.mark.parametrize(
    "change", [{"sub": "IBMid-0"}, {"exp": 9999999999}, {"iam_id": "IBMid-0"}, {"account": {}}]
)
def test_token_with_changed_claims(kms, change):
    """A token whose claims were changed after signing is refused."""
    head, claims = parts_of(kms.current_token())
    seal = str(kms.current_token()).rpartition(".")[2]
    refused(kms, f"{coded(head)}.{coded({**claims, **change})}.{seal}")


@covers("security-token-place")
@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
def test_token_in_the_query(kms, name):
    """A token in the query of the URL is not accepted."""
    control = kms.list_keys(limit=1).succeeds(200)
    nobody = kms.with_authorization(None)
    nobody.request("GET", "/keys", params={name: kms.current_token()}).is_refused_somehow(
        400, 401, control=control
    )
