"""Rotation: sections 34 and 35, and that older ciphertexts can still be unwrapped afterwards."""

from kms_conformance.api import covers, impact, needs, waits


@covers("key-rotation-not-permitted", "key-rotation-not-permitted-first-at-once")
def test_rotate_twice_within_the_hour(kms):
    """A root key rotated less than an hour ago cannot be rotated again."""
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.rotate(key, payload=kms.key_material()).is_refused("KEY_ROTATION_NOT_PERMITTED")
    kms.list_versions(key).succeeds(200).counts("resources", 2)
    kms.wrap(key, kms.key_material()).succeeds(200).differs("keyVersion.id", key.id)


@covers("key-rotation-not-permitted")
@needs(identity="approver")
def test_rotate_after_another_user(kms):
    """The hour between two rotations is the key's, whoever rotates it and whoever made it."""
    key, other = kms.create_root_key(), kms.as_identity("approver")
    kms.rotate(key).succeeds(204)
    other.rotate(key).is_refused("KEY_ROTATION_NOT_PERMITTED")
    theirs = other.create_root_key()
    other.rotate(theirs).succeeds(204)
    kms.rotate(theirs).is_refused("KEY_ROTATION_NOT_PERMITTED")


@covers("key-rotation-not-permitted-generated", "rotate-generated-key")
def test_rotate_generated_key_twice(kms):
    """A generated root key cannot be rotated twice within an hour."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.rotate(key).is_refused("KEY_ROTATION_NOT_PERMITTED")


@covers("key-rotation-not-permitted-after-1h")
@waits(3601)
def test_rotate_again_after_an_hour(kms):
    """A root key can be rotated again after an hour."""
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.wait(3601, "one rotation an hour")
    kms.rotate(key, payload=kms.key_material()).succeeds(204)


@covers("key-payload-req-err", "key-payload-req-err-with-payload", "precedence-p9")
def test_rotate_imported_key_without_material(kms):
    """An imported root key can be rotated with key material only."""
    control, key = kms.import_root_key(), kms.import_root_key()
    kms.rotate(control, payload=kms.key_material()).succeeds(
        204, requirement="key-payload-req-err-with-payload"
    )
    kms.rotate(key).is_refused("KEY_PAYLOAD_REQ_ERR", requirement=("key-payload-req-err", "precedence-p9"))
    kms.list_versions(key).succeeds(200).counts("resources", 1)


@covers("invalid-query-param-err-rotate-payload")
def test_rotate_generated_key_with_material(kms):
    """A generated root key cannot be rotated with key material."""
    control, key = kms.create_root_key(), kms.create_root_key()
    kms.rotate(control).succeeds(204)
    kms.rotate(key, payload=kms.key_material()).is_refused(
        "INVALID_QUERY_PARAM_ERR", target=("query_param", "payload")
    )


@covers("rewrap-after-rotation", "rewrap-reveals-no-plaintext")
def test_rewrap_after_rotation(kms):
    """Rewrap moves a ciphertext to the newest version without revealing the plaintext."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.rotate(key).succeeds(204)
    rewrapped = (
        kms.rewrap(key, wrapped["ciphertext"]).succeeds(200).differs("ciphertext", wrapped["ciphertext"])
    )
    rewrapped.shows("keyVersion.id", wrapped["keyVersion.id"]).differs(
        "rewrappedKeyVersion.id", wrapped["keyVersion.id"]
    )
    rewrapped.lacks("plaintext", requirement="rewrap-reveals-no-plaintext")
    kms.unwrap(key, rewrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)


@covers("old-ciphertext-after-rotation", "old-ciphertext-returns-new")
def test_old_ciphertext_after_rotation(kms):
    """A ciphertext of an older version is still unwrapped, and a fresh ciphertext is returned with it."""
    key, plaintext = kms.import_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(200).shows("plaintext", plaintext)
    unwrapped.shows("ciphertext", requirement="old-ciphertext-returns-new")
    unwrapped.shows("rewrappedKeyVersion.id", requirement="old-ciphertext-returns-new")


@covers(
    "versions-after-rotation", "rotation-keeps-identity", "wrap-uses-newest-version", "metadata-key-version"
)
def test_versions_after_rotation(kms):
    """Rotation adds a version at the head of the list; id and name of the key stay."""
    key = kms.create_root_key()
    before = kms.list_versions(key).succeeds(200).counts("resources", 1)
    kms.rotate(key).succeeds(204)
    after = kms.list_versions(key).succeeds(200).counts("resources", 2)
    after.shows("resources.1.id", before["resources.0.id"]).differs(
        "resources.0.id", before["resources.0.id"]
    )
    same = (
        kms.get_metadata(key)
        .succeeds(200)
        .shows("resources.0.id", key.id, requirement="rotation-keeps-identity")
    )
    same.shows("resources.0.name", key.name, requirement="rotation-keeps-identity")
    same.shows("resources.0.keyVersion.id", after["resources.0.id"], requirement="metadata-key-version")
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    wrapped.shows("keyVersion.id", after["resources.0.id"], requirement="wrap-uses-newest-version")


@covers("first-version-is-key-id")
def test_first_version_is_the_key_id(kms):
    """Before any rotation, the id of the version is the id of the key."""
    key = kms.create_root_key()
    kms.wrap(key, kms.key_material()).succeeds(200).shows("keyVersion.id", key.id)


@covers("key-rotation-not-permitted-55-minutes")
@waits(3300, slack=300)
def test_rotate_again_after_55_minutes(kms):
    """A root key cannot be rotated again 55 minutes after a rotation."""
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.wait(3300, "the hour is not over", within=3600)
    kms.rotate(key, payload=kms.key_material()).is_refused("KEY_ROTATION_NOT_PERMITTED")


@covers("key-rotation-not-permitted-at-once")
def test_rotate_twice_at_the_same_moment(kms):
    """Of two rotations at the same moment one succeeds and the other is refused; one version is added."""
    key = kms.create_root_key()
    done, refused = kms.at_once(kms.rotate, key, key)
    done.succeeds(204)
    refused.is_refused("KEY_ROTATION_NOT_PERMITTED")
    kms.list_versions(key).succeeds(200).counts("resources", 2)


@covers("no-body-err-rotate-without-body")
def test_rotate_without_body(kms):
    """A generated root key can be rotated without a body."""
    kms.action(kms.create_root_key(), "rotate", None).succeeds(204)


@covers("versions-total-count", "versions-all-key-states", "key-action-invalid-state-err-versions-disabled")
def test_versions_on_request(kms):
    """Versions are counted on request; those of a suspended or deleted key are listed on request only."""
    key = kms.create_root_key()
    counted = kms.list_versions(key, totalCount=True).succeeds(200)
    counted.shows("metadata.totalCount", 1, requirement="versions-total-count")
    kms.disable(key).succeeds(204)
    row = "key-action-invalid-state-err-versions-disabled"
    kms.list_versions(key).is_refused("KEY_ACTION_INVALID_STATE_ERR", requirement=row)
    kms.list_versions(key, allKeyStates=True).succeeds(200, requirement=row).counts("resources", 1)
    kms.delete_key(key).succeeds(200, 204)
    deleted = kms.list_versions(key, allKeyStates=True).succeeds(200, requirement="versions-all-key-states")
    deleted.counts("resources", 1, requirement="versions-all-key-states")


@covers("key-rotation-not-permitted")
@needs(capability="import_tokens")
@impact("import-token")
def test_rotate_twice_by_token(kms):
    """A root key rotated with an import token cannot be rotated again within an hour."""
    token, key = kms.import_token(), kms.import_root_key()
    kms.rotate(key, wrapped=kms.wrap_for_import(token, kms.key_material())).succeeds(204)
    kms.rotate(key, wrapped=kms.wrap_for_import(token, kms.key_material())).is_refused(
        "KEY_ROTATION_NOT_PERMITTED"
    )
    kms.list_versions(key).succeeds(200).counts("resources", 2)


@covers("key-payload-req-err")
@needs(capability="import_tokens")
@impact("import-token")
def test_rotate_key_of_a_token_without_material(kms):
    """A root key imported with a token can be rotated with key material only."""
    token = kms.import_token()
    made = [
        kms.create_key(**kms.wrap_for_import(token, kms.key_material()).members()).succeeds(201)
        for _ in range(2)
    ]
    control, key = (answer["resources.0.id"] for answer in made)
    kms.rotate(control, wrapped=kms.wrap_for_import(token, kms.key_material())).succeeds(204)
    kms.rotate(key).is_refused("KEY_PAYLOAD_REQ_ERR")
    kms.list_versions(key).succeeds(200).counts("resources", 1)
