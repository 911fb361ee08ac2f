"""The installed cases as functions, collected by pytest once and run without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from kms_conformance.contract.contract import load_contract, short_anchor
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.run.options import Options
from kms_conformance.run.schedule import order
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target
from kms_conformance.verification.installed import InstalledCase, installed_cases

UNORDERED = "concurrency"
"""The law whose cases send requests at the same moment."""


class Case(InstalledCase):
    """A case: what it declares, its body as a function of the system, and what its rows are."""

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


def law_of(case_id: str) -> str:
    """Return the law that a case belongs to, ``""`` for a case of a documented sequence."""
    return case_id.partition(".laws.")[2].partition("[")[0]


@cache
def collected(contract: str) -> Mapping[str, Case]:
    """Return the cases of a contract in running order, by id; raise :class:`RecordError` when a module is broken."""
    # The fuzzer's cases are no sequences of the contract's own.
    cases = {
        case_id: Case(case.info, case.body)
        for case_id, case in installed_cases(contract).items()
        if case_id.startswith(f"{contract}.")
    }
    infos = {case_id: case.info for case_id, case in cases.items()}
    return {case_id: cases[case_id] for case_id in order(infos, sorted(infos), real_time=False)}


def results_of(session: Session, cases: Mapping[str, Case]) -> Iterator[CaseResult]:
    """Run cases one after the other, and yield the result of each."""
    session.expects(len(cases))
    for case in cases.values():
        yield session.run_case(session.open(case.info), case.body)


def run_cases(
    target: Target,
    cases: Mapping[str, Case],
    contract: str,
    *,
    jobs: int | None = None,
    profile: str = "gate",
) -> Run:
    """Run cases one after the other against a target, each as if ``jobs`` were under way; return the verdict object."""
    session = Session(Options(contracts=(contract,), jobs=jobs, profile=Profile(profile)), target)
    try:
        for _ in results_of(session, cases):
            pass
        return session.outcome()
    finally:
        session.close()
