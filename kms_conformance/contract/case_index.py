"""The cases that are installed, without running pytest."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kms_conformance.contract.contract import load_contract


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case as its module declares it; parameters are not expanded."""

    id: str
    title: str
    covers: tuple[str, ...]
    waits: float


def folders(contract: str) -> tuple[str, ...]:
    """Return the folders of ``scenarios`` that hold a contract's cases: its own, and that of its fuzzing."""
    fuzz = load_contract(contract).about.get("fuzz", {}).get("scenarios")
    return (contract, fuzz) if fuzz else (contract,)


def listed_cases(contract: str) -> tuple[ListedCase, ...]:
    """Return the cases of a contract, in the order of their files; none when no cases are installed for it."""
    return tuple(case for folder in folders(contract) for case in _listed(folder))


def not_among(collected: Collection[str], contracts: Iterable[str], *, without: Collection[str]) -> int:
    """Return how many cases of the contracts a pytest session has not collected; ``without`` names files it may not.

    Who collects none of ours runs cases of his own, of which we know no number: 0.
    """
    functions = {case_id.partition("[")[0] for case_id in collected}
    skipped = {name.removesuffix(".py").removeprefix("test_") for name in without}
    ours = {case.id for contract in contracts for case in listed_cases(contract)}
    wanted = {case_id for case_id in ours if case_id.split(".")[-2] not in skipped}
    return len(wanted - functions) if functions & ours else 0


def _listed(folder: str) -> tuple[ListedCase, ...]:
    try:
        package = import_module(f"kms_conformance.scenarios.{folder}")
    except ModuleNotFoundError:
        return ()
    found = []
    for entry in pkgutil.iter_modules(package.__path__):
        if not entry.name.startswith("test_"):
            continue
        module = import_module(f"{package.__name__}.{entry.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            marks = list(_marks(function))
            covers = tuple(dict.fromkeys(row for mark in marks if mark.name == "covers" for row in mark.args))
            if covers and name.startswith("test_"):
                rule = (function.__doc__ or "").strip()
                found.append(
                    ListedCase(
                        id=f"{folder}.{entry.name.removeprefix('test_')}.{name.removeprefix('test_')}",
                        title=rule.splitlines()[0] if rule else name,
                        covers=covers,
                        waits=sum(mark.args[0] for mark in marks if mark.name == "waits"),
                    )
                )
    return tuple(found)


def _marks(function: Callable[..., Any]) -> Iterator[Any]:
    """Give the marks of a case, and those of its parameters: one case may put a row to the test with each."""
    for mark in getattr(function, "pytestmark", []):
        yield mark
        if mark.name == "parametrize":
            yield from (inner for entry in mark.args[1] for inner in getattr(entry, "marks", ()))
