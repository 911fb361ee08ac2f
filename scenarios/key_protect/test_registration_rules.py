"""Further cases on registrations: refused deletions, several registrations, and lists."""

import pytest

from kms_conformance.api import covers, impact, needs, waits

by_service = needs(identity="service", capability="registrations")


def registered(kms, key, **members):
    """Let a service register a key; return the name of the resource."""
    crn = kms.crn()
    kms.as_identity("service").create_registration(key, crn, **members).needed(200, 201, 204)
    return crn


@covers("protected-resource-err", "protected-resource-err-unchanged", "protected-resource-err-force-false")
@by_service
def test_refused_deletion_leaves_registration(kms):
    """A refused deletion keeps the key and its registration, and `force=false` does not force it."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    crn = registered(kms, key)
    row = "protected-resource-err-unchanged"
    for force, covered in ((None, "protected-resource-err"), (False, "protected-resource-err-force-false")):
        kms.delete_key(key, force=force).is_refused("PROTECTED_RESOURCE_ERR", requirement=covered)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement=row)
    kms.list_registrations(key).succeeds(200).lists("resources.*.resourceCrn", crn, requirement=row)


@pytest.mark.parametrize("first", [True, False])
@covers("prev-key-del-err-one-of-two", "prev-key-del-err-unchanged")
@by_service
@impact("litter")
def test_retained_registration_anywhere(kms, first):
    """Force is refused when either of two registrations prevents deletion, and both stay."""
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    key, row = kms.create_root_key(), "prev-key-del-err-unchanged"
    crns = [registered(kms, key, preventKeyDeletion=prevents) for prevents in (first, not first)]
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR")
    listed = kms.list_registrations(key).succeeds(200)
    for crn in crns:
        listed.lists("resources.*.resourceCrn", crn, requirement=row)
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement=row)


@covers("prev-key-del-err-lifted")
@by_service
@impact("litter")
def test_retention_is_lifted_by_an_update(kms):
    """Once an update lifts a registration's deletion prevention, force deletes the key."""
    key, crn = kms.create_root_key(), kms.crn()
    service = kms.as_identity("service")
    service.create_registration(key, crn, preventKeyDeletion=True).needed(200, 201, 204)
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR", control="the same request succeeds below")
    service.update_registration(key, crn, preventKeyDeletion=False).needed(200, 204)
    kms.delete_key(key, force=True).succeeds(200, 204, requirement="prev-key-del-err-lifted")


@covers("resource-owner-err")
@by_service
def test_service_deletes_key_by_force(kms):
    """A service cannot delete a user's key with force."""
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("service").delete_key(key, force=True).is_refused("RESOURCE_OWNER_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-invalid-state-err")
@by_service
def test_register_deleted_key(kms):
    """A destroyed key cannot be registered."""
    service, key = kms.as_identity("service"), kms.create_root_key()
    service.create_registration(kms.create_root_key(), kms.crn()).succeeds(200, 201, 204)
    kms.delete_key(key).succeeds(200, 204)
    service.create_registration(key, kms.crn()).is_refused("KEY_INVALID_STATE_ERR")


@covers("key-invalid-state-err-replace")
@by_service
def test_replace_registration_of_suspended_key(kms):
    """The registrations of a suspended key can be neither replaced nor updated."""
    service, key, crn = kms.as_identity("service"), kms.create_root_key(), kms.crn()
    service.create_registration(key, crn, description="before").needed(200, 201, 204)
    for verb in ("replace", "update"):
        getattr(service, f"{verb}_registration")(key, crn, description="before").succeeds(200, 201, 204)
    kms.disable(key).succeeds(204)
    for verb in ("replace", "update"):
        refused = getattr(service, f"{verb}_registration")(key, crn, description="after")
        refused.is_refused("KEY_INVALID_STATE_ERR")
    kms.list_registrations(key).succeeds(200).shows("resources.0.description", "before")


@covers("registration-replace")
@by_service
def test_replaced_registration(kms):
    """Replacing a registration discards its earlier values; an update keeps what it does not name."""
    service, key, crn = kms.as_identity("service"), kms.create_root_key(), kms.crn()
    service.create_registration(key, crn, description="before").needed(200, 201, 204)
    service.update_registration(key, crn, preventKeyDeletion=False).succeeds(200, 204)
    kms.list_registrations(key).succeeds(200).shows("resources.0.description", "before")
    service.replace_registration(key, crn, preventKeyDeletion=False).succeeds(200, 201, 204)
    kms.list_registrations(key).succeeds(200).differs("resources.0.description", "before")


@covers("registration-pages")
@by_service
def test_pages_of_registrations(kms):
    """Registrations are listed in pages, counted on request, and found by their resource."""
    key = kms.create_root_key()
    crns = [registered(kms, key) for _ in range(3)]
    first = kms.list_registrations(key, limit=2, totalCount=True).succeeds(200).counts("resources", 2)
    first.shows("metadata.totalCount", 3)
    second = kms.list_registrations(key, limit=2, offset=2).succeeds(200).counts("resources", 1)
    second.lists_not("resources.*.resourceCrn", first["resources.0.resourceCrn"])
    second.lists_not("resources.*.resourceCrn", first["resources.1.resourceCrn"])
    of_crn = kms.list_registrations(key, urlEncodedResourceCRNQuery=crns[1]).succeeds(200)
    of_crn.counts("resources", 1).shows("resources.0.resourceCrn", crns[1])


@covers("registration-of-deleted-key", "registration-after-restore")
@by_service
@waits(31)
def test_registration_outlives_deletion(kms):
    """The registrations of a key are listed after its deletion and after it is restored."""
    key = kms.import_root_key()
    crn = registered(kms, key)
    kms.delete_key(key, force=True).succeeds(200, 204)
    listed = kms.list_registrations(key).succeeds(200, requirement="registration-of-deleted-key")
    listed.lists("resources.*.resourceCrn", crn, requirement="registration-of-deleted-key")
    kms.wait(31, "30 seconds between delete and restore")
    kms.restore_key(key, payload=key.material).succeeds(201)
    listed = kms.list_registrations(key).succeeds(200)
    listed.lists("resources.*.resourceCrn", crn, requirement="registration-after-restore")


@covers("registration-metadata-of-service")
@by_service
def test_metadata_of_the_service(kms):
    """The metadata that a service stores in a registration are not shown to users."""
    key = kms.create_root_key()
    registered(kms, key, registrationMetadata="for the service alone")
    kms.list_registrations(key).succeeds(200).lacks("resources.0.registrationMetadata")


@covers("protected-resource-err")
@by_service
def test_registration_outlives_rotation(kms):
    """A key keeps its registration when it is rotated."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    crn = registered(kms, key)
    kms.rotate(key).succeeds(204)
    kms.list_registrations(key).succeeds(200).lists("resources.*.resourceCrn", crn)
    kms.delete_key(key).is_refused("PROTECTED_RESOURCE_ERR")


@covers("key-invalid-state-err")
@by_service
@waits(3720)
def test_register_expired_key(kms):
    """An expired key, deactivated within the hour, cannot be registered."""
    service, key = kms.as_identity("service"), kms.create_root_key(expirationDate=kms.later(60))
    service.create_registration(kms.create_root_key(), kms.crn()).succeeds(200, 201, 204)
    kms.wait(3720, "the key expires, and is deactivated within an hour")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 3)
    service.create_registration(key, kms.crn()).is_refused("KEY_INVALID_STATE_ERR")
