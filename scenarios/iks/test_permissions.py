"""Messages 1 and 3: what the owner of the credential may not do."""

import pytest

from kms_conformance.api import covers, impact, needs

GROUP = "virtualWorkerManagerPermissions"
OTHERS = ["networkManagerPermissions", "physicalWorkerManagerPermissions", "storageManagerPermissions"]
VIEW, ORDER = "View Virtual Server Details", "Add Server"


@covers("iks-08-shape")
def test_shape(iks):
    """The listing has four groups, each with what is required and what is recommended."""
    iks.get_permissions().fits("iks-permissions")


@covers("iks-08", "iks-msg-not-authorized")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("manual", [False, True], ids=["api-key", "manual"])
def test_missing_permission(iks, manual):
    """A missing permission is listed in its group and refuses; once it is granted the operation succeeds."""
    if manual:
        iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201)
    workers = len(iks.list_workers(cluster).needed(200).body)
    iks.fault("permission-removed", permission=VIEW)
    iks.add_worker(cluster).is_refused("INFRASTRUCTURE_NOT_AUTHORIZED", requirement="iks-msg-not-authorized")
    iks.list_workers(cluster).succeeds(200).counts("", workers)
    listed = iks.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, VIEW)
    listed.shows(f"{GROUP}.{need}.insufficient", value=True).lists(f"{GROUP}.{need}.missingPermissions", VIEW)
    for group in OTHERS:
        listed.matches_not(f"{group}.{need}.missingPermissions", VIEW)
    iks.clear_fault("permission-removed", permission=VIEW)
    iks.get_permissions().succeeds(200).matches_not(f"{GROUP}.{need}.missingPermissions", VIEW)
    iks.add_worker(cluster).succeeds(201)


@covers("iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_credentials_of_somebody_permitted(iks):
    """Credentials of a user who has the permission heal it as well."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201)
    iks.fault("permission-removed", permission=VIEW)
    iks.add_worker(cluster).is_refused("INFRASTRUCTURE_NOT_AUTHORIZED")
    iks.unset_credentials().succeeds()
    iks.add_worker(cluster).succeeds(201)


@covers("iks-msg-item-permission", "iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_item_without_permission(iks):
    """An item ordered without permission says so; with the permission the reload succeeds and the message goes."""
    cluster = iks.cluster()
    iks.add_worker(cluster).succeeds(201).tells_not("*.errorMessage", "ITEM_PERMISSION")
    iks.fault("permission-removed", permission=ORDER)
    listed = iks.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, ORDER)
    listed.lists(f"{GROUP}.{need}.missingPermissions", ORDER, requirement="iks-08")
    ordered = iks.add_worker(cluster)
    if not ordered.ok:
        ordered.is_refused("ITEM_PERMISSION")
        iks.clear_fault("permission-removed", permission=ORDER)
        iks.add_worker(cluster).succeeds(201)
        return
    ordered.succeeds(201)
    iks.list_workers(cluster).succeeds(200).tells("*.errorMessage", "ITEM_PERMISSION")
    worker = ordered["0.id"]
    iks.clear_fault("permission-removed", permission=ORDER)
    iks.reload_worker(cluster, worker).succeeds()
    iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", "ITEM_PERMISSION")
