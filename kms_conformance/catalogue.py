"""The cases that are installed, without running pytest."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case as its module declares it; parameters are not expanded."""

    id: str
    title: str
    covers: tuple[str, ...]
    waits: float


def listed_cases(contract: str) -> tuple[ListedCase, ...]:
    """Return the cases of a contract, in the order of their files."""
    package = import_module(f"kms_conformance.scenarios.{contract}")
    found = []
    for entry in pkgutil.iter_modules(package.__path__):
        if not entry.name.startswith("test_"):
            continue
        module = import_module(f"{package.__name__}.{entry.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            marks = getattr(function, "pytestmark", [])
            covers = tuple(row for mark in marks if mark.name == "covers" for row in mark.args)
            if covers and name.startswith("test_"):
                rule = (function.__doc__ or "").strip()
                found.append(
                    ListedCase(
                        id=f"{contract}.{entry.name.removeprefix('test_')}.{name.removeprefix('test_')}",
                        title=rule.splitlines()[0] if rule else name,
                        covers=covers,
                        waits=sum(mark.args[0] for mark in marks if mark.name == "waits"),
                    )
                )
    return tuple(found)
