"""Message 10: a classic key that no longer exists, and which credential counts."""

from kms_conformance.api import covers, impact, needs


@covers("iks-05", "iks-06")
@needs(control=True)
@impact("account", "clusters")
def test_manual_credentials_win(iks):
    """Manual credentials count before a working API key, and leave the key's owner."""
    cluster = iks.cluster()
    owner = iks.get_key_owner(cluster).succeeds(200)["id"]
    iks.add_worker(cluster).succeeds(201)
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.get_key_owner(cluster).succeeds(200).shows("id", owner)
    iks.add_worker(cluster).succeeds(201)
    iks.fault("manual-key-deleted")
    iks.add_worker(cluster).is_refused("INVALID_API_KEY", requirement="iks-05")
    iks.unset_credentials().succeeds()
    iks.add_worker(cluster).succeeds(201)


@covers("iks-06", "iks-07")
@needs(control=True)
@impact("account", "clusters")
def test_reset_does_not_heal(iks):
    """A key deleted upstream refuses, resetting the API key does not help, and a key that exists does."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    before = len(iks.list_workers(cluster).needed(200).body)
    iks.add_worker(cluster).succeeds(201)
    iks.fault("manual-key-deleted")
    iks.add_worker(cluster).is_refused("INVALID_API_KEY")
    iks.reset_api_key().succeeds(requirement="iks-07")
    iks.add_worker(cluster).is_refused("INVALID_API_KEY")
    iks.list_workers(cluster).succeeds(200).counts("", before + 1)
    iks.set_credentials(iks.credential("other")).succeeds(200, 204, requirement="iks-07")
    iks.reset_api_key().succeeds(requirement="iks-07")
    iks.add_worker(cluster).succeeds(201, requirement="iks-07")


@covers("iks-06")
@needs(control=True)
@impact("account", "clusters")
def test_no_permission_is_missing(iks):
    """A key deleted upstream does not show as a missing permission."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201)
    iks.fault("manual-key-deleted")
    iks.add_worker(cluster).is_refused("INVALID_API_KEY")
    iks.all_sufficient(iks.get_permissions().succeeds(200))


@covers("iks-reset-keeps-manual")
@needs(control=True)
@impact("account", "clusters")
def test_reset_leaves_manual_credentials(iks):
    """A reset of the API key leaves manual credentials, and they still win."""
    credential = iks.credential()
    cluster = iks.cluster()
    iks.set_credentials(credential).succeeds(200, 204)
    iks.reset_api_key().succeeds()
    iks.get_credentials().succeeds(200).shows("apiUser", credential.user)
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=True)
    iks.add_worker(cluster).succeeds(201)
    iks.fault("manual-key-deleted")
    iks.reset_api_key().succeeds()
    iks.add_worker(cluster).is_refused("INVALID_API_KEY")
