"""The verdict: of an expectation, of a case, of a requirement, of a run.

One :class:`Run` object feeds every output. Nothing here touches the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from typing import Any

from kms_conformance.contract.severity import Row, Verdict, worst
from kms_conformance.errors import ExitCode
from kms_conformance.evidence.outline import Outline
from kms_conformance.judging.results import CaseResult, KnownDeviation, RowResult

_FEW = 5
_NEARLY_ALL = 0.95


class RunVerdict(StrEnum):
    """The three verdicts of a run."""

    CONFORMANT = "conformant"
    NON_CONFORMANT = "non-conformant"
    NOT_VERIFIED = "not-verified"


class Profile(StrEnum):
    """What a run is for; it decides which rows are required."""

    GATE = "gate"
    NIGHTLY = "nightly"
    CERTIFY = "certify"


@dataclass(frozen=True)
class Run:
    """Everything a run found out; the one object behind all outputs.

    ``partial`` says what was left out on purpose (by ``-k``, as a shard) and ``interrupted`` why the run ended early, both
    ``""`` when the run is complete; ``not_run`` counts the cases that are missing for either reason; ``trouble`` is an error
    of the suite outside any case, ``refused`` whether something that is the user's to put right kept the run from going on; ``meta`` holds the blocks of ``results.json`` that only describe (suite, target, contracts).
    ``baseline`` holds the entries of a baseline; ``accepted`` says, by the ids of failed cases, why they do not fail
    the run.
    """

    profile: Profile
    cases: tuple[CaseResult, ...]
    rows: tuple[Row, ...]
    partial: str = ""
    interrupted: str = ""
    not_run: int = 0
    trouble: str = ""
    refused: bool = False
    started: float = 0.0
    finished: float = 0.0
    meta: Mapping[str, Any] = field(default_factory=dict)
    baseline: tuple[KnownDeviation, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> str:
        """Why cases are missing, in words; ``""`` when none is."""
        reasons = [f"partial run: {self.partial}"] if self.partial else []
        reasons += [f"run cut short: {self.interrupted}"] if self.interrupted else []
        return "; ".join(reasons)

    @property
    def counts(self) -> dict[str, int]:
        """How many cases got each of the seven verdicts."""
        counter = Counter(case.verdict for case in self.cases)
        return {str(verdict): counter[verdict] for verdict in Verdict}

    @cached_property
    def outlines(self) -> tuple[Outline, ...]:
        """Every exchange of the run without what was sent and answered."""
        return tuple(outline for case in self.cases for outline in case.outlines)

    @cached_property
    def requirements(self) -> tuple[RowResult, ...]:
        """Each row with its verdict: the worst of its cases'."""
        return judge_rows(self.rows, self.cases)

    @cached_property
    def verdict(self) -> RunVerdict:
        """The verdict of the run."""
        return run_verdict(self)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for the shell."""
        match self.verdict:
            case RunVerdict.CONFORMANT:
                return ExitCode.CONFORMANT
            case RunVerdict.NON_CONFORMANT:
                return ExitCode.NON_CONFORMANT
        if self.trouble or any(case.verdict is Verdict.ERROR for case in self.cases):
            return ExitCode.SUITE_ERROR
        return ExitCode.USAGE if self.refused else ExitCode.NOT_VERIFIED


def judge_rows(rows: Sequence[Row], cases: Sequence[CaseResult]) -> tuple[RowResult, ...]:
    """Give each row its verdict: the worst that a case of its contract gives it.

    A finding that names a row gives it the finding's severity, whichever case it comes from. A case that covers a row
    gives it ``passed`` where some answer was judged by the row, ``inconclusive`` where another finding stopped the
    case before, else the case's own verdict. A row that holds for every exchange (a wire rule) passes in each case that
    exchanged anything, unless a finding names it. Two contracts may have rows of one id.
    """
    touching: dict[tuple[str, str], dict[str, Verdict]] = {(row.contract, row.id): {} for row in rows}
    everywhere = [(row.contract, row.id) for row in rows if row.every_exchange]
    for case in cases:
        given: dict[str, Verdict] = {row_id: _unnamed(case, row_id) for row_id in case.requirements}
        if case.exchanges:
            given |= {row_id: Verdict.PASSED for contract, row_id in everywhere if contract == case.contract}
        for finding in case.findings:
            before = given.get(finding.requirement, Verdict.PASSED)
            given[finding.requirement] = (
                finding.severity if before is Verdict.INCONCLUSIVE else worst([finding.severity, before])
            )
        for row_id, verdict in given.items():
            if (case.contract, row_id) in touching:
                touching[case.contract, row_id][case.id] = verdict
    cases_by_id = {(case.contract, case.id): case for case in cases}
    results = []
    for row in rows:
        given, why = touching[row.contract, row.id], ""
        verdict = worst(given.values())
        if verdict is Verdict.INCONCLUSIVE:
            first = next(case_id for case_id, case_verdict in given.items() if case_verdict is verdict)
            why = why_inconclusive(cases_by_id[row.contract, first])
        results.append(RowResult(row=row, verdict=verdict, cases=tuple(given), why=why))
    return tuple(results)


def why_inconclusive(case: CaseResult) -> str:
    """Return what kept a case from judging a row: the finding that ended it, or what the case itself says."""
    ended = max(case.findings, key=lambda finding: finding.severity.rank, default=None)
    if case.verdict in {Verdict.PASSED, Verdict.WARNED, Verdict.FAILED} and ended is not None:
        return f"see {case.id}, ended by the finding of {ended.requirement}"
    return f"see {case.id}: {case.message}" if case.message else f"see {case.id}"


def _unnamed(case: CaseResult, row_id: str) -> Verdict:
    """Return what a case says of a row that it covers and that none of its findings names."""
    if case.verdict in {Verdict.PASSED, Verdict.WARNED, Verdict.FAILED}:
        return Verdict.PASSED if row_id in case.judged else Verdict.INCONCLUSIVE
    return case.verdict


def run_verdict(run: Run) -> RunVerdict:
    """Return the verdict of a run.

    ``non-conformant`` when a case failed that no baseline accepts, or the baseline itself is wrong; ``conformant`` when
    the run is complete, nothing was inconclusive or erred, and every required row (at least one) passed, warned or is
    declared not applicable; else ``not-verified``. What a baseline accepts counts as a warning here, and nowhere else.
    """
    checked = any(case.verdict in {Verdict.PASSED, Verdict.WARNED} and case.checks for case in run.cases)
    run = replace(run, cases=tuple(_settled(case) if case.id in run.accepted else case for case in run.cases))
    if any(case.verdict is Verdict.FAILED for case in run.cases) or any(
        entry.breaks_run for entry in run.baseline
    ):
        return RunVerdict.NON_CONFORMANT
    if run.incomplete or run.trouble:
        return RunVerdict.NOT_VERIFIED
    if any(case.verdict in {Verdict.INCONCLUSIVE, Verdict.ERROR} for case in run.cases):
        return RunVerdict.NOT_VERIFIED
    if not checked:
        return RunVerdict.NOT_VERIFIED
    good = {Verdict.PASSED, Verdict.WARNED, Verdict.NOT_APPLICABLE}
    required = required_rows(run)
    if not required or any(result.verdict not in good for result in required):
        return RunVerdict.NOT_VERIFIED
    return RunVerdict.CONFORMANT


def _settled(case: CaseResult) -> CaseResult:
    """Return a case whose failure a baseline accepts as one that warns."""
    if case.verdict is not Verdict.FAILED:
        return case
    findings = (
        replace(finding, severity=Verdict.WARNED) if finding.severity is Verdict.FAILED else finding
        for finding in case.findings
    )
    # Rows that the accepted finding kept the case from judging are accepted with it.
    return replace(case, verdict=Verdict.WARNED, findings=tuple(findings), judged=case.requirements)


def required_rows(run: Run) -> tuple[RowResult, ...]:
    """Return the rows that the profile demands.

    ``certify`` demands every row that is not excluded; the others demand what the target made reachable,
    that is, the rows of which at least one case was tested.
    """
    rows = tuple(result for result in run.requirements if not result.row.excluded)
    if run.profile is Profile.CERTIFY:
        return rows
    tested = {
        (case.contract, row_id)
        for case in run.cases
        if case.verdict is not Verdict.NOT_TESTED
        for row_id in case.requirements
    }
    return tuple(result for result in rows if _reached(result, tested))


def _reached(result: RowResult, tested: set[tuple[str, str]]) -> bool:
    """Tell whether a row was tested by some case and left untested by none."""
    if result.row.every_exchange:
        return bool(result.cases)
    return (result.row.contract, result.row.id) in tested and result.verdict is not Verdict.NOT_TESTED


def headline(run: Run) -> str:
    """Return the verdict line: verdict, counts, and what was not tested; the verdict's reason comes first."""
    counts = ", ".join(f"{number} {name}" for name, number in counts_of(run) if number)
    line = f"{run.verdict.value.upper()}: {counts or 'no case ran'}"
    if run.baseline:
        line += f"; {baseline_text(run)}"
    same = monotony(run)
    if same:
        line += f"; {same}"
    if run.incomplete:
        line += f"; {run.incomplete}"
    if run.trouble:
        line += f"; trouble: {run.trouble}"
    return line


def counts_of(run: Run) -> list[tuple[str, int]]:
    """Return verdicts and numbers in the order for reading: the worst first, but in a conformant run the best."""
    counts = list(run.counts.items())
    return counts if run.verdict is RunVerdict.CONFORMANT else counts[::-1]


def baseline_text(run: Run) -> str:
    """Return in a few words how many failures the baseline accepts and how many of its entries are wrong."""
    broken_entries = sum(entry.breaks_run for entry in run.baseline)
    text = f"{len(run.accepted)} failed accepted by the baseline"
    return text + (f", {broken_entries} of its {len(run.baseline)} entries wrong" if broken_entries else "")


def monotony(run: Run) -> str:
    """Say in a few words that nothing but refusals, silence or one and the same answer came back; else ``""``.

    Such an endpoint fails or spoils nearly every case, and the counts alone do not tell why.
    """
    exchanges = run.outlines
    total = len(exchanges)
    if total < _FEW:
        return ""
    statuses = [exchange.status for exchange in exchanges if exchange.status is not None]
    if not statuses:
        return f"none of {total} requests got an answer"
    never = min(statuses) >= HTTPStatus.MULTIPLE_CHOICES
    if not never and 2 * run.counts["passed"] > len(run.cases):
        # Where most cases pass, the answers differ in what the outcome does not tell.
        return ""
    often, times = Counter(map(_answer_text, exchanges)).most_common(1)[0]
    if never:
        return f"no request ever succeeded ({often}, {times} of {total} times)"
    if times < _NEARLY_ALL * total:
        return ""
    share = f"every one of {total}" if times == total else f"{times} of {total}"
    return f"{share} requests got the same answer ({often})"


def _answer_text(exchange: Outline) -> str:
    """Return status and reason code; a code that a server has made up is left out, for it may hold anything."""
    if exchange.status is None:
        return "no answer"
    words = exchange.outcome.split(" ")
    has_code = len(words) == 2 and words[1].isascii() and words[1].isidentifier()  # noqa: PLR2004 - a status and a code
    return exchange.outcome if has_code else str(exchange.status)
