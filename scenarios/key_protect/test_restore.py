"""Restoring deleted keys: sections 17 and 22."""

from kms_conformance.api import covers, waits


@covers("key-impt-req-err")
@waits(31)
def test_restore_generated_key(kms):
    """The page allows restoring imported keys only; the service has restored every key since 2021."""
    control, key = kms.import_root_key(), kms.create_root_key()
    kms.delete_key(control).succeeds()
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=kms.key_material()).is_refused("KEY_IMPT_REQ_ERR")


@covers("key-impt-req-err-imported", "key-impt-req-err-data-readable", "restore-within-30-days")
@waits(31)
def test_restore_imported_key(kms):
    """A restored key is active and unwraps the ciphertexts from before its deletion."""
    key, plaintext = kms.import_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(key, payload=key.material).succeeds(
        201, requirement=("key-impt-req-err-imported", "restore-within-30-days")
    )
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(
        200, requirement="key-impt-req-err-data-readable"
    )
    unwrapped.shows("plaintext", plaintext, requirement="key-impt-req-err-data-readable")


@covers("key-expired-err", "precedence-p13")
@waits(93)
def test_restore_expired_key(kms):
    """A deleted key cannot be restored after its expiration date."""
    material = kms.key_material()
    key = kms.import_root_key(material, expirationDate=kms.later(60))
    control = kms.import_root_key()
    kms.wait(62, "the key's expiration date passes")
    kms.delete_key(key).succeeds()
    kms.delete_key(control).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=material).is_refused(
        "KEY_EXPIRED_ERR", requirement=("key-expired-err", "precedence-p13")
    )


@covers("key-action-invalid-state-err-restore-active")
@waits(31)
def test_restore_active_key(kms):
    """A key that is not deleted cannot be restored."""
    control, key = kms.import_root_key(), kms.import_root_key()
    kms.delete_key(control).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=key.material).is_refused("KEY_ACTION_INVALID_STATE_ERR")


@covers("key-restore-expired-within-30-days")
@waits(2591000, slack=1000)
def test_restore_within_30_days(kms):
    """A deleted key can be restored until shortly before 30 days have passed."""
    key = kms.import_root_key()
    kms.delete_key(key).succeeds()
    kms.wait(2591000, "almost 30 days", within=2592000)
    kms.restore_key(key, payload=key.material).succeeds(201)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-restore-expired")
@waits(2592060)
def test_restore_on_day_31(kms):
    """A deleted key cannot be restored a minute after 30 days have passed."""
    key = kms.import_root_key()
    kms.delete_key(key).succeeds()
    kms.wait(2592060, "30 days and a minute")
    restored = kms.restore_key(key, payload=key.material)
    restored.is_refused("KEY_RESTORE_EXPIRED", control="key_protect.restore.restore_within_30_days")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers("key-impt-req-err-wrong-material")
@waits(31)
def test_restore_with_other_material(kms):
    """Restoring a key with other key material is refused; a service that needs none may ignore it."""
    control, key = kms.import_root_key(), kms.import_root_key()
    kms.delete_key(control).succeeds()
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=kms.key_material()).is_refused_somehow()


@covers("key-root-req-err-restore")
@waits(31)
def test_restore_standard_key(kms):
    """The page refuses to restore a standard key; the service has restored every key since 2021."""
    control, key = kms.import_root_key(), kms.import_standard_key()
    kms.delete_key(control).succeeds()
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=key.material).is_refused("KEY_ROOT_REQ_ERR")


@covers("key-expired-err-before-expiry")
@waits(31)
def test_restore_before_expiry(kms):
    """A deleted key with an expiration date can be restored before that date."""
    key = kms.import_root_key(expirationDate=kms.later(7200))
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=7200)
    kms.restore_key(key, payload=key.material).succeeds(201)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-restore-expired-within-30-days")
@waits(2678431)
def test_restore_an_older_key(kms):
    """The 30 days for a restore count from the deletion, however old the key is."""
    key = kms.import_root_key()
    kms.wait(2678400, "the key is older than 30 days")
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore", within=2592000)
    kms.restore_key(key, payload=key.material).succeeds(201)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
