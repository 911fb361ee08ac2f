"""How much of the source pages a run has put to the test, computed from its ``results.json``.

``python -m tools.coverage RESULTS...`` prints ``docs/coverage.md``: the outline of each page, its sections in
order, each with its promises (the rows of ``requirements.yaml``) and what became of them.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.rows import Requirement
from kms_conformance.contract.severity import Verdict

_TESTED = {Verdict.PASSED, Verdict.WARNED, Verdict.FAILED}
ENOUGH = 0.95
"""The share of rows that must be tested or excluded with a reason."""
_BEYOND = "Beyond the page"


class State(StrEnum):
    """What became of a promise: tested in the run, excluded with a reason, with cases that did not run, or forgotten."""

    TESTED = "tested"
    EXCLUDED = "excluded"
    UNTESTED = "untested"
    UNTRACKED = "untracked"


@dataclass(frozen=True, slots=True)
class Promise:
    """A row with its state and the cases of the run that judged it."""

    row: Requirement
    state: State
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """A contract's promises by section of the page, in the order of the page; sections of no page come last."""

    contract: Contract
    sections: Mapping[str, tuple[Promise, ...]]

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Every promise."""
        return tuple(promise for promises in self.sections.values() for promise in promises)

    @property
    def counts(self) -> Mapping[State, int]:
        """How many promises are in each state."""
        counter = Counter(promise.state for promise in self.promises)
        return {state: counter[state] for state in State}

    @property
    def share(self) -> float:
        """The share of promises that are tested or excluded with a reason."""
        counts, total = self.counts, len(self.promises)
        return (counts[State.TESTED] + counts[State.EXCLUDED]) / total if total else 0.0

    @property
    def gaps(self) -> list[str]:
        """What keeps the page from being covered, a line each."""
        lines = [
            f"{self.contract.id}: section {anchor} has no row"
            for anchor in _anchors(self.contract)
            if not self.sections[anchor]
        ]
        lines += [
            f"{self.contract.id}: row {promise.row.id} has neither a case nor a reason"
            for promise in self.promises
            if promise.state is State.UNTRACKED
        ]
        if self.share < ENOUGH:
            lines.append(
                f"{self.contract.id}: {self.share:.1%} of the rows are tested or excluded, {ENOUGH:.0%} are asked for"
            )
        return lines


def coverage_of(results: Iterable[Mapping[str, Any]]) -> tuple[Coverage, ...]:
    """Return the coverage of each contract that the runs have judged, from their ``results.json`` documents.

    A row counts as tested when a case that covers it was run to a verdict about the endpoint; a rule of every exchange,
    when anything was exchanged.
    """
    emitted: dict[str, dict[str, list[str]]] = {}
    row_ids: dict[str, set[str]] = {}
    for document in results:
        verdicts = {case["id"]: Verdict(case["verdict"]) for case in document["cases"]}
        for block in document["contracts"]:
            emitted.setdefault(block["id"], {})
            row_ids.setdefault(block["id"], set())
        for row in document["requirements"]:
            cases = emitted[row["contract"]].setdefault(row["id"], [])
            cases += [case for case in row["cases"] if verdicts[case] in _TESTED and case not in cases]
            if row["cases"]:
                row_ids[row["contract"]].add(row["id"])
    return tuple(
        _coverage(load_contract(contract), rows, row_ids[contract]) for contract, rows in emitted.items()
    )


def _coverage(contract: Contract, emitted: Mapping[str, Sequence[str]], with_cases: set[str]) -> Coverage:
    sections: dict[str, list[Promise]] = {anchor: [] for anchor in _anchors(contract)}
    for row in contract.requirements.values():
        cases = tuple(sorted(emitted.get(row.id, ())))
        state = State.UNTRACKED
        if cases:
            state = State.TESTED
        elif row.excluded:
            state = State.EXCLUDED
        elif row.id in with_cases:
            state = State.UNTESTED
        sections.setdefault(row.section, []).append(Promise(row, state, cases))
    return Coverage(contract, {anchor: tuple(promises) for anchor, promises in sections.items()})


def _anchors(contract: Contract) -> list[str]:
    return [str(section["anchor"]) for section in contract.about["sections"]]


def render(coverages: Sequence[Coverage]) -> str:
    """Return ``docs/coverage.md``."""
    lines = [
        "# Coverage of the source pages",
        "",
        "Written by `make coverage-page` from the results of a run against the embedded reference; do not edit. A promise",
        "is a row of `requirements.yaml`. It is tested when a case that covers it ran to a verdict, excluded when the row",
        "says why nobody tests it, untested when its cases did not run there, untracked when it has neither.",
        "",
        "| page | edition | sections | promises | tested | excluded | untested | untracked | tested or excluded |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for coverage in coverages:
        counts, contract = coverage.counts, coverage.contract
        numbers = " | ".join(str(counts[state]) for state in State)
        lines.append(
            f"| {contract.title} | {contract.edition} | {len(_anchors(contract))} | {len(coverage.promises)} | {numbers}"
            f" | {coverage.share:.1%} |"
        )
    for coverage in coverages:
        lines += ["", *_outline(coverage)]
    return "\n".join(lines) + "\n"


def _outline(coverage: Coverage) -> list[str]:
    contract = coverage.contract
    lines = [f"## {contract.title}"]
    beyond = False
    for anchor, promises in coverage.sections.items():
        section = contract.sections.get(anchor)
        if section is None and not beyond:
            beyond = True
            lines += ["", f"### {_BEYOND}"]
        title = (
            f"### {section['number']}. [{section['title']}]({contract.link(anchor)})"
            if section
            else f"#### {anchor}"
        )
        lines += ["", title, "", _counts_text(promises), "", *(_promise(promise) for promise in promises)]
    return lines


def _counts_text(promises: Sequence[Promise]) -> str:
    counter = Counter(promise.state for promise in promises)
    return ", ".join(f"{counter[state]} {state.value}" for state in State if counter[state]) or "**no row**"


def _promise(promise: Promise) -> str:
    row = promise.row
    mark = "x" if promise.state in {State.TESTED, State.EXCLUDED} else " "
    what = {
        State.TESTED: f"tested by {_cases(promise.cases)}",
        State.EXCLUDED: f"excluded: {' '.join(row.excluded.split())}",
        State.UNTESTED: "untested there",
        State.UNTRACKED: "**untracked**",
    }[promise.state]
    return f"- [{mark}] `{row.id}` ({row.level}, {row.evidence}): {what}"


def _cases(cases: Sequence[str]) -> str:
    shown = ", ".join(f"`{case}`" for case in cases[:3])
    return shown if len(cases) <= 3 else f"{shown} and {len(cases) - 3} more"  # noqa: PLR2004 - a line has room for three


def main(paths: Sequence[str]) -> int:
    """Print the page for the results at these paths; return 1, with a line for each gap, when the pages are not covered."""
    coverages = coverage_of(json.loads(Path(path).read_text(encoding="utf-8")) for path in paths)
    sys.stdout.write(render(coverages))
    gaps = [gap for coverage in coverages for gap in coverage.gaps]
    sys.stderr.write("".join(f"{gap}\n" for gap in gaps))
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
