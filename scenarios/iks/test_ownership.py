"""What belongs to another cluster or another account is not reached."""

import pytest

from kms_conformance.api import covers, impact


@covers("iks-15", "iks-ownership")
@impact("account", "clusters")
def test_worker_of_another_cluster(iks):
    """A worker is not reached through another cluster, neither read nor changed."""
    first, second = iks.cluster(), iks.cluster()
    worker = iks.first_worker(first)
    control = iks.get_worker(first, worker).succeeds(200)
    spare = iks.new_worker(first)
    iks.get_worker(second, worker).is_refused_somehow(control=control).lacks("id")
    for refused in (iks.reload_worker(second, worker), iks.remove_worker(second, spare)):
        refused.is_refused_somehow(control=control, requirement="iks-ownership")
    iks.list_workers(first).succeeds(200).selects("*.id", [worker, spare], [worker, spare])


@covers("iks-15", "iks-ownership")
@impact("account", "clusters")
def test_cluster_of_another_account(iks):
    """A cluster is not reached from another account."""
    cluster, elsewhere = iks.cluster(), iks.in_other_account()
    worker = iks.first_worker(cluster)
    control = iks.get_key_owner(cluster).succeeds(200)
    for refused in (elsewhere.get_key_owner(cluster), elsewhere.get_cluster(cluster)):
        refused.is_refused_somehow(control=control).lacks("id")
    elsewhere.list_clusters().succeeds(200).lists_not("*.id", cluster)
    elsewhere.get_worker(cluster, worker).is_refused_somehow(control=control).lacks("id")
    elsewhere.list_workers(cluster).is_refused_somehow(control=control).lacks("0.id")
    for refused in (
        elsewhere.add_worker(cluster),
        elsewhere.reload_worker(cluster, worker),
        elsewhere.remove_worker(cluster, worker),
        elsewhere.delete_cluster(cluster),
    ):
        refused.is_refused_somehow(control=control, requirement="iks-ownership")
    listed = iks.list_workers(cluster).succeeds(200, requirement="iks-ownership")
    listed.counts("", 1, requirement="iks-ownership").shows("0.id", worker, requirement="iks-ownership")


@covers("iks-15")
@impact("account", "clusters")
@pytest.mark.parametrize("near", ["cut", "beginning", "longer"])
def test_cluster_of_a_similar_id(iks, near):
    """An id that differs from a cluster's in its end names no cluster."""
    cluster = iks.cluster()
    control = iks.get_key_owner(cluster).succeeds(200)
    name = {"cut": cluster[:-1], "beginning": cluster[: len(cluster) // 2], "longer": f"{cluster}0"}[near]
    iks.get_key_owner(name).is_refused_somehow(control=control).lacks("email")
