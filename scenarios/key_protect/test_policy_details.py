"""Further cases on policies: refused ones, disabled ones, and which keys inherit them."""

import pytest

from kms_conformance.api import covers, impact, needs, waits

instance_policy = needs(capability="instance_policies")
RIGHTS = ("create_root_key", "create_standard_key", "import_root_key", "import_standard_key")
ACCESS = "keyCreateImportAccess"


@pytest.mark.parametrize("interval", [0, 13])
@covers("invalid-field-err-interval", "key-policy-refused-unchanged")
def test_refused_interval_changes_nothing(kms, interval):
    """A rotation interval out of range is refused, and the present policy stays."""
    key = kms.create_root_key()
    for good in (1, 12):
        kms.put_policy(key, query="rotation", rotation={"interval_month": good}).succeeds(200)
    kms.put_policy(key, query="rotation", rotation={"interval_month": interval}).is_refused(
        "INVALID_FIELD_ERR"
    )
    shown = kms.get_policies(key, "rotation").succeeds(200)
    shown.shows("resources.0.rotation.interval_month", 12, requirement="key-policy-refused-unchanged")


@covers("key-policy-reenabled", "rotation-policy-off-does-not-run")
@waits(5356860)
def test_rotation_policy_that_is_off(kms):
    """A disabled rotation policy does not rotate; enabled again, it has its earlier interval."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 2}).succeeds(200)
    kms.put_policy(key, query="rotation", rotation={"enabled": False}).succeeds(200)
    kms.wait(5356860, "two months of 30 days, and two days")
    row = "rotation-policy-off-does-not-run"
    kms.list_versions(key).succeeds(200).counts("resources", 1, requirement=row)
    kms.put_policy(key, query="rotation", rotation={"enabled": True}).succeeds(200)
    shown = kms.get_policies(key, "rotation").succeeds(200)
    shown.shows("resources.0.rotation.interval_month", 2, requirement="key-policy-reenabled")


@covers("rotation-policy-not-early")
@waits(2505600)
def test_rotation_policy_is_not_early(kms):
    """A key with a monthly rotation policy has one version a day before the month is over."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 1}).succeeds(200)
    kms.wait(2505600, "29 of 30 days")
    kms.list_versions(key).succeeds(200).counts("resources", 1)


@covers("key-policy-own-key", "key-policies-empty")
def test_policy_of_one_key(kms):
    """A rotation policy applies to its own key only, and that key's metadata show it."""
    key, other = kms.create_root_key(), kms.create_root_key()
    own = kms.put_policy(key, query="rotation", rotation={"interval_month": 4}).succeeds(200)
    kms.get_metadata(key).succeeds(200).shows("resources.0.rotation.interval_month", 4)
    empty = kms.get_policies(other).succeeds(200)
    empty.shows("metadata.collectionTotal", 0, requirement="key-policies-empty")
    others = kms.put_policy(other, query="rotation", rotation={"interval_month": 4}).succeeds(200)
    others.differs("resources.0.id", own["resources.0.id"])


@covers("key-root-req-err-rotation-policy")
def test_rotation_policy_for_a_standard_key_later(kms):
    """Setting a rotation policy on an existing standard key is refused."""
    rotation = {"interval_month": 2}
    kms.put_policy(kms.create_root_key(), query="rotation", rotation=rotation).succeeds(200)
    key = kms.create_standard_key()
    kms.put_policy(key, query="rotation", rotation=rotation).is_refused_somehow()
    kms.get_policies(key).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("policy-refused-unchanged")
@instance_policy
@impact("instance")
def test_refused_collection_sets_nothing(kms):
    """Of several policies in one request all are set or none; setting one keeps the others."""
    kms.set_instance_policy("rotation", interval_month=5).succeeds(204)
    kms.set_instance_policy("metrics", enabled=False).succeeds(204)
    row = "policy-refused-unchanged"
    good = {"policy_type": "metrics", "policy_data": {"enabled": True}}
    bad = {"policy_type": "rotation", "policy_data": {"enabled": True, "attributes": {"interval_month": 13}}}
    kms.put_instance_policies(kms.policy_body(good, bad)).is_refused_somehow(requirement=row)
    kms.put_instance_policies(kms.policy_body(good, good)).is_refused_somehow(requirement=row)
    shown = kms.get_instance_policies("metrics").succeeds(200)
    shown.lists_not("resources.*.policy_data.enabled", value=True, requirement=row)
    shown = kms.get_instance_policies("rotation").succeeds(200)
    shown.shows("resources.0.policy_data.attributes.interval_month", 5, requirement=row)


@covers("collection-total-mismatch-err-too-low")
@instance_policy
@impact("instance")
def test_total_that_is_too_low(kms):
    """An instance policy request whose collectionTotal is too low is refused."""
    metrics = {"policy_type": "metrics", "policy_data": {"enabled": False}}
    rotation = {"policy_type": "rotation", "policy_data": {"enabled": False}}
    kms.set_instance_policies(metrics, rotation).succeeds(204)
    body = kms.policy_body(metrics, rotation, total=1)
    kms.put_instance_policies(body).is_refused("COLLECTION_TOTAL_MISMATCH_ERR")


@covers("num-collection-resource-err")
def test_two_policies_for_one_query(kms):
    """With a query, two policies in one request are refused, equal or different."""
    control = kms.instance_policy_control()
    off = [{"policy_type": kind, "policy_data": {"enabled": False}} for kind in ("dualAuthDelete", "metrics")]
    refused = kms.put_instance_policies(kms.policy_body(*off), "dualAuthDelete")
    refused.is_refused("NUM_COLLECTION_RESOURCE_ERR", control=control)


@covers(
    "instance-policy-off-without-attributes",
    "instance-policy-rotation-off",
    "instance-policy-rotation-generated",
)
@instance_policy
@impact("instance")
def test_rotation_of_new_keys(kms):
    """Only generated root keys inherit a rotation policy, and only while it is enabled."""
    before = kms.create_root_key()
    kms.set_instance_policy("rotation", interval_month=6).succeeds(204)
    row = "instance-policy-rotation-generated"
    kms.get_policies(kms.create_root_key(), "rotation").succeeds(200).counts("resources", 1, requirement=row)
    for key in (before, kms.import_root_key(), kms.create_standard_key()):
        kms.get_policies(key).succeeds(200).shows("metadata.collectionTotal", 0, requirement=row)
    kms.set_instance_policy("rotation", enabled=False).succeeds(204)
    shown = kms.get_instance_policies("rotation").succeeds(200)
    shown.lists_not("resources.*.policy_data.enabled", value=True, requirement="instance-policy-rotation-off")
    shown.lacks("resources.0.policy_data.attributes", requirement="instance-policy-off-without-attributes")
    later = kms.get_policies(kms.create_root_key()).succeeds(200)
    later.shows("metadata.collectionTotal", 0, requirement="instance-policy-rotation-off")


@covers("access-import-root-key-denied", "access-policy-overrides", "access-import-by-token")
@needs(capability=("instance_policies", "import_tokens"))
@impact("instance", "import-token")
def test_access_by_other_roads(kms):
    """The policy also refuses importing by token and creating with policies, and nothing is created."""
    token, name = kms.import_token(), kms.name("forbidden")
    kms.create_key(**kms.wrap_for_import(token, kms.key_material()).members()).succeeds(201)
    kms.create_key_with_policies().succeeds(201)
    forbidden = {"create_root_key": False, "import_root_key": False}
    kms.set_instance_policy(ACCESS, **{**dict.fromkeys(RIGHTS, True), **forbidden}).succeeds(204)
    packed = kms.create_key(name=name, **kms.wrap_for_import(token, kms.key_material()).members())
    packed.is_refused("KEY_CREATE_IMPORT_ACCESS_ERR", requirement="access-import-by-token")
    own = kms.create_key_with_policies(name=name)
    own.is_refused("KEY_CREATE_IMPORT_ACCESS_ERR", requirement="access-policy-overrides")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("access-enforce-token-generated-rotate", "access-enforce-token-rotate")
@instance_policy
@impact("instance")
def test_enforced_token_and_rotation(kms):
    """With enforce_token, rotating an imported key without token is refused; generated keys rotate."""
    generated, imported = kms.create_root_key(), kms.import_root_key()
    body = {"payload": kms.key_material()}
    control = kms.old_action(kms.import_root_key(), "rotate", body).succeeds(204)
    kms.set_instance_policy(ACCESS, **dict.fromkeys(RIGHTS, True), enforce_token=True).succeeds(204)
    row = "access-enforce-token-rotate"
    for rotate in (kms.action, kms.old_action):
        refused = rotate(imported, "rotate", body)
        refused.is_refused("KEY_CREATE_IMPORT_ACCESS_ERR", control=control, requirement=row)
    kms.list_versions(imported).succeeds(200).counts("resources", 1, requirement=row)
    kms.rotate(generated).succeeds(204, requirement="access-enforce-token-generated-rotate")


@covers("access-enforce-token-returns")
@instance_policy
@impact("instance")
def test_enforced_token_is_left_out(kms):
    """When a request omits enforce_token, keys can be imported without a token again."""
    kms.set_instance_policy(ACCESS, **dict.fromkeys(RIGHTS, True), enforce_token=True).succeeds(204)
    kms.create_key(payload=kms.key_material()).is_refused(
        "KEY_CREATE_IMPORT_ACCESS_ERR", control="it succeeds below"
    )
    kms.set_instance_policy(ACCESS, **dict.fromkeys(RIGHTS, True)).succeeds(204)
    kms.create_key(payload=kms.key_material()).succeeds(201, requirement="access-enforce-token-returns")
