"""The server as a program: start, stop, restart, control path, target file, concurrency."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kms_reference.server import Server, ServerError
from kms_reference.target import write_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Kms

    Expect = Callable[..., dict[str, Any]]

KEY = "application/vnd.ibm.kms.key+json"
SERVE = """
import sys
from pathlib import Path
from kms_reference.server import serve_forever
from kms_reference.target import write_target
serve_forever(port=int(sys.argv[1]), data=Path(sys.argv[2]), on_ready=lambda s: write_target(Path(sys.argv[3]), s))
"""


def test_start_and_stop(http: httpx.Client) -> None:
    """Ports are free ones, requests are taken at once, and stopping closes the socket."""
    with Server() as one, Server() as other:
        assert one.base_url != other.base_url
        assert http.get(f"{one.base_url}/api/v2/keys").status_code == 401
    with pytest.raises(httpx.ConnectError):
        http.get(f"{one.base_url}/api/v2/keys")


def test_bad_options_are_one_sentence() -> None:
    """Unknown names and ports in use end in a typed error."""
    for options in (
        {"edition": "x"},
        {"clock": "x"},
        {"defects": ["x"]},
        {"variations": ["x"]},
        {"port": 70_000},
    ):
        with pytest.raises(ServerError):
            Server(**options).start()  # type: ignore[arg-type]  # wrong on purpose
    with Server() as running, pytest.raises(ServerError):
        Server(port=int(running.base_url.rpartition(":")[2])).start()


def test_public_url_is_advertised() -> None:
    """Behind a proxy, URLs are the public ones."""
    with Server(public_url="https://kms.example.test/") as server:
        assert server.iam_url == "https://kms.example.test/identity/token"


def test_target_file(kms: Kms, tmp_path: Path) -> None:
    """Complete, TOML, and nothing left beside it."""
    path = tmp_path / "target.toml"
    write_target(path, kms.server)
    target = tomllib.loads(path.read_text())
    assert target["base_url"] == kms.server.base_url
    assert (target["contract"], target["instance"]) == ("key_protect", "fresh")
    assert target["iam"]["url"] == kms.server.iam_url
    assert target["control"]["url"] == kms.server.control_url
    names = {"manager", "approver", "service", "reader", "outsider", "purger", "expired"}
    assert set(target["identities"]) == names
    assert all(identity["api_key"] for identity in target["identities"].values())
    assert all(target["capabilities"].values())
    assert all(target["allow"].values())
    assert list(tmp_path.iterdir()) == [path]


def start(port: int, data: Path, target: Path) -> subprocess.Popen[bytes]:
    """Start the reference as a program and wait for its target file."""
    target.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port), str(data), str(target)])
    deadline = time.monotonic() + 20
    while not target.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def session(target: dict[str, Any], instance: str) -> httpx.Client:
    """Return a client for a target file."""
    form = {
        "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
        "apikey": target["identities"]["manager"]["api_key"],
    }
    token = httpx.post(target["iam"]["url"], data=form).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "bluemix-instance": instance}
    return httpx.Client(base_url=target["base_url"] + "/api/v2", headers=headers)


def test_state_survives_kill_and_restart(tmp_path: Path) -> None:
    """Keys, clock, tokens and API keys are there again after kill -9; SIGTERM ends cleanly."""
    data, file, instance = tmp_path / "kms.db", tmp_path / "target.toml", str(uuid4())
    process = start(0, data, file)
    target = tomllib.loads(file.read_text())
    body = {
        "metadata": {"collectionType": KEY, "collectionTotal": 1},
        "resources": [{"name": "kept", "extractable": False, "aliases": ["kept-alias"]}],
    }
    with session(target, instance) as client:
        key = client.post("/keys", json=body).json()["resources"][0]["id"]
        sealed = client.post(f"/keys/{key}/actions/wrap", json={"plaintext": "QUJD"}).json()["ciphertext"]
        assert client.post(f"/keys/{key}/actions/rotate").status_code == 204
        httpx.post(f"{target['control']['url']}/instances/{instance}/clock", json={"advance_seconds": 3_600})
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start(int(target["base_url"].rpartition(":")[2]), data, file)
        assert tomllib.loads(file.read_text()) == target
        opened = client.post("/keys/kept-alias/actions/unwrap", json={"ciphertext": sealed}).json()
        assert opened["plaintext"] == "QUJD"
        assert client.post(f"/keys/{key}/actions/rotate").status_code == 204
    process.terminate()
    assert process.wait(10) == 0


def test_wrong_data_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database, one of something else, one in use, a folder that is not there."""
    garbage, other, used = (tmp_path / name for name in ("garbage", "other", "used"))
    garbage.write_bytes(b"not a database at all" * 99)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE t (a)")
    with Server(data=used):
        for file in (garbage, other, used, tmp_path / "nowhere" / "file"):
            with pytest.raises(ServerError):
                Server(data=file).start()
    with Server(data=used):
        pass


def test_full_disk_is_told_in_the_envelope(
    serve: Callable[..., Kms], expect: Expect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written is not acknowledged, reading goes on, and the change is kept once there is room."""
    kms = serve(data=tmp_path / "data.sqlite")
    key = kms.create()
    assert kms.server.server_state is not None
    database = kms.server.server_state._store._db  # type: ignore[union-attr]
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    large = base64.b64encode(bytes(7_500)).decode()
    refused = [kms.create_raw(extractable=True, payload=large) for _ in range(3)][-1]
    assert "cannot be written" in expect(refused, 507, None)["errorMsg"]
    assert kms.metadata(key)["state"] == 1
    url = f"{kms.server.control_url}/instances/{kms.instance}/clock"
    assert kms.http.post(url, json={"advance_seconds": 1}).status_code == 507
    assert "cannot be written" in caplog.text
    database.execute("PRAGMA max_page_count = 100000")
    assert kms.act(key, "wrap").status_code == 200
    assert kms.delete(f"/keys/{key}").status_code == 204


def test_crypto_units_can_withhold_the_master_key(serve: Callable[..., Kms], expect: Expect) -> None:
    """Where crypto units guard an instance, nothing is wrapped before they have a master key."""
    kms = serve()
    key = kms.create()
    assert kms.server.server_state is not None
    kms.server.server_state.crypto_ready = lambda instance: instance != kms.instance
    assert expect(kms.act(key, "wrap"), 400, None)["errorMsg"].endswith("CKR_IBM_WK_NOT_INITIALIZED")
    assert kms.metadata(key)["state"] == 1


def test_real_clock_cannot_be_moved(serve: Callable[..., Kms], tmp_path: Path) -> None:
    """The clock's control path is there with a virtual clock only, and the target file says so."""
    kms = serve(clock="real")
    url = f"{kms.server.control_url}/instances/{kms.instance}/clock"
    assert kms.http.post(url, json={"advance_seconds": 1}).status_code == 404
    write_target(tmp_path / "target.toml", kms.server)
    target = tomllib.loads((tmp_path / "target.toml").read_text())
    assert "control" not in target
    assert "faults" not in target["capabilities"]


def test_control_path(kms: Kms) -> None:
    """Its own errors are plain JSON."""
    root = f"{kms.server.control_url}/instances/{kms.instance}"
    assert kms.http.post(f"{root}/clock", json={"advance_seconds": 0}).json()["now"].endswith("Z")
    for path, body, status in (
        ("clock", {"advance_seconds": -1}, 400),
        ("clock", {"advance_seconds": 1e300}, 400),
        ("clock", [], 400),
        ("faults", {"fault": "none"}, 400),
        ("faults", {"fault": "corrupt-metadata", "key": "x"}, 404),
        ("faults", {"fault": "delay", "seconds": "x"}, 400),
        ("nothing", {}, 404),
    ):
        reply = kms.http.post(f"{root}/{path}", json=body)
        assert (reply.status_code, list(reply.json())) == (status, ["error"])
    assert kms.http.get(f"{root}/clock").status_code == 405


def test_instance_faults(kms: Kms, expect: Expect) -> None:
    """Cut connections, delays, 429 and 503, each as often as asked."""
    kms.fault(fault="rate-limit", count=2)
    for _ in range(2):
        reply = kms.get("/keys")
        expect(reply, 429, None)
        assert reply.headers["retry-after"] == "1"
    kms.fault(fault="unavailable")
    expect(kms.get("/keys"), 503, None)
    kms.fault(fault="drop-connection")
    with pytest.raises(httpx.TransportError):
        kms.get("/keys")
    kms.fault(fault="delay", seconds=0.2)
    begun = time.monotonic()
    assert kms.get("/keys").status_code == 200
    assert time.monotonic() - begun >= 0.2
    assert kms.get("/keys").status_code == 200


def test_instances_are_separate(kms: Kms, expect: Expect) -> None:
    """A key of one instance is unknown in another; the header must be a UUID in any case."""
    key = kms.create()
    assert kms.get(f"/keys/{key}", headers={"bluemix-instance": kms.instance.upper()}).status_code == 200
    expect(kms.get(f"/keys/{key}", headers={"bluemix-instance": str(uuid4())}), 404, "KEY_NOT_FOUND_ERR")
    text = "Bad Request: Request requires valid Bluemix-Instance Header containing a valid UUID"
    for value in ("", "x", "0" * 32):
        assert expect(kms.get("/keys", headers={"bluemix-instance": value}), 400, None)["errorMsg"] == text


def test_concurrent_rotations(kms: Kms) -> None:
    """Of many rotations at once exactly one succeeds, and no version is lost."""
    key = kms.create()
    kms.token()
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: kms.act(key, "rotate").status_code, range(48)))
    assert sorted(set(statuses)) == [204, 409]
    assert statuses.count(204) == 1
    assert len(kms.get(f"/keys/{key}/versions").json()["resources"]) == 2


def test_concurrent_life_of_one_key(kms: Kms) -> None:
    """Wrapping, disabling and deleting at once: every answer is a lawful one, and exactly one deletion works."""
    key = kms.create()
    kms.token()
    actions = ["wrap", "disable", "delete", "wrap"] * 12

    def act(action: str) -> int:
        if action == "delete":
            return kms.delete(f"/keys/{key}").status_code
        return kms.act(key, action).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(act, actions))
    deleted = [status for action, status in zip(actions, statuses, strict=True) if action == "delete"]
    assert sorted(deleted) == [204] + [410] * 11
    assert set(statuses) <= {200, 204, 409, 410}


def test_token_issuer(kms: Kms) -> None:
    """Both paths, members that clients send along, and IAM's own errors."""
    key = kms.server.api_keys["manager"]
    form = {
        "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
        "apikey": key,
        "response_type": "cloud_iam",
    }
    for path in ("/identity/token", "/oidc/token"):
        reply = kms.http.post(kms.server.base_url + path, data=form, auth=("bx", "bx"))
        assert reply.status_code == 200
        assert (reply.json()["token_type"], reply.json()["expires_in"]) == ("Bearer", 3_600)
        assert reply.json()["access_token"].startswith("eyJraWQi")
    for bad_form in ({**form, "apikey": "x"}, {"grant_type": "password"}, {}):
        reply = kms.http.post(kms.server.iam_url, data=bad_form)
        assert reply.status_code == 400
        assert reply.json()["errorCode"].startswith("BXN")
    assert kms.http.get(kms.server.iam_url).status_code == 405


def test_environment_is_not_consulted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference takes no settings from outside its arguments."""
    monkeypatch.setattr(os, "environ", {})
    with Server() as server:
        assert server.api_keys


def test_further_endpoints_share_the_socket(serve: Callable[..., Kms], expect: Expect) -> None:
    """Other systems are served beside the API; everything else stays the API's."""

    async def hello(request: Request) -> PlainTextResponse:
        identity = kms.server.server_state.issuer.identify(request.headers.get("authorization"))  # type: ignore[union-attr]  # it runs
        return PlainTextResponse(identity.name if identity else "nobody")

    kms = serve(extra_routes=lambda server_state: [Route("/hello", hello)] if server_state else [])
    url = f"{kms.server.base_url}/hello"
    assert kms.http.get(url).text == "nobody"
    assert kms.http.get(url, headers={"authorization": f"Bearer {kms.token('reader')}"}).text == "reader"
    expect(kms.get("/nothing"), 404, None)
