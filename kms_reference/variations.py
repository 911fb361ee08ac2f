"""The registry of lawful differences: what the pages leave free and other servers do otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kms_reference.hpcs_tke.variations import TKE_VARIATIONS
from kms_reference.iks.variations import IKS_VARIATIONS
from kms_reference.key_protect.free_variations import FREE_VARIATIONS
from kms_reference.key_protect.http_variations import HTTP_VARIATIONS
from kms_reference.key_protect.shape_variations import SHAPE_VARIATIONS
from kms_reference.key_protect.variations import REPLY_VARIATIONS
from kms_reference.switches import Variation

__all__ = ["SYSTEM_VARIATIONS", "VARIATIONS", "Variation"]


def _by_name(*variations: Variation) -> Mapping[str, Variation]:
    return MappingProxyType({variation.name: variation for variation in variations})


SYSTEM_VARIATIONS: Mapping[str, Mapping[str, Variation]] = MappingProxyType(
    {
        "key_protect": _by_name(*REPLY_VARIATIONS, *HTTP_VARIATIONS, *FREE_VARIATIONS, *SHAPE_VARIATIONS),
        "hpcs_tke": _by_name(*TKE_VARIATIONS),
        "iks": _by_name(*IKS_VARIATIONS),
    }
)
"""The variations by system and name. Names are unique: those of other systems than Key Protect begin with its name."""

VARIATIONS: Mapping[str, Variation] = _by_name(
    *(variation for table in SYSTEM_VARIATIONS.values() for variation in table.values())
)
"""The variations of all systems by name: what `serve --variation` takes."""
