"""Requests of the model, sent to a reference: paths from openapi.yaml, tokens, the control protocol, import packing."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import http.client
import json
import os
import time
import tomllib
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from kms_conformance.adapters.key_protect.model import Answer, Operation
from kms_conformance.adapters.key_protect.model.facts import seconds_of
from kms_conformance.adapters.key_protect.walks import Token

_METHODS = ("get", "put", "post", "delete", "patch", "head")


@functools.cache
def routes() -> dict[str, tuple[str, str]]:
    """Return each operation's method and path template."""
    place = Path(__file__).parent.parent / "contracts" / "key_protect" / "openapi.yaml"
    document = yaml.safe_load(place.read_text(encoding="utf-8"))
    return {
        operation["operationId"]: (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    }


def read_target(place: Path) -> dict[str, Any]:
    """Return a target file as it is."""
    return tomllib.loads(place.read_text(encoding="utf-8"))


class Endpoint:
    """One reference with a virtual clock; requests go to one instance at a time."""

    def __init__(self, target: dict[str, Any]) -> None:
        self._host = urllib.parse.urlsplit(target["base_url"]).netloc
        self._control = urllib.parse.urlsplit(target["control"]["url"]).path
        self._iam = urllib.parse.urlsplit(target["iam"]["url"]).path
        self._connection = http.client.HTTPConnection(self._host, timeout=60)
        keys = {name: identity["api_key"] for name, identity in target["identities"].items()}
        self._tokens = {name: self._token(key) for name, key in keys.items() if name != "expired"}
        self._instance = ""
        self._begun = self._base = self._moved = 0.0

    def fresh_instance(self) -> None:
        """Go on with an instance that has never been used."""
        self._instance = str(uuid.uuid4())
        self._ask("GET", "/api/v2/key_rings", None, self._headers("manager"))
        self._base, self._begun, self._moved = self._clock(0), time.monotonic(), 0.0

    def now(self) -> float:
        """Return the instance's time in seconds since 1970."""
        return self._base + time.monotonic() - self._begun + self._moved

    def advance(self, seconds: float) -> None:
        """Move the instance's clock."""
        self._clock(seconds)
        self._moved += seconds

    def make_object(self, adapter_id: str) -> str:
        """Make a KMIP object as a KMIP client does, and return its id; empty where it is refused."""
        path = f"{self._control}/instances/{self._instance}/kmip_objects"
        status, body, _ = self._ask("POST", path, {"adapter": adapter_id}, {})
        return str(body["id"]) if status < http.HTTPStatus.BAD_REQUEST and isinstance(body, dict) else ""

    def send(self, operation: Operation) -> Answer:
        """Send one request and return its answer."""
        method, template = routes()[operation.name]
        values = {name: urllib.parse.quote(value, safe="") for name, value in operation.path.items()}
        path = "/api/v2" + template.format(**values)
        if operation.query:
            path += "?" + urllib.parse.urlencode(operation.query)
        headers = self._headers(operation.caller.name)
        if operation.ring is not None:
            headers["x-kms-key-ring"] = operation.ring
        if operation.prefer is not None:
            headers["prefer"] = operation.prefer
        status, body, shown = self._ask(method, path, operation.body, headers)
        return Answer(status, _code(body) if status >= http.HTTPStatus.BAD_REQUEST else "", body, shown)

    def _headers(self, who: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._tokens[who]}", "bluemix-instance": self._instance}

    def _clock(self, seconds: float) -> float:
        path = f"{self._control}/instances/{self._instance}/clock"
        _, body, _ = self._ask("POST", path, {"advance_seconds": seconds}, {})
        moment = seconds_of(body["now"] if isinstance(body, dict) else None)
        assert moment is not None, body
        return moment

    def _token(self, api_key: str) -> str:
        form = urllib.parse.urlencode(
            {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": api_key}
        )
        self._connection.request(
            "POST",
            self._iam,
            form,
            {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
        )
        return str(json.loads(self._connection.getresponse().read())["access_token"])

    def _ask(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        data = None if body is None else json.dumps(body)
        if data is not None:
            headers = {**headers, "content-type": "application/json"}
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        text = response.read()
        shown = {name.lower(): value for name, value in response.getheaders()}
        return response.status, json.loads(text) if text else None, shown


def _code(body: Any) -> str:
    try:
        return str(body["resources"][0]["reasons"][0]["code"])
    except (KeyError, IndexError, TypeError):
        return ""


class Packer:
    """Packs key material for an import token (section 3.1 of the facts sheet)."""

    def pack(self, material: str, key_of: Token, nonce_of: Token, opens: bool) -> dict[str, str]:
        """Return the members of a request that imports material by a token."""
        data = base64.b64decode(material)
        iv = os.urandom(12)
        sealed = AESGCM(data).encrypt(iv, base64.b64decode(nonce_of.nonce), None)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        public = serialization.load_pem_public_key(base64.b64decode(key_of.payload))
        assert isinstance(public, rsa.RSAPublicKey)
        return {
            "payload": base64.b64encode(public.encrypt(data, oaep)).decode(),
            "encryptedNonce": base64.b64encode(sealed).decode(),
            "iv": base64.b64encode(iv if opens else os.urandom(12)).decode(),
            "encryptionAlgorithm": "RSAES_OAEP_SHA_256",
        }


@functools.cache
def certificates(number: int = 4) -> tuple[str, ...]:
    """Return client certificates in PEM, the same ones each time."""
    return tuple(_certificate(place) for place in range(number))


def _certificate(place: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"client {place}")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(place + 1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
