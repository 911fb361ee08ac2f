"""What holds for a new key holds for imported, rotated, restored ones too, and in both forms of an action's path."""

import pytest

from kms_conformance.api import covers, needs, waits

FORMS = ("action", "old_action")
ROW = "key-action-invalid-state-err-{}-{}"


def used(kms, act):
    """Return a key that was imported and rotated, the bodies of three actions on it, and answers that they work."""
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
    """While it is suspended, an imported key that was rotated neither wraps nor unwraps nor rewraps, in either form."""
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
    """Once it is destroyed, an imported key that was rotated neither wraps nor unwraps nor rewraps, in either form."""
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
    """An imported key is rotated neither while it is suspended nor once it is destroyed, in either form."""
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
    """Nor is a key that was rotated before, long after that rotation."""
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
    """An imported standard key neither wraps nor is disabled or rotated, in the older form as in the present one."""
    root, standard = kms.create_root_key(), kms.import_standard_key()
    for action in ("wrap", "rotate", "disable"):
        body = {"plaintext": kms.key_material()} if action == "wrap" else None
        kms.old_action(root, action, body).succeeds(200, 204)
        row = f"key-root-req-err-{action}"
        kms.old_action(standard, action, body).is_refused("KEY_ROOT_REQ_ERR", requirement=row)
        kms.action(standard, action, body).is_refused(
            "KEY_ROOT_REQ_ERR", requirement=row, control="the same request in the older form"
        )


@covers("req-too-early-err-enable")
@waits(62)
def test_enable_too_early_again(kms):
    """The 30 seconds count each time that the key is disabled."""
    key = kms.create_root_key()
    for _ in range(2):
        kms.disable(key).succeeds(204)
        kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
        kms.wait(31, "30 seconds between disable and enable")
        kms.enable(key).succeeds(204)


@covers("req-too-early-err-enable", "req-too-early-err-restore", "old-action-form")
@waits(31)
def test_old_form_waits_too(kms):
    """The older form of enabling and restoring asks for the 30 seconds as well."""
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
    kms.old_action(suspended, "enable").succeeds(200, 204)
    kms.restore_key(destroyed, payload=destroyed.material).succeeds(201)


@covers("key-action-invalid-state-err-versions-disabled", "versions-deleted-on-request")
def test_versions_of_a_deleted_key(kms):
    """The versions of a destroyed key are listed when all states are asked for, and not otherwise."""
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
    """An imported key is deleted once, with or without force; being refused changes nothing of it."""
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
    """A manager without the role for purging does not purge a key."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.wait(14460, "four hours between delete and purge")
    below = "the same request succeeds below"
    kms.purge_key(key).is_refused("UNAUTHORIZED_ERR", control=below, requirement="purge-needs-role-manager")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5, requirement="purge-needs-role-manager")
    kms.as_identity("purger").purge_key(key).succeeds(200, 204, requirement="purge-needs-role")
