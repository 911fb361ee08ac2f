"""What each identity of a target has to be able to do, tried by requests about things that do not exist.

Roles by operation: the table of roles in the page's section on access.
"""

from __future__ import annotations

from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.run.identities import Right

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
)
