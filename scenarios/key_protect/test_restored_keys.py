"""A restored key is the key from before its deletion, with its versions, names and limits."""

from kms_conformance.api import covers, impact, needs, waits

SETTLED = "30 seconds between delete and restore"


def restored(kms, key):
    """Delete a key and restore it."""
    kms.delete_key(key).succeeds()
    kms.wait(31, SETTLED)
    return kms.restore_key(key, payload=key.material).succeeds(201)


@covers("key-impt-req-err-data-readable", "restored-key-versions")
@waits(31)
def test_restored_key_opens_older_ciphertexts(kms):
    """A restored key unwraps the ciphertexts of each of its versions, and wraps with the newest one."""
    key, plaintext = kms.import_root_key(), kms.key_material()
    older = kms.wrap(key, plaintext).succeeds(200)
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    newer = kms.wrap(key, plaintext, ["bound"]).succeeds(200)
    restored(kms, key)
    for wrapped, aad in ((older, None), (newer, ["bound"])):
        opened = kms.unwrap(key, wrapped["ciphertext"], aad)
        opened.succeeds(200, requirement="key-impt-req-err-data-readable").shows("plaintext", plaintext)
    kms.list_versions(key).succeeds(200).counts("resources", 2, requirement="restored-key-versions")
    again = kms.wrap(key, kms.key_material()).succeeds(200)
    again.shows("keyVersion.id", newer["keyVersion.id"], requirement="restored-key-versions")


@covers("restored-key-same", "restored-key-listed", "state-after-restore")
@waits(31)
def test_restored_key_is_the_same(kms):
    """A restored key has its earlier name, description and tags, and is listed again."""
    key = kms.import_root_key(description="kept by a restore", tags=["kept"], expirationDate=kms.later(7200))
    expires = kms.get_metadata(key).succeeds(200)["resources.0.expirationDate"]
    answer = restored(kms, key)
    for shown in (answer, kms.get_metadata(key).succeeds(200)):
        shown.shows("resources.0.id", key.id, requirement="restored-key-same")
        shown.shows("resources.0.name", key.name, requirement="restored-key-same")
        shown.shows("resources.0.description", "kept by a restore", requirement="restored-key-same")
        shown.shows("resources.0.expirationDate", expires, requirement="restored-key-same")
        shown.shows("resources.0.imported", value=True, requirement="restored-key-same")
        shown.lacks("resources.0.payload", requirement="restored-key-same")
        shown.shows("resources.0.state", 1, requirement="state-after-restore")
        shown.shows("resources.0.deleted", value=False, requirement="state-after-restore")
    listed = kms.list_keys(search=key.name).succeeds(200)
    listed.lists("resources.*.id", key.id, requirement="restored-key-listed")


@covers("restored-key-alias")
@needs(capability="aliases")
@waits(31)
def test_restored_key_has_its_alias(kms):
    """The alias of a restored key addresses it as before."""
    alias = kms.short_name("kept")
    key = kms.import_root_key(aliases=[alias])
    kms.get_metadata(alias).succeeds(200)
    restored(kms, key)
    shown = kms.get_metadata(alias).succeeds(200, requirement="restored-key-alias")
    shown.shows("resources.0.id", key.id, requirement="restored-key-alias")


@covers("key-rotation-not-permitted-after-restore")
@waits(31)
def test_restoring_does_not_shorten_the_hour(kms):
    """A key that was rotated, deleted and restored within an hour cannot be rotated again in that hour."""
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    restored(kms, key)
    kms.rotate(key, payload=kms.key_material()).is_refused("KEY_ROTATION_NOT_PERMITTED")


@covers("key-rotation-not-permitted-after-enable")
@waits(31)
def test_enabling_does_not_shorten_the_hour(kms):
    """A key that was rotated, disabled and enabled within an hour cannot be rotated again in that hour."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.disable(key).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(key).succeeds(204)
    kms.rotate(key).is_refused("KEY_ROTATION_NOT_PERMITTED")


@covers("dual-auth-after-restore", "authorizations-not-met")
@needs(identity="approver", capability="dual_auth")
@impact("litter")
@waits(31)
def test_restored_key_needs_two_again(kms):
    """A restored key is still under dual authorisation and needs a new authorisation for deletion."""
    key, second = kms.import_root_key(), kms.as_identity("approver")
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).succeeds(200)
    kms.set_for_deletion(key).succeeds(204)
    second.delete_key(key).succeeds(200, 204)
    kms.wait(31, SETTLED)
    kms.restore_key(key, payload=key.material).succeeds(201)
    row = "dual-auth-after-restore"
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", requirement="authorizations-not-met")
    second.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", requirement=row)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement=row)


@covers("key-expired-err-deleted-before", "key-expired-err")
@waits(93)
def test_restore_after_an_expiry_in_the_meantime(kms):
    """A key that expires after its deletion cannot be restored."""
    key, control = kms.import_root_key(expirationDate=kms.later(60)), kms.import_root_key()
    kms.delete_key(key).succeeds()
    kms.delete_key(control).succeeds()
    kms.wait(93, "the key's expiration date passes")
    kms.restore_key(control, payload=control.material).succeeds(201)
    refused = kms.restore_key(key, payload=key.material)
    refused.is_refused("KEY_EXPIRED_ERR", requirement=("key-expired-err-deleted-before", "key-expired-err"))
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers("key-action-invalid-state-err-restore-suspended")
@waits(31)
def test_restore_suspended_key(kms):
    """A suspended key cannot be restored: only destroyed keys can."""
    control, key = kms.import_root_key(), kms.import_root_key()
    kms.delete_key(control).succeeds()
    kms.disable(key).succeeds(204)
    kms.wait(31, SETTLED)
    kms.restore_key(control, payload=control.material).succeeds(201)
    kms.restore_key(key, payload=key.material).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    kms.restore_key(control, payload=control.material).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2)


@covers("restored-key-ring")
@needs(capability="key_rings")
@waits(31)
def test_restored_key_is_in_its_ring(kms):
    """A restored key is in its earlier key ring, and in no other."""
    inside, elsewhere = kms.in_ring(kms.new_ring()), kms.in_ring(kms.new_ring())
    key = inside.import_root_key()
    inside.get_metadata(key).succeeds(200)
    restored(inside, key)
    inside.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    elsewhere.get_metadata(key).is_refused_somehow(404)
