"""Policies of one key."""

from kms_conformance.api import covers, impact, needs, waits


@covers("key-policy-both", "key-policy-query")
@needs(identity="approver", capability="dual_auth")
@impact("litter")
def test_both_policies(kms):
    """Rotation and dual authorisation are set in one request, and each can be read by name."""
    key = kms.create_root_key()
    both = {"rotation": {"interval_month": 2}, "dualAuthDelete": {"enabled": True}}
    kms.put_policy(key, **both).succeeds(200, requirement="key-policy-both")
    kms.get_policies(key).succeeds(200).counts("resources", 2, requirement="key-policy-both")
    shown = (
        kms.get_policies(key, "rotation").succeeds(200).counts("resources", 1, requirement="key-policy-query")
    )
    shown.shows("resources.0.rotation.interval_month", 2, requirement="key-policy-query")


@covers("key-policy-overrides")
def test_policies_at_creation(kms):
    """A key is created with a rotation policy of its own."""
    made = kms.create_key_with_policies(rotation={"enabled": True, "interval_month": 9})
    made.succeeds(201, requirement="key-policy-overrides")
    shown = kms.get_policies(made["resources.0.id"], "rotation").succeeds(200)
    shown.shows("resources.0.rotation.interval_month", 9)


@covers("key-root-req-err-rotation-override")
def test_rotation_policy_for_a_standard_key(kms):
    """A standard key cannot be created with a rotation policy."""
    rotation = {"enabled": True, "interval_month": 2}
    kms.create_key_with_policies(rotation=rotation).succeeds(201)
    kms.create_key_with_policies(extractable=True, rotation=rotation).is_refused("KEY_ROOT_REQ_ERR")


@covers("rotation-policy-runs")
@waits(2678460)
def test_rotation_policy_rotates(kms):
    """A key with a monthly rotation policy has a second version after 31 days."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 1}).succeeds(200)
    kms.list_versions(key).succeeds(200).counts("resources", 1)
    kms.wait(2678460, "the rotation policy runs within a day of the due date", within=5184000)
    kms.list_versions(key).proof.counts("resources", 2)
