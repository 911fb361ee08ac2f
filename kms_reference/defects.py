"""The registry of faults that the reference can be told to have, one at a time or several.

A defect is a hook beside the code it breaks. Three kinds exist: a name that the code asks for
(`Rules.broken`), a rewriting of the finished reply (`mutate`), another time span (`times`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kms_reference.hpcs_tke.defects import DEFECTS as TKE_DEFECTS
from kms_reference.hpcs_tke.defects import Defect as TkeDefect
from kms_reference.iks.defects import DEFECTS as IKS_DEFECTS
from kms_reference.iks.defects import Defect as IksDefect
from kms_reference.key_protect.defects.fuzz import FUZZ_DEFECTS as _FUZZ
from kms_reference.key_protect.defects.paths import ROAD_DEFECTS
from kms_reference.key_protect.defects.refusals import REFUSAL_DEFECTS
from kms_reference.key_protect.defects.rules import RULE_DEFECTS
from kms_reference.key_protect.defects.successes import SUCCESS_DEFECTS
from kms_reference.rules import Defect

__all__ = ["ALL_DEFECTS", "DEFECTS", "FUZZ_DEFECTS", "Defect"]

DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {defect.name: defect for defect in (*RULE_DEFECTS, *REFUSAL_DEFECTS, *SUCCESS_DEFECTS, *ROAD_DEFECTS)}
)
"""The defects of Key Protect."""

FUZZ_DEFECTS: Mapping[str, Defect] = MappingProxyType({defect.name: defect for defect in _FUZZ})
"""Defects of Key Protect that no documented sequence shows; fuzzing does."""

ALL_DEFECTS: Mapping[str, Defect | TkeDefect | IksDefect] = MappingProxyType(
    {**DEFECTS, **FUZZ_DEFECTS, **TKE_DEFECTS, **IKS_DEFECTS}
)
"""The defects of all endpoints of one server; names begin with ``tke-`` and ``iks-`` where they are not Key Protect's."""
