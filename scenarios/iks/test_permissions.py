"""Messages 1 and 3: what the owner of the credential may not do."""

import pytest

from kms_conformance.api import covers, impact, needs

GROUP = "virtualWorkerManagerPermissions"
REFUSED = "INFRASTRUCTURE_NOT_AUTHORIZED"
VIEW, ORDER = "View Virtual Server Details", "Add Server"


@covers("iks-08-shape")
def test_shape(iks):
    """The permission listing has four groups, each with required and recommended permissions."""
    iks.get_permissions().fits("iks-permissions")


@covers("iks-08", "iks-msg-not-authorized")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("manual", [False, True], ids=["api-key", "manual"])
def test_missing_permission(iks, manual):
    """A missing permission is listed in its group and refuses the operation until it is granted."""
    if manual:
        iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.works(cluster, REFUSED)
    iks.fault("permission-removed", permission=VIEW)
    iks.fails(cluster, REFUSED, requirement="iks-msg-not-authorized")
    listed = iks.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, VIEW)
    listed.shows(f"{GROUP}.{need}.insufficient", value=True).lists(f"{GROUP}.{need}.missingPermissions", VIEW)
    iks.only_lacks(listed, GROUP)
    iks.clear_fault("permission-removed", permission=VIEW)
    iks.all_sufficient(iks.get_permissions().succeeds(200))
    iks.works(cluster, REFUSED)


PERMISSIONS = {
    "Access All Virtual": GROUP,
    "View Hardware Details": "physicalWorkerManagerPermissions",
    "Access All Hardware": "physicalWorkerManagerPermissions",
    "Storage Manage": "storageManagerPermissions",
    "Manage Network Subnet Routes": "networkManagerPermissions",
}
"""Permissions and the group of each: some are required and some recommended, which sources see differently."""


@covers("iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_permission_of_each_group(iks):
    """A missing permission is listed in its own group, be it required or recommended, and no more once it is granted."""
    iks.cluster()
    for permission, group in PERMISSIONS.items():
        iks.fault("permission-removed", permission=permission)
        listed = iks.get_permissions().succeeds(200)
        need = iks.need_of(listed, group, permission)
        listed.lists(f"{group}.{need}.missingPermissions", permission)
        iks.only_lacks(listed, group)
        iks.clear_fault("permission-removed", permission=permission)
    iks.all_sufficient(iks.get_permissions().succeeds(200))


@covers("iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_two_missing_permissions(iks):
    """Each missing permission is listed, and granting one of them leaves the other one missing."""
    cluster = iks.cluster()
    iks.works(cluster, REFUSED)
    for permission in (ORDER, VIEW):
        iks.fault("permission-removed", permission=permission)
    listed = iks.get_permissions().succeeds(200)
    for permission in (ORDER, VIEW):
        need = iks.need_of(listed, GROUP, permission)
        listed.lists(f"{GROUP}.{need}.missingPermissions", permission)
    iks.clear_fault("permission-removed", permission=ORDER)
    listed = iks.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, VIEW)
    listed.shows(f"{GROUP}.{need}.insufficient", value=True).lists(f"{GROUP}.{need}.missingPermissions", VIEW)
    iks.fails(cluster, REFUSED)


@covers("iks-04", "iks-08")
@needs(control=True)
@impact("account", "clusters")
@pytest.mark.parametrize("place", ["region", "group"])
def test_permissions_elsewhere(iks, place):
    """What the credentials of another region or resource group lack is not missing here."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    cluster = iks.cluster()
    elsewhere.set_credentials(iks.credential()).succeeds(200, 204)
    elsewhere.fault("permission-removed", permission=VIEW)
    listed = elsewhere.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, VIEW)
    listed.lists(f"{GROUP}.{need}.missingPermissions", VIEW, requirement="iks-08")
    iks.all_sufficient(iks.get_permissions().succeeds(200))
    iks.works(cluster, REFUSED)


@covers("iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_credentials_of_somebody_permitted(iks):
    """Setting credentials of a user who has the missing permission lets the operation succeed."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    cluster = iks.cluster()
    iks.works(cluster, REFUSED)
    iks.fault("permission-removed", permission=VIEW)
    iks.fails(cluster, REFUSED)
    iks.unset_credentials().succeeds()
    iks.all_sufficient(iks.get_permissions().succeeds(200))
    iks.works(cluster, REFUSED)


@covers("iks-08")
@needs(control=True, identity="approver")
@impact("account", "clusters")
def test_reset_by_somebody_permitted(iks):
    """After a reset of the API key by a user who has the missing permission the operation succeeds."""
    cluster = iks.cluster()
    iks.reset_api_key().succeeds()
    iks.works(cluster, REFUSED)
    iks.fault("permission-removed", permission=VIEW)
    iks.fails(cluster, REFUSED)
    iks.as_identity("approver").reset_api_key().succeeds()
    iks.all_sufficient(iks.get_permissions().succeeds(200))
    iks.works(cluster, REFUSED)
    iks.reset_api_key().succeeds()
    iks.fails(cluster, REFUSED)


@covers("iks-msg-item-permission", "iks-08")
@needs(control=True)
@impact("account", "clusters")
def test_item_without_permission(iks):
    """An item ordered without permission shows message 3; once permitted, the reload removes it."""
    cluster = iks.cluster()
    iks.works(cluster, "ITEM_PERMISSION")
    iks.fault("permission-removed", permission=ORDER)
    listed = iks.get_permissions().succeeds(200)
    need = iks.need_of(listed, GROUP, ORDER)
    listed.lists(f"{GROUP}.{need}.missingPermissions", ORDER, requirement="iks-08")
    workers = iks.worker_ids(cluster)
    failed = iks.fails(cluster, "ITEM_PERMISSION")
    iks.clear_fault("permission-removed", permission=ORDER)
    if not failed.ok:
        iks.works(cluster, "ITEM_PERMISSION")
        return
    for worker in (worker for worker in iks.worker_ids(cluster) if worker not in workers):
        iks.reload_worker(cluster, worker).succeeds()
        iks.get_worker(cluster, worker).succeeds(200).tells_not("errorMessage", "ITEM_PERMISSION")
