"""Every operation of the vendor's generated client once; each reply goes through the client's model and back."""

from __future__ import annotations

import base64
import inspect
import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from keyprotect import IbmKeyProtectApiV2
from keyprotect import ibm_key_protect_api_v2 as vendor

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Kms

PREFIX = "application/vnd.ibm.kms."
KEY, POLICY = f"{PREFIX}key+json", f"{PREFIX}policy+json"
WHOLE = "return=representation"
NOT_OPERATIONS = {"new_instance", "construct_service_url"}
# Members that the service shows and this client's model does not know.
UNKNOWN_TO_CLIENT = {"GetKeyPoliciesOneOfGetMultipleKeyPolicies": {"type"}}


def frame(kind: str, *resources: dict[str, Any]) -> dict[str, Any]:
    """Return a collection."""
    metadata = {"collectionType": kind, "collectionTotal": len(resources)}
    return {"metadata": metadata, "resources": list(resources)}


def key_body(**members: Any) -> str:
    """Return the body that creates a key."""
    return json.dumps(frame(KEY, {"type": KEY, "name": "vendor-key", "extractable": False, **members}))


def certificate() -> str:
    """Return a fresh self-signed certificate."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    builder = builder.not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Caller:
    """Calls operations of the client as one identity, and compares each reply with its model."""

    def __init__(self, kms: Kms, identity: str, called: set[str]) -> None:
        authenticator = IAMAuthenticator(kms.server.api_keys[identity], url=kms.server.base_url)
        self._client = IbmKeyProtectApiV2(authenticator=authenticator)
        self._client.set_service_url(kms.server.base_url)
        self._instance = kms.instance
        self._called = called

    def __call__(self, operation: str, status: int = 200, model: str = "", **arguments: Any) -> Any:
        """Return the result of an operation, which must have this status, and a body if there is a model."""
        self._called.add(operation)
        reply = getattr(self._client, operation)(bluemix_instance=self._instance, **arguments)
        assert reply.get_status_code() == status
        result = reply.get_result()
        assert (result is None) == (not model)
        if model:
            read = getattr(vendor, model).from_dict(result)
            assert same(json.loads(json.dumps(read.to_dict(), default=str)), result, model)
        return result if model else reply.get_headers()

    def key(self, **members: Any) -> str:
        """Return the id of a new key."""
        return made(self("create_key", 201, "Key", key_create_body=key_body(**members)))


def made(result: Any) -> str:
    """Return the id of the only resource."""
    (resource,) = result["resources"]
    return str(resource["id"])


def same(back: Any, sent: Any, model: str) -> bool:
    """Whether nothing was lost on the way through the model."""
    if isinstance(sent, dict):
        shown = {name: value for name, value in sent.items() if name not in UNKNOWN_TO_CLIENT.get(model, ())}
        return shown.keys() == back.keys() and all(same(back[n], v, model) for n, v in shown.items())
    if isinstance(sent, list):
        return len(back) == len(sent) and all(same(b, s, model) for b, s in zip(back, sent, strict=True))
    return bool(back == sent)


def keys(kms: Kms, call: Caller) -> str:
    """Create, count, list, read, move and name keys; return a root key."""
    soon = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    call("create_key_ring", 201, key_ring_id="vendor-ring")
    call("list_key_rings", 200, "ListKeyRingsWithTotalCount", limit=100, offset=0, total_count=True)
    full = key_body(description="for the vendor", aliases=["one", "two"], tags=["a tag"], expirationDate=soon)
    key = made(
        call("create_key", 201, "Key", key_create_body=full, prefer=WHOLE, x_kms_key_ring="vendor-ring")
    )
    standard = key_body(extractable=True, payload=base64.b64encode(b"standard").decode())
    shown = call("create_key", 201, "Key", key_create_body=standard, prefer=WHOLE)
    assert base64.b64decode(shown["resources"][0]["payload"]) == b"standard"
    policies = {"rotation": {"enabled": True, "interval_month": 6}, "dualAuthDelete": {"enabled": False}}
    body = {"key_with_policy_overrides_create_body": key_body(**policies), "prefer": WHOLE}
    overridden = call("create_key_with_policies_overrides", 201, "Key", **body)
    assert overridden["resources"][0]["rotation"] == policies["rotation"]
    assert call("get_key_collection_metadata", filter="state=1 extractable=false")["Key-Total"] == "2"
    asked = {
        "filter": "extractable=FALSE lastRotateDate=none",
        "search": "alias:one",
        "sort": "-creationDate",
    }
    assert made(call("get_keys", 200, "ListKeys", limit=1, offset=0, **asked)) == key
    assert made(call("get_key", 200, "GetKey", id="two", x_kms_key_ring="vendor-ring")) == key
    call("get_key_metadata", 200, "GetKeyMetadata", id=made(shown))
    call("create_key_alias", 201, "KeyAlias", id=key, alias="three")
    call("delete_key_alias", 204, id=key, alias="three")
    moved = {"key_patch_body": json.dumps({"keyRingID": "default"}), "x_kms_key_ring": "vendor-ring"}
    call("patch_key", 200, "PatchKeyResponseBody", id=key, **moved)
    call("delete_key_ring", 204, key_ring_id="vendor-ring", force=False)
    return key


def actions(kms: Kms, call: Caller, key: str) -> None:
    """Wrap, unwrap, rewrap, rotate, disable, enable, sync, and the older form."""
    sealed = json.dumps({"ciphertext": call("wrap_key", 200, "WrapKeyResponseBody", id=key)["ciphertext"]})
    call("rotate_key", 204, id=key, key_action_rotate_body="{}", prefer=WHOLE)
    opened = call("unwrap_key", 200, "UnwrapKeyResponseBody", id=key, key_action_unwrap_body=sealed)
    assert opened["rewrappedKeyVersion"]["id"] != opened["keyVersion"]["id"] == key
    call("rewrap_key", 200, "RewrapKeyResponseBody", id=key, key_action_rewrap_body=sealed)
    old = {"id": key, "action": "unwrap", "key_action_body": sealed}
    call("action_on_key", 200, "KeyActionOneOfResponseUnwrapKeyResponseBody", **old)
    call(
        "get_key_versions", 200, "ListKeyVersions", id=key, limit=200, total_count=True, all_key_states=False
    )
    call("disable_key", 204, id=key)
    call("get_key", 200, "GetKey", id=key)
    kms.advance(3_600)
    call("enable_key", 204, id=key)
    kms.advance(3_600)
    call("sync_associated_resources", 204, id=key)


def policies(call: Caller, key: str) -> None:
    """Policies of a key and of the instance, each by its own model and all by the common one."""
    rotation = {"type": POLICY, "rotation": {"enabled": True, "interval_month": 3}}
    dual = {"type": POLICY, "dualAuthDelete": {"enabled": False}}
    for kind, name, resource in (
        ("rotation", "Rotation", rotation),
        ("dualAuthDelete", "DualAuthDelete", dual),
    ):
        model = f"GetKeyPoliciesOneOfGetKeyPolicy{name}"
        put = {"id": key, "key_policy_put_body": frame(POLICY, resource), "policy": kind}
        call("put_policy", 200, model, **put)
        call("get_policy", 200, model, id=key, policy=kind)
    call("get_policy", 200, "GetKeyPoliciesOneOfGetMultipleKeyPolicies", id=key)
    access = {"create_root_key": True, "create_standard_key": True, "import_root_key": True}
    access |= {"import_standard_key": True, "enforce_token": False}
    for kind, attributes in (
        ("dualAuthDelete", None),
        ("metrics", None),
        ("allowedNetwork", {"allowed_network": "public-and-private"}),
        ("allowedIP", {"allowed_ip": ["127.0.0.1/32", "::/0"]}),
        ("rotation", {"interval_month": 4}),
        ("keyCreateImportAccess", access),
    ):
        model = f"GetInstancePoliciesOneOfGetInstancePolicy{kind[0].upper()}{kind[1:]}"
        for data in (
            {"enabled": True} | ({"attributes": attributes} if attributes else {}),
            {"enabled": False},
        ):
            body = frame(POLICY, {"policy_type": kind, "policy_data": data})
            call("put_instance_policy", 204, instance_policy_put_body=body, policy=kind)
            call("get_instance_policy", 200, model, policy=kind)
            call("get_allowed_ip_port", 200, "AllowedIPPort")
    call("get_instance_policy", 200, "GetInstancePoliciesOneOfGetMultipleInstancePolicies")


def imports(kms: Kms, call: Caller) -> None:
    """Import by token."""
    call("post_import_token", 200, "ImportToken", expiration=300.0, max_allowed_retrievals=2.0)
    token = call("get_import_token", 200, "GetImportToken")
    assert call.key(**kms.encrypted(token, os.urandom(32)))


def registrations(kms: Kms, call: Caller, key: str) -> None:
    """List what a service registered."""
    assert kms.register(key).status_code == 201
    for prevent in (None, False, True):
        asked = {"total_count": True, "limit": 1, "offset": 0, "prevent_key_deletion": prevent}
        shown = call("get_registrations", 200, "RegistrationWithTotalCount", id=key, **asked)
        assert call("get_registrations_all_keys", 200, "RegistrationWithTotalCount", **asked) == shown
        assert shown["metadata"]["totalCount"] == (not prevent)


def kmip(kms: Kms, call: Caller, key: str) -> None:
    """Adapters, certificates, objects."""
    resource = vendor.CreateKMIPAdapterObject(
        profile="native_1.0",
        name="vendor-adapter",
        profile_data=vendor.KMIPProfileDataBodyKMIPProfileDataNative(crk_id=key),
    )
    metadata = frame(f"{PREFIX}kmip_adapter+json", {})["metadata"]
    call("create_kmip_adapter", 201, "ListKMIPAdapters", metadata=metadata, resources=[resource])
    call("get_kmip_adapter", 200, "ListKMIPAdapters", id="vendor-adapter")
    asked = {"limit": 200, "offset": 0, "total_count": True}
    call("get_kmip_adapters", 200, "ListKMIPAdaptersWithTotalCount", crk_id=key, **asked)
    of = {"adapter_id": "vendor-adapter"}
    metadata = frame(f"{PREFIX}kmip_client_certificate+json", {})["metadata"]
    one = vendor.CreateKMIPClientCertificateObject(certificate=certificate(), name="vendor-cert")
    model = "ListKMIPClientCertificates"
    call("add_kmip_client_certificate", 201, model, metadata=metadata, resources=[one], **of)
    call("get_kmip_client_certificate", 200, model, id="vendor-cert", **of)
    model = "ListKMIPPartialClientCertificatesWithTotalCount"
    call("get_kmip_client_certificates", 200, model, **asked, **of)
    control = f"{kms.server.control_url}/instances/{kms.instance}/kmip_objects"
    thing = {"id": kms.http.post(control, json={"adapter": "vendor-adapter"}).json()["id"], **of}
    call("get_kmip_object", 200, "ListKMIPObjectsWithTotalCount", **thing)
    call("delete_kmip_object", 204, force=True, **thing)
    call("get_kmip_objects", 200, "ListKMIPObjectsWithTotalCount", state=[5, 6], **asked, **of)
    call("delete_kmip_client_certificate", 204, id="vendor-cert", **of)
    call("delete_kmip_adapter", 204, id="vendor-adapter")


@pytest.mark.parametrize("edition", ["page", "service"])
def test_every_operation(serve: Callable[..., Kms], edition: str) -> None:
    """No operation is left out, each answers with its status, and no member of a reply is lost."""
    kms, called = serve(edition=edition), set[str]()
    call, purger = Caller(kms, "manager", called), Caller(kms, "purger", called)
    key = keys(kms, call)
    actions(kms, call, key)
    policies(call, key)
    imports(kms, call)
    other = call.key()
    registrations(kms, call, other)
    kmip(kms, call, call.key())
    call("put_policy", 200, "GetKeyPoliciesOneOfGetKeyPolicyDualAuthDelete", id=other, policy="dualAuthDelete",
         key_policy_put_body=frame(POLICY, {"type": POLICY, "dualAuthDelete": {"enabled": True}}))  # fmt: skip
    for operation in ("set_key_for_deletion", "unset_key_for_deletion", "set_key_for_deletion"):
        call(operation, 204, id=other)
        call("get_key_metadata", 200, "GetKeyMetadata", id=other)
    Caller(kms, "approver", called)("delete_key", 200, "DeleteKey", id=other, force=True, prefer=WHOLE)
    material = base64.b64encode(os.urandom(32)).decode()
    kept = call.key(payload=material)
    call("delete_key", 204, id=kept)
    kms.advance(31)
    if edition == "service":
        call("restore_key", 201, "Key", id=kept, prefer=WHOLE)
    else:
        restore = {"action": "restore", "key_action_body": json.dumps(frame(KEY, {"payload": material}))}
        call("action_on_key", 201, "Key", id=kept, **restore)
        called.add("restore_key")  # this client sends no body with it, and the page's service wants one
    kms.advance(4 * 3_600)
    purger("purge_key", 200, "PurgeKey", id=other, prefer=WHOLE)
    own = vars(IbmKeyProtectApiV2).items()
    every = {name for name, value in own if inspect.isfunction(value) and not name.startswith("_")}
    assert every - NOT_OPERATIONS == called
