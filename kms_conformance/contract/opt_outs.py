"""Which cases opt out of the views of ``views.yaml``, and why: which cases the suite does not run in another form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kms_conformance.contract.contract import contract_file, known_contracts


@dataclass(frozen=True, slots=True)
class OptOut:
    """Cases that do not run under a view, as a pattern of ids without the contract's name, and why."""

    cases: str
    why: str


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The opt-outs of one view; ``identities`` are those that the view needs for itself."""

    view: str
    identities: tuple[str, ...] = ()
    entries: tuple[OptOut, ...] = ()

    def why(self, case_id: str, identities: Iterable[str] = ()) -> str:
        """Return why a case is not run under the view, ``""`` when it is.

        ``case_id`` is without the contract's name; ``identities`` are those that the case uses itself.
        """
        own = sorted(set(identities) & set(self.identities))
        if own:
            return f"the case uses the identity {own[0]} itself"
        return next((entry.why for entry in self.entries if fnmatchcase(case_id, entry.cases)), "")


def opt_outs(contract: str) -> Sequence[OptOuts]:
    """Return the opt-outs of each view of a contract; none where it is not installed or has no views."""
    document = contract_file(contract, "views.yaml") if contract in known_contracts() else None
    return [opt_outs_of(entry) for entry in (document or {}).get("views", ())]


def opt_outs_of(entry: Mapping[str, Any]) -> OptOuts:
    """Return the opt-outs of a view as ``views.yaml`` has it."""
    rows = tuple(OptOut(row["cases"], row["why"]) for row in entry.get("without", ()))
    return OptOuts(entry["id"], tuple(entry.get("identities", ())), rows)
