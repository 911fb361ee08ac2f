"""Further cases on expired and deleted keys, and on callers that a network policy does not allow."""

from kms_conformance.api import covers, impact, needs, waits

ELSEWHERE = "203.0.113.77"  # from a range that RFC 5737 reserves for documentation
OTHER = "8d2f5c5e-6a1b-4f6e-8f0d-2b7a9c1e4d30"
KEPT = "an hour after its expiration date the key is deactivated"


@covers("key-action-invalid-state-err-enable-deleted")
@waits(31)
def test_enable_deleted_key(kms):
    """A destroyed key cannot be enabled, however long ago it was suspended."""
    key, control = kms.create_root_key(), kms.create_root_key()
    kms.disable(key).succeeds(204)
    kms.disable(control).succeeds(204)
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between one action and the next")
    kms.enable(control).succeeds(204)
    kms.enable(key).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers(
    "key-action-invalid-state-err-disable-expired",
    "deactivated-key-deletable",
    "key-action-invalid-state-err-versions-disabled",
)
@waits(3662)
def test_deactivated_key(kms):
    """A deactivated key cannot be disabled; it can be read and deleted, and its versions be listed."""
    key, control = kms.create_root_key(expirationDate=kms.later(60)), kms.create_root_key()
    kms.disable(control).succeeds(204)
    kms.wait(3662, KEPT)
    kms.disable(key).is_refused("KEY_ACTION_INVALID_STATE_ERR")
    row = "key-action-invalid-state-err-versions-disabled"
    below = "the same request succeeds below"
    usual = kms.list_versions(key, allKeyStates=False)
    usual.is_refused("KEY_ACTION_INVALID_STATE_ERR", control=below, requirement=row)
    kms.list_versions(key, allKeyStates=True).succeeds(200, requirement=row).counts("resources", 1)
    kms.get_key(key).succeeds(200).shows("resources.0.id", key.id)
    kms.delete_key(key).succeeds(200, 204, requirement="deactivated-key-deletable")


@covers("state-after-restore")
@waits(31)
def test_restore_of_a_key_that_was_suspended(kms):
    """A key that was suspended before its deletion is active after it is restored."""
    key = kms.import_root_key()
    kms.disable(key).succeeds(204)
    kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between delete and restore")
    kms.restore_key(key, payload=key.material).succeeds(201)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("invalid-field-err-ciphertext")
def test_ciphertext_that_was_cut(kms):
    """Unwrapping a truncated ciphertext is refused."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    kms.unwrap(key, ciphertext).succeeds(200)
    kms.unwrap(key, kms.damaged(ciphertext, "cut")).is_refused(
        "INVALID_FIELD_ERR", target=("field", "ciphertext")
    ).lacks("plaintext")


@covers("unauthorized-err-allowed-ip-actions")
@needs(control=True, capability=("allowed_ip", "faults"))
@impact("allowed-ip")
def test_caller_from_elsewhere_uses_no_key(kms):
    """A caller from an address that the policy does not allow can neither read, wrap with nor delete a key."""
    elsewhere, key = kms.from_address(ELSEWHERE), kms.create_root_key()
    read = elsewhere.get_metadata(key).succeeds(200)
    wrapped = elsewhere.wrap(key, kms.key_material()).succeeds(200)
    kms.restrict_addresses(kms.everywhere_but_here()).succeeds(204)
    elsewhere.get_metadata(key).is_refused("UNAUTHORIZED_ERR", control=read)
    elsewhere.wrap(key, kms.key_material()).is_refused("UNAUTHORIZED_ERR", control=wrapped).lacks(
        "ciphertext"
    )
    elsewhere.delete_key(key).is_refused("UNAUTHORIZED_ERR", control="the same request succeeds below")
    kms.wrap(key, kms.key_material()).succeeds(200)
    kms.set_instance_policy("allowedIP", enabled=False).succeeds(204)
    elsewhere.delete_key(key).succeeds(200, 204)


@covers("instances-are-separate")
@needs(capability="import_tokens")
@impact("import-token")
def test_import_token_of_another_instance(kms):
    """The import token of an instance cannot be retrieved through another instance."""
    kms.create_import_token(expiration=900, maxAllowedRetrievals=3).succeeds(200)
    kms.get_import_token().succeeds(200).shows("remainingRetrievals", 2)
    other = kms.with_headers(bluemix_instance=OTHER).get_import_token()
    other.is_refused_somehow(401, 403, 404, 409).lacks("payload").lacks("nonce")
    kms.get_import_token().succeeds(200).shows("remainingRetrievals", 1)
