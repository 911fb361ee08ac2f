"""Messages 4 to 6: workers that belong to another infrastructure account."""

import re

import pytest

from kms_conformance.api import covers, impact, needs

ORPHANED = ("WORKER_INSTANCE_NOT_FOUND", "WORKER_INSTANCE_MISSING", "WORKER_INSTANCE_UNIDENTIFIED")


@covers("iks-12")
@impact("account", "clusters")
def test_orphan_and_return(iks):
    """Workers are orphaned while the credentials of another account are set, and recover afterwards."""
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    cluster = iks.cluster()
    worker = iks.first_worker(cluster)
    iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", *ORPHANED)
    iks.set_credentials(other).succeeds(200, 204)
    orphan = iks.get_worker(cluster, worker).succeeds(200).tells("errorMessage", *ORPHANED)
    iks.refuses(cluster, worker, iks.reload_worker(cluster, worker), *ORPHANED, control=orphan)
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", *ORPHANED)
    iks.reload_worker(cluster, worker).succeeds()
    iks.remove_worker(cluster, worker).succeeds()


@covers("iks-12")
@impact("account", "clusters")
def test_clusters_of_two_accounts(iks):
    """Of two accounts' clusters, the one whose credentials are not in effect is orphaned."""
    linked = iks.cluster()
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    manual = iks.cluster()
    iks.list_workers(linked).succeeds(200).tells("*.errorMessage", *ORPHANED)
    iks.list_workers(manual).succeeds(200).tells_not("*.errorMessage", *ORPHANED)
    iks.unset_credentials().succeeds()
    iks.list_workers(linked).succeeds(200).tells_not("*.errorMessage", *ORPHANED)
    iks.list_workers(manual).succeeds(200).tells("*.errorMessage", *ORPHANED)


@covers("iks-12")
@impact("account", "clusters")
def test_cluster_of_two_accounts(iks):
    """Of one cluster's workers those are orphaned that were made in another account than the credentials open now."""
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    cluster = iks.cluster()
    older = iks.first_worker(cluster)
    iks.set_credentials(other).succeeds(200, 204)
    newer = iks.new_worker(cluster)
    orphan = iks.get_worker(cluster, older).succeeds(200).tells("errorMessage", *ORPHANED)
    iks.refuses(cluster, older, iks.reload_worker(cluster, older), *ORPHANED, control=orphan)
    iks.get_worker(cluster, newer).succeeds(200).tells_not("errorMessage", *ORPHANED)
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_worker(cluster, newer).succeeds(200).tells("errorMessage", *ORPHANED)
    iks.get_worker(cluster, older).succeeds(200).tells_not("errorMessage", *ORPHANED)
    iks.reload_worker(cluster, older).succeeds()


@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize(
    ("answer", "code", "row"),
    [
        pytest.param(answer, code, row, id=answer, marks=covers(row))
        for answer, code, row in (
            ("not-found", "WORKER_INSTANCE_NOT_FOUND", "iks-12"),
            ("missing", "WORKER_INSTANCE_MISSING", "iks-msg-instance-missing"),
            ("unidentified", "WORKER_INSTANCE_UNIDENTIFIED", "iks-msg-instance-unidentified"),
        )
    ],
)
def test_each_message(iks, answer, code, row):
    """The provider's answer about a worker decides which of the three messages is shown."""
    mine = iks.credential()
    iks.set_credentials(mine).succeeds(200, 204)
    cluster = iks.cluster()
    # Not the first worker: the message names the one that is asked for.
    spare, worker = iks.new_worker(cluster), iks.new_worker(cluster)
    control = iks.remove_worker(cluster, spare).succeeds()
    iks.fault("worker-lookup", answer=answer)
    iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", code, requirement=row)
    iks.set_credentials(iks.credential("other")).succeeds(200, 204)
    orphan = iks.get_worker(cluster, worker).succeeds(200).tells("errorMessage", code, requirement=row)
    if code == "WORKER_INSTANCE_NOT_FOUND":
        orphan.matches("errorMessage", re.escape(worker).replace("\\-", "-"), requirement=row)
    iks.refuses(cluster, worker, iks.remove_worker(cluster, worker), code, control=control, requirement=row)
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", code, requirement=row)
    iks.remove_worker(cluster, worker).succeeds()
