"""The registry of lawful differences: what the page leaves free and other servers do otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kms_reference.rules import Mutator


@dataclass(frozen=True, slots=True)
class Variation:
    """One difference: `name`, one line of `doc`, the page's `sections` it touches (anchors, short form)."""

    name: str
    doc: str
    sections: tuple[str, ...] = ()
    mutate: Mutator | None = field(default=None, compare=False)
    times: Mapping[str, float] = field(default_factory=dict, compare=False)


VARIATIONS: Mapping[str, Variation] = MappingProxyType({})
