"""Named single defects of this endpoint: each breaks one promise, so that a suite can prove that it would notice.

The hook of a defect stands beside the code it breaks and asks :class:`ActiveDefects` by name.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Defect(NamedTuple):
    """A named defect: ``doc`` is one line, ``sections`` the ids of the promises that it breaks."""

    name: str
    doc: str
    sections: tuple[str, ...]


class ActiveDefects:
    """The defects that are switched on; calling it with a name tells whether that one is.

    Raises:
        LookupError: for a name that is not in :data:`DEFECTS`, on construction and on every call.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        for name in self._names:
            _known(name)

    def __call__(self, name: str) -> bool:
        """Tell whether the named defect is on."""
        _known(name)
        return name in self._names


def _known(name: str) -> None:
    if name not in DEFECTS:
        raise LookupError(f"no such IKS defect: {name}")


_ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("iks-no-credentials-as-200", "Credentials that are not set are answered with 200.", ("iks-01",)),
    ("iks-no-credentials-wrong-code", "Credentials that are not set have another code.", ("iks-01",)),
    ("iks-no-credentials-wrong-text", "Credentials that are not set have another text.", ("iks-01",)),
    ("iks-set-not-stored", "Credentials that were set are not there.", ("iks-02",)),
    ("iks-user-wrong", "The wrong user is shown.", ("iks-02",)),
    ("iks-key-echoed", "The infrastructure key is shown with its user.", ("iks-02",)),
    ("iks-key-echoed-on-set", "Setting credentials answers with the key.", ("iks-02",)),
    ("iks-second-set-ignored", "The first credentials win over later ones.", ("iks-set-last-wins",)),
    ("iks-unset-does-nothing", "Unset credentials stay.", ("iks-03",)),
    ("iks-unset-everywhere", "Unsetting reaches other regions and groups.", ("iks-03", "iks-04")),
    ("iks-region-ignored", "Credentials of one region count in all.", ("iks-04",)),
    ("iks-group-ignored", "Credentials of one resource group count in all.", ("iks-04",)),
    ("iks-account-ignored", "Credentials of one account count in all.", ("iks-04",)),
    ("iks-api-key-before-manual", "The API key wins over manual credentials.", ("iks-05",)),
    ("iks-stored-flag-off", "The user configuration never shows manual credentials.", ("iks-05",)),
    ("iks-stored-flag-on", "The user configuration always shows manual credentials.", ("iks-05",)),
    ("iks-owner-follows-manual", "The key owner changes with manual credentials.", ("iks-05",)),
    ("iks-reset-clears-manual", "Resetting the API key removes manual credentials.", ("iks-06",)),
    ("iks-reset-heals-manual", "Resetting the API key revives a deleted manual key.", ("iks-06",)),
    ("iks-deleted-key-works", "A manual key that was deleted upstream still works.", ("iks-06",)),
    ("iks-deleted-key-insufficient", "A deleted manual key shows as missing permissions.", ("iks-06",)),
    ("iks-invalid-api-key-wrong-text", "A deleted manual key has another text.", ("iks-06",)),
    ("iks-set-anew-does-not-heal", "A new manual key does not help after a deleted one.", ("iks-07",)),
    ("iks-missing-permission-works", "A missing permission does not matter.", ("iks-08",)),
    ("iks-missing-permission-hidden", "A missing permission is not listed.", ("iks-08",)),
    ("iks-insufficient-without-list", "Insufficient permissions come without their names.", ("iks-08",)),
    ("iks-permission-in-wrong-group", "A missing permission is listed in another group.", ("iks-08",)),
    ("iks-insufficient-as-text", "The listing says insufficient as a text.", ("iks-08-shape",)),
    ("iks-grant-unseen", "A permission that was granted stays missing.", ("iks-08",)),
    (
        "iks-not-authorized-wrong-text",
        "A missing permission has another text.",
        ("iks-08", "iks-msg-not-authorized"),
    ),
    (
        "iks-order-permission-silent",
        "An item ordered without permission shows nothing.",
        ("iks-msg-item-permission",),
    ),
    ("iks-dead-key-works", "A dead API key still works.", ("iks-09",)),
    ("iks-token-exchange-as-500", "A dead API key is a server error.", ("iks-09",)),
    ("iks-token-exchange-wrong-code", "A dead API key has another code.", ("iks-09-code",)),
    ("iks-token-exchange-wrong-type", "A dead API key has another type.", ("iks-09-code",)),
    (
        "iks-token-exchange-wrong-text",
        "A dead API key has another text.",
        ("iks-09",),
    ),
    ("iks-reset-does-not-heal", "Resetting does not replace a dead API key.", ("iks-10",)),
    ("iks-reset-one-cluster-owner", "Resetting leaves the old key owner.", ("iks-10",)),
    ("iks-unlinked-account-works", "A cluster is made without an infrastructure account.", ("iks-11",)),
    (
        "iks-not-connected-wrong-text",
        "An unlinked account has another text.",
        ("iks-11",),
    ),
    ("iks-unlinked-ignores-manual", "Manual credentials do not help an unlinked account.", ("iks-11",)),
    ("iks-orphan-hidden", "A worker of another account looks well.", ("iks-12",)),
    ("iks-orphan-without-id", "The orphan's message lacks its quotes and id.", ("iks-12",)),
    ("iks-orphan-stays", "A worker stays orphaned when its account is back.", ("iks-12",)),
    ("iks-orphan-operable", "A worker of another account can be removed.", ("iks-12",)),
    ("iks-registry-silent", "A missing registry role shows nowhere.", ("iks-13",)),
    (
        "iks-registry-wrong-text",
        "A missing registry role has another text.",
        ("iks-13",),
    ),
    ("iks-no-token-accepted", "A request without a token is served.", ("iks-14",)),
    ("iks-no-token-as-500", "A request without a token is a server error.", ("iks-14",)),
    ("iks-unknown-cluster-served", "An unknown cluster has a key owner.", ("iks-15",)),
    ("iks-unknown-cluster-wrong-code", "An unknown cluster has another code.", ("iks-15-code",)),
    ("iks-viewer-sets", "A viewer sets credentials.", ("iks-16",)),
    ("iks-viewer-unsets", "A viewer unsets credentials.", ("iks-16",)),
    ("iks-viewer-resets", "A viewer resets the API key.", ("iks-16",)),
    ("iks-refused-set-stored", "Credentials of a refused request are stored.", ("iks-16",)),
    ("iks-html-errors", "Errors are HTML.", ("iks-envelope",)),
    ("iks-kms-envelope", "Errors have the KMS's envelope.", ("iks-envelope",)),
    ("iks-numeric-incident", "The incident id is a number.", ("iks-envelope",)),
    ("iks-operations-of-any-place", "Operations use credentials that are set elsewhere.", ("iks-04",)),
    ("iks-unset-in-every-account", "Unsetting reaches other accounts.", ("iks-04",)),
    ("iks-user-cut", "A user is stored without what follows the at sign.", ("iks-02",)),
    ("iks-same-user-ignored", "A new key of the same user is not stored.", ("iks-07",)),
    ("iks-key-in-error", "A refusal shows the infrastructure key.", ("iks-no-secret",)),
    ("iks-deleted-key-removes", "Workers are removed with a key that was deleted.", ("iks-06",)),
    ("iks-dead-key-removes", "Workers are removed with a dead API key.", ("iks-09",)),
    ("iks-key-of-all-places", "A reset reaches other regions and groups.", ("iks-key-scope",)),
    ("iks-every-group-insufficient", "All groups are insufficient when one is.", ("iks-08",)),
    ("iks-refused-reset-done", "A reset without a token is refused and done.", ("iks-14",)),
    ("iks-workers-without-token", "Workers are shown without a token.", ("iks-14",)),
    ("iks-viewer-changes-clusters", "A viewer changes clusters.", ("iks-viewer-clusters",)),
    ("iks-registry-without-cluster", "With a missing registry role no cluster stays.", ("iks-13",)),
    ("iks-description-missing", "Errors have no description.", ("iks-envelope",)),
)

DEFECTS: Mapping[str, Defect] = MappingProxyType({row[0]: Defect(*row) for row in _ROWS})
"""Every defect by name."""
