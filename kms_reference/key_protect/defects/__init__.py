"""Faults of Key Protect that a good suite finds: they replace or wrap the rules that the folder above states."""

from typing import Final

from kms_reference.key_protect.defects.fuzz import FUZZ_DEFECTS
from kms_reference.key_protect.defects.laws_views import VIEW_DEFECTS
from kms_reference.key_protect.defects.paths import PATH_DEFECTS
from kms_reference.key_protect.defects.refusals import REFUSAL_DEFECTS
from kms_reference.key_protect.defects.rules import RULE_DEFECTS
from kms_reference.key_protect.defects.successes import SUCCESS_DEFECTS
from kms_reference.switches import Defect

__all__ = ["DEFECTS", "FUZZ_DEFECTS"]

DEFECTS: Final[tuple[Defect, ...]] = (
    *RULE_DEFECTS,
    *REFUSAL_DEFECTS,
    *SUCCESS_DEFECTS,
    *PATH_DEFECTS,
    *VIEW_DEFECTS,
)
