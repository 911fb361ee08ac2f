"""Messages 2 and 8: what creating a cluster needs."""

from kms_conformance.api import covers, impact, needs


@covers("iks-11", "iks-11-code")
@needs(control=True)
@impact("account", "clusters")
def test_account_without_infrastructure(iks):
    """Creating a cluster needs a linked infrastructure account or manual credentials."""
    iks.create_cluster().succeeds(201)
    clusters = len(iks.list_clusters().needed(200).body)
    iks.fault("account-unlinked")
    refused = iks.create_cluster().is_refused("INFRASTRUCTURE_NOT_CONNECTED")
    refused.is_refused("E0057", requirement="iks-11-code")
    iks.list_clusters().succeeds(200).counts("", clusters)
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.create_cluster().succeeds(201)
    iks.unset_credentials().succeeds()
    iks.create_cluster().is_refused("INFRASTRUCTURE_NOT_CONNECTED")
    iks.clear_fault("account-unlinked")
    iks.create_cluster().succeeds(201)


@covers("iks-13", "iks-13-resolution")
@needs(control=True)
@impact("account", "clusters")
def test_registry_role(iks):
    """Creating a cluster shows message 8 while the key owner lacks the registry's Administrator role."""
    items = "non_critical_errors.items.*.description"
    iks.create_cluster().succeeds(201).tells_not(items, "REGISTRY_ROLE_MISSING")
    iks.fault("registry-role-removed")
    made = iks.create_cluster()
    if made.ok:
        made.tells(items, "REGISTRY_ROLE_MISSING")
        iks.list_clusters().succeeds(200).lists("*.id", made["id"])
    else:
        made.is_refused("REGISTRY_ROLE_MISSING")
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    manual = iks.create_cluster()
    if manual.ok:
        manual.tells(items, "REGISTRY_ROLE_MISSING")
    else:
        manual.is_refused("REGISTRY_ROLE_MISSING")
    iks.clear_fault("registry-role-removed")
    iks.reset_api_key().needed(200, 204)
    healed = iks.create_cluster().succeeds(201, requirement="iks-13-resolution")
    healed.tells_not(items, "REGISTRY_ROLE_MISSING", requirement="iks-13-resolution")


@covers("iks-15", "iks-15-code")
def test_unknown_cluster(iks):
    """Asking for the key owner of an unknown cluster is refused."""
    control = iks.get_user_config().succeeds(200)
    missing = iks.get_key_owner("kmsct-there-is-no-such-cluster")
    missing.is_refused_somehow(control=control).lacks("email")
    missing.is_refused("G0004", control=control, requirement="iks-15-code")


@covers("iks-envelope", "iks-01")
def test_envelope(iks):
    """Errors are flat objects whose members are strings, not the envelope of the key management service."""
    control = iks.get_user_config().succeeds(200)
    for refused in (iks.get_key_owner("kmsct-there-is-no-such-cluster"), iks.get_credentials()):
        refused.is_refused_somehow(control=control).lacks("resources").lacks("metadata")
    refused.is_refused("E0051", control=control, requirement="iks-01")
