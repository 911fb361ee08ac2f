"""Faults of this system that a good suite finds: they replace or wrap the rules that the folder above states."""

from typing import Final

from kms_reference.iks.defects.reported import REPORTED_DEFECTS
from kms_reference.iks.defects.reported_leftovers import LEFTOVER_DEFECTS
from kms_reference.iks.defects.reported_provisioners import PROVISIONER_DEFECTS
from kms_reference.iks.defects.reported_shortcuts import SHORTCUT_DEFECTS
from kms_reference.iks.defects.reported_stores import STORE_DEFECTS
from kms_reference.iks.defects.reported_tenants import TENANT_DEFECTS
from kms_reference.iks.defects.rules import DEFECTS as RULE_DEFECTS
from kms_reference.switches import Defect

__all__ = ["DEFECTS"]

DEFECTS: Final[tuple[Defect, ...]] = (
    *RULE_DEFECTS,
    *REPORTED_DEFECTS,
    *PROVISIONER_DEFECTS,
    *TENANT_DEFECTS,
    *STORE_DEFECTS,
    *LEFTOVER_DEFECTS,
    *SHORTCUT_DEFECTS,
)
