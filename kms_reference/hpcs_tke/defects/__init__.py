"""Faults of this system that a good suite finds: they replace or wrap the rules that the folder above states."""

from typing import Final

from kms_reference.hpcs_tke.defects.effects import EFFECT_DEFECTS
from kms_reference.hpcs_tke.defects.reported import REPORTED_DEFECTS
from kms_reference.hpcs_tke.defects.reported_ceremonies import CEREMONY_DEFECTS
from kms_reference.hpcs_tke.defects.reported_hsm import HSM_DEFECTS
from kms_reference.hpcs_tke.defects.reported_leftovers import LEFTOVER_DEFECTS
from kms_reference.hpcs_tke.defects.reported_quorum import QUORUM_DEFECTS
from kms_reference.hpcs_tke.defects.reported_shortcuts import SHORTCUT_DEFECTS
from kms_reference.hpcs_tke.defects.rules import RULE_DEFECTS
from kms_reference.switches import Defect

__all__ = ["DEFECTS"]

DEFECTS: Final[tuple[Defect, ...]] = (
    *RULE_DEFECTS,
    *EFFECT_DEFECTS,
    *REPORTED_DEFECTS,
    *HSM_DEFECTS,
    *QUORUM_DEFECTS,
    *CEREMONY_DEFECTS,
    *LEFTOVER_DEFECTS,
    *SHORTCUT_DEFECTS,
)
