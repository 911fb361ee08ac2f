"""Which of two broken rules is reported, where a source says so."""

from kms_conformance.api import covers, needs


@covers("precedence-p1")
@needs(identity="outsider")
def test_no_access_before_bad_body(kms):
    """A caller without access is refused for that reason even when the body is invalid."""
    kms.create_key().succeeds(201)
    kms.as_identity("outsider").create_key(kms.key_body({})).is_refused("UNAUTHORIZED_ERR")


@covers("precedence-p1")
@needs(identity="reader")
def test_role_before_bad_body(kms):
    """Whose role does not allow a creation is refused for that reason even when there is no body, or none that can be read."""
    control = kms.create_key().succeeds(201)
    reader = kms.as_identity("reader")
    for raw in (b"", b'{"metadata": ', b"[]"):
        reader.create_key(raw=raw).is_refused("UNAUTHORIZED_ERR", control=control)


@covers("precedence-p15")
def test_sync_after_deletion(kms):
    """Sync right after a deletion is refused as too early, not for the key's state."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.sync(key).is_refused("REQ_TOO_EARLY_ERR", control="key_protect.sync.sync_after_an_hour")


@covers("precedence-p18")
def test_unknown_key_before_everything_about_it(kms):
    """A request for an unknown key is answered with not found, whatever else is wrong with it."""
    key, unknown = kms.create_root_key(), "00000000-0000-4000-8000-000000000000"
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.action(unknown, "unwrap").is_refused("KEY_NOT_FOUND_ERR")
    kms.delete_key(kms.create_root_key(), force=True).succeeds(200, 204)
    kms.delete_key(unknown, force=True).is_refused("KEY_NOT_FOUND_ERR")
