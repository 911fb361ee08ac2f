"""What a key's state allows: sections 7, 8 and 27."""

import pytest

from kms_conformance.api import covers, impact, needs, waits


@covers("key-deleted-err", "precedence-p11")
def test_delete_twice(kms):
    """A root key cannot be deleted twice."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds()
    kms.delete_key(key).is_refused("KEY_DELETED_ERR", requirement=("key-deleted-err", "precedence-p11"))


@covers("key-deleted-err-standard")
def test_delete_standard_key_twice(kms):
    """A standard key cannot be deleted twice."""
    key = kms.create_standard_key()
    kms.delete_key(key).succeeds()
    kms.delete_key(key).is_refused("KEY_DELETED_ERR")


@covers("key-action-invalid-state-err-disable-twice", "key-action-invalid-state-err", "state-after-disable")
def test_disable_twice(kms):
    """A suspended key cannot be disabled (example 1)."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2, requirement="state-after-disable")
    kms.disable(key).is_refused(
        "KEY_ACTION_INVALID_STATE_ERR",
        requirement=("key-action-invalid-state-err-disable-twice", "key-action-invalid-state-err"),
    )
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2, requirement="state-after-disable")


@covers("key-action-invalid-state-err-enable-active", "state-after-enable")
@waits(31)
def test_enable_active_key(kms):
    """An active key cannot be enabled: only a suspended key can."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement="state-after-enable")
    kms.wait(0, "the key is active and settled")
    kms.enable(kms.create_root_key()).is_refused("KEY_ACTION_INVALID_STATE_ERR")


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("wrap", marks=covers("key-action-invalid-state-err-wrap-disabled")),
        pytest.param("unwrap", marks=covers("key-action-invalid-state-err-unwrap-disabled")),
        pytest.param("rewrap", marks=covers("key-action-invalid-state-err-rewrap-disabled")),
        pytest.param("rotate", marks=covers("key-action-invalid-state-err-rotate-disabled")),
    ],
)
def test_action_on_disabled_key(kms, action):
    """A suspended key can neither wrap, unwrap nor rewrap, and cannot be rotated."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    bodies = {"wrap": {"plaintext": kms.key_material()}, "rotate": None}
    body = bodies.get(action, {"ciphertext": ciphertext})
    control = kms.action(kms.create_root_key() if action == "rotate" else key, action, body).succeeds()
    kms.disable(key).succeeds(204)
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control)


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
    """A ciphertext from before a key was disabled is unwrapped once the key is enabled again."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    ciphertext = kms.wrap(key, plaintext).succeeds(200)["ciphertext"]
    kms.disable(key).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204)
    kms.unwrap(key, ciphertext).succeeds(200).shows("plaintext", plaintext)


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("wrap", marks=covers("key-action-invalid-state-err-wrap-deleted")),
        pytest.param("unwrap", marks=covers("key-action-invalid-state-err-unwrap-deleted")),
    ],
)
def test_action_on_deleted_key(kms, action):
    """A destroyed key can neither wrap nor unwrap."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    body = {"plaintext": kms.key_material()} if action == "wrap" else {"ciphertext": ciphertext}
    kms.action(key, action, body).succeeds(200)
    kms.delete_key(key).succeeds()
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR").lacks("plaintext")


@covers("key-action-invalid-state-err-purge-live", "precedence-p14")
@needs(identity="purger")
def test_purge_live_key(kms):
    """A key that is not deleted cannot be purged."""
    key = kms.create_root_key()
    control = kms.get_key(key).succeeds(200)
    purger = kms.as_identity("purger")
    rows = ("key-action-invalid-state-err-purge-live", "precedence-p14")
    purger.purge_key(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control, requirement=rows)
    kms.get_key(key).succeeds(200).shows("resources.0.state", 1)
    kms.disable(key).succeeds(204)
    purger.purge_key(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", control=control, requirement=rows)
    kms.get_key(key).succeeds(200).shows("resources.0.state", 2)


@covers("req-too-early-err-enable", "req-too-early-err", "req-too-early-err-enable-after-30s")
@waits(31, slack=6)
def test_enable_too_early(kms):
    """A key cannot be enabled within 30 seconds of being disabled; afterwards it can."""
    key = kms.create_root_key()
    kms.disable(key).succeeds(204)
    rows, below = ("req-too-early-err-enable", "req-too-early-err"), "the same request succeeds below"
    kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control=below, requirement=rows)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2)
    kms.wait(24, "the 30 seconds are not over", within=30)
    kms.enable(key).is_refused("REQ_TOO_EARLY_ERR", control=below, requirement=rows)
    kms.wait(7, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204, requirement="req-too-early-err-enable-after-30s")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("req-too-early-err-restore", "req-too-early-err-restore-after-30s", "state-after-restore")
@waits(31, slack=6)
def test_restore_too_early(kms):
    """A key cannot be restored within 30 seconds of being deleted; afterwards it can."""
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


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("rewrap", marks=covers("key-action-invalid-state-err-rewrap-deleted")),
        pytest.param("rotate", marks=covers("key-action-invalid-state-err-rotate-deleted")),
        pytest.param("disable", marks=covers("key-action-invalid-state-err-disable-deleted")),
    ],
)
def test_other_action_on_deleted_key(kms, action):
    """A destroyed key cannot rewrap, and can be neither rotated nor disabled."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    body = {"ciphertext": ciphertext} if action == "rewrap" else None
    kms.action(key if action == "rewrap" else kms.create_root_key(), action, body).succeeds()
    kms.delete_key(key).succeeds()
    kms.action(key, action, body).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers(
    "key-action-invalid-state-err-set-deletion-disabled",
    "key-action-invalid-state-err-unset-deletion-disabled",
)
@needs(identity="approver", capability="dual_auth")
@impact("litter")
def test_authorise_deletion_of_suspended_key(kms):
    """A suspended key can be neither set nor unset for deletion."""
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
    """A key is deactivated within an hour of its expiration date and cannot wrap any more."""
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
