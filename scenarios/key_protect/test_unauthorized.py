"""Which callers are refused: sections 3 and 36, and the instance header."""

import base64
import json

import pytest

from kms_conformance.api import covers, needs


@covers("bearer-sub-extraction-err")
@pytest.mark.parametrize("value", ["Bearer $ACCESS_TOKEN", "Bearer notatoken", "Bearer a.b.c"])
def test_token_that_is_none(kms, value):
    """An authorization header whose token cannot be read is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(value).list_keys(limit=1).is_refused("BEARER_SUB_EXTRACTION_ERR")


@covers("unauthorized-err-bad-token", "unauthorized-err")
def test_token_with_a_broken_signature(kms):
    """A token with a broken signature is refused."""
    good = kms.current_token()
    kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(f"Bearer {retold(good)}").list_keys(limit=1).is_refused(
        "UNAUTHORIZED_ERR", requirement=("unauthorized-err-bad-token", "unauthorized-err")
    )


@covers("unauthorized-err-foreign-token")
def test_token_of_another_issuer(kms):
    """A well-formed token that was signed with another key is refused."""
    kms.list_keys(limit=1).succeeds(200)
    token = unsigned(
        {"iam_id": "IBMid-000000000X", "sub": "somebody@example.test", "exp": 4102444800, "iat": 1700000000}
    )
    kms.with_authorization(f"Bearer {token}").list_keys(limit=1).is_refused("UNAUTHORIZED_ERR")


@covers("unauthorized-err-no-token")
def test_no_token(kms):
    """A request without an authorization header is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(None).list_keys(limit=1).is_refused("UNAUTHORIZED_ERR")


@covers("unauthorized-err-expired-token", "unauthorized-err-expired-token-status")
@needs(identity="expired")
def test_expired_token(kms):
    """An expired token is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.as_identity("expired").list_keys(limit=1).is_refused(
        "UNAUTHORIZED_ERR",
        requirement=("unauthorized-err-expired-token", "unauthorized-err-expired-token-status"),
    )


@covers("unauthorized-err-outsider")
@needs(identity="outsider")
def test_user_without_a_role(kms):
    """The valid token of a user without a role on the instance is refused, for reading and for creating."""
    kms.create_key().succeeds(201)
    kms.list_keys(limit=1).succeeds(200)
    outsider = kms.as_identity("outsider")
    outsider.list_keys(limit=1).is_refused("UNAUTHORIZED_ERR").lacks("resources.0.id")
    outsider.create_key().is_refused("UNAUTHORIZED_ERR")


@covers("bad-instance-header")
def test_no_instance_header(kms):
    """A request without an instance header is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_headers(bluemix_instance=None).list_keys(limit=1).is_refused_somehow(400)


@covers("bad-instance-header-no-uuid")
def test_instance_header_that_is_no_uuid(kms):
    """A request whose instance header is not a UUID is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_headers(bluemix_instance="my-instance").list_keys(limit=1).is_refused_somehow(400)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(
            "eyJhbGciOiJSUzI1NiJ9.bm90IGpzb24.c2lnbmF0dXJl",
            marks=covers("bearer-sub-extraction-err-not-json"),
        ),
        pytest.param(
            "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln",
            marks=covers("bearer-sub-extraction-err-no-subject"),
        ),
    ],
)
def test_token_whose_claims_name_nobody(kms, token):
    """A token whose claims are not JSON, or name no subject, is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(f"Bearer {token}").list_keys(limit=1).is_refused("BEARER_SUB_EXTRACTION_ERR")


@covers("bearer-sub-extraction-err-no-scheme")
def test_token_without_its_scheme(kms):
    """An authorization header without the word Bearer before the token is refused."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_authorization(str(kms.current_token())).list_keys(limit=1).is_refused(
        "BEARER_SUB_EXTRACTION_ERR"
    )


@covers("unauthorized-err-unknown-instance")
def test_unknown_instance(kms):
    """A request for an instance that does not exist is refused like one for a foreign instance."""
    kms.list_keys(limit=1).succeeds(200)
    kms.with_headers(bluemix_instance=kms.unknown_instance()).list_keys(limit=1).is_refused(
        "UNAUTHORIZED_ERR"
    )


def part(document):
    """Return a document as one part of a token."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def unsigned(claims):
    """Return a token whose signature is made up."""
    return f"{part({'alg': 'RS256', 'kid': 'nobody'})}.{part(claims)}.{'A' * 342}"


def retold(token):
    """Return a token with an additional claim and the unchanged signature."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return unsigned({"iam_id": "IBMid-000000000X", "sub": "somebody", "exp": 4102444800})
    return ".".join([parts[0], part({**claims, "scope": "more than was given"}), *parts[2:]])
