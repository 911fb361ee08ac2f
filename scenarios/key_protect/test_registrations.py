"""Registrations of the resources that use a key: sections 9, 10, 19, 25, 30, 31 and 33."""

import pytest

from kms_conformance.api import covers, impact, needs

by_service = needs(identity="service", capability="registrations")


@covers("registration-create", "registration-list")
@by_service
def test_register(kms):
    """A registration that a service creates is listed for the key and for its users."""
    key, crn = kms.create_root_key(), kms.crn()
    made = kms.as_identity("service").create_registration(key, crn, description="a bucket")
    made.succeeds(200, 201, 204, requirement="registration-create")
    listed = kms.list_registrations(key).succeeds(200)
    listed.lists("resources.*.resourceCrn", crn, requirement="registration-list")
    listed.shows("resources.0.description", "a bucket", requirement="registration-list")
    listed.shows("resources.0.keyId", key.id, requirement="registration-list")


@covers("registration-list-empty", "registration-list-all")
@needs(capability="registrations")
def test_no_registrations(kms):
    """A new key has no registrations, and those of the whole instance can be listed."""
    key = kms.create_root_key()
    kms.list_registrations(key).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.list_registrations(limit=1).succeeds(200, requirement="registration-list-all")


@covers("registration-filter")
@by_service
def test_list_of_those_that_prevent_deletion(kms):
    """A list of registrations that prevent deletion contains no others."""
    key, keeping, other = kms.create_root_key(), kms.crn(), f"{kms.crn()}-2"
    service = kms.as_identity("service")
    service.create_registration(key, keeping, preventKeyDeletion=True).needed(200, 201, 204)
    service.create_registration(key, other).needed(200, 201, 204)
    listed = kms.list_registrations(key, preventKeyDeletion=True).succeeds(200)
    listed.lists("resources.*.resourceCrn", keeping).lists_not("resources.*.resourceCrn", other)


@covers("registration-update")
@by_service
def test_update_registration(kms):
    """A service can change the description of its registration; the rest stays."""
    key, crn, service = kms.create_root_key(), kms.crn(), kms.as_identity("service")
    service.create_registration(key, crn, description="before", preventKeyDeletion=True).needed(200, 201, 204)
    service.update_registration(key, crn, description="after").succeeds(
        200, 204, requirement="registration-update"
    )
    listed = kms.list_registrations(key).succeeds(200).shows("resources.0.description", "after")
    listed.shows("resources.0.preventKeyDeletion", value=True)


@covers("registration-delete")
@by_service
def test_delete_registration(kms):
    """Once its registration is deleted, a key can be deleted without force."""
    key, crn, service = kms.create_root_key(), kms.crn(), kms.as_identity("service")
    service.create_registration(key, crn).needed(200, 201, 204)
    service.delete_registration(key, crn).succeeds(200, 204, requirement="registration-delete")
    listed = kms.list_registrations(key, totalCount=True).succeeds(200)
    listed.shows("metadata.collectionTotal", 0).shows("metadata.totalCount", 0)
    kms.delete_key(key).succeeds(200, 204, requirement="registration-delete")


@covers("key-invalid-state-err", "key-invalid-state-err-active")
@by_service
def test_register_suspended_key(kms):
    """An active key can be registered, a suspended one cannot."""
    service, active, suspended = kms.as_identity("service"), kms.create_root_key(), kms.create_root_key()
    made = service.create_registration(active, kms.crn())
    made.succeeds(200, 201, 204, requirement="key-invalid-state-err-active")
    kms.disable(suspended).succeeds(204)
    service.create_registration(suspended, kms.crn()).is_refused("KEY_INVALID_STATE_ERR")
    kms.list_registrations(suspended).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("key-root-req-reg-err")
@by_service
def test_register_standard_key(kms):
    """A root key can be registered, a standard key cannot."""
    service, standard = kms.as_identity("service"), kms.create_standard_key()
    service.create_registration(kms.create_root_key(), kms.crn()).succeeds(200, 201, 204)
    service.create_registration(standard, kms.crn()).is_refused("KEY_ROOT_REQ_REG_ERR")
    kms.list_registrations(standard).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("protected-resource-err", "protected-resource-err-force")
@by_service
def test_delete_registered_key(kms):
    """A registered key can be deleted with force only."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("service").create_registration(key, kms.crn()).needed(200, 201, 204)
    kms.delete_key(key).is_refused("PROTECTED_RESOURCE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    kms.delete_key(key, force=True).succeeds(200, 204, requirement="protected-resource-err-force")
    kms.get_metadata(key).succeeds(200).shows(
        "resources.0.state", 5, requirement="protected-resource-err-force"
    )


@covers("prev-key-del-err", "prev-key-del-err-lifted")
@by_service
@impact("litter")
def test_retention_outweighs_force(kms):
    """Deleting with force is refused while a registration prevents deletion, and succeeds afterwards."""
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    key, crn, service = kms.create_root_key(), kms.crn(), kms.as_identity("service")
    service.create_registration(key, crn, preventKeyDeletion=True).needed(200, 201, 204)
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    service.replace_registration(key, crn, preventKeyDeletion=False).needed(200, 201, 204)
    kms.delete_key(key, force=True).succeeds(200, 204, requirement="prev-key-del-err-lifted")


@covers("prev-key-del-err-one-of-two")
@by_service
@impact("litter")
def test_one_retained_registration_is_enough(kms):
    """Force is refused when one of two registrations prevents deletion."""
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    key, service = kms.create_root_key(), kms.as_identity("service")
    service.create_registration(key, kms.crn()).needed(200, 201, 204)
    service.create_registration(key, kms.crn(), preventKeyDeletion=True).needed(200, 201, 204)
    kms.delete_key(key, force=True).is_refused("PREV_KEY_DEL_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("resource-owner-err")
@by_service
def test_service_deletes_key(kms):
    """A service cannot delete a user's key."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("service").delete_key(key).is_refused("RESOURCE_OWNER_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("service-only-err")
@needs(capability="registrations")
def test_user_registers_key(kms):
    """A user can read registrations but not create them."""
    key = kms.create_root_key()
    control = kms.list_registrations(key).succeeds(200)
    kms.create_registration(key, kms.crn()).is_refused("SERVICE_ONLY_ERR", control=control)
    kms.list_registrations(key).succeeds(200).shows("metadata.collectionTotal", 0)


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param("replace", marks=covers("service-only-err-replace")),
        pytest.param("update", marks=covers("service-only-err-update")),
        pytest.param("delete", marks=covers("service-only-err-delete")),
    ],
)
@by_service
def test_user_writes_registration(kms, verb):
    """A user can neither replace, update nor delete the registration of a service."""
    key, crn, service = kms.create_root_key(), kms.crn(), kms.as_identity("service")
    service.create_registration(key, crn, description="of the service").needed(200, 201, 204)
    members = {} if verb == "delete" else {"description": "of a user"}
    if members:
        getattr(service, f"{verb}_registration")(key, crn, description="of the service").needed(200, 201, 204)
    control = kms.list_registrations(key).succeeds(200)
    getattr(kms, f"{verb}_registration")(key, crn, **members).is_refused("SERVICE_ONLY_ERR", control=control)
    kms.list_registrations(key).succeeds(200).shows("resources.0.description", "of the service")


@covers("key-version-invalid", "key-version-invalid-equal")
@by_service
def test_registration_of_an_older_version(kms):
    """A registration can keep its key version or move to a newer one, not to an older one."""
    key, crn, service = kms.create_root_key(), kms.crn(), kms.as_identity("service")
    kms.rotate(key).succeeds(204)
    versions = kms.list_versions(key).succeeds(200)
    newer, older = versions["resources.0.id"], versions["resources.1.id"]
    service.create_registration(key, crn, keyVersionId=older).needed(200, 201, 204)
    for version in (older, newer):
        replaced = service.replace_registration(key, crn, keyVersionId=version)
        replaced.succeeds(200, 201, 204, requirement="key-version-invalid-equal")
    service.update_registration(key, crn, keyVersionId=newer).needed(200, 204)
    service.replace_registration(key, crn, keyVersionId=older).is_refused("KEY_VERSION_INVALID")
    service.update_registration(key, crn, keyVersionId=older).is_refused("KEY_VERSION_INVALID")
    kms.list_registrations(key).succeeds(200).shows("resources.0.keyVersion.id", newer)
