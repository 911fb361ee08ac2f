"""What a key's state allows: sections 7, 8 and 27."""

import pytest

from kms_conformance.api import covers, impact, needs, waits


@covers("key-deleted-err", "precedence-p11")
def test_delete_twice(kms):
    """A key can be deleted once."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds()
    kms.delete_key(key).is_refused("KEY_DELETED_ERR")


@covers("key-deleted-err-standard")
def test_delete_standard_key_twice(kms):
    """So can a standard key."""
    key = kms.create_standard_key()
    kms.delete_key(key).succeeds()
    kms.delete_key(key).is_refused("KEY_DELETED_ERR")


@covers("key-action-invalid-state-err-disable-twice", "key-action-invalid-state-err", "state-after-disable")
def test_disable_twice(kms):
    """A suspended key cannot be disabled (example 1)."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2, requirement="state-after-disable")
    kms.disable(key).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2, requirement="state-after-disable")


@covers("key-action-invalid-state-err-enable-active", "state-after-enable")
@waits(31)
def test_enable_active_key(kms):
    """Only a suspended key is enabled; an active one is refused."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement="state-after-enable")
    kms.wait(0, "the key is active for good")
    kms.enable(kms.create_root_key()).is_refused("KEY_ACTION_INVALID_STATE_ERR")


@covers(
    "key-action-invalid-state-err-wrap-disabled",
    "key-action-invalid-state-err-unwrap-disabled",
    "key-action-invalid-state-err-rewrap-disabled",
    "key-action-invalid-state-err-rotate-disabled",
)
@pytest.mark.parametrize("action", ["wrap", "unwrap", "rewrap", "rotate"])
def test_action_on_disabled_key(kms, action):
    """A suspended key neither wraps nor unwraps nor rewraps, and is not rotated."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    bodies = {"wrap": {"plaintext": kms.key_material()}, "rotate": None}
    body = bodies.get(action, {"ciphertext": ciphertext})
    control = kms.action(kms.create_root_key() if action == "rotate" else key, action, body).succeeds()
    kms.disable(key).succeeds(204)
    row = f"key-action-invalid-state-err-{action}-disabled"
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control, requirement=row)


@covers("disabled-key-readable", "disabled-key-listed", "disabled-key-deletable")
def test_disabled_key_is_still_there(kms):
    """A suspended key can be read, is listed, and can be deleted."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.get_key(key).succeeds(200).shows("resources.0.state", 2)
    kms.list_keys(search=key.name).succeeds(200).lists(
        "resources.*.id", key.id, requirement="disabled-key-listed"
    )
    kms.delete_key(key).succeeds(requirement="disabled-key-deletable")


@covers("disabled-key-unwraps-after-enable")
@waits(31)
def test_unwrap_after_enable(kms):
    """What was wrapped before the key was disabled is unwrapped once it is enabled again."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    ciphertext = kms.wrap(key, plaintext).succeeds(200)["ciphertext"]
    kms.disable(key).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204)
    kms.unwrap(key, ciphertext).succeeds(200).shows("plaintext", plaintext)


@covers("key-action-invalid-state-err-wrap-deleted", "key-action-invalid-state-err-unwrap-deleted")
@pytest.mark.parametrize("action", ["wrap", "unwrap"])
def test_action_on_deleted_key(kms, action):
    """A destroyed key neither wraps nor unwraps."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    body = {"plaintext": kms.key_material()} if action == "wrap" else {"ciphertext": ciphertext}
    kms.action(key, action, body).succeeds(200)
    kms.delete_key(key).succeeds()
    row = f"key-action-invalid-state-err-{action}-deleted"
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row).lacks(
        "plaintext", requirement=row
    )


@covers("key-action-invalid-state-err-purge-live", "precedence-p14")
@needs(identity="purger")
def test_purge_live_key(kms):
    """A key that is not deleted cannot be purged."""
    key = kms.create_root_key()
    control = kms.get_key(key).succeeds(200)
    purger = kms.as_identity("purger")
    purger.purge_key(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control)
    kms.get_key(key).succeeds(200).shows("resources.0.state", 1)
    kms.disable(key).succeeds(204)
    purger.purge_key(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control)
    kms.get_key(key).succeeds(200).shows("resources.0.state", 2)


@covers("req-too-early-err-enable", "req-too-early-err", "req-too-early-err-enable-after-30s")
@waits(31)
def test_enable_too_early(kms):
    """A key is not enabled within 30 seconds of being disabled; afterwards it is."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2)
    kms.wait(24, "the 30 seconds are not over", within=30)
    kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
    kms.wait(7, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204, requirement="req-too-early-err-enable-after-30s")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("req-too-early-err-restore", "req-too-early-err-restore-after-30s", "state-after-restore")
@waits(31)
def test_restore_too_early(kms):
    """A key is not restored within 30 seconds of being deleted; afterwards it is."""
    key = kms.import_root_key()
    kms.delete_key(key).succeeds()
    kms.restore_key(key, payload=key.material).is_refused(
        "REQ_TOO_EARLY_ERR", control="the same request succeeds below"
    )
    kms.wait(24, "the 30 seconds are not over", within=30)
    kms.restore_key(key, payload=key.material).is_refused(
        "REQ_TOO_EARLY_ERR", control="the same request succeeds below"
    )
    kms.wait(7, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(key, payload=key.material).succeeds(
        201, requirement="req-too-early-err-restore-after-30s"
    )
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement="state-after-restore")


@covers(
    "key-action-invalid-state-err-rewrap-deleted",
    "key-action-invalid-state-err-rotate-deleted",
    "key-action-invalid-state-err-disable-deleted",
)
@pytest.mark.parametrize("action", ["rewrap", "rotate", "disable"])
def test_other_action_on_deleted_key(kms, action):
    """Nor does a destroyed key rewrap; it is neither rotated nor disabled."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    body = {"ciphertext": ciphertext} if action == "rewrap" else None
    kms.action(key if action == "rewrap" else kms.create_root_key(), action, body).succeeds()
    kms.delete_key(key).succeeds()
    row = f"key-action-invalid-state-err-{action}-deleted"
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5, requirement=row)


@covers(
    "key-action-invalid-state-err-set-deletion-disabled",
    "key-action-invalid-state-err-unset-deletion-disabled",
)
@needs(identity="approver", capability="dual_auth")
@impact("litter")
def test_authorise_deletion_of_suspended_key(kms):
    """While a key is suspended, its deletion is neither authorised nor is an authorisation withdrawn."""
    key = kms.create_root_key()
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).succeeds(200)
    kms.set_for_deletion(key).succeeds(204)
    kms.unset_for_deletion(key).succeeds(204)
    kms.set_for_deletion(key).succeeds(204)
    kms.disable(key).succeeds(204)
    for action in ("set", "unset"):
        row = f"key-action-invalid-state-err-{action}-deletion-disabled"
        refused = getattr(kms, f"{action}_for_deletion")(key)
        refused.is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row)


@covers(
    "key-action-invalid-state-err-wrap-expired",
    "state-after-expiry",
    "key-action-invalid-state-err-unwrap-expired",
    "key-action-invalid-state-err-rotate-expired",
)
@waits(3662)
def test_actions_on_expired_key(kms):
    """An hour after its expiration date a key is deactivated and does not wrap any more."""
    key, control = kms.create_root_key(expirationDate=kms.later(60)), kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    kms.unwrap(key, ciphertext).succeeds(200)
    kms.rotate(control).succeeds(204)
    kms.wait(3662, "the key expires, and its state follows within an hour")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 3, requirement="state-after-expiry")
    kms.wrap(key, kms.key_material()).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    row = "key-action-invalid-state-err-{}-expired"
    kms.unwrap(key, ciphertext).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row.format("unwrap"))
    kms.rotate(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row.format("rotate"))
