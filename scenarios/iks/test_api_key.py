"""Message 7: an API key that can no longer be exchanged for a token."""

import pytest

from kms_conformance.api import covers, impact, needs


@covers("iks-09", "iks-09-code", "iks-10")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("spelling", ["short", "long"])
def test_dead_key(iks, spelling):
    """A dead API key refuses every operation on infrastructure; after a reset by a valid user it succeeds."""
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201)
    workers = len(iks.list_workers(cluster).needed(200).body)
    iks.fault("api-key-deleted", spelling=spelling)
    refused = iks.add_worker(cluster).is_refused("TOKEN_EXCHANGE_FAILED")
    refused.is_refused("P0005", requirement="iks-09-code").shows(
        "type", "Authorization", requirement="iks-09-code"
    )
    iks.list_workers(cluster).succeeds(200).counts("", workers)
    iks.reset_api_key().succeeds(requirement="iks-10")
    iks.add_worker(cluster).succeeds(201, requirement="iks-10")


@covers("iks-10", "iks-09")
@needs(control=True)
@impact("account", "clusters")
def test_manual_credentials_help_too(iks):
    """Manual credentials stand in for a dead API key, as they count before it."""
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201)
    iks.fault("api-key-deleted")
    iks.add_worker(cluster).is_refused("TOKEN_EXCHANGE_FAILED", requirement="iks-09")
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.add_worker(cluster).succeeds(201, requirement="iks-09")
    iks.unset_credentials().succeeds()
    iks.reset_api_key().succeeds()
    iks.add_worker(cluster).succeeds(201)


@covers("iks-reset-owner", "iks-10")
@needs(identity="approver")
@impact("account", "clusters")
def test_owner_after_reset(iks):
    """After a reset by somebody else the owner of the key is that user, for each cluster of the place."""
    clusters = [iks.cluster(), iks.cluster()]
    before = iks.get_key_owner(clusters[0]).succeeds(200)["id"]
    iks.as_identity("approver").reset_api_key().succeeds()
    for cluster in clusters:
        iks.get_key_owner(cluster).succeeds(200).shows("id").differs("id", before)
    iks.reset_api_key().succeeds()
    iks.get_key_owner(clusters[0]).succeeds(200).shows("id", before)
