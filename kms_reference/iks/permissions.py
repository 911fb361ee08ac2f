"""Classic infrastructure permissions as far as this reference needs them.

Sources disagree about which are required: only the shape of a listing is a promise, not this list.
"""

from enum import Enum

VIRTUAL = "virtualWorkerManagerPermissions"
PHYSICAL = "physicalWorkerManagerPermissions"
STORAGE = "storageManagerPermissions"
NETWORK = "networkManagerPermissions"


class Operation(Enum):
    """What is done to infrastructure."""

    ADD = "add"
    RELOAD = "reload"
    REMOVE = "remove"


GROUP_OF = {
    "Add Server": (VIRTUAL, "required"),
    "Cancel Server": (VIRTUAL, "required"),
    "OS Reloads and Rescue Kernel": (VIRTUAL, "required"),
    "View Virtual Server Details": (VIRTUAL, "required"),
    "Access All Virtual": (VIRTUAL, "recommended"),
    "View Hardware Details": (PHYSICAL, "required"),
    "Access All Hardware": (PHYSICAL, "recommended"),
    "Add/Upgrade Storage (StorageLayer)": (STORAGE, "required"),
    "Storage Manage": (STORAGE, "required"),
    "Add IP Addresses": (NETWORK, "recommended"),
    "Manage Network Subnet Routes": (NETWORK, "recommended"),
}
"""Permission -> the group of the listing that holds it, and whether it is required or recommended."""

ORDERING = frozenset({"Add Server", "Add/Upgrade Storage (StorageLayer)", "Add IP Addresses"})
"""Permissions to order items: lacking one shows on the worker (message 3), lacking another refuses (message 1)."""

NEEDED = {
    Operation.ADD: frozenset({"Add Server", "View Virtual Server Details"}),
    Operation.RELOAD: frozenset({"OS Reloads and Rescue Kernel", "View Virtual Server Details"}),
    Operation.REMOVE: frozenset({"Cancel Server", "View Virtual Server Details"}),
}
"""What each operation needs on virtual workers, the only kind that this reference makes."""
