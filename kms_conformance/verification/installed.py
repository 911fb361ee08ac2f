"""The cases of the installed suite as functions: what they declare, and their bodies, without running any."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.case_index import packages
from kms_conformance.errors import RecordError
from kms_conformance.pytest_plugin.items import body_of, describe, is_case
from kms_conformance.pytest_plugin.views import ViewItems
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import SEED

_QUIET = (
    "terminal",
    "cacheprovider",
    "allure_pytest",
    "schemathesis",
    "hypothesispytest",
    "kms-session",
    "xdist",
    # It looks through all objects five times when pytest ends, and a record has millions of them.
    "unraisableexception",
    "threadexception",
)


@dataclass(frozen=True, slots=True)
class InstalledCase:
    """A case: what it declares, and its body as a function of the system."""

    info: CaseInfo
    body: Callable[[Any], None]


class _CaseCollector:
    def __init__(self, seed: int, *, whole: bool) -> None:
        self.cases: dict[str, InstalledCase] = {}
        self._views = ViewItems(seed, whole=whole)

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Add the items in which a case runs again under a view."""
        made = yield
        return self._views.beside(made) if isinstance(made, list) else made

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take every case."""
        for item in session.items:
            if is_case(item):
                info = describe(item)
                self.cases[info.id] = InstalledCase(info, body_of(item))


@cache
def installed_cases(contract: str, seed: int = SEED, *, whole: bool = False) -> Mapping[str, InstalledCase]:
    """Return the cases of a contract by id; ``seed`` and ``whole`` choose those that run under a view too. Raise :class:`RecordError` when a module of them is broken."""
    collector = _CaseCollector(seed, whole=whole)
    code = pytest.main(
        [
            "--collect-only",
            *("-c", os.devnull, "--rootdir", str(Path.cwd()), "--import-mode=importlib", "--assert=plain"),
            *(word for name in _QUIET for word in ("-p", f"no:{name}")),
            "--pyargs",
            *packages(contract),
        ],
        plugins=[collector],
    )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RecordError(
            "the suite", f"the cases of {contract} cannot be collected (pytest ended with {code})"
        )
    return {case_id: case for case_id, case in collector.cases.items() if case.info.contract == contract}
