"""A request leaves with the headers that httpx would give it, in the same order."""

from __future__ import annotations

import httpx
import pytest

from kms_conformance.transport.client import Client

URL = httpx.URL("http://user@127.0.0.1:8080/api/v2/keys?limit=2")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "PUT", "patch"])
@pytest.mark.parametrize("content", [None, b"", b'{"a": 1}'])
@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/json", "x-empty": ""},
        {"Host": "elsewhere.example"},
        {"content-length": "3"},
    ],
)
@pytest.mark.parametrize("params", [None, {"offset": "1"}])
def test_headers_as_of_httpx(
    method: str, content: bytes | None, headers: dict[str, str], params: dict[str, str] | None
) -> None:
    """Whatever a case sets itself, nothing is missing, added or in another place."""
    usual = httpx.Request(method, URL, headers=headers, params=params, content=content)
    built = Client._request(object.__new__(Client), method, URL, headers, params, content)
    assert built.headers.raw == usual.headers.raw
    assert (built.method, built.url, built.content) == (usual.method, usual.url, usual.content)


@pytest.mark.parametrize("name", ["transfer-encoding", "Transfer-Encoding"])
def test_body_in_chunks(name: str) -> None:
    """A body whose headers say that it comes in chunks does so, and names no length."""
    built = Client._request(object.__new__(Client), "POST", URL, {name: "chunked"}, None, b'{"a": 1}')
    assert b"".join(built.stream) == b'4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n'  # type: ignore[arg-type]
    assert built.headers["host"] == "127.0.0.1:8080"
    assert "content-length" not in built.headers
