"""Keys from creation to purging, lists, rings, aliases, policies, KMIP."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Kms

    Expect = Callable[..., dict[str, Any]]

KEY = "application/vnd.ibm.kms.key+json"
POLICY = "application/vnd.ibm.kms.policy+json"


def frame(kind: str, *resources: Any) -> dict[str, Any]:
    """Return the frame of a request body."""
    return {
        "metadata": {"collectionType": kind, "collectionTotal": len(resources)},
        "resources": list(resources),
    }


def test_creation_reply_is_the_documented_one(kms: Kms) -> None:
    """Members and their order as in the examples, no dates, no payload."""
    reply = kms.create_raw(description="example-key", expirationDate=kms.soon())
    (key,) = reply.json()["resources"]
    assert list(key) == (
        [
            "type",
            "id",
            "name",
            "description",
            "state",
            "expirationDate",
            "extractable",
            "crn",
            "imported",
            "deleted",
        ]
    )
    assert key["crn"].endswith(f":{kms.instance}:key:{key['id']}")
    assert reply.headers["content-type"] == "application/json"


def test_representation_and_payloads(kms: Kms) -> None:
    """A standard key shows its payload where it is read, a root key never."""
    prefer = {"prefer": "return=representation"}
    payload = base64.b64encode(b"secret").decode()
    standard = kms.create_raw(headers=prefer, extractable=True, payload=payload).json()["resources"][0]
    assert standard["payload"] == payload
    assert kms.get(f"/keys/{standard['id']}").json()["resources"][0]["payload"] == payload
    assert "payload" not in kms.metadata(standard["id"])
    root = kms.create_raw(headers=prefer).json()["resources"][0]
    assert "payload" not in root
    assert "payload" not in kms.get(f"/keys/{root['id']}").json()["resources"][0]
    assert "payload" not in kms.get("/keys").text
    gone = kms.delete(f"/keys/{root['id']}", headers=prefer)
    assert gone.status_code == 200
    assert gone.json()["resources"][0]["state"] == 5


def test_wrap_family_over_rotations(kms: Kms) -> None:
    """Old ciphertexts open after a rotation and come back under the new version."""
    key = kms.create()
    made = kms.act(key, "wrap").json()
    assert len(base64.b64decode(made["plaintext"])) == 32
    assert made["keyVersion"] == {"id": key}
    assert base64.b64decode(made["ciphertext"]).startswith(b'{"ciphertext":"')
    assert kms.act(key, "rotate", {}).status_code == 204
    opened = kms.act(key, "unwrap", {"ciphertext": made["ciphertext"]}).json()
    assert opened["plaintext"] == made["plaintext"]
    assert opened["keyVersion"] == {"id": key}
    newest = kms.metadata(key)["keyVersion"]["id"]
    assert opened["rewrappedKeyVersion"] == {"id": newest}
    rewrapped = kms.act(key, "rewrap", {"ciphertext": made["ciphertext"]}).json()
    assert set(rewrapped) == {"ciphertext", "keyVersion", "rewrappedKeyVersion"}
    again = kms.act(key, "unwrap", {"ciphertext": rewrapped["ciphertext"]}).json()
    assert again == {"plaintext": made["plaintext"], "keyVersion": {"id": newest}}


def test_equal_material_opens_across_keys(kms: Kms) -> None:
    """The handle is no binding: keys with the same material open each other's ciphertexts."""
    material = os.urandom(16)
    one, other = kms.create_imported(material), kms.create_imported(material)
    sealed = kms.act(one, "wrap", {"plaintext": "QUJD"}).json()["ciphertext"]
    assert kms.act(other, "unwrap", {"ciphertext": sealed}).json()["plaintext"] == "QUJD"


def test_older_action_form_and_null_bodies(kms: Kms, expect: Expect) -> None:
    """`?action=` does the same; JSON null is no body."""
    key = kms.create()
    assert kms.post(f"/keys/{key}?action=wrap", {"plaintext": "QUJD"}).status_code == 200
    null = {"content": b"null", "headers": {"content-type": "application/json"}}
    for action in ("rotate", "disable"):
        assert kms.post(f"/keys/{key}?action={action}", **null).status_code == 204
    kms.advance(30)
    assert kms.act(key, "enable", **null).status_code == 204
    for path in (f"/keys/{key}?action=bogus", f"/keys/{key}"):
        assert expect(kms.post(path), 400, "INVALID_QUERY_PARAM_ERR")["target"]["name"] == "action"


def test_deletion_restoring_and_purging(kms: Kms, expect: Expect) -> None:
    """Dates of a deleted key, restoring, purging after four hours, purging by itself after ninety days."""
    material = os.urandom(32)
    body = frame(KEY, {"payload": base64.b64encode(material).decode()})
    key, other = kms.create_imported(material), kms.create()
    assert kms.delete(f"/keys/{key}").status_code == 204
    shown = kms.metadata(key)
    assert (shown["state"], shown["deleted"], shown["purgeAllowed"]) == (5, True, False)
    assert shown["restoreAllowed"] is True
    assert "resources" not in kms.get(f"/keys?filter=state%3D1&search={key}").json()
    kms.advance(30)
    other_material = frame(KEY, {"payload": base64.b64encode(os.urandom(32)).decode()})
    expect(kms.post(f"/keys/{key}/restore", other_material), 400, "INVALID_FIELD_ERR")
    expect(kms.post(f"/keys/{key}/restore"), 400, "NO_BODY_ERR")
    assert kms.post(f"/keys/{key}/restore", body).json()["resources"][0]["state"] == 1
    expect(kms.post(f"/keys/{key}/restore", body), 409, "KEY_ACTION_INVALID_STATE_ERR")
    expect(kms.delete(f"/keys/{key}/purge", who="purger"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    kms.delete(f"/keys/{key}")
    kms.delete(f"/keys/{other}")
    kms.advance(4 * 3_600)
    expect(kms.delete(f"/keys/{key}/purge"), 401, None)
    assert kms.delete(f"/keys/{key}/purge", who="purger").status_code == 204
    expect(kms.get(f"/keys/{key}"), 404, "KEY_NOT_FOUND_ERR")
    kms.advance(90 * 86_400)
    expect(kms.get(f"/keys/{other}/metadata"), 404, "KEY_NOT_FOUND_ERR")


def test_service_edition_restores_any_key(serve: Callable[..., Kms], expect: Expect) -> None:
    """Since 2021 no body is needed; texts are the newer ones."""
    kms = serve(edition="service")
    key = kms.create()
    kms.delete(f"/keys/{key}")
    reason = expect(kms.post(f"/keys/{key}/restore"), 409, "REQ_TOO_EARLY_ERR")
    assert reason["errorMsg"].endswith("Please see `reasons` for more details (REQ_TOO_EARLY_ERR)")
    kms.advance(30)
    assert kms.post(f"/keys/{key}/restore").status_code == 201
    standard = kms.create_standard()
    kms.delete(f"/keys/{standard}")
    kms.advance(30)
    assert kms.post(f"/keys/{standard}/restore", frame(KEY, {"payload": "QUJD"})).status_code == 201
    newer = expect(kms.get("/keys", who="outsider"), 401, None)["errorMsg"]
    assert newer.startswith("Unauthorized: Either the user does not have access")


def test_lists(kms: Kms, expect: Expect) -> None:
    """Paging, order, states, filters, search."""
    made = [kms.create(name=f"list-{number}") for number in range(5)]
    standard = kms.create_standard(name="other", aliases=["Alpha-1"])
    kms.delete(f"/keys/{made[0]}")
    page = kms.get("/keys?limit=2&offset=4").json()
    assert page["metadata"]["collectionTotal"] == len(page["resources"]) == 1
    everything = [key["id"] for key in kms.get("/keys").json()["resources"]]
    assert everything == sorted([*made[1:], standard])
    assert len(kms.get("/keys?state=1,5").json()["resources"]) == 6
    assert kms.call("HEAD", "/keys").headers["key-total"] == "5"
    assert kms.call("HEAD", "/keys?extractable=true").headers["key-total"] == "1"
    matches = kms.get("/keys?search=alpha").json()
    assert [key["id"] for key in matches["resources"]] == [standard]
    assert matches["metadata"]["searchQuery"] == {"query": "alpha", "scopes": ["name", "alias"]}
    assert len(kms.get("/keys?search=not:name:list").json()["resources"]) == 1
    ordered = kms.get("/keys?sort=-creationDate,id").json()["resources"]
    assert {key["id"] for key in ordered} == {*made[1:], standard}
    filtered = kms.get("/keys", params={"filter": 'creationDate=gt:"2020-01-01T00:00:00Z" extractable=true'})
    assert [key["id"] for key in filtered.json()["resources"]] == [standard]
    assert kms.get("/keys", params={"filter": "deletionDate=none"}).json()["metadata"]["collectionTotal"] == 5
    for query in ("limit=0", "limit=5001", "limit=x", "offset=-1", "sort=color", "filter=a", "state=9"):
        expect(kms.get(f"/keys?{query}"), 400, "INVALID_QUERY_PARAM_ERR")
    expect(kms.get("/keys?state=1&filter=state%3D1"), 400, "INVALID_QUERY_PARAM_ERR")
    limit = expect(kms.get("/keys?limit=0"), 400, "INVALID_QUERY_PARAM_ERR")
    assert limit["message"].endswith("must be: an integer between 1 and 5000 (inclusive)")


def test_filter_times_with_fractions(kms: Kms) -> None:
    """A key made just now is later than the moment before, and earlier than the moment after; so it is in whole seconds."""

    def found(term: str) -> list[str]:
        listed = kms.get("/keys", params={"filter": f"creationDate={term}"}).json()
        return [key["id"] for key in listed.get("resources", ())]

    before = datetime.now(UTC).isoformat(timespec="microseconds")
    key = kms.create(name="just now")
    after = datetime.now(UTC).isoformat(timespec="microseconds")
    assert found(f'gt:"{before}"') == found(f'lt:"{after}"') == [key]
    assert found(f'lt:"{before}"') == found(f'gt:"{after}"') == []
    shown = kms.get(f"/keys/{key}/metadata").json()["resources"][0]["creationDate"]
    assert found(f'"{shown}"') == found(f'gte:"{shown}"') == found(f'lte:"{shown}"') == [key]
    assert found(f'gt:"{shown}"') == found(f'lt:"{shown}"') == []


def test_rings_and_aliases(kms: Kms, expect: Expect) -> None:
    """Rings hold keys, aliases lead to them."""
    made = kms.post("/key_rings/ring-1")
    assert (made.status_code, made.content) == (201, b"")
    expect(kms.post("/key_rings/ring-1"), 409, None)
    ring = {"x-kms-key-ring": "ring-1"}
    key = kms.create_raw(headers=ring).json()["resources"][0]["id"]
    assert kms.metadata(key)["keyRingID"] == "ring-1"
    expect(kms.create_raw(headers={"x-kms-key-ring": "nowhere"}), 404, "KEY_RING_NOT_FOUND_ERR")
    expect(kms.get(f"/keys/{key}", headers={"x-kms-key-ring": "default"}), 404, "KEY_NOT_FOUND_ERR")
    assert kms.post(f"/keys/{key}/aliases/my-alias").status_code == 201
    expect(kms.post(f"/keys/{kms.create()}/aliases/my-alias"), 409, "KEY_ALIAS_NOT_UNIQUE_ERR")
    expect(kms.create_raw(aliases=["my-alias"]), 409, "KEY_ALIAS_NOT_UNIQUE_ERR")
    expect(kms.post(f"/keys/{key}/aliases/wrap"), 400, "INVALID_FIELD_ERR")
    assert kms.act("my-alias", "wrap").status_code == 200
    for number in range(4):
        assert kms.post(f"/keys/{key}/aliases/more-{number}").status_code == 201
    expect(kms.post(f"/keys/{key}/aliases/sixth"), 409, "KEY_ALIAS_QUOTA_ERR")
    assert kms.delete(f"/keys/{key}/aliases/my-alias").status_code == 204
    expect(kms.get("/keys/my-alias"), 404, "KEY_NOT_FOUND_ERR")
    moved = kms.call("PATCH", f"/keys/{key}", {"KeyRingID": "default"})
    assert moved.json()["resources"][0]["keyRingID"] == "default"
    assert kms.delete("/key_rings/ring-1").status_code == 204
    expect(kms.delete("/key_rings/ring-1"), 404, "KEY_RING_NOT_FOUND_ERR")
    kms.post("/key_rings/ring-2")
    kms.call("PATCH", f"/keys/{key}", {"keyRingID": "ring-2"})
    expect(kms.delete("/key_rings/ring-2"), 409, "KEY_RING_NOT_EMPTY_ERR")
    expect(kms.delete("/key_rings/ring-2?force=true"), 409, "KEY_RING_KEYS_NOT_DELETED_ERR")
    kms.delete(f"/keys/{key}")
    expect(kms.delete("/key_rings/ring-2"), 409, "KEY_RING_NOT_EMPTY_ERR")
    assert kms.delete("/key_rings/ring-2?force=true").status_code == 204
    assert [ring["id"] for ring in kms.get("/key_rings").json()["resources"]] == ["default"]


def test_key_policies(kms: Kms, expect: Expect) -> None:
    """Rotation by policy, intervals, inheritance, overrides."""
    key = kms.create()
    assert "resources" not in kms.get(f"/keys/{key}/policies").json()
    rotation = {"type": POLICY, "rotation": {"interval_month": 1}}
    put = kms.put(f"/keys/{key}/policies?policy=rotation", frame(POLICY, rotation))
    assert put.json()["resources"][0]["rotation"] == {"enabled": True, "interval_month": 1}
    kms.advance(61 * 86_400)
    assert len(kms.get(f"/keys/{key}/versions").json()["resources"]) == 3
    bad = frame(POLICY, {"type": POLICY, "rotation": {"interval_month": 13}})
    reason = expect(kms.put(f"/keys/{key}/policies", bad), 400, "INVALID_FIELD_ERR")
    assert reason["message"] == "The field 'interval_month' must be: an integer between 1 and 12 (inclusive)"
    expect(
        kms.put(f"/keys/{key}/policies?policy=dualAuthDelete", frame(POLICY, rotation)),
        400,
        "BODY_QUERY_PARAM_MISMATCH_ERR",
    )
    expect(
        kms.put(f"/keys/{kms.create_standard()}/policies", frame(POLICY, rotation)), 400, "KEY_ROOT_REQ_ERR"
    )
    assert kms.policy("rotation", True, interval_month=2).status_code == 204
    assert kms.policy("dualAuthDelete", True).status_code == 204
    assert kms.get("/instance/policies").json()["metadata"]["collectionTotal"] == 2
    assert kms.metadata(kms.create())["rotation"] == {"enabled": True, "interval_month": 2}
    assert kms.metadata(kms.create_standard())["dualAuthDelete"]["enabled"] is True
    resource = {"name": "plain-key", "extractable": False, "rotation": {"enabled": True, "interval_month": 3}}
    made = kms.post("/keys_with_policy_overrides", frame(KEY, resource)).json()["resources"][0]["id"]
    shown = kms.metadata(made)
    assert (shown["rotation"]["interval_month"], shown["dualAuthDelete"]) == (3, {"enabled": False})
    standard = {**resource, "extractable": True}
    reason = expect(kms.post("/keys_with_policy_overrides", frame(KEY, standard)), 400, "KEY_ROOT_REQ_ERR")
    assert reason["message"].endswith("root key: Rotation policy cannot be set on a standard key")


def test_network_policies(kms: Kms, expect: Expect) -> None:
    """private-only refuses public callers; the cloud's own addresses are still allowed."""
    assert kms.policy("allowedNetwork", True, allowed_network="private-only").status_code == 204
    expect(kms.get("/keys"), 401, None)
    kms.fault(fault="source-address", address="10.1.2.3")
    assert kms.get("/keys").status_code == 200
    assert kms.policy("allowedNetwork", False).status_code == 204


def certificate() -> str:
    """Return a self-signed client certificate (PEM)."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    signed = builder.not_valid_after(now + timedelta(days=1)).sign(private, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_kmip(kms: Kms, expect: Expect) -> None:
    """Adapters, certificates and objects."""
    adapter_type = "application/vnd.ibm.kms.kmip_adapter+json"
    certificate_type = "application/vnd.ibm.kms.kmip_client_certificate+json"
    key = kms.create()
    resource = {"profile": "native_1.0", "profile_data": {"crk_id": key}, "name": "adapter-1"}
    made = kms.post("/kmip_adapters", frame(adapter_type, resource))
    assert made.status_code == 201
    expect(kms.post("/kmip_adapters", frame(adapter_type, resource)), 409, "KMIP_ADAPTER_DUPLICATE_NAME_ERR")
    standard = {**resource, "name": "adapter-2", "profile_data": {"crk_id": kms.create_standard()}}
    expect(kms.post("/kmip_adapters", frame(adapter_type, standard)), 400, "NATIVE_INVALID_CRK_ERR")
    expect(kms.delete(f"/keys/{key}"), 409, "PROTECTED_RESOURCE_ERR")
    path = "/kmip_adapters/adapter-1/certificates"
    one = {"certificate": certificate(), "name": "cert-1"}
    assert kms.post(path, frame(certificate_type, one)).status_code == 201
    expect(kms.post(path, frame(certificate_type, {**one, "name": "cert-2"})), 409, "KMIP_CERT_DUPLICATE_ERR")
    expect(
        kms.post(path, frame(certificate_type, {**one, "certificate": certificate()})),
        409,
        "KMIP_CERT_DUPLICATE_NAME_ERR",
    )
    expect(kms.post(path, frame(certificate_type, {"certificate": "x"})), 400, "INVALID_FIELD_ERR")
    assert "certificate" not in kms.get(path).json()["resources"][0]
    assert kms.get(f"{path}/cert-1").json()["resources"][0]["certificate"] == one["certificate"]
    kms.advance(60)
    assert kms.delete(f"{path}/cert-1", who="approver").status_code == 204
    adapter = kms.get("/kmip_adapters/adapter-1").json()["resources"][0]
    assert adapter["updated_at"] > adapter["created_at"]
    assert adapter["updated_by"] != adapter["created_by"]
    url = f"{kms.server.control_url}/instances/{kms.instance}/kmip_objects"
    thing = kms.http.post(url, json={"adapter": "adapter-1"}).json()["id"]
    objects = "/kmip_adapters/adapter-1/kmip_objects"
    assert kms.get(f"{objects}/{thing}").json()["resources"][0]["state"] == 2
    expect(kms.delete("/kmip_adapters/adapter-1"), 409, None)
    expect(kms.delete(f"{objects}/{thing}?force=perhaps"), 400, "INVALID_QUERY_PARAM_ERR")
    assert kms.delete(f"{objects}/{thing}?force=true").status_code == 204
    assert "resources" not in kms.get(objects).json()
    assert kms.get(f"{objects}?state=5").json()["metadata"]["collectionTotal"] == 1
    assert kms.delete("/kmip_adapters/adapter-1").status_code == 204
    expect(kms.get("/kmip_adapters/adapter-1"), 404, None)


def test_registrations(kms: Kms, expect: Expect) -> None:
    """Services write, everybody reads; queries take wildcards."""
    key, crn = kms.create(), kms.crn()
    made = kms.register(key, crn, registrationMetadata="for services")
    assert made.json()["resources"][0]["registrationMetadata"] == "for services"
    shown = kms.get(f"/keys/{key}/registrations", who="reader").json()["resources"][0]
    assert shown["resourceCrn"] == crn.replace("%2F", "/")
    assert "registrationMetadata" not in shown
    everywhere = kms.get(
        "/keys/registrations", params={"urlEncodedResourceCRNQuery": f"{shown['resourceCrn']}*"}
    )
    assert everywhere.json()["metadata"]["collectionTotal"] == 1
    assert "resources" not in kms.get("/keys/registrations?preventKeyDeletion=true").json()
    patch = frame("application/vnd.ibm.kms.registration_input+json", {"preventKeyDeletion": True})
    changed = kms.call("PATCH", f"/keys/{key}/registrations/{crn}", patch, who="service").json()["resources"][
        0
    ]
    assert (changed["preventKeyDeletion"], changed["description"]) == (True, "d")
    assert kms.delete(f"/keys/{key}/registrations/{crn}", who="service").status_code == 204
    expect(kms.delete(f"/keys/{key}/registrations/{crn}", who="service"), 404, None)
    event = frame("application/vnd.ibm.kms.event_acknowledge+json", {"eventId": "e", "adopterKeyState": "1"})
    assert kms.post("/event_ack", event, who="service").status_code == 204
    expect(kms.post("/event_ack", event), 403, "SERVICE_ONLY_ERR")


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("reader", "GET", "/keys", 200),
        ("reader", "GET", "/keys/{}", 401),
        ("reader", "POST", "/keys/{}/actions/wrap", 200),
        ("reader", "POST", "/keys/{}/actions/rotate", 401),
        ("reader", "GET", "/import_token", 401),
        ("reader", "DELETE", "/keys/{}", 401),
        ("reader", "GET", "/instance/policies", 401),
        ("reader", "GET", "/kmip_adapters", 401),
        ("service", "POST", "/keys/{}/actions/wrap", 200),
        ("service", "POST", "/keys/{}/actions/disable", 401),
        ("approver", "GET", "/keys/{}/policies", 200),
        ("outsider", "GET", "/keys", 401),
        ("manager", "DELETE", "/keys/{}/purge", 401),
    ],
)
def test_roles(kms: Kms, who: str, method: str, path: str, status: int) -> None:
    """Least roles of a few operations."""
    assert kms.call(method, path.format(kms.create()), who=who).status_code == status
