"""Which keys can be created and imported: section 13, and each attribute of its policy."""

import pytest

from kms_conformance.api import covers, impact, needs

RIGHTS = ("create_root_key", "create_standard_key", "import_root_key", "import_standard_key")
POLICY = "keyCreateImportAccess"


@covers("key-create-import-access-err", "key-create-import-access-err-policy-off")
@needs(capability="instance_policies")
@impact("instance")
def test_policy_forbids_standard_keys(kms):
    """Creating a standard key is refused while the policy forbids it, and succeeds once it is disabled."""
    kms.create_key(extractable=True).succeeds(201)
    kms.set_instance_policy(POLICY, **dict.fromkeys(RIGHTS, True), enforce_token=False).succeeds(204)
    kms.create_key(extractable=True).succeeds(201)
    rights = {**dict.fromkeys(RIGHTS, True), "create_standard_key": False, "enforce_token": True}
    kms.set_instance_policy(POLICY, **rights).succeeds(204)
    name = kms.name()
    kms.create_key(name=name, extractable=True).is_refused("KEY_CREATE_IMPORT_ACCESS_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.set_instance_policy(POLICY, enabled=False).succeeds(204)
    kms.create_key(name=name, extractable=True).succeeds(
        201, requirement="key-create-import-access-err-policy-off"
    )


@pytest.mark.parametrize(
    ("right", "extractable", "imported"),
    [
        pytest.param("create_root_key", False, False, marks=covers("access-create-root-key-denied")),
        pytest.param("create_standard_key", True, False, marks=covers("access-create-standard-key-denied")),
        pytest.param("import_root_key", False, True, marks=covers("access-import-root-key-denied")),
        pytest.param("import_standard_key", True, True, marks=covers("access-import-standard-key-denied")),
    ],
)
@needs(capability="instance_policies")
@impact("instance")
def test_right_that_is_missing(kms, right, extractable, imported):
    """With one attribute of the policy false, only what that attribute allows is refused."""
    members = {"extractable": extractable, "payload": kms.key_material() if imported else None}
    kms.create_key(**members).succeeds(201)
    kms.set_instance_policy(POLICY, **{**dict.fromkeys(RIGHTS, True), right: False}).succeeds(204)
    name = kms.name()
    kms.create_key(name=name, **members).is_refused("KEY_CREATE_IMPORT_ACCESS_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.create_key(extractable=not extractable, payload=members["payload"]).succeeds(201)


@pytest.mark.parametrize(
    ("right", "extractable", "imported"),
    [
        pytest.param("create_root_key", False, False, marks=covers("access-create-root-key-allowed")),
        pytest.param("create_standard_key", True, False, marks=covers("access-create-standard-key-allowed")),
        pytest.param("import_root_key", False, True, marks=covers("access-import-root-key-allowed")),
        pytest.param("import_standard_key", True, True, marks=covers("access-import-standard-key-allowed")),
    ],
)
@needs(capability="instance_policies")
@impact("instance")
def test_right_that_is_alone(kms, right, extractable, imported):
    """With one attribute of the policy true, what it allows succeeds though the others are false."""
    kms.set_instance_policy(POLICY, **{**dict.fromkeys(RIGHTS, False), right: True}).succeeds(204)
    row = f"access-{right.replace('_', '-')}-allowed"
    kms.create_key(extractable=extractable, payload=kms.key_material() if imported else None).succeeds(
        201, requirement=row
    )


@covers("access-defaults")
@needs(capability="instance_policies")
@impact("instance")
def test_rights_that_are_left_out(kms):
    """Attributes that a request omits return to true, and enforce_token to false."""
    every = {**dict.fromkeys(RIGHTS, False), "enforce_token": True}
    kms.set_instance_policy(POLICY, **every).succeeds(204)
    kms.set_instance_policy(POLICY, create_standard_key=False).succeeds(204)
    shown = kms.get_instance_policies(POLICY).succeeds(200).proof
    attributes = "resources.0.policy_data.attributes"
    shown.shows(f"{attributes}.create_standard_key", value=False).shows(
        f"{attributes}.create_root_key", value=True
    )
    shown.shows(f"{attributes}.import_root_key", value=True).shows(f"{attributes}.enforce_token", value=False)


@covers(
    "access-enforce-token-plain-import",
    "precedence-p17",
    "access-enforce-token-create",
    "access-enforce-token-standard",
)
@needs(capability="instance_policies")
@impact("instance")
def test_import_without_the_enforced_token(kms):
    """With enforce_token, importing without a token is refused although every attribute is true."""
    kms.create_key(payload=kms.key_material()).succeeds(201)
    kms.create_key(extractable=True, payload=kms.key_material()).succeeds(201)
    kms.set_instance_policy(POLICY, **dict.fromkeys(RIGHTS, True), enforce_token=True).succeeds(204)
    kms.create_key(payload=kms.key_material()).is_refused(
        "KEY_CREATE_IMPORT_ACCESS_ERR", requirement=("access-enforce-token-plain-import", "precedence-p17")
    )
    standard = kms.create_key(extractable=True, payload=kms.key_material())
    standard.is_refused("KEY_CREATE_IMPORT_ACCESS_ERR", requirement="access-enforce-token-standard")
    kms.create_key().succeeds(201, requirement="access-enforce-token-create")


@covers(
    "access-enforce-token-token-import", "access-enforce-token-rotate", "access-enforce-token-token-rotate"
)
@needs(capability=("instance_policies", "import_tokens"))
@impact("instance", "import-token")
def test_enforced_token(kms):
    """With enforce_token, a key is imported and rotated with an import token only."""
    token, key, control = kms.import_token(), kms.import_root_key(), kms.import_root_key()
    kms.rotate(control, payload=kms.key_material()).succeeds(204)
    kms.set_instance_policy(POLICY, **dict.fromkeys(RIGHTS, True), enforce_token=True).succeeds(204)
    made = kms.create_key(**kms.wrap_for_import(token, kms.key_material()).members())
    made.succeeds(201, requirement="access-enforce-token-token-import")
    plain = kms.rotate(key, payload=kms.key_material())
    plain.is_refused("KEY_CREATE_IMPORT_ACCESS_ERR", requirement="access-enforce-token-rotate")
    packed = kms.rotate(key, wrapped=kms.wrap_for_import(token, kms.key_material()))
    packed.succeeds(204, requirement="access-enforce-token-token-rotate")
