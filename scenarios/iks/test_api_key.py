"""Message 7: an API key that can no longer be exchanged for a token."""

import pytest

from kms_conformance.api import covers, impact, needs


@covers("iks-09", "iks-09-code", "iks-10")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("spelling", ["short", "long"])
def test_dead_key(iks, spelling):
    """Infrastructure operations fail while the API key cannot be exchanged, until a valid user resets it."""
    cluster = iks.cluster()
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED")
    workers = len(iks.worker_ids(cluster))
    iks.fault("api-key-deleted", spelling=spelling)
    refused = iks.add_worker(cluster).is_refused("TOKEN_EXCHANGE_FAILED")
    refused.is_refused("P0005", requirement="iks-09-code").shows(
        "type", "Authorization", requirement="iks-09-code"
    )
    iks.list_workers(cluster).succeeds(200).counts("", workers)
    iks.reset_api_key().succeeds(requirement="iks-10")
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED", requirement="iks-10")


@covers("iks-09", "iks-10")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("operation", ["create", "reload", "remove"])
def test_dead_key_and_other_operations(iks, operation):
    """Creating, reloading and removing fail while the API key cannot be exchanged."""
    cluster = iks.cluster()
    worker, spare = iks.first_worker(cluster), iks.new_worker(cluster)
    ask = {
        "create": lambda _: iks.create_cluster(),
        "reload": lambda chosen: iks.reload_worker(cluster, chosen),
        "remove": lambda chosen: iks.remove_worker(cluster, chosen),
    }[operation]
    ask(spare).succeeds()
    iks.fault("api-key-deleted")
    ask(worker).is_refused("TOKEN_EXCHANGE_FAILED")
    iks.get_worker(cluster, worker).succeeds(200)
    iks.reset_api_key().succeeds(requirement="iks-10")
    ask(worker).succeeds(requirement="iks-10")


@covers("iks-key-scope", "iks-09")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("place", ["region", "group"])
def test_key_elsewhere(iks, place):
    """An API key and its reset affect only their own region and resource group."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    here, there = iks.cluster(), elsewhere.cluster()
    iks.works(here, "TOKEN_EXCHANGE_FAILED")
    iks.fault("api-key-deleted")
    elsewhere.works(there, "TOKEN_EXCHANGE_FAILED", requirement="iks-key-scope")
    elsewhere.reset_api_key().succeeds()
    iks.add_worker(here).is_refused("TOKEN_EXCHANGE_FAILED", requirement=("iks-key-scope", "iks-09"))
    iks.reset_api_key().succeeds()
    iks.works(here, "TOKEN_EXCHANGE_FAILED")


@covers("iks-key-scope")
@needs(identity="approver")
@impact("account", "clusters")
@pytest.mark.parametrize("place", ["region", "group"])
def test_owner_elsewhere(iks, place):
    """Resetting the API key of another region or resource group leaves the key owner here."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    cluster = iks.cluster()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    elsewhere.as_identity("approver").reset_api_key().succeeds()
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    elsewhere.reset_api_key().succeeds()


@covers("iks-10", "iks-09", "iks-03")
@needs(control=True)
@impact("account", "clusters")
def test_manual_credentials_help_too(iks):
    """With manual credentials set, operations succeed although the API key cannot be exchanged."""
    cluster = iks.cluster()
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED")
    iks.fault("api-key-deleted")
    iks.add_worker(cluster).is_refused("TOKEN_EXCHANGE_FAILED", requirement="iks-09")
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED", requirement="iks-09")
    iks.get_credentials().succeeds(200)
    iks.unset_credentials().succeeds()
    iks.reset_api_key().succeeds()
    iks.get_credentials().is_refused("E0051", requirement="iks-03")
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED")


@covers("iks-reset-owner", "iks-10")
@needs(identity="approver")
@impact("account", "clusters")
@pytest.mark.parametrize("manual", [False, True], ids=["api-key", "manual"])
def test_owner_after_reset(iks, manual):
    """After a reset by another user, that user owns the API key of each cluster of the region and group."""
    clusters = [iks.cluster(), iks.cluster()]
    if manual:
        iks.set_credentials(iks.credential()).needed(200, 204)
    before = iks.get_key_owner(clusters[0]).succeeds(200).shows("name").shows("email")
    iks.as_identity("approver").reset_api_key().succeeds(requirement="iks-10")
    # The owner may be a service, which has no address.
    telling = [member for member in ("id", "email") if before[member]]
    for cluster in clusters:
        owner = iks.get_key_owner(cluster).succeeds(200)
        for member in telling:
            owner.shows(member).differs(member, before[member])
    iks.reset_api_key().succeeds()
    owner = iks.get_key_owner(clusters[0]).succeeds(200)
    for member in ("id", "name", "email"):
        owner.shows(member, before[member])


@covers("iks-reset-owner")
@needs(identity="approver")
@impact("account", "clusters")
def test_reset_before_the_first_cluster(iks):
    """Who resets the API key owns it, also where no cluster was there yet and somebody else creates the first one."""
    iks.as_identity("approver").reset_api_key().succeeds()
    cluster = iks.cluster()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    iks.as_identity("approver").reset_api_key().succeeds()
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    iks.reset_api_key().succeeds()
    iks.get_key_owner(cluster).succeeds(200).differs("id", owner)


@covers("iks-10", "iks-09")
@needs(control=True, identity="approver")
@impact("account", "clusters")
def test_reset_by_somebody_else(iks):
    """Any valid user's reset replaces an API key that cannot be exchanged, not only its owner's."""
    cluster = iks.cluster()
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED")
    iks.fault("api-key-deleted")
    iks.add_worker(cluster).is_refused("TOKEN_EXCHANGE_FAILED", requirement="iks-09")
    iks.as_identity("approver").reset_api_key().succeeds()
    iks.works(cluster, "TOKEN_EXCHANGE_FAILED")
