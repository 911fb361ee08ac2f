"""The two operations over HTTP: tokens, unknown things, bodies, and the control protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_conformance.adapters.hpcs_tke import wire

if TYPE_CHECKING:
    from tests.reference.hpcs_tke.conftest import Context, Unit

GOOD = {"authorization": "Bearer manager"}
BAD_TOKENS = [None, "Bearer garbage", "manager", "Bearer reader", "Bearer outsider"]


def test_list(context: Context) -> None:
    """Units have an id, a place in four parts and a serial number; recovery units are listed apart."""
    reply = context.http.get(f"/v1/tke/{context.instance}/hsms", headers=GOOD)
    assert reply.status_code == 200
    listed = reply.json()
    assert listed["metadata"][0]["collectionTotal"] == len(listed["hsms"]) + len(listed["source_hsms"])
    for entry in listed["hsms"] + listed["source_hsms"]:
        assert all(isinstance(entry[name], str) for name in ("hsm_id", "location", "serial_number"))
        assert len(entry["location"].split("].[")) == 4


def test_serial_number_is_the_module(unit: Unit) -> None:
    """The first eight octets of the module identifier are the serial number; four attributes are there."""
    assert unit.query().module[:8].decode() == unit.entry["serial_number"]
    assert {1, 2, 3, 4} <= unit.attributes().keys()


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_bad_tokens(context: Context, unit: Unit, token: str | None) -> None:
    """No token, garbage, and identities without the role are 401 on both operations; then a good token works."""
    headers = {"authorization": token} if token else {}
    before = unit.state()
    module, domain = unit.place
    zeroize = wire.admin_request(domain, unit.block(wire.ZEROIZE))
    listed = context.http.get(f"/v1/tke/{context.instance}/hsms", headers=headers)
    sent = unit.post(wire.htp_request(module, wire.Header(domain).encode(zeroize)), token)
    for reply in (listed, sent):
        assert (reply.status_code, reply.text) == (401, "Unauthorized")
    assert unit.state() == before
    assert context.units()


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_token_before_existence(context: Context, token: str | None) -> None:
    """401 does not tell whether an instance or unit exists."""
    headers = {"authorization": token} if token else {}
    assert context.http.get("/v1/tke/nowhere/hsms", headers=headers).status_code == 401
    assert context.http.post("/v1/tke/nowhere/hsms/none", headers=headers, content=b"{").status_code == 401


def test_unknown_things(context: Context) -> None:
    """Unknown instances and units are 404."""
    assert context.http.get("/v1/tke/nowhere/hsms", headers=GOOD).status_code == 404
    assert (
        context.http.post("/v1/tke/nowhere/hsms/none", headers=GOOD, json={"request": "1"}).status_code == 404
    )
    path = f"/v1/tke/{context.instance}/hsms/none"
    assert context.http.post(path, headers=GOOD, json={"request": "1"}).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"request": 7}', b'{"request": null}', b"\xff", b"[" * 5000]
)
def test_bad_bodies(unit: Unit, body: bytes) -> None:
    """A body without a string called request is 400."""
    before = unit.state()
    assert unit.http.post(unit.path, headers=GOOD, content=body).status_code == 400
    assert unit.state() == before


def test_huge_body(unit: Unit) -> None:
    """More than a mebibyte is 413."""
    assert unit.http.post(unit.path, headers=GOOD, content=b" " * (1 << 20) + b"{}").status_code == 413


@pytest.mark.parametrize(("method", "tail"), [("POST", ""), ("DELETE", ""), ("GET", "/x"), ("PUT", "/x")])
def test_other_methods(context: Context, method: str, tail: str) -> None:
    """Other methods are 405 and say which are there."""
    reply = context.http.request(method, f"/v1/tke/{context.instance}/hsms{tail}", headers=GOOD)
    assert reply.status_code == 405
    assert reply.headers["allow"]


@pytest.mark.parametrize("wanted", [{}, {"operational": 3, "recovery": 0, "failover": 2}])
def test_provisioning(context: Context, wanted: dict[str, int]) -> None:
    """The control protocol makes an instance of fresh units, and removes it."""
    path = "/_control/hpcs_tke/instances/other"
    made = context.http.request("PUT", path, json=wanted)
    assert made.status_code == 201
    context.instance = "other"
    assert len(context.units()) == wanted.get("operational", 1)
    assert context.http.request("DELETE", path).status_code == 204
    assert context.http.request("DELETE", path).status_code == 404
    assert context.http.get("/v1/tke/other/hsms", headers=GOOD).status_code == 404


@pytest.mark.parametrize("wanted", [{"operational": -1}, {"recovery": 9}, {"failover": "x"}])
def test_bad_provisioning(context: Context, wanted: dict[str, Any]) -> None:
    """Unit counts are small numbers."""
    assert context.http.request("PUT", "/_control/hpcs_tke/instances/other", json=wanted).status_code == 400


def test_bad_faults(context: Context) -> None:
    """Unknown faults, instances and units are named."""
    root = "/_control/hpcs_tke/instances"
    assert context.http.post(f"{root}/{context.instance}/faults", json={"fault": "rust"}).status_code == 400
    assert context.http.post(f"{root}/nowhere/faults", json={"fault": "module-imprint"}).status_code == 404
    missing = {"fault": "module-imprint", "hsm_id": "none"}
    assert context.http.post(f"{root}/{context.instance}/faults", json=missing).status_code == 404
