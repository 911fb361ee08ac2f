"""The body of a law's case, as ``api`` hands it to the scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from kms_conformance.laws.concurrency import Concurrency
from kms_conformance.laws.effects import Effects
from kms_conformance.laws.entries import LawCase, law_cases
from kms_conformance.laws.limits import Limits
from kms_conformance.laws.ownership import Ownership
from kms_conformance.laws.relations import Relations
from kms_conformance.laws.sequences import Sequences


class _Law(Protocol):
    """One case of a law, its subjects made."""

    def run(self) -> None:
        """Send every request of the case and judge the answers."""


LAWS: Mapping[str, Callable[[Any, LawCase], _Law]] = {
    "effects": Effects,
    "relations": Relations,
    "ownership": Ownership,
    "concurrency": Concurrency,
    "limits": Limits,
    "sequences": Sequences,
}
"""The laws by the name of their file in a contract."""


def hold(kms: Any, law: str, case_id: str) -> None:
    """Go through one case of a law, with the system that the contract's adapter makes for it."""
    contract = kms.case.context.contract
    module, _, name = str(contract.about["laws"]["system"]).partition(":")
    system = getattr(import_module(module), name)(kms.case)
    LAWS[law](system, law_cases(contract.id, law)[case_id]).run()
