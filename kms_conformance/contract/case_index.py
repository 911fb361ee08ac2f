"""The cases that are installed, without running pytest."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kms_conformance.contract.contract import load_contract
from kms_conformance.system import system_of

_GENERAL = "scenarios"


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case as its module declares it; parameters are not expanded."""

    id: str
    title: str
    covers: tuple[str, ...]
    waits: float


def packages(contract: str) -> tuple[str, ...]:
    """Return the packages that hold a contract's cases: its system's, and that of its fuzzing."""
    fuzz = load_contract(contract).about.get("fuzz", {}).get("scenarios")
    own = system_of(contract).scenarios
    return (*own, str(fuzz)) if fuzz else own


def prefix_of(package: str, contract: str) -> str:
    """Return what the ids of the cases of a package begin with: its last name, or the system's where that is too general."""
    last = package.rpartition(".")[2]
    return contract if last == _GENERAL else last


def listed_cases(contract: str) -> tuple[ListedCase, ...]:
    """Return the cases of a contract, in the order of their files; none when no cases are installed for it."""
    return tuple(case for package in packages(contract) for case in _listed(package, contract))


def not_among(collected: Collection[str], contracts: Iterable[str], *, without: Collection[str]) -> int:
    """Return how many cases of the contracts a pytest session has not collected; ``without`` names files it may not.

    A session without any of our cases runs other cases, whose number is unknown: 0.
    """
    functions = {case_id.partition("[")[0] for case_id in collected}
    skipped = {name.removesuffix(".py").removeprefix("test_") for name in without}
    ours = {case.id for contract in contracts for case in listed_cases(contract)}
    wanted = {case_id for case_id in ours if case_id.split(".")[-2] not in skipped}
    return len(wanted - functions) if functions & ours else 0


def _listed(name: str, contract: str) -> tuple[ListedCase, ...]:
    try:
        package = import_module(name)
    except ModuleNotFoundError:
        return ()
    prefix = prefix_of(name, contract)
    cases = []
    for entry in pkgutil.iter_modules(package.__path__):
        if not entry.name.startswith("test_"):
            continue
        module = import_module(f"{package.__name__}.{entry.name}")
        for test, function in inspect.getmembers(module, inspect.isfunction):
            marks = list(_marks(function))
            covers = tuple(dict.fromkeys(row for mark in marks if mark.name == "covers" for row in mark.args))
            if covers and test.startswith("test_"):
                rule = (function.__doc__ or "").strip()
                cases.append(
                    ListedCase(
                        id=f"{prefix}.{entry.name.removeprefix('test_')}.{test.removeprefix('test_')}",
                        title=rule.splitlines()[0] if rule else test,
                        covers=covers,
                        waits=sum(mark.args[0] for mark in marks if mark.name == "waits"),
                    )
                )
    return tuple(cases)


def _marks(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the marks of a case and of its parameters: each parameter may cover a row."""
    for mark in getattr(function, "pytestmark", []):
        yield mark
        if mark.name == "parametrize":
            yield from (inner for entry in mark.args[1] for inner in getattr(entry, "marks", ()))
