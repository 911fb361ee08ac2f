"""An exchange as a shell line: pasted, it sends the same request."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import pytest

from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Sent

URL = "http://127.0.0.1:1/api/v2/keys"


def curl(
    method: str = "GET",
    url: str = URL,
    headers: Mapping[str, str] | None = None,
    body: JSON = None,
    text: str | None = None,
) -> list[str]:
    """Return the words of the line for a request."""
    sent = Sent(method, url, "/api/v2/keys", headers or {}, body, text)
    return shlex.split(curl_line(Exchange("x00001", "case", "step", None, "manager", sent, None)))


def test_plain_request_is_a_short_line() -> None:
    """What curl does by itself is not spelt out."""
    assert curl() == ["curl", "-sS", "-i", URL]
    assert curl("HEAD") == ["curl", "-sS", "-i", "--head", URL]


def test_token_is_left_to_the_shell() -> None:
    """The token's place is taken by the variable, inside quotes that the shell opens."""
    words = curl(headers={"authorization": "Bearer <token:3f9a5c0d12ab>", "host": "a", "correlation-id": "b"})
    assert words[4:] == ["-H", "authorization: Bearer $KMS_TOKEN"]


def test_body_keeps_method_and_type() -> None:
    """A body makes curl say POST and call it a form, unless it is told otherwise."""
    typed = {"content-type": "application/json"}
    assert curl(headers=typed, body={"a": "'"})[3:] == [
        "-X",
        "GET",
        URL,
        "-H",
        "content-type: application/json",
        "-d",
        '{"a": "\'"}',
    ]
    assert curl("PUT", text="x")[6:] == ["-H", "content-type:", "-d", "x"]


@pytest.mark.parametrize(
    ("url", "flag"),
    [(f"{URL}?search=[a]", "-g"), (f"{URL}?search={{a,b}}", "-g"), (f"{URL}/../x", "--path-as-is")],
)
def test_url_is_taken_as_it_is(url: str, flag: str) -> None:
    """Curl would expand braces and brackets, and walk up at two dots."""
    assert curl(url=url)[3:] == [flag, url]


def test_text_is_taken_as_it_is() -> None:
    """A text that begins with an at-sign would name a file, and an empty header would be left out."""
    assert curl("POST", text="@/etc/hosts")[-2:] == ["--data-raw", "@/etc/hosts"]
    assert curl(headers={"accept": ""})[-2:] == ["-H", "accept;"]
