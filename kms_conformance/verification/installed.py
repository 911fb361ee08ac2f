"""The cases of the installed suite as functions: what they declare, and their bodies, without running any."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.case_index import folders
from kms_conformance.errors import RecordError
from kms_conformance.pytest_plugin.items import body_of, describe, is_case
from kms_conformance.run.context import CaseInfo

_QUIET = (
    "terminal",
    "cacheprovider",
    "allure_pytest",
    "schemathesis",
    "hypothesispytest",
    "kms-session",
    "xdist",
)


@dataclass(frozen=True, slots=True)
class InstalledCase:
    """A case: what it declares, and its body as a function of the system."""

    info: CaseInfo
    body: Callable[[Any], None]


class _Grab:
    def __init__(self) -> None:
        self.cases: dict[str, InstalledCase] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take every case."""
        for item in session.items:
            if is_case(item):
                info = describe(item)
                self.cases[info.id] = InstalledCase(info, body_of(item))


@cache
def installed_cases(contract: str) -> Mapping[str, InstalledCase]:
    """Return the cases of a contract by id; raise :class:`RecordError` when a module of them is broken."""
    grab = _Grab()
    code = pytest.main(
        [
            "--collect-only",
            *("-c", os.devnull, "--rootdir", str(Path.cwd()), "--import-mode=importlib", "--assert=plain"),
            *(word for name in _QUIET for word in ("-p", f"no:{name}")),
            "--pyargs",
            *(f"kms_conformance.scenarios.{folder}" for folder in folders(contract)),
        ],
        plugins=[grab],
    )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RecordError(
            "the suite", f"the cases of {contract} cannot be collected (pytest ended with {code})"
        )
    return {case_id: case for case_id, case in grab.cases.items() if case.info.contract == contract}
