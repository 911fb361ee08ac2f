"""Deleting keys, and what prevents a deletion: section 6."""

from kms_conformance.api import covers, impact, needs

by_service = needs(identity="service", capability="registrations")


@covers("delete-key", "force-delete-unregistered")
def test_delete(kms):
    """An active key is deleted; force changes nothing where the key has no registrations."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    kms.delete_key(kms.create_root_key(), force=True).succeeds(
        200, 204, requirement="force-delete-unregistered"
    )


@covers("prefer-representation-delete")
def test_delete_with_representation(kms):
    """Deletion returns the deleted key to a client that prefers the representation."""
    key = kms.create_root_key()
    answer = (
        kms.preferring("representation")
        .delete_key(key)
        .succeeds(200, requirement="prefer-representation-delete")
    )
    answer.shows("resources.0.id", key.id).shows("resources.0.state", 5)


@covers("key-delete-err")
@needs(capability="dual_auth")
@impact("litter")
def test_held_back_by_missing_authorisation(kms):
    """A key under dual authorisation cannot be deleted by one user alone."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).succeeds(200)
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-delete-err-associated-resources")
@by_service
def test_held_back_by_associated_resources(kms):
    """A key with associated resources cannot be deleted without force."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("service").create_registration(key, kms.crn()).needed(200, 201, 204)
    kms.delete_key(key).is_refused("PROTECTED_RESOURCE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-delete-err-retention")
@by_service
@impact("litter")
def test_held_back_by_retention(kms):
    """A key that protects a resource with a retention policy cannot be deleted, even with force."""
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("service").create_registration(key, kms.crn(), preventKeyDeletion=True).needed(
        200, 201, 204
    )
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
