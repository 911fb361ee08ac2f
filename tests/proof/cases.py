"""The installed cases as functions, collected by pytest once and run without it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract, short_anchor
from kms_conformance.judging.verdict import Run
from kms_conformance.pytest_plugin.items import body_of, describe, is_case
from kms_conformance.pytest_plugin.views import ViewItems
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import SEED, Options
from kms_conformance.run.schedule import order
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target


@dataclass(frozen=True)
class Case:
    """A case: what it declares, and its body as a function of the system."""

    info: CaseInfo
    body: Callable[[Any], None]

    @property
    def sections(self) -> frozenset[str]:
        """The short anchors of the sections that the case covers, and the rows themselves."""
        contract = load_contract(self.info.contract)
        sections = (short_anchor(contract.requirement(row).section) for row in self.info.covers)
        return frozenset({*sections, *self.info.covers})

    @property
    def must(self) -> bool:
        """Whether a deviation of one of its rows fails a run."""
        contract = load_contract(self.info.contract)
        rows = [contract.requirement(row) for row in self.info.covers]
        return any(row.level == "MUST" and row.evidence in {"documented", "observed"} for row in rows)


class _CaseCollector:
    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}

        self._views = ViewItems(SEED, whole=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        made = yield
        return self._views.beside(made) if isinstance(made, list) else made

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if is_case(item):
                info = describe(item)
                self.cases[info.id] = Case(info, body_of(item))


def law_of(case_id: str) -> str:
    """Return the law that a case belongs to, ``""`` for a case of a documented sequence."""
    return case_id.partition(".laws.")[2].partition("[")[0]


@cache
def collected(contract: str) -> Mapping[str, Case]:
    """Return the cases of a contract in running order, by id; raise :class:`RuntimeError` when a module is broken."""
    collector = _CaseCollector()
    quiet = ["terminal", "cacheprovider", "allure_pytest", "schemathesis", "hypothesispytest", "kms-session"]
    code = pytest.main(
        [
            "--collect-only",
            *("-c", os.devnull, "--rootdir", os.getcwd(), "--import-mode=importlib"),  # noqa: PTH109 - pytest takes text
            *(word for name in quiet for word in ("-p", f"no:{name}")),
            *("--pyargs", f"kms_conformance.scenarios.{contract}"),
        ],
        plugins=[collector],
    )
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise RuntimeError(f"the cases of {contract} cannot be collected (pytest ended with {code})")
    infos = {case_id: case.info for case_id, case in collector.cases.items()}
    return {case_id: collector.cases[case_id] for case_id in order(infos, sorted(infos), real_time=False)}


def run_cases(target: Target, cases: Mapping[str, Case], contract: str) -> Run:
    """Run cases one after the other against a target, and return the verdict object."""
    session = Session(Options(contracts=(contract,)), target)
    try:
        session.expects(len(cases))
        for case in cases.values():
            session.run_case(session.open(case.info), case.body)
        return session.outcome()
    finally:
        session.close()
