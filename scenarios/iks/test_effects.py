"""What an operation changes: what it names, and nothing when it is refused."""

import pytest

from kms_conformance.api import Inconclusive, covers, impact, needs

ACCEPTED = (200, 201, 202, 204)
OPERATIONS = {
    "set": lambda iks, credential, *_: iks.set_credentials(credential),
    "unset": lambda iks, *_: iks.unset_credentials(),
    "reset": lambda iks, *_: iks.reset_api_key(),
    "create-cluster": lambda iks, *_: iks.create_cluster(),
    "delete-cluster": lambda iks, _, cluster, __: iks.delete_cluster(cluster),
    "add-worker": lambda iks, _, cluster, __: iks.add_worker(cluster),
    "reload-worker": lambda iks, _, cluster, worker: iks.reload_worker(cluster, worker),
    "remove-worker": lambda iks, _, cluster, worker: iks.remove_worker(cluster, worker),
}
"""Operations on credentials, on the first of two clusters, and on its first worker."""


def furnished(iks):
    """Set credentials and make two clusters; return the credentials, the workers by cluster, and the key owner."""
    credential = iks.credential()
    iks.set_credentials(credential).needed(200, 204)
    first, second = iks.cluster(), iks.cluster()
    iks.new_worker(first)
    workers = {cluster: iks.worker_ids(cluster) for cluster in (first, second)}
    return credential, workers, iks.get_key_owner(first).needed(200)["id"]


def shows(iks, workers, owner, row):
    """Expect clusters with at least these workers, and the owner of their API key."""
    listed = iks.list_clusters().succeeds(200, requirement=row)
    for cluster, ids in workers.items():
        listed.lists("*.id", cluster, requirement=row)
        iks.list_workers(cluster).succeeds(200, requirement=row).selects("*.id", ids, ids, requirement=row)
        iks.get_key_owner(cluster).succeeds(200, requirement=row).shows("id", owner, requirement=row)


def is_gone(answer, before):
    """Expect that something is not found any more, or that it is on its way: removing takes a service some minutes."""
    if answer.ok:
        answer.differs("state", before["state"], requirement="iks-removed")
    else:
        answer.is_refused_somehow(control=before, requirement="iks-removed")


@covers("iks-removed", "iks-effects")
@impact("account", "clusters")
def test_removed(iks):
    """A worker that was removed and a cluster that was deleted with its workers are gone, or on their way; credentials stay."""
    mine, workers, _ = furnished(iks)
    first, second = workers
    gone = workers[first][0]
    before = iks.get_worker(first, gone).needed(200)
    iks.remove_worker(first, gone).succeeds(*ACCEPTED)
    is_gone(iks.get_worker(first, gone), before)
    before, owner = iks.get_cluster(second).needed(200), iks.get_key_owner(second).needed(200)
    worker = iks.get_worker(second, workers[second][0]).needed(200)
    iks.delete_cluster(second).succeeds(*ACCEPTED)
    deleted = iks.get_cluster(second)
    is_gone(deleted, before)
    if not deleted.ok:
        for ask in (iks.get_key_owner, iks.list_workers, iks.add_worker):
            ask(second).is_refused_somehow(control=owner)
        iks.get_worker(second, workers[second][0]).is_refused_somehow(control=worker)
    iks.delete_cluster(first).succeeds(*ACCEPTED)
    iks.get_credentials().succeeds(200, requirement="iks-effects").shows(
        "apiUser", mine.user, requirement="iks-effects"
    )


@covers("iks-effects")
@needs(identity="approver")
@impact("account", "clusters")
def test_next_creator(iks):
    """The API key stays its owner's when somebody else creates the next cluster."""
    cluster = iks.cluster()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    another = iks.as_identity("approver").create_cluster().succeeds(201)["id"]
    for one in (cluster, another):
        iks.get_key_owner(one).succeeds(200).shows("id", owner)


@covers("iks-effects")
@needs(control=True)
@impact("account", "clusters")
def test_six_workers(iks):
    """Each worker that is added is listed beside the earlier ones, also when there are more than a few."""
    cluster = iks.cluster()
    for _ in range(5):
        iks.add_worker(cluster).succeeds(*ACCEPTED)
    iks.list_workers(cluster).succeeds(200).counts("", 6)


@covers("iks-effects")
@impact("account")
def test_half_a_credential(iks):
    """Where credentials without their key are refused, those that are set stay."""
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    refused = iks.set_user_alone(other)
    if refused.ok:
        raise Inconclusive("a user without a key is accepted here")
    refused.is_refused_somehow(control=iks.get_user_config().needed(200))
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-effects")
@impact("account", "clusters")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_done(iks, operation):
    """An operation leaves other clusters, workers and key owners as they were, and credentials elsewhere."""
    elsewhere, other = iks.in_other_region(), iks.credential("other")
    elsewhere.set_credentials(other).needed(200, 204)
    mine, workers, owner = furnished(iks)
    changed = next(iter(workers))
    OPERATIONS[operation](iks, mine, changed, workers[changed][0]).succeeds(*ACCEPTED)
    if operation == "remove-worker":
        del workers[changed][0]
    elif operation == "delete-cluster":
        del workers[changed]
    shows(iks, workers, owner, "iks-effects")
    elsewhere.get_credentials().succeeds(200).shows("apiUser", other.user)
    if operation != "unset":
        iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=operation != "unset")


def changes_nothing(iks, caller, operation, row, *statuses):
    """Expect that an operation is refused to a caller and has changed nothing, and that the manager's succeeds."""
    mine, workers, owner = furnished(iks)
    asked = next(iter(workers))
    control = iks.get_user_config().needed(200)
    OPERATIONS[operation](caller, iks.credential("other"), asked, workers[asked][0]).is_refused_somehow(
        *statuses, control=control, requirement=row
    )
    shows(iks, workers, owner, row)
    for cluster, ids in workers.items():
        iks.list_workers(cluster).succeeds(200, requirement=row).counts("", len(ids), requirement=row)
    iks.get_credentials().succeeds(200, requirement=row).shows("apiUser", mine.user, requirement=row)
    OPERATIONS[operation](iks, mine, asked, workers[asked][0]).succeeds(*ACCEPTED, requirement=row)


@covers("iks-14")
@impact("account", "clusters")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_refused_without_token(iks, operation):
    """Without a token an operation is refused and changes nothing."""
    changes_nothing(iks, iks.with_authorization(None), operation, "iks-14")


@needs(identity="reader")
@impact("account", "clusters")
@pytest.mark.parametrize(
    ("operation", "row"),
    [
        pytest.param(name, row, id=name, marks=covers(row))
        for name in OPERATIONS
        for row in ("iks-16" if name in {"set", "unset", "reset"} else "iks-viewer-clusters",)
    ],
)
def test_refused_to_viewer(iks, operation, row):
    """An operation is refused to a viewer and changes nothing."""
    changes_nothing(iks, iks.as_identity("reader"), operation, row, 401, 403)
