"""Message 10: a classic key that no longer exists, and which credential is used."""

import pytest

from kms_conformance.api import covers, impact, needs


@covers("iks-05", "iks-no-secret")
@needs(control=True)
@impact("account", "clusters")
def test_manual_credentials_win(iks):
    """Manual credentials take precedence over a working API key, and the key owner stays."""
    cluster = iks.cluster()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    iks.works(cluster, "INVALID_API_KEY")
    credential = iks.credential()
    iks.set_credentials(credential).succeeds(200, 204)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    for answer in (iks.get_key_owner(cluster), iks.list_clusters(), iks.list_workers(cluster)):
        answer.hides("infrastructure key", credential.key, requirement="iks-no-secret")
    iks.works(cluster, "INVALID_API_KEY")
    iks.fault("manual-key-deleted")
    iks.fails(cluster, "INVALID_API_KEY", requirement="iks-05")
    iks.unset_credentials().succeeds()
    iks.works(cluster, "INVALID_API_KEY")


@covers("iks-06", "iks-07", "iks-no-secret")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("of", ["", "other"], ids=["same-user", "other-user"])
def test_reset_does_not_heal(iks, of):
    """A deleted classic key makes operations fail until an existing one is set; a reset does not help."""
    gone, anew = iks.credential(), iks.another_key(of)
    iks.set_credentials(gone).succeeds(200, 204)
    cluster = iks.cluster()
    iks.works(cluster, "INVALID_API_KEY")
    iks.fault("manual-key-deleted")
    failed = iks.fails(cluster, "INVALID_API_KEY")
    failed.hides("infrastructure key", gone.key, requirement="iks-no-secret")
    iks.reset_api_key().succeeds(requirement="iks-07")
    iks.fails(cluster, "INVALID_API_KEY")
    iks.set_credentials(anew).succeeds(200, 204, requirement="iks-07")
    iks.reset_api_key().succeeds(requirement="iks-07")
    iks.works(cluster, "INVALID_API_KEY", requirement="iks-07")


@covers("iks-06", "iks-effects")
@needs(control=True)
@impact("account", "clusters")
def test_no_permission_is_missing(iks):
    """A deleted classic key is not shown as a missing permission, and where no cluster can be deleted with it all workers stay."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.works(cluster, "INVALID_API_KEY")
    iks.fault("manual-key-deleted")
    iks.fails(cluster, "INVALID_API_KEY")
    iks.all_sufficient(iks.get_permissions().succeeds(200))
    workers = iks.worker_ids(cluster)
    deleted = iks.delete_cluster(cluster)
    if not deleted.ok:
        deleted.is_refused("INVALID_API_KEY", control=iks.get_user_config().needed(200))
        listed = iks.list_workers(cluster).succeeds(200, requirement="iks-effects")
        listed.counts("", len(workers), requirement="iks-effects")
    else:
        deleted.not_judged()
        iks.list_clusters().succeeds(200).lists_not("*.id", cluster, requirement="iks-effects")


@covers("iks-reset-keeps-manual")
@needs(control=True)
@impact("account", "clusters")
def test_reset_leaves_manual_credentials(iks):
    """A reset of the API key leaves manual credentials in place, and they still take precedence."""
    credential = iks.credential()
    cluster = iks.cluster()
    iks.set_credentials(credential).succeeds(200, 204)
    iks.reset_api_key().succeeds()
    iks.get_credentials().succeeds(200).shows("apiUser", credential.user)
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=True)
    iks.works(cluster, "INVALID_API_KEY")
    iks.fault("manual-key-deleted")
    iks.reset_api_key().succeeds()
    iks.fails(cluster, "INVALID_API_KEY")


@covers("iks-04")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("place", ["region", "group"])
def test_credentials_elsewhere(iks, place):
    """Operations use the credentials of their own region and resource group only."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    cluster = iks.cluster()
    iks.works(cluster, "INVALID_API_KEY")
    elsewhere.set_credentials(iks.credential()).succeeds(200, 204)
    elsewhere.fault("manual-key-deleted")
    iks.works(cluster, "INVALID_API_KEY")


@covers("iks-04")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("place", ["region", "group"])
def test_key_of_one_user_in_two_places(iks, place):
    """Each place has its own key of a user: a key that was deleted stops only the place where it is set."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.works(cluster, "INVALID_API_KEY")
    elsewhere.set_credentials(iks.another_key()).succeeds(200, 204)
    there = elsewhere.cluster()
    iks.fault("manual-key-deleted")
    elsewhere.create_cluster().succeeds(201)
    elsewhere.works(there, "INVALID_API_KEY")
    iks.fails(cluster, "INVALID_API_KEY")


@covers("iks-06")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("operation", ["create", "reload", "remove"])
def test_invalid_key_and_other_operations(iks, operation):
    """Creating a cluster and removing a worker fail with a classic key that was deleted upstream."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    worker, spare = iks.first_worker(cluster), iks.new_worker(cluster)
    ask = {
        "create": lambda _: iks.create_cluster(),
        "reload": lambda chosen: iks.reload_worker(cluster, chosen),
        "remove": lambda chosen: iks.remove_worker(cluster, chosen),
    }[operation]
    control = ask(spare).succeeds()
    iks.fault("manual-key-deleted")
    answer = ask(worker)
    if operation != "create":
        iks.refuses(cluster, worker, answer, "INVALID_API_KEY", control=control)
    elif answer.ok:
        answer.succeeds()
        iks.list_workers(answer["id"]).succeeds(200).tells("*.errorMessage", "INVALID_API_KEY")
    else:
        answer.is_refused("INVALID_API_KEY", control=control)


@covers("iks-07", "iks-06")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("operation", ["reload", "remove"])
def test_older_workers_are_healed_too(iks, operation):
    """Workers that were made with a key that no longer exists can be changed once another key of the user is set."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    worker, spare = iks.first_worker(cluster), iks.new_worker(cluster)
    ask = iks.reload_worker if operation == "reload" else iks.remove_worker
    ask(cluster, spare).succeeds()
    control = iks.get_worker(cluster, worker).succeeds(200)
    iks.fault("manual-key-deleted")
    iks.refuses(
        cluster, worker, ask(cluster, worker), "INVALID_API_KEY", control=control, requirement="iks-06"
    )
    iks.set_credentials(iks.another_key()).succeeds(200, 204)
    ask(cluster, worker).succeeds()
