"""Synchronising the services that use a key."""

from kms_conformance.api import covers, waits


@covers("req-too-early-err-sync", "sync-after-an-hour")
@waits(3601)
def test_sync_after_an_hour(kms):
    """Within an hour of the last notification sync is refused, afterwards accepted, and then refused again."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.sync(key).is_refused("REQ_TOO_EARLY_ERR", control="the same request succeeds below")
    kms.wait(3601, "an hour after the last notification")
    kms.sync(key).succeeds(204, requirement="sync-after-an-hour")
    kms.sync(key).is_refused("REQ_TOO_EARLY_ERR", control="the request before")
