"""The registry of faults that the reference can be told to have, one at a time or several.

A defect is a hook beside the code it breaks. Three kinds exist: a name that the code asks for
(`Rules.broken`), a rewriting of the finished reply (`mutate`), another time span (`times`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kms_reference.rules import Mutator


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault: `name`, one line of `doc`, the page's `sections` it breaks (anchors, short form)."""

    name: str
    doc: str
    sections: tuple[str, ...] = ()
    mutate: Mutator | None = field(default=None, compare=False)
    times: Mapping[str, float] = field(default_factory=dict, compare=False)


DEFECTS: Mapping[str, Defect] = MappingProxyType({})
