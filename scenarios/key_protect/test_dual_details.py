"""Further cases on dual authorisation: kinds of keys, refused requests, and other policies beside it."""

import pytest

from kms_conformance.api import covers, impact, needs

two_users = needs(identity="approver", capability="dual_auth")
ON = {"enabled": True}


@pytest.mark.parametrize("kind", ["imported", "standard", "suspended"])
@covers("authorizations-not-met", "authorizations-not-met-two-users", "authorizations-not-met-one-user-twice")
@two_users
@impact("litter")
def test_every_kind_of_key(kms, kind):
    """Deleting an imported, standard or suspended key can need two users; refused attempts change nothing."""
    key = kms.create_standard_key() if kind == "standard" else kms.import_root_key()
    second, below = kms.as_identity("approver"), "the same request succeeds below"
    kms.put_policy(key, dualAuthDelete=ON).succeeds(200)
    for force in (None, True):
        kms.delete_key(key, force=force).is_refused("AUTHORIZATIONS_NOT_MET", control=below)
    second.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control=below)
    kms.set_for_deletion(key).succeeds(204)
    if kind == "suspended":
        kms.disable(key).succeeds(204)
    row = "authorizations-not-met-one-user-twice"
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control=below, requirement=row)
    shown = kms.get_metadata(key).succeeds(200)
    shown.shows("resources.0.state", 2 if kind == "suspended" else 1)
    second.delete_key(key).succeeds(200, 204, requirement="authorizations-not-met-two-users")


@covers("dual-auth-off-deletes", "not-dual-auth-err-off")
def test_policy_that_is_off(kms):
    """A key whose policy is disabled is deleted by one user, and cannot be set for deletion."""
    key = kms.create_root_key()
    kms.put_policy(key, dualAuthDelete={"enabled": False}).succeeds(200)
    control = kms.get_policies(key).succeeds(200)
    row = "not-dual-auth-err-off"
    kms.set_for_deletion(key).is_refused("NOT_DUAL_AUTH_ERR", control=control, requirement=row)
    kms.unset_for_deletion(key).is_refused("NOT_DUAL_AUTH_ERR", control=control, requirement=row)
    kms.delete_key(key).succeeds(200, 204, requirement="dual-auth-off-deletes")


@covers("dual-auth-stays-usable", "dual-auth-old-form", "authorizations-not-met-two-users")
@two_users
@impact("litter")
def test_key_set_for_deletion_works_on(kms):
    """A key set for deletion, by the older path form, still wraps and unwraps until it is deleted."""
    key, plaintext, row = kms.create_root_key(), kms.key_material(), "dual-auth-stays-usable"
    kms.put_policy(key, dualAuthDelete=ON).succeeds(200)
    ciphertext = kms.wrap(key, plaintext).succeeds(200)["ciphertext"]
    kms.old_action(key, "setKeyForDeletion").succeeds(200, 204)
    kms.unwrap(key, ciphertext).succeeds(200, requirement=row).shows("plaintext", plaintext, requirement=row)
    kms.wrap(key, plaintext).succeeds(200, requirement=row)
    kms.as_identity("approver").delete_key(key).succeeds(
        200, 204, requirement=("dual-auth-old-form", "authorizations-not-met-two-users")
    )


@covers("dual-auth-withdrawn", "dual-auth-shown-withdrawn")
@two_users
@impact("litter")
def test_withdrawn_by_the_second_user(kms):
    """The second user can withdraw the authorisation, and the key no longer shows it."""
    key, second, below = kms.create_root_key(), kms.as_identity("approver"), "the same request succeeds below"
    kms.put_policy(key, dualAuthDelete=ON).succeeds(200)
    kms.set_for_deletion(key).succeeds(204)
    second.unset_for_deletion(key).succeeds(204)
    second.delete_key(key).is_refused(
        "AUTHORIZATIONS_NOT_MET", control=below, requirement="dual-auth-withdrawn"
    )
    shown, row = kms.get_metadata(key).succeeds(200), "dual-auth-shown-withdrawn"
    shown.lists_not("resources.*.dualAuthDelete.keySetForDeletion", value=True, requirement=row)
    second.set_for_deletion(key).succeeds(204)
    kms.delete_key(key).succeeds(200, 204, requirement="dual-auth-withdrawn")


@covers("dual-auth-beside-rotation", "dual-auth-not-revocable")
@two_users
@impact("litter")
def test_policy_beside_others(kms):
    """Setting a rotation policy, or policies without a query, keeps a key under dual authorisation."""
    key, row = kms.create_root_key(), "dual-auth-beside-rotation"
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete=ON).succeeds(200)
    kms.put_policy(key, query="rotation", rotation={"interval_month": 3}).succeeds(200)
    kms.put_policy(key, dualAuthDelete={"enabled": False}).is_refused_somehow(
        requirement="dual-auth-not-revocable"
    )
    shown = kms.get_policies(key, "dualAuthDelete").succeeds(200)
    shown.shows("resources.0.dualAuthDelete.enabled", value=True, requirement=row)
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control="set again below", requirement=row)
    kms.set_for_deletion(key).succeeds(204)
    kms.as_identity("approver").delete_key(key).succeeds(200, 204, requirement=row)


@covers("dual-auth-override", "authorizations-not-met")
@two_users
@impact("litter")
def test_policy_at_creation(kms):
    """A key of each kind can be created with the dual-authorisation policy."""
    row = "dual-auth-override"
    for kind in ({}, {"payload": kms.key_material()}, {"extractable": True}):
        made = kms.create_key_with_policies(dualAuthDelete=ON, **kind).succeeds(201, requirement=row)
        key = made["resources.0.id"]
        shown = kms.get_policies(key, "dualAuthDelete").succeeds(200)
        shown.shows("resources.0.dualAuthDelete.enabled", value=True, requirement=row)
        kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control="the approver deletes it below")
        kms.set_for_deletion(key).succeeds(204)
        kms.as_identity("approver").delete_key(key).succeeds(200, 204, requirement=row)


@covers("instance-policy-dual-auth-inherited", "instance-policy-dual-auth-off")
@needs(identity="approver", capability=("instance_policies", "dual_auth"))
@impact("instance", "litter")
def test_every_kind_inherits(kms):
    """Imported and standard keys inherit dual authorisation from the instance only while it is enabled."""
    kms.set_instance_policy("dualAuthDelete").succeeds(204)
    keys = [kms.import_root_key(), kms.create_standard_key()]
    kms.set_instance_policy("dualAuthDelete", enabled=False).succeeds(204)
    later, row = kms.create_root_key(), "instance-policy-dual-auth-off"
    kms.get_policies(later).succeeds(200).lists_not(
        "resources.*.dualAuthDelete.enabled", value=True, requirement=row
    )
    kms.delete_key(later).succeeds(200, 204, requirement=row)
    for key in keys:
        shown = kms.get_policies(key, "dualAuthDelete").succeeds(200)
        shown.shows("resources.0.dualAuthDelete.enabled", value=True)
        kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET")
