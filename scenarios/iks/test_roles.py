"""Who may ask, and who may change."""

import pytest

from kms_conformance.api import Secret, covers, impact, needs

READS = ["get_credentials", "get_permissions", "get_user_config", "list_clusters"]


@covers("iks-14", "iks-14-status")
@pytest.mark.parametrize("value", [None, "Bearer garbage"], ids=["none", "garbage"])
@pytest.mark.parametrize("operation", READS)
def test_reading_without_token(iks, operation, value):
    """Reading operations are refused without a usable token."""
    control = iks.get_user_config().succeeds(200)
    refused = getattr(iks.with_authorization(value), operation)()
    refused.is_refused_somehow(control=control).lacks("apiUser").lacks("storedIaasCredentials")
    refused.is_refused_somehow(401, control=control, requirement="iks-14-status")


@covers("iks-14", "iks-14-status")
@impact("account")
@pytest.mark.parametrize("value", [None, "Bearer garbage"], ids=["none", "garbage"])
def test_changing_without_token(iks, value):
    """Changing credentials is refused without a usable token."""
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    iks.reset_api_key().succeeds()
    nobody = iks.with_authorization(value)
    for refused in (nobody.set_credentials(other), nobody.unset_credentials(), nobody.reset_api_key()):
        refused.is_refused_somehow(control=iks.get_user_config().needed(200))
        refused.is_refused_somehow(
            401, control=iks.get_user_config().needed(200), requirement="iks-14-status"
        )
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-14")
@impact("account", "clusters")
@pytest.mark.parametrize("value", [None, "Bearer garbage"], ids=["none", "garbage"])
def test_clusters_without_token(iks, value):
    """Cluster operations are refused without a usable token."""
    cluster = iks.cluster()
    worker = iks.first_worker(cluster)
    iks.reset_api_key().succeeds()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    nobody = iks.with_authorization(value)
    control = iks.get_user_config().needed(200)
    for refused in (
        nobody.get_key_owner(cluster),
        nobody.list_workers(cluster),
        nobody.get_worker(cluster, worker),
        nobody.add_worker(cluster),
        nobody.remove_worker(cluster, worker),
        nobody.reset_api_key(),
    ):
        refused.is_refused_somehow(control=control).lacks("id").lacks("0.id")
    iks.list_workers(cluster).succeeds(200).counts("", 1).shows("0.id", worker)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)


@covers("iks-viewer-reads")
@needs(identity="reader")
@impact("account", "clusters")
def test_viewer_reads(iks):
    """A viewer is told what an administrator is told."""
    mine, viewer = iks.credential(), iks.as_identity("reader")
    iks.set_credentials(mine).succeeds(200, 204)
    cluster = iks.cluster()
    owner, worker = iks.get_key_owner(cluster).succeeds(200)["id"], iks.first_worker(cluster)
    viewer.get_credentials().succeeds(200).shows("apiUser", mine.user)
    viewer.get_user_config().succeeds(200).shows("storedIaasCredentials", value=True)
    viewer.get_permissions().succeeds(200)
    viewer.get_key_owner(cluster).succeeds(200).shows("id", owner)
    viewer.list_clusters().succeeds(200).lists("*.id", cluster)
    viewer.list_workers(cluster).succeeds(200).lists("*.id", worker)
    viewer.get_worker(cluster, worker).succeeds(200).shows("id", worker)


@covers("iks-no-role")
@needs(identity="outsider")
@impact("account", "clusters")
def test_without_role(iks):
    """A caller without a role is told nothing and changes nothing."""
    mine, stranger = iks.credential(), iks.as_identity("outsider")
    iks.set_credentials(mine).succeeds(200, 204)
    cluster = iks.cluster()
    worker, owner = iks.first_worker(cluster), iks.get_key_owner(cluster).succeeds(200)["id"]
    control = iks.get_user_config().succeeds(200)
    for refused in (
        stranger.get_credentials(),
        stranger.get_permissions(),
        stranger.get_key_owner(cluster),
        stranger.list_workers(cluster),
        stranger.get_worker(cluster, worker),
        stranger.set_credentials(iks.credential("other")),
        stranger.unset_credentials(),
        stranger.reset_api_key(),
        stranger.add_worker(cluster),
        stranger.reload_worker(cluster, worker),
        stranger.remove_worker(cluster, worker),
        stranger.delete_cluster(cluster),
    ):
        refused.is_refused_somehow(control=control).lacks("apiUser").lacks("id").lacks("0.id")
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    iks.list_workers(cluster).succeeds(200).counts("", 1).shows("0.id", worker)


@covers("iks-14")
@impact("account")
@pytest.mark.parametrize("seal", ["other", "none"])
def test_forged_token(iks, seal):
    """With a copy of a good token that has another signature nothing is told and changed, also right after the good one."""
    mine, token = iks.credential(), str(iks.current_token())
    iks.set_credentials(mine).succeeds(200, 204)
    control = iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    signed, _, last = token.rpartition(".")
    forged = f"{signed}.{'B' if last.startswith('A') else 'A'}{last[1:]}" if seal == "other" else f"{signed}."
    forger = iks.with_authorization(Secret(f"Bearer {forged}"))
    for refused in (forger.get_credentials(), forger.unset_credentials(), forger.reset_api_key()):
        refused.is_refused_somehow(control=control).lacks("apiUser")
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-02", "iks-03", "iks-set-last-wins")
@needs(identity="approver")
@impact("account")
def test_credentials_of_the_place(iks):
    """Credentials belong to their place, not to the administrator who sets them: another one sees, replaces and unsets them."""
    first, second, another = iks.credential(), iks.credential("other"), iks.as_identity("approver")
    iks.set_credentials(first).succeeds(200, 204)
    another.get_credentials().succeeds(200).shows("apiUser", first.user)
    another.set_credentials(second).succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", second.user, requirement="iks-set-last-wins")
    another.unset_credentials().succeeds(requirement="iks-03")
    iks.get_credentials().is_refused("E0051", requirement="iks-03")


@covers("iks-viewer-clusters")
@needs(identity="reader")
@impact("account", "clusters")
def test_viewer_changes_no_cluster(iks):
    """A viewer can neither create a cluster nor add or remove workers."""
    cluster = iks.cluster()
    worker, spare = iks.first_worker(cluster), iks.new_worker(cluster)
    iks.remove_worker(cluster, spare).succeeds()
    # Among the earlier ones may be the one that is being removed.
    earlier, viewer = iks.worker_ids(cluster), iks.as_identity("reader")
    clusters = len(iks.list_clusters().needed(200).body)
    for refused in (
        viewer.create_cluster(),
        viewer.add_worker(cluster),
        viewer.remove_worker(cluster, worker),
    ):
        refused.is_refused_somehow(401, 403)
    iks.list_clusters().succeeds(200).counts("", clusters)
    listed = iks.list_workers(cluster).succeeds(200).lists("*.id", worker)
    listed.selects("*.id", [one for one in iks.ids_of(listed) if one not in earlier], [])


@covers("iks-14")
@needs(identity="expired")
def test_expired_token(iks):
    """Reading with an expired token is refused; with a fresh one it succeeds."""
    control = iks.get_user_config().succeeds(200)
    iks.as_identity("expired").get_user_config().is_refused_somehow(control=control)
    iks.get_user_config().succeeds(200)


@covers("iks-14")
@needs(identity="expired")
@impact("account", "clusters")
def test_changing_with_expired_token(iks):
    """With an expired token nothing is changed."""
    cluster, mine, other = iks.cluster(), iks.credential(), iks.credential("other")
    worker = iks.first_worker(cluster)
    iks.reset_api_key().succeeds()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    late = iks.as_identity("expired")
    control = iks.set_credentials(mine).succeeds(200, 204)
    for refused in (
        late.set_credentials(other),
        late.unset_credentials(),
        late.reset_api_key(),
        late.add_worker(cluster),
        late.remove_worker(cluster, worker),
    ):
        refused.is_refused_somehow(control=control)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    iks.list_workers(cluster).succeeds(200).counts("", 1).shows("0.id", worker)


@covers("iks-16")
@needs(identity="reader")
@impact("account")
def test_viewer_sets_nothing(iks):
    """A viewer can neither set nor unset credentials, and nothing changes."""
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    iks.unset_credentials().succeeds()
    viewer = iks.as_identity("reader")
    viewer.set_credentials(other).is_refused_somehow(401, 403)
    control = iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=False)
    iks.get_credentials().is_refused("E0051", control=control, requirement="iks-16")
    iks.set_credentials(mine).succeeds(200, 204)
    viewer.unset_credentials().is_refused_somehow(401, 403)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-16")
@needs(identity="reader")
@impact("account", "clusters")
def test_viewer_resets_nothing(iks):
    """A viewer cannot reset the API key and does not become its owner."""
    cluster = iks.cluster()
    iks.reset_api_key().succeeds()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    iks.as_identity("reader").reset_api_key().is_refused_somehow(401, 403)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
