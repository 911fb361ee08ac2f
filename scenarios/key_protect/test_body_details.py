"""Further cases on bodies: missing, too long and superfluous members, and what a refused creation changes."""

import json

import pytest

from kms_conformance.api import covers

KEY = "application/vnd.ibm.kms.key+json"


@covers("bad-body-err-two-keys", "bad-body-err-nothing-created")
def test_two_keys_leave_none(kms):
    """A refused create-key request with two keys creates neither, whatever its collectionTotal says."""
    kms.create_key().succeeds(201)
    name, row = kms.name("twins"), "bad-body-err-nothing-created"
    for total in (1, 2):
        body = kms.key_body(
            kms.key_resource(name=f"{name}a"), kms.key_resource(name=f"{name}b"), collectionTotal=total
        )
        refused = kms.create_key(body)
        refused.is_refused("BAD_BODY_ERR", requirement="bad-body-err-two-keys")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0, requirement=row)


@pytest.mark.parametrize("part", ["metadata", "resources"])
@covers("bad-body-err-missing-part")
def test_body_without_a_part(kms, part):
    """A create-key request without metadata, or without a resource, is refused."""
    kms.create_key().succeeds(201)
    name = kms.name("missing")
    body = kms.key_body(kms.key_resource(name=name))
    kms.create_key({member: value for member, value in body.items() if member != part}).is_refused(
        "BAD_BODY_ERR"
    )
    empty = {**body, part: [] if part == "resources" else {}}
    kms.create_key(empty).is_refused("BAD_BODY_ERR")
    # Neither is there without any body.
    kms.create_key(raw=b"").is_refused("BAD_BODY_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)


@pytest.mark.parametrize(
    "members",
    [
        {"name": "n" * 91},
        {"name": None},
        {"description": "d"},
        {"description": "d" * 241},
        {"tags": ["t" * 31]},
        {"tags": ["a<b"]},
        {"tags": [f"tag {number}" for number in range(31)]},
    ],
    ids=["name-91", "no-name", "description-1", "description-241", "tag-31", "tag-sign", "tags-31"],
)
@covers("create-limits")
def test_members_beyond_their_limits(kms, members):
    """A name, description or tag beyond its documented limits is refused."""
    kms.create_key(name=kms.name().ljust(90, "n"), description="d" * 240, tags=["t" * 30]).succeeds(201)
    kms.create_key(**members).is_refused_somehow()


@covers("bad-body-err-policy-members")
def test_policy_with_extra_members_inside(kms):
    """An unknown member inside `policy_data` is refused."""
    control = kms.instance_policy_control()
    data = {"enabled": False, "extra_field": "junk data"}
    body = kms.policy_body({"policy_type": "dualAuthDelete", "policy_data": data})
    kms.put_instance_policies(body, "dualAuthDelete").is_refused("BAD_BODY_ERR", control=control)
    data = {"enabled": True, "attributes": {"interval_month": 3, "extra_field": "junk data"}}
    body = kms.policy_body({"policy_type": "rotation", "policy_data": data})
    kms.put_instance_policies(body, "rotation").is_refused("BAD_BODY_ERR", control=control)


@pytest.mark.parametrize("action", ["unwrap", "rewrap"])
@covers("unwrap-without-ciphertext")
def test_body_without_ciphertext(kms, action):
    """An unwrap or rewrap body without a ciphertext is refused."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    kms.action(key, action, {"ciphertext": ciphertext}).succeeds(200)
    for body in ({}, {"aad": ["bucket"]}, {"ciphertext": ""}):
        kms.action(key, action, body).is_refused_somehow(400, 422).lacks("plaintext")


@covers("actions-null-body")
def test_actions_with_null_as_body(kms):
    """An action that needs no body accepts `null`, as the vendor's Go client sends it."""
    key = kms.create_root_key()
    headers = {"content_type": "application/json"}
    for action in ("rotate", "disable"):
        kms.request("POST", f"/keys/{key}/actions/{action}", raw=b"null", **headers).succeeds(204)
    older = {"params": {"action": "disable"}, "raw": b"null", **headers}
    kms.request("POST", f"/keys/{kms.create_root_key()}", **older).succeeds(204)


@covers("law-view-json")
def test_json_of_other_clients(kms):
    """A body with blanks around it, escapes in it and its members in another order is the same body."""
    name = kms.name("written")
    resource = {"extractable": False, "tags": ["a/b=c"], "name": name, "type": KEY}
    body = {"resources": [resource], "metadata": {"collectionTotal": 1, "collectionType": KEY}}
    text = json.dumps(body, indent=1).replace("/", "\\/").replace("=", "\\u003d")
    text = text.replace('"name"', '"n\\u0061me"')
    made = kms.create_key(raw=f"\r\n\t {text} \n".encode()).succeeds(201).shows("resources.0.name", name)
    made.shows("resources.0.extractable", value=False)
    shown = kms.get_metadata(made["resources.0.id"]).succeeds(200)
    shown.shows("resources.0.name", name).lists("resources.0.tags", "a/b=c")
    # No source says which letters a description may have: those that are taken are shown, however JSON writes them.
    letters = "\U0001f511 \u00e9"
    body = kms.key_body(kms.key_resource(name=name, description=letters))
    odd = kms.create_key(raw=json.dumps(body, ensure_ascii=True).encode())
    if odd.ok:
        odd.succeeds(201).shows("resources.0.name", name)
        kms.get_metadata(odd["resources.0.id"]).succeeds(200).shows("resources.0.description", letters)
    else:
        odd.is_refused_somehow(control=made)


@covers("wrap-empty-object")
def test_wrap_with_an_empty_object(kms):
    """Wrap generates a plaintext for an empty object as it does without a body."""
    key = kms.create_root_key()
    made = kms.action(key, "wrap", {}).succeeds(200).shows("plaintext")
    kms.unwrap(key, made["ciphertext"]).succeeds(200).shows("plaintext", made["plaintext"])


@covers("standard-key-long-payload", "standard-key-payload-too-long")
def test_long_standard_keys(kms):
    """A standard key of 7,500 bytes is imported and returned whole; a longer one is refused."""
    material = kms.key_material(7500)
    key = kms.import_standard_key(material)
    row = "standard-key-long-payload"
    kms.get_key(key).succeeds(200).shows("resources.0.payload", material, requirement=row)
    longer = kms.create_key(extractable=True, payload=kms.key_material(7501))
    longer.is_refused_somehow(requirement="standard-key-payload-too-long")


@covers("import-root-key-bad-length", "rotate-bad-length")
def test_rotate_with_material_of_no_aes_length(kms):
    """Rotating with key material that is not 16, 24 or 32 bytes long is refused."""
    kms.rotate(kms.import_root_key(), payload=kms.key_material(24)).succeeds(204)
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material(17)).is_refused_somehow(requirement="rotate-bad-length")
    kms.list_versions(key).succeeds(200).counts("resources", 1, requirement="rotate-bad-length")
