"""The laws of a contract as data: which cases there are, what each covers and needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kms_conformance.contract.contract import contract_file


@dataclass(frozen=True, slots=True)
class LawCase:
    """One case of a law: its id, the rows it covers, what its target must give, how long it waits, what it changes."""

    id: str
    rows: tuple[str, ...]
    identities: tuple[str, ...]
    capabilities: tuple[str, ...]
    control: bool
    waits: float
    impact: tuple[str, ...]
    data: Mapping[str, Any]


@cache
def law_file(contract: str, law: str) -> Mapping[str, Any]:
    """Return ``<law>.yaml`` of a contract; one without cases where the contract has no such law."""
    return contract_file(contract, f"{law}.yaml") or {"cases": []}


@cache
def law_cases(contract: str, law: str) -> Mapping[str, LawCase]:
    """Return the cases of a law by id."""
    return {data["id"]: _case(data) for data in law_file(contract, law)["cases"]}


def _case(data: Mapping[str, Any]) -> LawCase:
    needs = data.get("needs", {})
    return LawCase(
        id=data["id"],
        rows=tuple(dict.fromkeys(_rows(data))),
        identities=tuple(needs.get("identity", ())),
        capabilities=tuple(needs.get("capability", ())),
        control=bool(needs.get("control")),
        waits=float(data.get("waits", 0)),
        impact=tuple(data.get("impact", ())),
        data=data,
    )


def _rows(data: Any) -> Iterator[str]:
    """Give every row that a piece of data names, wherever it stands."""
    if isinstance(data, dict):
        if isinstance(data.get("row"), str):
            yield data["row"]
        for name, inner in data.items():
            # What a request sends is no part of the law.
            if name not in {"body", "query", "headers", "path"}:
                yield from _rows(inner)
    elif isinstance(data, list):
        for inner in data:
            yield from _rows(inner)
