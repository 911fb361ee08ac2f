"""The rules for new keys on imported, rotated and restored ones, in both forms of an action's path."""

import pytest

from kms_conformance.api import covers, needs, waits

FORMS = ("action", "old_action")
ROW = "key-action-invalid-state-err-{}-{}"


def used(kms, act):
    """Return an imported and rotated key, the bodies of three actions on it, and their successful answers."""
    key = kms.import_root_key()
    older = {"ciphertext": kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]}
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    bodies = {"wrap": {"plaintext": kms.key_material()}, "unwrap": older, "rewrap": older}
    return key, bodies, {action: act(key, action, body).succeeds(200) for action, body in bodies.items()}


@pytest.mark.parametrize("form", FORMS)
@covers(
    "key-action-invalid-state-err-wrap-disabled",
    "key-action-invalid-state-err-unwrap-disabled",
    "key-action-invalid-state-err-rewrap-disabled",
)
def test_used_key_that_is_suspended(kms, form):
    """An imported and rotated key neither wraps, unwraps nor rewraps while suspended, in both path forms."""
    act = getattr(kms, form)
    key, bodies, controls = used(kms, act)
    kms.disable(key).succeeds(204)
    for action, body in bodies.items():
        refused, row = act(key, action, body), ROW.format(action, "disabled")
        refused.is_refused("KEY_ACTION_INVALID_STATE_ERR", control=controls[action], requirement=row)
        refused.lacks("plaintext", requirement=row).lacks("ciphertext", requirement=row)


@pytest.mark.parametrize("form", FORMS)
@covers(
    "key-action-invalid-state-err-wrap-deleted",
    "key-action-invalid-state-err-unwrap-deleted",
    "key-action-invalid-state-err-rewrap-deleted",
)
def test_used_key_that_is_destroyed(kms, form):
    """An imported and rotated key neither wraps, unwraps nor rewraps once destroyed, in both path forms."""
    act = getattr(kms, form)
    key, bodies, controls = used(kms, act)
    kms.delete_key(key).succeeds()
    for action, body in bodies.items():
        refused, row = act(key, action, body), ROW.format(action, "deleted")
        refused.is_refused("KEY_ACTION_INVALID_STATE_ERR", control=controls[action], requirement=row)
        refused.lacks("plaintext", requirement=row).lacks("ciphertext", requirement=row)


@pytest.mark.parametrize("form", FORMS)
@covers("key-action-invalid-state-err-rotate-disabled", "key-action-invalid-state-err-rotate-deleted")
def test_rotate_imported_key_at_rest(kms, form):
    """An imported key cannot be rotated while it is suspended or once it is destroyed, in both path forms."""
    act, body = getattr(kms, form), {"payload": kms.key_material()}
    control = act(kms.import_root_key(), "rotate", body).succeeds(204)
    key = kms.import_root_key()
    kms.disable(key).succeeds(204)
    for state in ("disabled", "deleted"):
        row = ROW.format("rotate", state)
        act(key, "rotate", body).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control, requirement=row)
        kms.list_versions(key, allKeyStates=True).succeeds(200).counts("resources", 1, requirement=row)
        if state == "disabled":
            kms.delete_key(key).succeeds()


@covers("key-action-invalid-state-err-rotate-disabled", "key-action-invalid-state-err-rotate-deleted")
@waits(3601)
def test_rotate_used_key_at_rest(kms):
    """A key rotated long ago cannot be rotated while it is suspended or once it is destroyed."""
    suspended, destroyed, control = kms.create_root_key(), kms.create_root_key(), kms.create_root_key()
    for key in (suspended, destroyed, control):
        kms.rotate(key).succeeds(204)
    kms.wait(3601, "one rotation an hour")
    kms.rotate(control).succeeds(204)
    kms.disable(suspended).succeeds(204)
    kms.delete_key(destroyed).succeeds()
    for key, state in ((suspended, "disabled"), (destroyed, "deleted")):
        kms.rotate(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=ROW.format("rotate", state))


@covers("key-root-req-err-wrap", "key-root-req-err-disable", "key-root-req-err-rotate", "old-action-form")
def test_imported_standard_key_in_the_old_form(kms):
    """An imported standard key cannot wrap or be disabled or rotated, in both path forms."""
    root, standard = kms.create_root_key(), kms.import_standard_key()
    for action in ("wrap", "rotate", "disable"):
        body = {"plaintext": kms.key_material()} if action == "wrap" else None
        kms.old_action(root, action, body).succeeds(200, 204, requirement="old-action-form")
        row = f"key-root-req-err-{action}"
        kms.old_action(standard, action, body).is_refused("KEY_ROOT_REQ_ERR", requirement=row)
        kms.action(standard, action, body).is_refused(
            "KEY_ROOT_REQ_ERR", requirement=row, control="the same request in the older form"
        )


@covers("req-too-early-err-enable")
@waits(62)
def test_enable_too_early_again(kms):
    """The 30 seconds before enabling count anew each time the key is disabled."""
    key = kms.create_root_key()
    for _ in range(2):
        kms.disable(key).succeeds(204)
        kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
        kms.wait(31, "30 seconds between disable and enable")
        kms.enable(key).succeeds(204)


@covers("req-too-early-err-enable", "req-too-early-err-restore", "old-action-form")
@waits(31)
def test_old_form_waits_too(kms):
    """In the older path form, enabling and restoring within 30 seconds are refused."""
    suspended, destroyed = kms.create_root_key(), kms.import_root_key()
    kms.disable(suspended).succeeds(204)
    kms.delete_key(destroyed).succeeds()
    body = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1},
        "resources": [{"payload": destroyed.material}],
    }
    below = "the same request succeeds below"
    for key, action, given in ((suspended, "enable", None), (destroyed, "restore", body)):
        row = f"req-too-early-err-{action}"
        kms.old_action(key, action, given).is_refused("REQ_TOO_EARLY_ERR", control=below, requirement=row)
    kms.wait(31, "30 seconds between one action and the next")
    kms.old_action(suspended, "enable").succeeds(200, 204, requirement="old-action-form")
    kms.restore_key(destroyed, payload=destroyed.material).succeeds(201)


@covers("key-action-invalid-state-err-versions-disabled", "versions-deleted-on-request")
def test_versions_of_a_deleted_key(kms):
    """The versions of a destroyed key are listed only when all states are asked for."""
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.list_versions(key).succeeds(200).counts("resources", 2)
    kms.delete_key(key).succeeds()
    row = "versions-deleted-on-request"
    kms.list_versions(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row)
    kms.list_versions(key, allKeyStates=True).succeeds(200, requirement=row).counts(
        "resources", 2, requirement=row
    )


@covers("key-deleted-err", "key-deleted-err-unchanged")
@waits(2)
def test_second_deletion_changes_nothing(kms):
    """An imported key cannot be deleted twice, with or without force; a refused deletion changes nothing."""
    key = kms.import_root_key()
    kms.delete_key(key).succeeds()
    before = kms.get_metadata(key).succeeds(200)
    kms.wait(2, "dates have whole seconds")
    kms.delete_key(key).is_refused("KEY_DELETED_ERR")
    kms.delete_key(key, force=True).is_refused("KEY_DELETED_ERR")
    kms.preferring("representation").delete_key(key).is_refused("KEY_DELETED_ERR")
    after, row = kms.get_metadata(key).succeeds(200), "key-deleted-err-unchanged"
    after.shows("resources.0.state", 5, requirement=row)
    for member in ("deletionDate", "deletedBy"):
        was = before.body["resources"][0].get(member)
        if was is not None:
            after.shows(f"resources.0.{member}", was, requirement=row)


@covers("purge-needs-role-manager", "purge-needs-role")
@needs(identity="purger")
@waits(14460)
def test_purge_by_a_manager(kms):
    """A manager without the KeyPurge role cannot purge a key."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.wait(14460, "four hours between delete and purge")
    below = "the same request succeeds below"
    kms.purge_key(key).is_refused("UNAUTHORIZED_ERR", control=below, requirement="purge-needs-role-manager")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5, requirement="purge-needs-role-manager")
    kms.as_identity("purger").purge_key(key).succeeds(200, 204, requirement="purge-needs-role")
