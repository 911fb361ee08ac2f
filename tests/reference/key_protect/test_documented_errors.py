"""Each section of the documented error page, provoked as its steps say."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Kms

    Expect = Callable[..., dict[str, Any]]

KEY = "application/vnd.ibm.kms.key+json"
POLICY = "application/vnd.ibm.kms.policy+json"
DUAL = {"policy_type": "dualAuthDelete", "policy_data": {"enabled": False}}
PUT_DUAL = "/instance/policies?policy=dualAuthDelete"
NOT_CREATED = "Bad Request: Instance policy could not be created. Please see `reasons` for more details."


def b64(data: bytes) -> str:
    """Return standard base64 as text."""
    return base64.b64encode(data).decode()


def frame(kind: str, *resources: Any, total: int | None = None) -> dict[str, Any]:
    """Return the frame of a request body."""
    count = len(resources) if total is None else total
    return {"metadata": {"collectionType": kind, "collectionTotal": count}, "resources": list(resources)}


def material() -> str:
    """Fresh key material."""
    return b64(os.urandom(32))


def test_collection_total_mismatch(kms: Kms, expect: Expect) -> None:
    """A total of 2 with one policy."""
    reason = expect(kms.put(PUT_DUAL, frame(POLICY, DUAL, total=2)), 400, "COLLECTION_TOTAL_MISMATCH_ERR")
    assert reason["message"] == "Collection total does not match number of resources"
    assert reason["errorMsg"] == NOT_CREATED


def test_body_query_param_mismatch(kms: Kms, expect: Expect) -> None:
    """Another policy type than the query's, known or not."""
    for name in ("badName", "metrics"):
        body = frame(POLICY, {**DUAL, "policy_type": name})
        reason = expect(kms.put(PUT_DUAL, body), 400, "BODY_QUERY_PARAM_MISMATCH_ERR")
        assert reason["errorMsg"] == NOT_CREATED


@pytest.mark.parametrize(
    "header",
    [
        "Bearer $ACCESS_TOKEN",
        "Bearer",
        "Basic YTpi",
        "token",
        "Bearer a.b.c",
        "Bearer e30.e30.e30",
    ],
)
def test_bearer_sub_extraction(kms: Kms, expect: Expect, header: str) -> None:
    """A token that cannot be read."""
    reply = kms.get("/keys", headers={"authorization": header})
    reason = expect(reply, 400, "BEARER_SUB_EXTRACTION_ERR")
    assert reason["message"].startswith("Extracting the subject from the bearer token failed: Make sure")


def test_bad_body_extra_field(kms: Kms, expect: Expect) -> None:
    """A member that the policy decoder does not know."""
    reason = expect(
        kms.put(PUT_DUAL, frame(POLICY, {**DUAL, "extra_field": "junk data"})), 400, "BAD_BODY_ERR"
    )
    assert reason["message"] == (
        "Invalid body data was passed. Please ensure the data passed had valid formatting with no invalid "
        'characters: json: unknown field "extra_field"'
    )


def test_bad_body_two_keys(kms: Kms, expect: Expect) -> None:
    """Two keys in one request, whatever the total says."""
    one = {"type": KEY, "name": "Root-key-1", "extractable": False}
    for total in (1, 2):
        reason = expect(kms.post("/keys", frame(KEY, one, one, total=total)), 400, "BAD_BODY_ERR")
        assert reason["message"].endswith(": Only creation of one key per request is supported")
        assert reason["errorMsg"].startswith("Bad Request: Key could not be created. ")
    assert "resources" not in kms.get("/keys").json()


def test_bad_body_empty_metadata(kms: Kms, expect: Expect) -> None:
    """Empty metadata."""
    body = {"metadata": {}, "resources": [{"type": KEY, "name": "Root-key-1", "extractable": False}]}
    reason = expect(kms.post("/keys", body), 400, "BAD_BODY_ERR")
    assert reason["message"].endswith(": CollectionMetadata is empty")


def test_bad_body_without_resources_or_twice(kms: Kms, expect: Expect) -> None:
    """The listed cases without an example."""
    frame_only = {"metadata": {"collectionType": POLICY, "collectionTotal": 1}}
    expect(kms.put("/instance/policies", frame_only), 400, "BAD_BODY_ERR")
    expect(kms.put("/instance/policies", frame(POLICY, DUAL, DUAL)), 400, "BAD_BODY_ERR")
    expect(kms.post("/keys", frame(KEY, {})), 400, "BAD_BODY_ERR")


def test_invalid_field(kms: Kms, expect: Expect) -> None:
    """Plaintext and ciphertext that are not base64."""
    key = kms.create()
    reason = expect(kms.act(key, "wrap", {"plaintext": "q+x3Qi;"}), 400, "INVALID_FIELD_ERR")
    assert reason["target"] == {"type": "field", "name": "plaintext"}
    assert reason["message"] == (
        "The field `plaintext` must be: a base64 encoded key material: illegal base64 data at input byte 6"
    )
    summary = "Bad Request: Wrap with key could not be performed: Please see `reasons` for more details"
    assert reason["errorMsg"] == f"{summary} (INVALID_FIELD_ERR)"
    sealed = kms.act(key, "wrap", {"plaintext": material()}).json()["ciphertext"]
    reason = expect(kms.act(key, "unwrap", {"ciphertext": sealed[:-3]}), 400, "INVALID_FIELD_ERR")
    assert reason["target"] == {"type": "field", "name": "ciphertext"}
    assert reason["message"].startswith(
        "The field 'ciphertext' must be: the original base64 encoded ciphertext from the wrap operation"
    )


def test_key_deleted(kms: Kms, expect: Expect) -> None:
    """Deleting twice."""
    key = kms.create()
    assert kms.delete(f"/keys/{key}").status_code == 204
    reason = expect(kms.delete(f"/keys/{key}"), 410, "KEY_DELETED_ERR")
    assert reason["message"] == "Key has already been deleted. Please delete references to this key."
    assert reason["errorMsg"].startswith("Gone: Key could not be deleted. ")


def test_invalid_state_of_disabled_key(kms: Kms, expect: Expect) -> None:
    """Disabling twice, and what else a disabled key does not do."""
    key = kms.create()
    sealed = kms.act(key, "wrap", {"plaintext": material()}).json()["ciphertext"]
    assert kms.act(key, "disable").status_code == 204
    reason = expect(kms.act(key, "disable"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert reason["errorMsg"] == (
        "Conflict: Key is not in active state: Key could not be disabled. Please see `reasons` for more details."
    )
    for action in ("wrap", "rotate", "unwrap", "rewrap"):
        body = {"ciphertext": sealed} if "wrap" in action else None
        expect(kms.act(key, action, body), 409, "KEY_ACTION_INVALID_STATE_ERR")
    expect(kms.get(f"/keys/{key}/versions"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert kms.get(f"/keys/{key}/versions?allKeyStates=true").status_code == 200


def test_invalid_state_of_expired_key(kms: Kms, expect: Expect) -> None:
    """Enabling an expired key; it still unwraps but no longer wraps."""
    key = kms.create(expirationDate=kms.soon())
    sealed = kms.act(key, "wrap", {"plaintext": material()}).json()["ciphertext"]
    kms.advance(61)
    reason = expect(kms.act(key, "enable"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert reason["errorMsg"].startswith(
        "Conflict: Key is not in suspended state: Key could not be enabled. "
    )
    assert kms.metadata(key)["state"] == 3
    expect(kms.act(key, "wrap"), 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert kms.act(key, "unwrap", {"ciphertext": sealed}).status_code == 200


def test_protected_and_retained_keys(kms: Kms, expect: Expect) -> None:
    """A registered key goes only with force, one under a retention policy not at all."""
    key = kms.create()
    crn = kms.crn()
    assert kms.register(key, crn, preventKeyDeletion=True).status_code == 201
    reason = expect(kms.delete(f"/keys/{key}"), 409, "PROTECTED_RESOURCE_ERR")
    assert reason["message"] == "Key is protecting one or more cloud resources"
    reason = expect(kms.delete(f"/keys/{key}?force=true"), 409, "PREV_KEY_DEL_ERR")
    assert "retention policy: Before you delete" in reason["message"]
    assert kms.register(key, crn, preventKeyDeletion=False).status_code == 200
    assert kms.delete(f"/keys/{key}?force=true").status_code == 204


def test_registration_errors(kms: Kms, expect: Expect) -> None:
    """Inactive keys, standard keys, older versions, users."""
    key, standard, crn = kms.create(), kms.create_standard(), kms.crn()
    expect(kms.register(standard), 422, "KEY_ROOT_REQ_REG_ERR")
    assert kms.act(key, "rotate").status_code == 204
    newest, oldest = (v["id"] for v in kms.get(f"/keys/{key}/versions").json()["resources"])
    assert kms.register(key, crn, keyVersionId=newest).status_code == 201
    body = frame("application/vnd.ibm.kms.registration_input+json", {"keyVersionId": oldest})
    for method in ("PUT", "PATCH"):
        reply = kms.call(method, f"/keys/{key}/registrations/{crn}", body, who="service")
        expect(reply, 422, "KEY_VERSION_INVALID")
        expect(kms.call(method, f"/keys/{key}/registrations/{crn}", body), 403, "SERVICE_ONLY_ERR")
    expect(kms.delete(f"/keys/{key}/registrations/{crn}"), 403, "SERVICE_ONLY_ERR")
    kms.act(key, "disable")
    expect(kms.register(key), 422, "KEY_INVALID_STATE_ERR")


def test_faults_of_a_key(kms: Kms, expect: Expect) -> None:
    """Corrupt metadata and a bad signature, which only the control path can cause."""
    key = kms.create()
    sealed = kms.act(key, "wrap", {"plaintext": material()}).json()["ciphertext"]
    kms.fault(key=key, fault="bad-signature")
    expect(kms.act(key, "rewrap", {"ciphertext": sealed}), 422, "INVALID_SIG_EXP_ERR")
    kms.fault(key=key, fault="corrupt-metadata")
    for reply in (kms.get(f"/keys/{key}"), kms.get(f"/keys/{key}/metadata"), kms.act(key, "wrap")):
        expect(reply, 500, "INCOMPLETE_METADATA_ERR")
    assert kms.delete(f"/keys/{key}").status_code == 204


def test_restore_window(kms: Kms, expect: Expect) -> None:
    """Restoring ends after 30 days."""
    key = kms.create_imported(b"k" * 32)
    kms.delete(f"/keys/{key}")
    kms.advance(30 * 86_400 + 1)
    body = frame(KEY, {"payload": b64(b"k" * 32)})
    reason = expect(kms.post(f"/keys/{key}/restore", body), 400, "KEY_RESTORE_EXPIRED")
    assert reason["message"] == "Key restoration has expired"


def test_create_import_access(kms: Kms, expect: Expect) -> None:
    """The page's steps, and each other right."""
    attributes = {
        "create_root_key": True,
        "create_standard_key": False,
        "import_root_key": True,
        "import_standard_key": True,
        "enforce_token": True,
    }
    assert kms.policy("keyCreateImportAccess", True, **attributes).status_code == 204
    reason = expect(kms.create_raw(extractable=True), 409, "KEY_CREATE_IMPORT_ACCESS_ERR")
    assert reason["errorMsg"] == (
        "Conflict: Key could not be created: Please see `reasons` for more details (KEY_CREATE_IMPORT_ACCESS_ERR)"
    )
    expect(kms.create_raw(payload=material()), 409, "KEY_CREATE_IMPORT_ACCESS_ERR")
    assert kms.create_raw().status_code == 201
    assert kms.policy("keyCreateImportAccess", False).status_code == 204
    assert kms.create_raw(extractable=True).status_code == 201
    rights = {"create_root_key": {}, "import_root_key": {"payload": material()}}
    for right, members in rights.items():
        assert kms.policy("keyCreateImportAccess", True, **{right: False}).status_code == 204
        expect(kms.create_raw(**members), 409, "KEY_CREATE_IMPORT_ACCESS_ERR")


def test_no_body(kms: Kms, expect: Expect) -> None:
    """Unwrap and rewrap need a body."""
    key = kms.create()
    plaintext = material()
    sealed = kms.act(key, "wrap", {"plaintext": plaintext}).json()
    for action in ("unwrap", "rewrap"):
        reason = expect(kms.act(key, action), 400, "NO_BODY_ERR")
        assert reason["errorMsg"].startswith("Bad Request: Action could not be performed on key. ")
    opened = kms.act(key, "unwrap", {"ciphertext": sealed["ciphertext"]}).json()
    assert opened == {"plaintext": plaintext, "keyVersion": {"id": key}}


def test_dual_authorization(kms: Kms, expect: Expect) -> None:
    """Two different users are needed; the authorisation can be withdrawn and lapses after a week."""
    key = kms.create()
    kms.dual_auth(key)
    reason = expect(kms.delete(f"/keys/{key}"), 409, "AUTHORIZATIONS_NOT_MET")
    assert reason["errorMsg"].startswith(
        "Conflict: 1 prior authorization(s) are required for deletion: Key could not be deleted. "
    )
    assert kms.act(key, "setKeyForDeletion").status_code == 204
    assert kms.metadata(key)["dualAuthDelete"]["keySetForDeletion"] is True
    expect(kms.delete(f"/keys/{key}"), 409, "AUTHORIZATIONS_NOT_MET")
    assert kms.act(key, "unsetKeyForDeletion").status_code == 204
    expect(kms.delete(f"/keys/{key}", who="approver"), 409, "AUTHORIZATIONS_NOT_MET")
    assert kms.act(key, "setKeyForDeletion").status_code == 204
    kms.advance(7 * 86_400)
    expect(kms.delete(f"/keys/{key}", who="approver"), 409, "AUTHORIZATIONS_NOT_MET")
    assert kms.act(key, "setKeyForDeletion").status_code == 204
    assert kms.delete(f"/keys/{key}", who="approver").status_code == 204


def test_num_collection_resource(kms: Kms, expect: Expect) -> None:
    """Two policies with ?policy=."""
    reason = expect(kms.put(PUT_DUAL, frame(POLICY, DUAL, DUAL)), 400, "NUM_COLLECTION_RESOURCE_ERR")
    assert reason["errorMsg"] == NOT_CREATED


def test_import_required_in_page_edition(kms: Kms, expect: Expect) -> None:
    """A generated key cannot be restored, as the page has it."""
    key = kms.create()
    kms.delete(f"/keys/{key}")
    kms.advance(30)
    reply = kms.post(f"/keys/{key}/restore", frame(KEY, {"payload": material()}))
    assert expect(reply, 400, "KEY_IMPT_REQ_ERR")["message"] == "Only imported keys may be restored."


@pytest.mark.parametrize("action", ["disable", "enable", "rotate", "wrap", "unwrap", "rewrap"])
def test_root_key_required(kms: Kms, expect: Expect, action: str) -> None:
    """Actions that a standard key does not know."""
    key = kms.create_standard()
    reason = expect(kms.act(key, action, {"ciphertext": "e30="}), 400, "KEY_ROOT_REQ_ERR")
    assert reason["message"] == "Requested action can only be completed with a root key."


def test_config_rule(kms: Kms, expect: Expect) -> None:
    """An account's configuration rules forbid writing."""
    kms.fault(fault="config-rule")
    expect(kms.create_raw(), 403, "CONFIG_RULE_CONFLICT_ERR")
    assert kms.get("/keys").status_code == 200
    kms.fault(fault="config-rule", clear=True)
    assert kms.create_raw().status_code == 201


def test_key_expired(kms: Kms, expect: Expect) -> None:
    """An expired key cannot be restored."""
    soon = kms.soon()
    key = kms.create_imported(b"k" * 32, expirationDate=soon)
    kms.advance(61)
    kms.delete(f"/keys/{key}")
    body = frame(KEY, {"payload": b64(b"k" * 32)})
    for wait in (0, 30):
        kms.advance(wait)
        reason = expect(kms.post(f"/keys/{key}/restore", body), 400, "KEY_EXPIRED_ERR")
        moment = soon.replace("T", " ").replace("Z", " +0000 UTC")
        assert reason["errorMsg"].startswith(
            f"Bad Request: The key expired on {moment}: Key could not be restored."
        )


def test_nonces(kms: Kms, expect: Expect) -> None:
    """The nonce of another token, and an iv that does not fit."""
    first = kms.import_token(expiration=900, maxAllowedRetrievals=10)
    key = os.urandom(32)
    old = kms.encrypted(first, key)
    assert kms.create_raw(**old).status_code == 201
    second = kms.import_token(expiration=900, maxAllowedRetrievals=10)
    new = kms.encrypted(second, key)
    stale = {**new, "encryptedNonce": old["encryptedNonce"], "iv": old["iv"]}
    expect(kms.create_raw(**stale), 400, "INCORRECT_NONCE_ERR")
    expect(kms.create_raw(**{**new, "iv": old["iv"]}), 400, "INCORRECT_NONCE_IV_ERR")
    imported = kms.create(**new)
    expect(kms.act(imported, "rotate", stale), 400, "INCORRECT_NONCE_ERR")
    kms.delete(f"/keys/{imported}")
    kms.advance(30)
    expect(kms.post(f"/keys/{imported}/restore", frame(KEY, stale)), 400, "INCORRECT_NONCE_ERR")
    assert kms.post(f"/keys/{imported}/restore", frame(KEY, new)).status_code == 201
    expect(kms.create_raw(**old), 400, "INVALID_FIELD_ERR")


def test_import_token_expired(kms: Kms, expect: Expect) -> None:
    """A token cannot be used after its life, nor retrieved after its last retrieval."""
    body = {"expiration": 300, "maxAllowedRetrievals": 2}
    made = kms.post("/import_token", body).json()
    assert made["remainingRetrievals"] == 2
    kms.advance(300)
    reason = expect(kms.get("/import_token"), 409, "IMPORT_TOKEN_EXPIRED_ERR")
    assert reason["message"] == "The import token has expired."
    assert reason["errorMsg"].startswith("Conflict: Import Token could not be retrieved. ")
    token = kms.import_token()
    expect(kms.get("/import_token"), 409, "IMPORT_TOKEN_EXPIRED_ERR")
    assert kms.create_raw(**kms.encrypted(token, os.urandom(24))).status_code == 201
    kms.advance(600)
    expect(kms.create_raw(**kms.encrypted(token, os.urandom(16))), 409, "IMPORT_TOKEN_EXPIRED_ERR")


def test_not_dual_auth(kms: Kms, expect: Expect) -> None:
    """A key without the policy is not set for deletion."""
    key = kms.create()
    for action in ("setKeyForDeletion", "unsetKeyForDeletion"):
        reason = expect(kms.act(key, action), 409, "NOT_DUAL_AUTH_ERR")
        assert reason["errorMsg"].startswith("Conflict: Action could not be performed on key. ")


def test_too_early(kms: Kms, expect: Expect) -> None:
    """Thirty seconds before enabling and restoring, four hours before purging, an hour before sync."""
    key = kms.create_imported(b"k" * 32)
    kms.act(key, "disable")
    reason = expect(kms.act(key, "enable"), 409, "REQ_TOO_EARLY_ERR")
    assert reason["errorMsg"].startswith("Conflict: Key could not be enabled. ")
    kms.advance(28)
    expect(kms.act(key, "enable"), 409, "REQ_TOO_EARLY_ERR")
    kms.advance(2)
    assert kms.act(key, "enable").status_code == 204
    kms.delete(f"/keys/{key}")
    body = frame(KEY, {"payload": b64(b"k" * 32)})
    expect(kms.post(f"/keys/{key}/restore", body), 409, "REQ_TOO_EARLY_ERR")
    kms.advance(30)
    assert kms.post(f"/keys/{key}/restore", body).status_code == 201
    reason = expect(kms.act(key, "sync"), 409, "REQ_TOO_EARLY_ERR")
    assert "Sync cannot be performed until at least 20" in reason["message"]
    kms.advance(3_600)
    assert kms.act(key, "sync").status_code == 204
    kms.delete(f"/keys/{key}")
    reason = expect(kms.delete(f"/keys/{key}/purge", who="purger"), 409, "REQ_TOO_EARLY_ERR")
    assert reason["message"].endswith(": Purge operation is allowed 4h0m0s after key is deleted")


def test_unprocessable_ciphertext(kms: Kms, expect: Expect) -> None:
    """Tampering, another key's ciphertext and other additional data do not open."""
    key, other = kms.create(), kms.create()
    wrapped = kms.act(key, "wrap", {"plaintext": material(), "aad": ["a", "bc"]}).json()["ciphertext"]
    parts = json.loads(base64.b64decode(wrapped))
    inner = bytearray(base64.b64decode(parts["ciphertext"]))
    inner[0] ^= 1
    parts["ciphertext"] = b64(bytes(inner))
    tampered = b64(json.dumps(parts).encode())
    for action in ("unwrap", "rewrap"):
        for body in (
            {"ciphertext": tampered, "aad": ["a", "bc"]},
            {"ciphertext": b64(b"not sealed here")},
            {"ciphertext": wrapped},
            {"ciphertext": wrapped, "aad": ["bc", "a"]},
            {"ciphertext": wrapped, "aad": ["ab", "c"]},
        ):
            expect(kms.act(key, action, body), 422, "UNPROCESSABLE_CIPHERTEXT_ERR")
        body = {"ciphertext": wrapped, "aad": ["a", "bc"]}
        expect(kms.act(other, action, body), 422, "UNPROCESSABLE_CIPHERTEXT_ERR")
        assert kms.act(key, action, body).status_code == 200


def test_resource_owner(kms: Kms, expect: Expect) -> None:
    """A service does not delete keys."""
    key = kms.create()
    expect(kms.delete(f"/keys/{key}", who="service"), 403, "RESOURCE_OWNER_ERR")
    assert kms.metadata(key)["state"] == 1


def test_feature_restricted(kms: Kms, expect: Expect) -> None:
    """The policy allowedIP has to be enabled for the account; an IPv4 list does not serve IPv6."""
    kms.fault(fault="feature-restricted")
    expect(kms.policy("allowedIP", True, allowed_ip=["203.0.113.0/24"]), 403, "FEATURE_RESTRICTED_ERR")
    kms.fault(fault="feature-restricted", clear=True)
    assert kms.policy("allowedIP", True, allowed_ip=["127.0.0.0/8"]).status_code == 204
    kms.fault(fault="source-address", address="2001:db8::1")
    expect(kms.get("/keys"), 403, "FEATURE_RESTRICTED_ERR")


def test_rotation_not_permitted(kms: Kms, expect: Expect) -> None:
    """One rotation an hour, the first at once; imported and generated keys alike."""
    for key, make in ((kms.create_imported(), lambda: {"payload": material()}), (kms.create(), lambda: None)):
        assert kms.act(key, "rotate", make()).status_code == 204
        reason = expect(kms.act(key, "rotate", make()), 409, "KEY_ROTATION_NOT_PERMITTED")
        assert reason["errorMsg"] == (
            "Conflict: Action could not be performed on key: Please see `reasons` for more details "
            "(KEY_ROTATION_NOT_PERMITTED)"
        )
        kms.advance(3_600)
        assert kms.act(key, "rotate", make()).status_code == 204
        assert len(kms.get(f"/keys/{key}/versions").json()["resources"]) == 3


def test_payload_required(kms: Kms, expect: Expect) -> None:
    """Imported keys are rotated with new material, generated keys without."""
    for body in (None, {}):
        reason = expect(kms.act(kms.create_imported(), "rotate", body), 400, "KEY_PAYLOAD_REQ_ERR")
        assert reason["target"] == {"type": "field", "name": "payload"}
    reason = expect(kms.act(kms.create(), "rotate", {"payload": material()}), 400, "INVALID_QUERY_PARAM_ERR")
    assert reason["target"] == {"type": "query_param", "name": "payload"}


def test_unauthorized(kms: Kms, expect: Expect) -> None:
    """Outside the allowed addresses, without a token, expired, forged, without a role."""
    text = "Unauthorized: The user does not have access to the specified resource"
    assert kms.policy("allowedIP", True, allowed_ip=["203.0.113.7/24"]).status_code == 204
    assert expect(kms.get("/keys"), 401, None)["errorMsg"] == text
    assert kms.get("/instance/allowed_ip_port").json()["resources"][0]["private_endpoint_port"] > 0
    kms.fault(fault="source-address", address="203.0.113.9")
    assert kms.get("/keys").status_code == 200
    for who in ("expired", "outsider"):
        expect(kms.get("/keys", who=who), 401, None)
    head, claims, signature = kms.token().split(".")
    forged = signature[::-1]
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for token in (f"{head}.{claims}.{forged}", f"{unsigned}.{claims}.", f"{head}.{claims}.!"):
        expect(kms.get("/keys", headers={"authorization": f"Bearer {token}"}), 401, None)
    url = f"{kms.server.base_url}/api/v2/keys"
    expect(kms.http.get(url, headers={"bluemix-instance": kms.instance}), 401, None)
