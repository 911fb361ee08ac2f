"""Synchronising the services that use a key."""

from kms_conformance.api import covers, needs, waits


@covers("req-too-early-err-sync", "sync-after-an-hour")
@waits(3601)
def test_sync_after_an_hour(kms):
    """Sync is refused within an hour of the last notification, accepted afterwards, and refused again."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.sync(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
    kms.wait(3601, "an hour after the last notification")
    kms.sync(key).succeeds(204, requirement="sync-after-an-hour")
    kms.sync(key).is_refused("REQ_TOO_EARLY_ERR", control="the request before")


@covers("role-reader-no-sync")
@needs(identity="reader")
@waits(3601)
def test_reader_does_not_sync(kms):
    """A reader cannot notify the services that use a key; a manager can."""
    key = kms.create_root_key()
    kms.wait(3601, "an hour after the last notification")
    below = "the same request succeeds below"
    kms.as_identity("reader").sync(key).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.sync(key).succeeds(204)
