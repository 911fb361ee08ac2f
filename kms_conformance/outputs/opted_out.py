"""Which cases of a run were not run under a view, and why, for every output that tells it."""

from __future__ import annotations

from dataclasses import dataclass

from kms_conformance.contract.opt_outs import opt_outs
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.overview import contract_ids

_LAW = ".laws."


@dataclass(frozen=True, slots=True)
class OptedOut:
    """Cases that are not run under a view, by their ids, for one reason."""

    contract: str
    view: str
    why: str
    cases: tuple[str, ...]


def opted_out(run: Run) -> tuple[OptedOut, ...]:
    """Return the cases that opt out of a view, by view and reason, in the order of the contract's views."""
    cases_by_reason: dict[tuple[str, str, str], list[str]] = {}
    for contract in contract_ids(run):
        views = opt_outs(contract)
        cases = [case for case in run.cases if views and _may_have_views(case, contract)]
        for view in views:
            for case in cases:
                asks_as = {exchange.identity for exchange in case.outlines}
                why = view.why(case.id.removeprefix(f"{contract}."), asks_as)
                if why:
                    cases_by_reason.setdefault((contract, view.view, why), []).append(case.id)
    return tuple(OptedOut(*reason, tuple(cases)) for reason, cases in cases_by_reason.items())


def _may_have_views(case: CaseResult, contract: str) -> bool:
    """Tell whether a case is one of the contract's own, and not one of a law."""
    return case.contract == contract and case.id.startswith(f"{contract}.") and _LAW not in case.id
