"""The laws of a contract as data: which cases there are, what each covers and needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kms_conformance.contract.contract import contract_file

EFFECTS, EFFECT_CASES = "effects", "effect-cases"
"""The law with an entry for each operation, and the file with its cases."""
_LATE = 1_300.0
"""Extra seconds that a case of the law of effects may wait for changes that show late."""


@dataclass(frozen=True, slots=True)
class LawCase:
    """One case of a law: its id, the rows it covers, what its target must have, how long it waits, what it changes.

    ``slack`` is by how many seconds it may wait longer (see :func:`kms_conformance.api.waits`).
    """

    id: str
    rows: tuple[str, ...]
    identities: tuple[str, ...]
    capabilities: tuple[str, ...]
    control: bool
    waits: float
    impact: tuple[str, ...]
    data: Mapping[str, Any]
    slack: float = math.inf


@cache
def law_file(contract: str, law: str) -> Mapping[str, Any]:
    """Return ``<law>.yaml`` of a contract; one without cases where the contract has no such law."""
    return contract_file(contract, f"{law}.yaml") or {"cases": []}


@cache
def law_cases(contract: str, law: str) -> Mapping[str, LawCase]:
    """Return the cases of a law by id."""
    if law == EFFECTS:
        return _effect_cases(contract)
    return {data["id"]: _case(data) for data in law_file(contract, law)["cases"]}


def _effect_cases(contract: str) -> Mapping[str, LawCase]:
    """Return the cases of the law of effects by id; each covers the rows of the operations that it performs."""
    effects = law_file(contract, EFFECTS)
    cases = {}
    for data in law_file(contract, EFFECT_CASES)["cases"]:
        rows = dict.fromkeys(_rows_of_steps(data, effects))
        always = (effects["rows"][name] for name in ("agree", "allowed", "bystander", "lasting"))
        case = _case(data)
        cases[data["id"]] = replace(
            case, rows=tuple(dict.fromkeys((*rows, *always, *case.rows))), waits=case.waits + _LATE
        )
    return cases


def _rows_of_steps(data: Mapping[str, Any], effects: Mapping[str, Any]) -> Iterator[str]:
    for step in data["steps"]:
        if step.get("outcome", "done") == "refused":
            yield effects["rows"]["refused"]
            continue
        for ask in step.get("all", [step]):
            if "row" in ask or ("all" in step and "outcome" in ask):
                continue
            entry = effects["operations"][ask["do"]]
            if "as" in entry:
                same_as = entry["as"]
                entry = effects["operations"][same_as["operations"][ask["query"][same_as["parameter"]]]]
            yield entry["row"]


def _case(data: Mapping[str, Any]) -> LawCase:
    needs = data.get("needs", {})
    return LawCase(
        id=data["id"],
        rows=tuple(dict.fromkeys(_rows(data))),
        identities=tuple(needs.get("identity", ())),
        capabilities=tuple(needs.get("capability", ())),
        control=bool(needs.get("control")),
        waits=float(data.get("waits", 0)),
        # What a schedule shows before its time holds until that time.
        slack=float(data.get("schedule", {}).get("early", data.get("slack", math.inf))),
        impact=tuple(data.get("impact", ())),
        data=data,
    )


def _rows(data: Any) -> Iterator[str]:
    """Yield every row that a piece of data names, at any depth."""
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
