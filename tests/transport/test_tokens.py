"""What a token issuer answers reaches nobody's eyes: neither the API key that it was told, nor the token."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from kms_conformance.errors import TokenRefusedError
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.target.target import build_target
from kms_conformance.transport.tokens import Tokens

KEY = "Zq8xT0Wm1Rk3v9RtYb2LmN4pQ7sWdE6uHgJ1cFaXi0A"


def tokens(answer: httpx.Response) -> Tokens:
    """Return the tokens of an issuer that gives one answer."""
    document = {
        "base_url": "http://127.0.0.1:1",
        "instance": "fresh",
        "iam": {"url": "http://127.0.0.1:1/token"},
        "identities": {"manager": {"api_key": KEY}},
    }
    redactor = Redactor()
    redactor.remember(KEY, "apikey")
    http = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    return Tokens(build_target(document, {}), http, redactor)


@pytest.mark.parametrize(
    "code",
    [
        KEY,
        KEY[::-1],
        KEY[20:],
        f"BXNIM {KEY}",
        "BXNIM0415E and more",
        "0" * 40,
        KEY[:9],
        17,
        None,
        ["BXNIM0415E"],
    ],
)
def test_refusal_repeats_nothing(code: Any) -> None:
    """Whatever an issuer says in its refusal, the error tells the status alone."""
    body = {"errorCode": code, "errorMessage": f"no such key: {KEY}"}
    answer = httpx.Response(
        400, json=body, headers={"x-echo": KEY}, extensions={"reason_phrase": KEY.encode()}
    )
    with pytest.raises(TokenRefusedError) as refused:
        tokens(answer).of("manager")
    assert refused.value.why == "status 400"


@pytest.mark.parametrize("code", ["BXNIM0415E", "BXNIM0109E", "invalid_grant"])
def test_refusal_shows_its_code(code: str) -> None:
    """A code is shown: it says what to do."""
    with pytest.raises(TokenRefusedError) as refused:
        tokens(httpx.Response(400, json={"errorCode": code})).of("manager")
    assert refused.value.why == f"status 400 {code}"


@pytest.mark.parametrize("token", ["t\u00f6ken-of-somebody", "a-token\r\nx-more: 1", "a-token\x07", "\ud800"])
def test_token_that_no_header_carries(token: str) -> None:
    """A token that cannot be sent is the issuer's fault; it is told so, and the token is not shown."""
    with pytest.raises(TokenRefusedError) as refused:
        tokens(httpx.Response(200, content=json.dumps({"access_token": token}))).of("manager")
    assert refused.value.why == "its token holds signs that no header can carry"
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"[" * 60_000, b"{", b"\xff", b'"text"', b"null", b'{"access_token": 1}']
)
def test_no_token(content: bytes) -> None:
    """What holds no token is told in the suite's own words."""
    with pytest.raises(TokenRefusedError) as refused:
        tokens(httpx.Response(200, content=content)).of("manager")
    assert refused.value.why == "status 200 without an access_token"


@pytest.mark.parametrize("life", ["1" + "0" * 400, "NaN", "-1", '"soon"', "true", "null"])
def test_life_that_is_none(life: str) -> None:
    """A token with an odd life is used."""
    content = f'{{"access_token": "a-token", "expires_in": {life}}}'
    assert tokens(httpx.Response(200, content=content)).of("manager") == "a-token"
