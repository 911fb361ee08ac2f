"""Systems as data: what the engine knows of one comes from its object and its contract, and from nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kms_conformance import system as registry
from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.every_exchange import needs_no_envelope, slowed_down, wire_findings
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.system import Authorization, System, system_of, systems
from kms_conformance.target.identity import Identity
from kms_conformance.target.schema import target_schema
from kms_conformance.target.target import Target, build_target
from kms_conformance.transport.authorization import FinalRequest
from kms_conformance.transport.client import Client, Request

ENGINE = Path(registry.__file__).parent
NAMES = re.compile(r"key_protect|hpcs_tke|\biks\b|\bibm\b|bluemix|key protect", re.IGNORECASE)
KEY_PROTECT = load_contract("key_protect")


def test_no_module_of_the_engine_names_a_system() -> None:
    """What is known of one system stands in its contract and its adapter."""
    engine = [path for path in ENGINE.rglob("*.py") if path.relative_to(ENGINE).parts[0] != "adapters"]
    named = [
        f"{path.relative_to(ENGINE)}:{number}"
        for path in engine
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NAMES.search(line)
    ]
    assert len(engine) > 100
    assert named == []


def test_looking_systems_up_loads_no_adapter() -> None:
    """Commands that need no adapter do not pay for one: the registry is data."""
    script = (
        "import sys; from kms_conformance.system import systems; systems();"
        "print([name for name in sys.modules if name in {'httpx', 'kms_conformance.run.case', 'pytest'}])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_what_is_installed() -> None:
    """The four systems that come with the suite go through the registry like any other, the main one first.

    The experimental one is judged only where a target names it.
    """
    assert list(systems()) == ["key_protect", "hpcs_tke", "iks", "aws_kms"]
    assert registry.first_system().id == "key_protect"
    assert registry.default_systems() == ("key_protect", "hpcs_tke", "iks")


def test_target_schema_has_what_systems_bring() -> None:
    """Identities, capabilities, switches and tables of the target file are those of the registered systems."""
    properties = target_schema()["properties"]
    for system in systems().values():
        assert set(system.identities) <= set(properties["identities"]["properties"])
        assert set(system.capabilities) <= set(properties["capabilities"]["propertyNames"]["enum"])
        switches = {impact.switch for impact in system.impacts.values()}
        assert switches <= set(properties["allow"]["propertyNames"]["enum"])
        assert (system.id in properties) is bool(system.table)


# --- what a contract says of answers ---------------------------------------------------------------------------------


def contract(**about: Any) -> Contract:
    """Return the Key Protect contract with other things said about the API."""
    return Contract(
        id="key_protect",
        about={**KEY_PROTECT.about, **about},
        codes=KEY_PROTECT.codes,
        requirements=KEY_PROTECT.requirements,
        sha256="",
    )


def exchange(
    status: int, body: Any, loaded: Contract, *, operation: str | None = "getKey", **more: Any
) -> Exchange:
    """Return a GET that got an answer, its code read as the contract says."""
    headers = more.pop("headers", {"content-type": "application/json"})
    sent = Sent("GET", "http://127.0.0.1/keys", "/keys", more.pop("sent", {}))
    answer = Received(status, headers, body, is_json=True, size=9, code=loaded.code_of(body))
    return Exchange("x1", "a", "s", operation, "manager", sent, answer, **more)


def rows(seen: Exchange, loaded: Contract) -> set[str]:
    """Return the wire rows that an exchange breaks."""
    return {finding.requirement for finding in wire_findings(seen, loaded, SchemaFiles())}


def test_code_is_read_where_the_contract_says() -> None:
    """Reports show the code, a documented 500 is known, and a throttle may be told by its code."""
    loaded = contract(reason={"code": "__type", "text": "message"}, throttled=["ThrottlingException"])
    documented = next(code for code in loaded.codes.values() if 500 in code.statuses)
    failed = exchange(500, {"__type": documented.code}, loaded)
    assert failed.outcome == f"500 {documented.code}"
    assert "wire-no-server-error" not in rows(failed, loaded)
    assert "wire-no-server-error" in rows(exchange(500, {"__type": "Unheard"}, loaded), loaded)
    assert slowed_down(exchange(400, {"__type": "ThrottlingException"}, loaded), loaded)
    assert not slowed_down(exchange(400, {"__type": "KEY_DELETED_ERR"}, loaded), loaded)


def test_media_types_are_the_contracts() -> None:
    """A type that the contract names passes, any other fails."""
    loaded = contract(media_types=["application/x-amz-json-1.1"])
    right = exchange(200, {}, loaded, operation=None, headers={"content-type": "application/x-amz-json-1.1"})
    untyped = exchange(200, {}, loaded, operation=None)
    assert "wire-media-type" not in rows(right, loaded)
    assert "wire-media-type" in rows(untyped, loaded)


def test_bare_refusals_are_data() -> None:
    """What needs no envelope: the HTTP layer's own answers, and what a contract adds, each under its conditions."""
    loaded = contract(bare=[{"status": [401], "named": True}])
    own = needs_no_envelope(exchange(401, {}, loaded), loaded)
    assert own is not None
    assert own.named
    for status, operation, notes, bare in [
        (413, "getKey", {}, True),
        (400, "getKey", {}, False),
        (400, "getKey", {"raw": "yes"}, True),
        (404, "getKey", {}, False),
        (404, None, {}, True),
        (501, "getKey", {}, False),
        (501, None, {}, True),
        (200, None, {}, False),
    ]:
        seen = exchange(status, {}, loaded, operation=operation, notes=notes)
        assert (needs_no_envelope(seen, loaded) is not None) is bare, (status, operation, notes)


@pytest.mark.parametrize("by", [{"header": "X-Api-Target"}, {"member": "Action"}])
def test_one_path_for_many_operations(by: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all operations have one path, a header or a member of the body tells them apart."""
    from kms_conformance.contract import contract as loader  # noqa: PLC0415 - patched below

    document = {
        "paths": {
            f"/#{name}": {"post": {"operationId": name, "responses": {"200": {}}}}
            for name in ("CreateKey", "Encrypt")
        }
    }
    monkeypatch.setattr(loader, "_read", lambda *_: document)
    loaded = contract(operation_by=by)
    assert loaded.operation_of("POST", "/", {"x-api-target": "Encrypt"}, {"Action": "Encrypt"}) == "Encrypt"
    assert (
        loaded.operation_of("POST", "/", {"x-api-target": "CreateKey"}, {"Action": "CreateKey"})
        == "CreateKey"
    )
    assert loaded.operation_of("POST", "/", {}, {}) is None
    assert loaded.operations["Encrypt"].path == "/"


# --- who sends a request ---------------------------------------------------------------------------------------------


def sign(request: FinalRequest, identity: Identity, target: Target) -> Mapping[str, str]:
    """Sign a request, as a test can read it again."""
    length = f"{request.method} {request.url} {len(request.body)} {request.headers['host']}"
    return {"X-Signature": f"{identity.more['secret_key']}-{length}", "x-region": str(target.table["region"])}


@pytest.fixture
def heard() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the address of a server that notes the headers of every request."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            """Note the request."""
            self.rfile.read(int(self.headers["content-length"]))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()
        thread.join()


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """Yield a system that signs, in the place of the one without capabilities of its own."""
    monkeypatch.setitem(sys.modules, "signing_of_this_test", sys.modules[__name__])
    way = Authorization(header="x-signature", signer="signing_of_this_test:sign", curl="--sign-me")
    table = {"base_url": {"type": "string"}, "region": {"type": "string"}}
    system = replace(
        system_of("hpcs_tke"),
        authorization=way,
        secrets=("secret_key",),
        table=table,
        identities=("root", "guest"),
    )
    loaded = {**systems(), "hpcs_tke": system}
    monkeypatch.setattr(registry, "systems", lambda: loaded)
    for module in ("kms_conformance.target.schema", "kms_conformance.target.target"):
        monkeypatch.setattr(f"{module}.systems", lambda: loaded)
    target_schema.cache_clear()
    yield system
    target_schema.cache_clear()


def test_signatures_cover_the_final_request(signing: System, heard: tuple[str, list[dict[str, str]]]) -> None:
    """The signer sees method, URL, headers and body as they leave; its headers are sent, and the secret is not shown."""
    url, seen = heard
    document = {
        "base_url": url,
        "contract": "hpcs_tke",
        "instance": "a",
        "identities": {"root": {"secret_key": "the-secret-of-the-root"}},
        "hpcs_tke": {"region": "north"},
    }
    client = Client(build_target(document, {}), Redactor(public_headers=["server"]))
    try:
        _, done = client.send(Request("POST", "/x", params={"a": "b"}, body={"k": "v"}), "case")
        client.send(Request("POST", "/x", body={}, token=None), "case")
    finally:
        client.close()
    host = url.removeprefix("http://")
    assert seen[0]["x-signature"] == f"the-secret-of-the-root-POST {url}/x?a=b 9 {host}"
    assert seen[0]["x-region"] == "north"
    assert "x-signature" not in seen[1]
    assert done.identity == signing.principal == "root"
    assert "the-secret-of-the-root" not in repr(done)
    line = curl_line(done)
    assert " --sign-me " in line
    assert "x-signature" not in line


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-vault-token": "<token:0123456789ab>"}, '-H "x-vault-token: $KMS_TOKEN"'),
        ({"authorization": "Bearer <token:0123456789ab>"}, '-H "authorization: Bearer $KMS_TOKEN"'),
        ({"authorization": "Basic <token:0123456789ab>"}, '-H "authorization: Basic $KMS_TOKEN"'),
        ({"authorization": 'a"$`\\ <token:0123456789ab>'}, '-H "authorization: a\\"\\$\\`\\\\ $KMS_TOKEN"'),
        ({"authorization": "Bearer short"}, "-H 'authorization: Bearer short'"),
    ],
)
def test_shell_lines_show_the_right_authorization(headers: dict[str, str], expected: str) -> None:
    """A token stands where the request had it, after the scheme that it had."""
    assert expected in curl_line(exchange(200, {}, KEY_PROTECT, sent=headers))
