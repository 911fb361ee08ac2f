"""Deletion by two users: section 26."""

from kms_conformance.api import covers


@covers("not-dual-auth-err-set", "not-dual-auth-err")
def test_set_for_deletion_without_policy(kms):
    """A key without the dual-authorisation policy cannot be set for deletion."""
    key = kms.create_root_key()
    control = kms.get_policies(key).succeeds(200)
    kms.set_for_deletion(key).is_refused("NOT_DUAL_AUTH_ERR", control=control)
    kms.delete_key(key).succeeds()


@covers("not-dual-auth-err-unset")
def test_unset_for_deletion_without_policy(kms):
    """Nor can an authorisation be withdrawn that could not be given."""
    key = kms.create_root_key()
    control = kms.get_policies(key).succeeds(200)
    kms.unset_for_deletion(key).is_refused("NOT_DUAL_AUTH_ERR", control=control)


@covers("dual-auth-disabled-row")
def test_policy_switched_off_before_it_was_on(kms):
    """Switching the policy off on a key that never had it is accepted and leaves a row that says so."""
    key = kms.create_root_key()
    kms.put_policy(key, dualAuthDelete={"enabled": False}).succeeds(200)
    kms.get_policies(key).succeeds(200).shows("resources.0.dualAuthDelete.enabled", value=False)


@covers("key-policies-empty")
def test_key_without_policies(kms):
    """A new key has no policies."""
    kms.get_policies(kms.create_root_key()).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("key-policy-rotation")
def test_rotation_policy(kms):
    """A rotation policy is set and read back."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 3}).succeeds(200)
    kms.get_policies(key, "rotation").succeeds(200).shows("resources.0.rotation.interval_month", 3)


@covers("invalid-field-err-interval")
def test_rotation_interval_out_of_range(kms):
    """A rotation policy's interval is 1 to 12 months."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 12}).succeeds(200)
    refused = kms.put_policy(key, query="rotation", rotation={"interval_month": 13})
    refused.is_refused("INVALID_FIELD_ERR", target=("field", "interval_month"))
