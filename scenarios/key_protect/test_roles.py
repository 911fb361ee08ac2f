"""What a reader can do, and what is refused with 401."""

import pytest

from kms_conformance.api import covers, impact, needs

reader = needs(identity="reader")


@covers("role-reader-lists", "role-reader-wraps")
@reader
def test_reader_reads_and_wraps(kms):
    """A reader can list keys, read metadata, wrap and unwrap."""
    key, plaintext, view = kms.create_root_key(), kms.key_material(), kms.as_identity("reader")
    listed = view.list_keys(search=key.name).succeeds(200, requirement="role-reader-lists")
    listed.lists("resources.*.id", key.id, requirement="role-reader-lists")
    view.get_metadata(key).succeeds(200, requirement="role-reader-lists")
    wrapped = view.wrap(key, plaintext).succeeds(200, requirement="role-reader-wraps")
    unwrapped = view.unwrap(key, wrapped["ciphertext"]).succeeds(200, requirement="role-reader-wraps")
    unwrapped.shows("plaintext", plaintext, requirement="role-reader-wraps")


@covers("role-reader-no-create", "precedence-p2", "unauthorized-err")
@reader
def test_reader_creates_no_key(kms):
    """A reader cannot create a key: an insufficient role is answered with 401."""
    kms.create_key().succeeds(201)
    name = kms.name()
    kms.as_identity("reader").create_key(name=name).is_refused(
        "UNAUTHORIZED_ERR", requirement=("role-reader-no-create", "precedence-p2", "unauthorized-err")
    )
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("rotate", marks=covers("role-reader-no-rotate")),
        pytest.param("disable", marks=covers("role-reader-no-disable")),
    ],
)
@reader
def test_reader_changes_no_key(kms, action):
    """A reader can neither rotate nor disable a key."""
    kms.action(kms.create_root_key(), action).succeeds(204)
    key = kms.create_root_key()
    kms.as_identity("reader").action(key, action).is_refused("UNAUTHORIZED_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    kms.list_versions(key).succeeds(200).counts("resources", 1)


@covers("role-reader-no-delete")
@reader
def test_reader_deletes_no_key(kms):
    """A reader cannot delete a key."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    kms.as_identity("reader").delete_key(key).is_refused("UNAUTHORIZED_ERR")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("role-reader-no-policies")
@reader
def test_reader_reads_no_policies(kms):
    """A reader cannot read a key's policies."""
    key = kms.create_root_key()
    kms.get_policies(key).succeeds(200)
    kms.as_identity("reader").get_policies(key).is_refused("UNAUTHORIZED_ERR")


@covers("role-reader-no-payload")
@reader
def test_reader_reads_no_material(kms):
    """A reader cannot read the key material of a standard key."""
    key = kms.create_standard_key()
    kms.get_key(key).succeeds(200).shows("resources.0.payload")
    kms.as_identity("reader").get_key(key).is_refused("UNAUTHORIZED_ERR").lacks("resources.0.payload")


@covers("role-reader-no-import-token")
@needs(identity="reader", capability="import_tokens")
@impact("import-token")
def test_reader_makes_no_import_token(kms):
    """A reader cannot create an import token."""
    kms.create_import_token(expiration=900).succeeds(200)
    kms.as_identity("reader").create_import_token(expiration=900).is_refused("UNAUTHORIZED_ERR")
