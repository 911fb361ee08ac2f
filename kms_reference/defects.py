"""The registry of defects that can be switched on in the reference, one or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kms_reference.hpcs_tke.defects import DEFECTS as TKE_DEFECTS
from kms_reference.iks.defects import DEFECTS as IKS_DEFECTS
from kms_reference.key_protect.defects import DEFECTS as KEY_PROTECT_DEFECTS
from kms_reference.key_protect.defects import FUZZ_DEFECTS as KEY_PROTECT_FUZZ_DEFECTS
from kms_reference.key_protect.defects import LAW_DEFECTS
from kms_reference.rules import Rules
from kms_reference.switches import Defect, chosen
from kms_reference.variations import VARIATIONS

__all__ = ["ALL_DEFECTS", "FUZZ_DEFECTS", "LAW_OF", "SYSTEM_DEFECTS", "Defect", "rules_of"]


def _by_name(*defects: Defect) -> Mapping[str, Defect]:
    return MappingProxyType({defect.name: defect for defect in defects})


SYSTEM_DEFECTS: Mapping[str, Mapping[str, Defect]] = MappingProxyType(
    {
        "key_protect": _by_name(*KEY_PROTECT_DEFECTS),
        "hpcs_tke": _by_name(*TKE_DEFECTS),
        "iks": _by_name(*IKS_DEFECTS),
    }
)
"""The defects by system and name. Names are unique: those of other systems than Key Protect begin with its name."""

FUZZ_DEFECTS: Mapping[str, Defect] = _by_name(*KEY_PROTECT_FUZZ_DEFECTS)
"""Defects of Key Protect that no documented sequence shows; fuzzing does."""

LAW_OF: Mapping[str, str] = MappingProxyType(
    {defect.name: law for law, defects in LAW_DEFECTS.items() for defect in defects}
)
"""The law that a defect is made for, by the name of the defect."""

ALL_DEFECTS: Mapping[str, Defect] = _by_name(
    *(defect for table in (*SYSTEM_DEFECTS.values(), FUZZ_DEFECTS) for defect in table.values())
)
"""The defects of all systems and of fuzzing by name: what `serve --defect` takes."""


def rules_of(edition: str = "page", defects: Iterable[str] = (), variations: Iterable[str] = ()) -> Rules:
    """Return the rules of a server with these defects and variations. Raises UnknownSwitchError."""
    return Rules.of(
        edition, chosen("defect", defects, ALL_DEFECTS), chosen("variation", variations, VARIATIONS)
    )
