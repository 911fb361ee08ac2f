"""A running reference and a small client for it."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_reference.key_protect.crypto import oaep_encrypt, seal_nonce
from kms_reference.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "application/vnd.ibm.kms.key+json"
POLICY = "application/vnd.ibm.kms.policy+json"
ERROR = "application/vnd.ibm.kms.error+json"


def b64(data: bytes) -> str:
    """Return standard base64 as text."""
    return base64.b64encode(data).decode()


def collection(kind: str, *resources: Any, total: int | None = None) -> dict[str, Any]:
    """Return the frame of a request body."""
    count = len(resources) if total is None else total
    return {"metadata": {"collectionType": kind, "collectionTotal": count}, "resources": list(resources)}


_tokens: dict[tuple[str, str], str] = {}


@dataclass
class Kms:
    """Calls one instance of one server as one identity at a time."""

    server: Server
    http: httpx.Client
    instance: str = field(default_factory=lambda: str(uuid4()))
    identity: str = "manager"

    def token(self, identity: str | None = None) -> str:
        """Return a bearer token, fetched once per server."""
        name = identity or self.identity
        key = self.server.api_keys[name]
        if (self.server.base_url, key) not in _tokens:
            form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key}
            reply = self.http.post(self.server.iam_url, data=form)
            _tokens[self.server.base_url, key] = reply.json()["access_token"]
        return _tokens[self.server.base_url, key]

    def call(
        self, method: str, path: str, body: Any = None, *, who: str | None = None, **options: Any
    ) -> httpx.Response:
        """Send one request below the API root; `body` is JSON, `content` raw."""
        headers = {
            "authorization": f"Bearer {self.token(who)}",
            "bluemix-instance": self.instance,
            **options.pop("headers", {}),
        }
        if body is not None:
            options["json"] = body
        return self.http.request(method, f"{self.server.base_url}/api/v2{path}", headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST."""
        return self.call("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """PUT."""
        return self.call("PUT", path, body, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        """DELETE."""
        return self.call("DELETE", path, **options)

    def act(self, key: str, action: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST an action."""
        return self.post(f"/keys/{key}/actions/{action}", body, **options)

    def create_raw(self, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        """POST /keys with a root key, unless told otherwise."""
        resource = {"type": KEY, "name": "test-key", "extractable": False, **members}
        return self.post("/keys", collection(KEY, resource), headers=headers or {})

    def create(self, **members: Any) -> str:
        """Return the id of a new key."""
        reply = self.create_raw(**members)
        assert reply.status_code == 201, reply.text
        key_id: str = reply.json()["resources"][0]["id"]
        return key_id

    def create_standard(self, **members: Any) -> str:
        """Return the id of a new standard key."""
        return self.create(extractable=True, **members)

    def create_imported(self, material: bytes | None = None, **members: Any) -> str:
        """Return the id of a new imported root key."""
        return self.create(payload=b64(material or os.urandom(32)), **members)

    def metadata(self, key: str) -> dict[str, Any]:
        """Return the key's metadata."""
        reply = self.get(f"/keys/{key}/metadata")
        assert reply.status_code == 200, reply.text
        resource: dict[str, Any] = reply.json()["resources"][0]
        return resource

    def advance(self, seconds: float) -> None:
        """Move the instance's clock."""
        url = f"{self.server.control_url}/instances/{self.instance}/clock"
        assert self.http.post(url, json={"advance_seconds": seconds}).status_code == 200

    def fault(self, **body: Any) -> None:
        """Switch a fault on or off."""
        url = f"{self.server.control_url}/instances/{self.instance}/faults"
        reply = self.http.post(url, json=body)
        assert reply.status_code == 204, reply.text

    def soon(self, seconds: float = 60) -> str:
        """Return a moment from now as RFC 3339."""
        return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def policy(self, kind: str, enabled: bool, **attributes: Any) -> httpx.Response:
        """PUT one instance policy."""
        data: dict[str, Any] = {"enabled": enabled}
        if attributes:
            data["attributes"] = attributes
        body = collection(POLICY, {"policy_type": kind, "policy_data": data})
        return self.put(f"/instance/policies?policy={kind}", body)

    def dual_auth(self, key: str) -> None:
        """Put a key under dual authorisation."""
        body = collection(POLICY, {"type": POLICY, "dualAuthDelete": {"enabled": True}})
        assert self.put(f"/keys/{key}/policies?policy=dualAuthDelete", body).status_code == 200

    def crn(self) -> str:
        """Return a percent-encoded CRN of some bucket."""
        return f"crn:v1:bluemix:public:cloud-object-storage:global:a%2F{uuid4().hex}:{uuid4()}:bucket:b"

    def register(self, key: str, crn: str | None = None, **members: Any) -> httpx.Response:
        """Register a key as the service."""
        body = collection("application/vnd.ibm.kms.registration_input+json", {"description": "d", **members})
        return self.post(f"/keys/{key}/registrations/{crn or self.crn()}", body, who="service")

    def import_token(self, **members: Any) -> dict[str, Any]:
        """Make and fetch an import token."""
        assert self.post("/import_token", members).status_code == 200
        reply = self.get("/import_token")
        assert reply.status_code == 200, reply.text
        token: dict[str, Any] = reply.json()
        return token

    def encrypted(self, token: dict[str, Any], material: bytes) -> dict[str, str]:
        """Return the members of an import by token."""
        public = load_pem_public_key(base64.b64decode(token["payload"]))
        iv = os.urandom(12)
        return {
            "payload": b64(oaep_encrypt(public, material)),  # type: ignore[arg-type]  # it is RSA
            "encryptedNonce": b64(seal_nonce(material, iv, base64.b64decode(token["nonce"]))),
            "iv": b64(iv),
            "encryptionAlgorithm": "RSAES_OAEP_SHA_256",
        }


def refused(reply: httpx.Response, status: int, code: str | None) -> dict[str, Any]:
    """Check the error envelope; the reason (or the resource, without a code) for further checks."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["correlation-id"]
    body = reply.json()
    assert body["metadata"] == {"collectionType": ERROR, "collectionTotal": 1}
    (resource,) = body["resources"]
    assert resource["errorMsg"]
    if code is None:
        assert set(resource) == {"errorMsg"}
        return dict(resource)
    (reason,) = resource["reasons"]
    assert reason["code"] == code
    assert reason["status"] == status
    assert reason["message"]
    assert reason["moreInfo"].startswith("https://")
    return {**reason, "errorMsg": resource["errorMsg"]}


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests that do not need their own; it must not crash."""
    with Server() as running:
        yield running
        assert running.crashes == []


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """One pool of connections."""
    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture
def kms(server: Server, http: httpx.Client) -> Kms:
    """Return a fresh instance of the common server."""
    return Kms(server, http)


@pytest.fixture
def serve(http: httpx.Client) -> Iterator[Callable[..., Kms]]:
    """Start further servers: `serve(edition="service")` gives a client of a fresh instance."""
    started: list[Server] = []

    def start(**options: Any) -> Kms:
        started.append(Server(**options).start())
        return Kms(started[-1], http)

    yield start
    for each in started:
        each.stop()
        assert each.crashes == []


@pytest.fixture(scope="session")
def expect() -> Callable[..., dict[str, Any]]:
    """`refused` for test modules, which are not importable from one another."""
    return refused


@pytest.fixture(scope="session")
def client() -> type[Kms]:
    """Return the client's class, for fixtures of a wider scope."""
    return Kms
