"""The vendor's own Python client drives the reference."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from keyprotect import IbmKeyProtectApiV2

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Kms

KEY = "application/vnd.ibm.kms.key+json"
POLICY = "application/vnd.ibm.kms.policy+json"


def frame(kind: str, *resources: Any) -> str:
    """Return a request body as text, which is what the client sends as it is."""
    metadata = {"collectionType": kind, "collectionTotal": len(resources)}
    return json.dumps({"metadata": metadata, "resources": list(resources)})


def root_key(**members: Any) -> str:
    """Return the body that creates a root key."""
    return frame(KEY, {"type": KEY, "name": "sdk-key", "extractable": False, **members})


@pytest.fixture(params=["page", "service"])
def kms_of_edition(request: pytest.FixtureRequest, serve: Callable[..., Kms]) -> Kms:
    """Serve either edition."""
    return serve(edition=request.param)


def client_of(kms: Kms, identity: str = "manager") -> IbmKeyProtectApiV2:
    """Return the vendor's client for an identity."""
    authenticator = IAMAuthenticator(kms.server.api_keys[identity], url=kms.server.base_url)
    client = IbmKeyProtectApiV2(authenticator=authenticator)
    client.set_service_url(kms.server.base_url)
    return client


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """Return status and code of a refusal as the client raises it."""
    with pytest.raises(ApiException) as caught:
        call()
    body = caught.value.http_response.json()
    return caught.value.status_code, body["resources"][0]["reasons"][0]["code"]


def test_keys_and_actions(kms_of_edition: Kms) -> None:
    """Create, read, list, wrap, unwrap, rewrap, rotate, disable, enable, delete."""
    kms = kms_of_edition
    client, instance = client_of(kms), kms.instance
    made = client.create_key(bluemix_instance=instance, key_create_body=root_key())
    assert made.get_status_code() == 201
    key = made.get_result()["resources"][0]["id"]
    assert client.get_key(id=key, bluemix_instance=instance).get_result()["resources"][0]["id"] == key
    assert (
        client.get_key_metadata(id=key, bluemix_instance=instance).get_result()["resources"][0]["state"] == 1
    )
    listed = client.get_keys(bluemix_instance=instance, limit=10, offset=0, state=[1], extractable=False)
    assert listed.get_result()["metadata"]["collectionTotal"] == 1
    head = client.get_key_collection_metadata(bluemix_instance=instance)
    assert head.get_headers()["Key-Total"] == "1"
    plaintext = base64.b64encode(os.urandom(18)).decode()
    wrap = json.dumps({"plaintext": plaintext, "aad": ["one", "two"]})
    wrapped = client.wrap_key(id=key, bluemix_instance=instance, key_action_wrap_body=wrap).get_result()
    sealed = json.dumps({"ciphertext": wrapped["ciphertext"], "aad": ["one", "two"]})
    opened = client.unwrap_key(id=key, bluemix_instance=instance, key_action_unwrap_body=sealed).get_result()
    assert opened["plaintext"] == plaintext
    assert client.rotate_key(id=key, bluemix_instance=instance).get_status_code() == 204
    rewrapped = client.rewrap_key(
        id=key, bluemix_instance=instance, key_action_rewrap_body=sealed
    ).get_result()
    assert rewrapped["rewrappedKeyVersion"]["id"] != rewrapped["keyVersion"]["id"]
    assert refused(lambda: client.rotate_key(id=key, bluemix_instance=instance)) == (
        409,
        "KEY_ROTATION_NOT_PERMITTED",
    )
    versions = client.get_key_versions(id=key, bluemix_instance=instance, total_count=True).get_result()
    assert versions["metadata"]["totalCount"] == 2
    assert client.disable_key(id=key, bluemix_instance=instance).get_status_code() == 204
    assert refused(lambda: client.enable_key(id=key, bluemix_instance=instance)) == (409, "REQ_TOO_EARLY_ERR")
    kms.advance(30)
    assert client.enable_key(id=key, bluemix_instance=instance).get_status_code() == 204
    gone = client.delete_key(id=key, bluemix_instance=instance, prefer="return=representation")
    assert gone.get_result()["resources"][0]["deleted"] is True
    assert refused(lambda: client.delete_key(id=key, bluemix_instance=instance)) == (410, "KEY_DELETED_ERR")
    kms.advance(4 * 3_600)
    purged = client_of(kms, "purger").purge_key(id=key, bluemix_instance=instance)
    assert purged.get_status_code() in (200, 204)
    assert refused(lambda: client.get_key(id=key, bluemix_instance=instance)) == (404, "KEY_NOT_FOUND_ERR")


def test_restore(serve: Callable[..., Kms]) -> None:
    """The client sends no body, which is how the service has it since 2021."""
    kms = serve(edition="service")
    client = client_of(kms)
    key = client.create_key(bluemix_instance=kms.instance, key_create_body=root_key()).get_result()[
        "resources"
    ][0]["id"]
    client.delete_key(id=key, bluemix_instance=kms.instance)
    assert refused(lambda: client.restore_key(id=key, bluemix_instance=kms.instance)) == (
        409,
        "REQ_TOO_EARLY_ERR",
    )
    kms.advance(30)
    restored = client.restore_key(id=key, bluemix_instance=kms.instance)
    assert restored.get_status_code() == 201
    assert restored.get_result()["resources"][0]["state"] == 1


def test_import_token(kms_of_edition: Kms) -> None:
    """Make a token, fetch it, import with it, use it up."""
    kms = kms_of_edition
    client, instance = client_of(kms), kms.instance
    made = client.post_import_token(
        bluemix_instance=instance, expiration=300, max_allowed_retrievals=1
    ).get_result()
    assert made["remainingRetrievals"] == 1
    token = client.get_import_token(bluemix_instance=instance).get_result()
    assert token["remainingRetrievals"] == 0
    body = root_key(**kms.encrypted(token, os.urandom(32)))
    imported = client.create_key(bluemix_instance=instance, key_create_body=body).get_result()
    assert imported["resources"][0]["imported"] is True
    assert refused(lambda: client.get_import_token(bluemix_instance=instance)) == (
        409,
        "IMPORT_TOKEN_EXPIRED_ERR",
    )


def test_policies_aliases_and_rings(kms_of_edition: Kms) -> None:
    """Policies of keys and of the instance, aliases, rings, the moving of a key."""
    kms = kms_of_edition
    client, instance = client_of(kms), kms.instance
    key = client.create_key(bluemix_instance=instance, key_create_body=root_key()).get_result()["resources"][
        0
    ]["id"]
    rotation = json.loads(frame(POLICY, {"type": POLICY, "rotation": {"interval_month": 3}}))
    put = client.put_policy(
        id=key, bluemix_instance=instance, key_policy_put_body=rotation, policy="rotation"
    )
    assert put.get_result()["resources"][0]["rotation"]["interval_month"] == 3
    assert (
        client.get_policy(id=key, bluemix_instance=instance).get_result()["metadata"]["collectionTotal"] == 1
    )
    metrics = json.loads(frame(POLICY, {"policy_type": "metrics", "policy_data": {"enabled": True}}))
    done = client.put_instance_policy(
        bluemix_instance=instance, instance_policy_put_body=metrics, policy="metrics"
    )
    assert done.get_status_code() == 204
    shown = client.get_instance_policy(bluemix_instance=instance).get_result()["resources"][0]
    assert (shown["policy_type"], shown["policy_data"]) == ("metrics", {"enabled": True})
    alias = client.create_key_alias(id=key, alias="sdk-alias", bluemix_instance=instance)
    assert alias.get_status_code() == 201
    assert client.get_key_metadata(id="sdk-alias", bluemix_instance=instance).get_status_code() == 200
    assert (
        client.delete_key_alias(id=key, alias="sdk-alias", bluemix_instance=instance).get_status_code() == 204
    )
    assert client.create_key_ring(key_ring_id="sdk-ring", bluemix_instance=instance).get_status_code() == 201
    moved = client.patch_key(
        id=key, bluemix_instance=instance, key_patch_body=json.dumps({"keyRingID": "sdk-ring"})
    ).get_result()
    assert moved["resources"][0]["keyRingID"] == "sdk-ring"
    rings = client.list_key_rings(bluemix_instance=instance).get_result()["resources"]
    assert [ring["id"] for ring in rings] == ["default", "sdk-ring"]
    assert refused(lambda: client.delete_key_ring(key_ring_id="sdk-ring", bluemix_instance=instance)) == (
        409,
        "KEY_RING_NOT_EMPTY_ERR",
    )
    assert (
        client.get_registrations(id=key, bluemix_instance=instance).get_result()["metadata"][
            "collectionTotal"
        ]
        == 0
    )
    adapters = client.get_kmip_adapters(bluemix_instance=instance).get_result()
    assert adapters["metadata"]["collectionTotal"] == 0


def test_missing_access(kms_of_edition: Kms) -> None:
    """The client raises 401 with the service's sentence."""
    kms = kms_of_edition
    with pytest.raises(ApiException) as caught:
        client_of(kms, "outsider").get_keys(bluemix_instance=kms.instance)
    assert caught.value.status_code == 401
    assert caught.value.http_response.json()["resources"][0]["errorMsg"].startswith("Unauthorized: ")


def test_replies_in_the_vendors_own_media_types(serve: Callable[..., Kms]) -> None:
    """The client then hands over the reply as it came, which is what the vendor's live tests expect of it."""
    kms = serve(edition="service", variations=["media-type-vendor"])
    client, instance = client_of(kms), kms.instance
    made = client.create_key(bluemix_instance=instance, key_create_body=root_key()).get_result()
    assert made.headers["content-type"] == KEY
    wrapped = client.wrap_key(id=made.json()["resources"][0]["id"], bluemix_instance=instance).get_result()
    assert wrapped.headers["content-type"] == "application/vnd.ibm.kms.key_action+json"
    assert wrapped.json()["ciphertext"]
