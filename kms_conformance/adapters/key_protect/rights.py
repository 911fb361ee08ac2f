"""What each identity of a target has to be able to do, tried by requests about things that do not exist.

Roles by operation: the table of roles in the page's section on access.
"""

from __future__ import annotations

from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.adapters.key_protect.first_reads import read_resources
from kms_conformance.contract.contract import Contract
from kms_conformance.run.identities import CASE, Right
from kms_conformance.transport.client import Client

_HEADERS = (("bluemix-instance", "{instance}"),)
_READS_POLICIES = ("GET", f"{ROOT}/instance/policies")
_READS_A_KEY = ("GET", f"{ROOT}/keys/{{id}}")
_LISTS = ("GET", f"{ROOT}/keys?limit=1")
_PURGES = ("DELETE", f"{ROOT}/keys/{{id}}/purge")

RIGHTS = (
    Right("manager", "Manager", (_READS_POLICIES, _READS_A_KEY), _HEADERS),
    Right("approver", "Manager", (_READS_POLICIES, _READS_A_KEY), _HEADERS),
    Right("reader", "Reader", (_LISTS,), _HEADERS),
    Right("purger", "KeyPurge", (_PURGES,), _HEADERS),
    Right("reader", "Manager", (_READS_POLICIES,), _HEADERS, may=False),
    Right("outsider", "Reader", (_LISTS,), _HEADERS, may=False),
    Right("manager", "KeyPurge", (_PURGES,), _HEADERS, may=False),
)
_MOST_RINGS = 50


def quotas(client: Client, contract: Contract, instance: str) -> dict[str, tuple[int, int]]:
    """Return how many key rings an instance has, and how many it may have; nothing where they cannot be listed."""
    rings = read_resources(client, contract, instance, "/key_rings", step="count the key rings", case=CASE)
    return {} if rings is None else {"key rings": (len(rings), _MOST_RINGS)}
