"""The model of what surrounds keys: aliases, rings, policies, import tokens, registrations, KMIP, lists."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.model import (
    SERVICE,
    Answer,
    Operation,
    Packing,
    observe,
    with_object,
)

MATERIAL = base64.b64encode(b"m" * 32).decode()
KIND = "application/vnd.ibm.kms."
ROOT, OTHER = "key#0", "key#1"
ADAPTER = "adapter#1"
PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


def body(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    """Return a collection of one."""
    return {
        "metadata": {"collectionType": f"{KIND}{kind}+json", "collectionTotal": 1},
        "resources": [resource],
    }


def key_body(**members: Any) -> dict[str, Any]:
    """Return what makes a key."""
    return body("key", {"type": f"{KIND}key+json", "name": "a key", "extractable": False, **members})


def test_an_alias_is_unique_and_leads_to_its_key(modelled: Any) -> None:
    """An alias leads to its key in every operation, is refused to another key, and is free once removed."""
    two = modelled.key(aliases=["one"]).key()
    assert two.may("wrapKey", "one") == "200"
    assert (
        two.may("createKeyAlias", OTHER, path={"alias": "one"})
        == "400 KEY_ALIAS_NOT_UNIQUE_ERR or 409 KEY_ALIAS_NOT_UNIQUE_ERR"
    )
    removed = two.done("deleteKeyAlias", ROOT, path={"alias": "one"})
    assert removed.may("wrapKey", "one") == "404 KEY_NOT_FOUND_ERR"
    assert removed.may("createKeyAlias", OTHER, path={"alias": "one"}) == "200 or 201"


def test_an_alias_of_another_key_is_not_taken_off(modelled: Any) -> None:
    """A child through another parent is refused."""
    two = modelled.key(aliases=["one"]).key()
    assert two.ask("deleteKeyAlias", OTHER, path={"alias": "one"})[0].success is None


@pytest.mark.parametrize("alias", ["keys", "x", "a b", "00000000-0000-4000-8000-000000000000"])
def test_the_form_of_aliases(modelled: Any, alias: str) -> None:
    """Reserved words, UUIDs and texts of another form are no aliases."""
    assert modelled.key().ask("createKeyAlias", ROOT, path={"alias": alias})[0].success is None


def test_a_sixth_alias_is_refused(modelled: Any) -> None:
    """A key has five aliases at most."""
    full = modelled.key(aliases=["a1", "a2", "a3", "a4", "a5"])
    assert "KEY_ALIAS_QUOTA_ERR" in full.may("createKeyAlias", ROOT, path={"alias": "a6"})


def test_a_ring_is_deleted_when_it_is_empty(modelled: Any) -> None:
    """A ring with keys is refused; by force it goes once each of them is destroyed, and they move to default."""
    made = modelled.done("createKeyRing", path={"key_ring_id": "one"}).done(
        "createKey", ring="one", body=key_body()
    )
    path = {"key_ring_id": "one"}
    assert made.may("deleteKeyRing", path=path) == "409 KEY_RING_NOT_EMPTY_ERR"
    assert "KEY_RING_KEYS_NOT_DELETED_ERR" in made.may("deleteKeyRing", path=path, query={"force": "true"})
    emptied = made.done("deleteKey", ROOT).done("deleteKeyRing", path=path, query={"force": "true"})
    assert emptied.state.key(ROOT).ring == "default"
    assert modelled.ask("deleteKeyRing", path={"key_ring_id": "default"})[0].success is None


def test_policies_of_the_instance_pass_to_new_keys(modelled: Any) -> None:
    """New keys inherit dual authorisation, generated root keys the rotation; overrides inherit nothing."""
    ruled = modelled.instance_policy("dualAuthDelete").instance_policy("rotation", interval_month=3)
    made = ruled.key().key(payload=MATERIAL).done("createKeyWithPoliciesOverrides", body=key_body())
    generated, imported, own = (made.state.key(f"key#{n}") for n in range(3))
    assert generated.dual is not None
    assert generated.rotation is not None
    assert imported.rotation is None
    assert (own.dual, own.rotation) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "members", "code"),
    [
        ({"create_root_key": False}, {}, "409 KEY_CREATE_IMPORT_ACCESS_ERR"),
        ({"create_root_key": False}, {"extractable": True}, "201"),
        ({"import_root_key": False}, {"payload": MATERIAL}, "409 KEY_CREATE_IMPORT_ACCESS_ERR"),
        ({"enforce_token": True}, {"payload": MATERIAL}, "409 KEY_CREATE_IMPORT_ACCESS_ERR"),
        ({"enforce_token": True}, {}, "201"),
        (
            {"enforce_token": True},
            {"payload": MATERIAL, "extractable": True},
            "409 KEY_CREATE_IMPORT_ACCESS_ERR",
        ),
    ],
)
def test_access_to_creation(
    modelled: Any, attributes: dict[str, bool], members: dict[str, Any], code: str
) -> None:
    """The policy on creation and import refuses what it names, and nothing else."""
    ruled = modelled.instance_policy("keyCreateImportAccess", **attributes)
    assert ruled.may("createKey", body=key_body(**members)) == code


@pytest.mark.parametrize(
    ("query", "kinds", "total", "code"),
    [
        ("dualAuthDelete", ["dualAuthDelete"], 2, "400 COLLECTION_TOTAL_MISMATCH_ERR"),
        ("dualAuthDelete", ["badName"], 1, "400 BODY_QUERY_PARAM_MISMATCH_ERR"),
        ("dualAuthDelete", ["dualAuthDelete", "dualAuthDelete"], 2, "400 NUM_COLLECTION_RESOURCE_ERR"),
        (None, ["dualAuthDelete", "metrics"], 2, "204"),
    ],
)
def test_bodies_of_instance_policies(
    modelled: Any, query: str | None, kinds: list[str], total: int, code: str
) -> None:
    """The page's four bodies get the page's codes (P5 to P7)."""
    sent = {
        "metadata": {"collectionType": f"{KIND}policy+json", "collectionTotal": total},
        "resources": [{"policy_type": kind, "policy_data": {"enabled": False}} for kind in kinds],
    }
    assert modelled.may("putInstancePolicy", query={"policy": query} if query else {}, body=sent) == code


def test_an_import_token_is_used_up(modelled: Any) -> None:
    """A token is retrieved as often as it says, and not after its life."""
    made = modelled.done("postImportToken", body={"expiration": 300, "maxAllowedRetrievals": 2})
    assert made.may("getImportToken") == "200"
    assert made.later(400).may("getImportToken") == "409 IMPORT_TOKEN_EXPIRED_ERR"
    assert made.done("getImportToken").done("getImportToken").ask("getImportToken")[0].success is None


@pytest.mark.parametrize(
    ("packing", "good"),
    [
        (Packing(MATERIAL, 1, 1), True),
        (Packing(MATERIAL, 0, 0), False),
        (Packing(MATERIAL, 1, 0), False),
        (Packing(MATERIAL, 1, 1, opens=False), False),
    ],
)
def test_material_fits_the_present_token(modelled: Any, packing: Packing, *, good: bool) -> None:
    """Material that was packed for an older token, with its nonce or with a vector of another is not imported."""
    second = modelled.done("postImportToken").done("postImportToken")
    sent = key_body(payload="AAAA", encryptedNonce="AAAA", iv="AAAA")
    assert (second.ask("createKey", body=sent, packing=packing)[0].success is not None) is good


def test_registrations_are_for_services(modelled: Any) -> None:
    """A user is refused; a standard or a suspended key is not registered; replacing forgets, updating keeps."""
    crn = {"resource_crn": "crn:v1:x"}
    sent = body("registration_input", {"description": "old", "preventKeyDeletion": True})
    one = modelled.key().key(extractable=True)
    assert "403 SERVICE_ONLY_ERR" in one.may("createRegistration", ROOT, path=crn, body=sent)
    asked = {"path": crn, "body": sent, "caller": SERVICE}
    assert "422 KEY_ROOT_REQ_REG_ERR" in one.may("createRegistration", OTHER, **asked)
    assert (
        one.done("disableKey", ROOT).may("createRegistration", ROOT, **asked) == "422 KEY_INVALID_STATE_ERR"
    )
    made = one.done("createRegistration", ROOT, **asked)
    change = body("registration_input", {"preventKeyDeletion": False})
    (replaced,) = (
        made.done("replaceRegistration", ROOT, path=crn, body=change, caller=SERVICE)
        .state.key(ROOT)
        .registrations
    )
    (updated,) = (
        made.done("updateRegistration", ROOT, path=crn, body=change, caller=SERVICE)
        .state.key(ROOT)
        .registrations
    )
    assert (replaced.description, updated.description) == (None, "old")


def kmip(modelled: Any) -> Any:
    """Return an instance with an adapter that has a certificate."""
    adapter = body("kmip_adapter", {"profile": "native_1.0", "profile_data": {"crk_id": ROOT}, "name": "one"})
    made = modelled.key().done("createKmipAdapter", body=adapter)
    cert = body("kmip_client_certificate", {"certificate": PEM, "name": "cert"})
    return made.done("addKmipClientCertificate", path={"adapter_id": "one"}, body=cert)


def test_an_adapter_holds_its_key_and_frees_its_certificates(modelled: Any) -> None:
    """A root key that serves an adapter is not deleted; a certificate belongs to one adapter until that one goes."""
    made = kmip(modelled)
    assert made.ask("deleteKey", ROOT)[0].success is None
    adapter = body("kmip_adapter", {"profile": "native_1.0", "profile_data": {"crk_id": ROOT}, "name": "two"})
    two = made.done("createKmipAdapter", body=adapter)
    cert = body("kmip_client_certificate", {"certificate": PEM})
    path = {"adapter_id": "two"}
    assert "KMIP_CERT_DUPLICATE_ERR" in two.may("addKmipClientCertificate", path=path, body=cert)
    freed = two.done("deleteKmipAdapter", path={"adapter_id": "one"})
    assert freed.may("addKmipClientCertificate", path=path, body=cert) == "201"


def test_a_certificate_is_not_reached_through_another_adapter(modelled: Any) -> None:
    """A child through another parent is not found."""
    adapter = body("kmip_adapter", {"profile": "native_1.0", "profile_data": {"crk_id": ROOT}, "name": "two"})
    two = kmip(modelled).done("createKmipAdapter", body=adapter)
    assert two.may("deleteKmipClientCertificate", path={"adapter_id": "two", "cert_id": "cert"}) == "404"
    assert two.may("deleteKmipClientCertificate", path={"adapter_id": "one", "cert_id": "cert"}) == "204"


def test_objects_of_kmip_clients(modelled: Any) -> None:
    """An object that a KMIP client made is listed, and destroyed by force."""
    made = kmip(modelled)
    made.state = with_object(made.state, ADAPTER, "object-1")
    path = {"adapter_id": "one", "object_id": "object-1"}
    assert made.may("deleteKmipObject", path=path, query={"force": "true"}) == "204"
    assert made.ask("getKmipObjects", path={"adapter_id": "one"})[0].success is not None


def listed(modelled: Any, answer: dict[str, Any], **query: str) -> list[str]:
    """Return what is wrong with a list of keys."""
    operation = Operation("getKeys", query=query)
    return list(observe(modelled.state, operation, modelled.now, Answer(200, body=answer)).mismatches)


def entry(modelled: Any, key: str, **members: Any) -> dict[str, Any]:
    """Return a list entry of a key."""
    key_state = modelled.state.key(key)
    return {
        "type": f"{KIND}key+json", "id": key, "name": key_state.name, "state": key_state.state, "extractable": key_state.standard,
        "imported": key_state.imported, "deleted": key_state.state == 5, "creationDate": "2027-01-15T08:00:00Z",
        "keyVersion": {"id": key}, "crn": f"crn:key:{key}", **members,
    }  # fmt: skip


def page(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a list reply."""
    return {"metadata": {"collectionTotal": len(entries)}, "resources": list(entries)}


def test_lists_are_queries(modelled: Any) -> None:
    """A list holds what its parameters ask for, all of it, in the order of ids, and nothing else."""
    three = modelled.key().key().key().done("deleteKey", "key#2")
    one, two, gone = (entry(three, f"key#{n}") for n in range(3))
    assert listed(three, page(one, two)) == []
    assert listed(three, page(one)) != []
    assert listed(three, page(one, two, gone)) != []
    assert listed(three, page(two), limit="1", offset="1") == []
    assert listed(three, page(one), limit="1", offset="1") != []
    assert listed(three, page(one, {**two, "state": 2})) != []
    assert listed(three, {"metadata": {"collectionTotal": 0}}, state="2") == []


def test_head_counts_what_the_list_holds(modelled: Any) -> None:
    """HEAD obeys the filter that GET obeys."""
    two = modelled.key().key(extractable=True)
    operation = Operation("getKeyCollectionMetadata", query={"extractable": "true"})
    right = Answer(200, headers={"key-total": "1"})
    total_of_two = Answer(200, headers={"key-total": "2"})
    assert observe(two.state, operation, two.now, right).mismatches == ()
    assert observe(two.state, operation, two.now, total_of_two).mismatches != ()


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "5001"}, {"offset": "-1"}, {"sort": "colour"}, {"state": "9"}]
)
def test_bounds_of_lists(modelled: Any, query: dict[str, str]) -> None:
    """A parameter out of its bounds is refused."""
    assert modelled.ask("getKeys", query=query)[0].success is None
