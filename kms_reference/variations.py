"""The registry of lawful differences: what the page leaves free and other servers do otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kms_reference.key_protect.free_variations import FREE_VARIATIONS
from kms_reference.key_protect.http_variations import HTTP_VARIATIONS
from kms_reference.key_protect.shape_variations import SHAPE_VARIATIONS
from kms_reference.key_protect.variations import REPLY_VARIATIONS
from kms_reference.switches import Variation

__all__ = ["VARIATIONS", "Variation"]

VARIATIONS: Mapping[str, Variation] = MappingProxyType(
    {v.name: v for v in (*REPLY_VARIATIONS, *HTTP_VARIATIONS, *FREE_VARIATIONS, *SHAPE_VARIATIONS)}
)
