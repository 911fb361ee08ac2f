"""Requests that the reference refuses: unknown paths, what is no HTTP, bodies and queries of any form."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_reference.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Kms

    Expect = Callable[..., dict[str, Any]]

KEY = "application/vnd.ibm.kms.key+json"


def raw(server: Server, data: bytes) -> bytes:
    """Send bytes on a fresh connection; everything that comes back."""
    port = int(server.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        chunks = []
        while chunk := connection.recv(65_536):
            chunks.append(chunk)
    return b"".join(chunks)


def test_unknown_paths_and_methods(kms: Kms, expect: Expect) -> None:
    """404 and 405 are envelopes, HEAD has no body."""
    for path in ("/nothing", "/keys/a/b/c/d", "/keys//metadata", "/key_rings/a/b", "/a%0Ab/c"):
        expect(kms.get(path), 404, None)
    expect(kms.act("a%0Ab", "wrap"), 404, "KEY_NOT_FOUND_ERR")
    expect(kms.get("/nothing"), 404, None)
    reply = kms.put("/keys", {})
    expect(reply, 405, None)
    assert reply.headers["allow"] == "GET, HEAD, POST"
    head = kms.call("HEAD", "/nothing")
    assert (head.status_code, head.content) == (404, b"")
    assert kms.call("HEAD", "/keys", headers={"authorization": ""}).status_code == 400
    assert kms.http.get(kms.server.base_url).status_code == 401


def test_unreadable_requests(server: Server) -> None:
    """What is no HTTP gets an envelope too."""
    for data in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    ):
        reply = raw(server, data)
        assert reply.startswith(b"HTTP/1.1 400"), reply
        assert b"vnd.ibm.kms.error+json" in reply


def test_large_and_deep_bodies(kms: Kms, expect: Expect) -> None:
    """More than 1 MiB is refused unread, depth is no crash."""
    expect(kms.post("/keys", content=b"x" * ((1 << 20) + 1)), 413, None)
    expect(kms.post("/keys", content=iter([b"x" * 600_000] * 20)), 413, None)
    for text in (b"[" * 200_000, b'{"a":' * 100_000, b"1" * 10_000, b"\xff\xfe", b"NaN", b"\xef\xbb\xbf{}"):
        expect(kms.post("/keys", content=text), 400, "BAD_BODY_ERR")


def test_correlation_id(kms: Kms) -> None:
    """The client's is used, an unfit one replaced."""
    given_id = str(uuid4())
    assert kms.get("/keys", headers={"correlation-id": given_id}).headers["correlation-id"] == given_id
    unfit = kms.get("/keys", headers={"correlation-id": "x" * 999}).headers["correlation-id"]
    assert len(unfit) == 36


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
KEY_MEMBERS = "type name description aliases tags expirationDate extractable payload encryptionAlgorithm encryptedNonce iv"
POLICY_MEMBERS = "policy_type policy_data type rotation dualAuthDelete"
RESOURCES = st.dictionaries(
    st.sampled_from(f"{KEY_MEMBERS} {POLICY_MEMBERS} keyVersionId".split()), JSON, max_size=5
)
KINDS = st.sampled_from(["key", "policy", "registration_input", "kmip_adapter", "event_acknowledge"])
BODIES = (
    JSON
    | st.dictionaries(st.sampled_from(["plaintext", "ciphertext", "aad", "expiration", "keyRingID"]), JSON)
    | st.builds(
        lambda kind, resources: {
            "metadata": {
                "collectionType": f"application/vnd.ibm.kms.{kind}+json",
                "collectionTotal": len(resources),
            },
            "resources": resources,
        },
        KINDS,
        st.lists(RESOURCES, min_size=1, max_size=2),
    )
)
PATHS = (
    "POST /keys",
    "POST /keys_with_policy_overrides",
    "PATCH /keys/{}",
    "PUT /keys/{}/policies",
    "PUT /instance/policies",
    "PUT /instance/policies?policy=rotation",
    "PUT /instance/policies?policy=allowedIP",
    "POST /import_token",
    "POST /keys/{}/actions/wrap",
    "POST /keys/{}/actions/unwrap",
    "POST /keys/{}/actions/rotate",
    "POST /keys/{}/restore",
    "POST /kmip_adapters",
    "POST /keys/{}/registrations/crn:v1:bluemix:public:x:y:a%2Fz:i",
    "POST /event_ack",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PATHS), BODIES, st.sampled_from(["manager", "service"]))
def test_odd_bodies_are_refused_in_order(kms: Kms, line: str, body: Any, who: str) -> None:
    """Whatever the JSON, the answer is a success or an envelope of a client's error."""
    kms.instance = str(uuid4())
    method, _, path = line.partition(" ")
    reply = kms.call(method, path.format(kms.create()), body, who=who)
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        (resource,) = reply.json()["resources"]
        assert resource["errorMsg"]
        assert all(reason["status"] == reply.status_code for reason in resource.get("reasons", []))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(PATHS))
def test_odd_bytes_are_refused_in_order(kms: Kms, content: bytes, line: str) -> None:
    """Whatever the bytes, the answer is an error of the client, and the server goes on."""
    method, _, path = line.partition(" ")
    assert kms.call(method, path.format(uuid4()), content=content).status_code < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "limit",
                "offset",
                "state",
                "extractable",
                "search",
                "sort",
                "filter",
                "totalCount",
                "policy",
                "action",
            ]
        ),
        st.text(max_size=12),
        max_size=4,
    )
)
def test_odd_queries_are_refused_in_order(kms: Kms, query: dict[str, str]) -> None:
    """Whatever the query, lists answer."""
    for path in ("/keys", "/keys/registrations", "/key_rings", "/instance/policies", "/kmip_adapters"):
        assert kms.get(path, params=query).status_code in (200, 400)
