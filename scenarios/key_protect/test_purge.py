"""Purging deleted keys: on request after four hours, automatically after 90 days."""

from kms_conformance.api import covers, needs, waits


@covers("req-too-early-err-purge")
@needs(identity="purger")
def test_purge_at_once(kms):
    """A key cannot be purged right after its deletion."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    early = kms.as_identity("purger").purge_key(key)
    early.is_refused("REQ_TOO_EARLY_ERR", control="key_protect.purge.purge_after_four_hours")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers("purge-not-before-4h")
@needs(identity="purger")
@waits(13500, slack=900)
def test_purge_too_early(kms):
    """A key cannot be purged three hours and 45 minutes after its deletion."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.wait(13500, "the four hours are not over", within=14400)
    early = kms.as_identity("purger").purge_key(key)
    early.is_refused("REQ_TOO_EARLY_ERR", control="key_protect.purge.purge_after_four_hours")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)


@covers("purge-after-4h", "key-not-found-err", "req-too-early-err-purge")
@needs(identity="purger")
@waits(14460)
def test_purge_after_four_hours(kms):
    """A key can be purged four hours after its deletion, and is not found afterwards."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    early = kms.as_identity("purger").purge_key(key)
    early.is_refused(
        "REQ_TOO_EARLY_ERR", control="the same request succeeds below", requirement="req-too-early-err-purge"
    )
    kms.wait(14460, "four hours between delete and purge", within=7776000)
    kms.get_metadata(key).succeeds(200)
    kms.as_identity("purger").purge_key(key).succeeds(200, 204, requirement="purge-after-4h")
    kms.get_metadata(key).is_refused("KEY_NOT_FOUND_ERR", requirement="key-not-found-err")


@covers("purge-needs-role")
@needs(identity=("reader", "purger"))
@waits(14460)
def test_purge_without_the_role(kms):
    """A caller without the KeyPurge role cannot purge a key."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.wait(14460, "four hours between delete and purge", within=7776000)
    control = kms.get_metadata(key).succeeds(200)
    kms.as_identity("reader").purge_key(key).is_refused("UNAUTHORIZED_ERR", control=control)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)
    kms.as_identity("purger").purge_key(key).succeeds(200, 204, requirement="purge-needs-role")


@covers("deleted-key-kept-45-days")
@waits(3888000)
def test_key_is_kept(kms):
    """A deleted key still exists 45 days after its deletion."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.wait(3888000, "half of the 90 days", within=7776000)
    kms.get_metadata(key).succeeds(200, requirement="deleted-key-kept-45-days").shows("resources.0.state", 5)


@covers("auto-purge-after-91-days")
@waits(7862400)
def test_key_purges_itself(kms):
    """A deleted key no longer exists 91 days after its deletion."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.get_metadata(key).succeeds(200)
    kms.wait(7862400, "the 90 days and one more")
    kms.get_metadata(key).is_refused("KEY_NOT_FOUND_ERR")


@covers("purge-not-before-4h")
@needs(identity="purger")
@waits(14460)
def test_purge_of_an_older_key(kms):
    """The four hours before a purge count from the deletion, however old the key is."""
    key = kms.create_root_key()
    kms.wait(14460, "the key is older than four hours")
    kms.delete_key(key).succeeds(200, 204)
    early = kms.as_identity("purger").purge_key(key)
    early.is_refused("REQ_TOO_EARLY_ERR", control="key_protect.purge.purge_after_four_hours")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)
