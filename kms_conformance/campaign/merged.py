"""A campaign's shards made one verdict for each endpoint, and one page of all.

Each run (endpoint, seed, group) is merged as ``merge`` does it, with its own report; one run is in memory at a time. An
endpoint has the worst verdict of its runs, a section the worst verdict that a run gives its rows.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.plan import Plan, Task, runs_of
from kms_conformance.campaign.store import open_store, shard_place, stored_outcomes
from kms_conformance.campaign.work import State
from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import BadValueError, ExitCode
from kms_conformance.judging.verdict import Run, RunVerdict, headline
from kms_conformance.outputs.files import put
from kms_conformance.outputs.html import section_places
from kms_conformance.outputs.overview import contract_title, failure_groups, group_title, sections
from kms_conformance.outputs.shards import NAME, merge
from kms_conformance.outputs.writers import write_all

RESULTS = "campaign-results.json"
_WORST = (RunVerdict.NON_CONFORMANT, RunVerdict.NOT_VERIFIED, RunVerdict.CONFORMANT)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of a campaign: ``name`` is also the folder of its report; ``missing`` says which shards are not whole, and why."""

    name: str
    verdict: str
    exit_code: int
    headline: str
    counts: Mapping[str, int]
    missing: tuple[str, ...]
    report: bool


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """An endpoint: its verdict is the worst of its runs'."""

    name: str
    verdict: str
    exit_code: int
    runs: tuple[RunSummary, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A section at an endpoint: the worst verdict of its rows, how many of those that apply are good, where the evidence is."""

    verdict: str
    good: int
    applicable: int
    href: str


@dataclass(frozen=True, slots=True)
class SectionLine:
    """A section of a contract with a cell for each endpoint that was judged by it."""

    contract: str
    contract_title: str
    anchor: str
    title: str
    link: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class SharedFinding:
    """One cause, told once: at which endpoints it was found, and where the evidence of each is."""

    contract: str
    section: str
    title: str
    expected: str
    got: str
    rows: tuple[str, ...]
    cases: int
    endpoints: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What a campaign has found out."""

    name: str
    endpoints: tuple[EndpointSummary, ...]
    sections: tuple[SectionLine, ...]
    findings: tuple[SharedFinding, ...]

    @property
    def exit_code(self) -> int:
        """The exit code of the whole: as of one run, the worst first."""
        codes = {endpoint.exit_code for endpoint in self.endpoints}
        order = (ExitCode.NON_CONFORMANT, ExitCode.SUITE_ERROR, ExitCode.USAGE, ExitCode.UNREACHABLE)
        return next((int(code) for code in (*order, ExitCode.NOT_VERIFIED) if code in codes), 0)

    def document(self) -> dict[str, Any]:
        """Return ``campaign-results.json``."""
        return {"schema_version": "1.0", "exit_code": self.exit_code, **asdict(self)}


@dataclass
class Gathering:
    """What has been seen of one run, or of all so far."""

    lines: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    rows: dict[tuple[str, str, str], dict[str, tuple[Verdict, str]]] = field(default_factory=dict)
    findings: dict[tuple[str, str, str, str], dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: str, name: str, run: Run) -> Gathering:
        """Return what is seen of one run: the verdict of each row, and its findings by their cause."""
        seen = cls()
        places = section_places(run)
        for section in sections(run):
            key = (section.contract, section.anchor)
            seen.lines[key] = {
                "contract": section.contract,
                "contract_title": contract_title(run, section.contract),
                "anchor": section.anchor,
                "title": section.title,
                "link": section.link,
            }
            href = f"{name}/report.html#{places[key]}"
            seen.rows[*key, endpoint] = {result.row.id: (result.verdict, href) for result in section.demanded}
        for group in failure_groups(run):
            seen.findings[group.contract, group.section, group.expected, group.got] = {
                "title": group_title(run, group)[0],
                "rows": dict.fromkeys(group.rows),
                "cases": set(group.cases),
                "endpoints": {endpoint: f"{name}/report.html#{group.exchange or 'failures'}"},
            }
        return seen

    def join(self, other: Gathering) -> None:
        """Take in what was seen of another run; the evidence of the first one with the worst verdict stays."""
        for key, line in other.lines.items():
            self.lines.setdefault(key, line)
        for place, rows in other.rows.items():
            own = self.rows.setdefault(place, {})
            for row_id, seen in rows.items():
                before = own.setdefault(row_id, seen)
                own[row_id] = before if worst([before[0], seen[0]]) is before[0] else seen
        for cause, theirs in other.findings.items():
            shared = self.findings.setdefault(cause, {**theirs, "rows": {}, "cases": set(), "endpoints": {}})
            shared["rows"] |= theirs["rows"]
            shared["cases"] |= theirs["cases"]
            for endpoint, href in theirs["endpoints"].items():
                shared["endpoints"].setdefault(endpoint, href)

    def section_lines(self) -> tuple[SectionLine, ...]:
        """Return the sections, in the order of the contracts."""
        cells: dict[tuple[str, str], dict[str, Cell]] = {key: {} for key in self.lines}
        for (contract, anchor, endpoint), rows in self.rows.items():
            if rows:
                cells[contract, anchor][endpoint] = _cell(tuple(rows.values()))
        return tuple(SectionLine(**line, cells=cells[key]) for key, line in self.lines.items())

    def shared_findings(self) -> tuple[SharedFinding, ...]:
        """Return the findings, that of most endpoints first."""
        findings = [
            SharedFinding(
                contract=cause[0],
                section=cause[1],
                title=finding["title"],
                expected=cause[2],
                got=cause[3],
                rows=tuple(finding["rows"]),
                cases=len(finding["cases"]),
                endpoints=finding["endpoints"],
            )
            for cause, finding in self.findings.items()
        ]
        return tuple(sorted(findings, key=lambda shared: (-len(shared.endpoints), -shared.cases)))


def _cell(rows: Sequence[tuple[Verdict, str]]) -> Cell:
    applicable = [row for row in rows if row[0] is not Verdict.NOT_APPLICABLE]
    verdict = worst([row[0] for row in applicable or rows])
    good = sum(row[0] in {Verdict.PASSED, Verdict.WARNED} for row in applicable)
    href = next(row[1] for row in rows if row[0] is verdict)
    return Cell(verdict.value, good, len(applicable), href)


def merge_campaign(plan: Plan, place: str, report_dir: Path, processes: int = 1) -> CampaignResult:
    """Merge what the results at a place have of every run, and write the report of each below ``report_dir``.

    So many ``processes`` merge a run each. Raises :class:`CampaignResultsError` where the shards of a run are not parts of
    one.
    """
    gathering, summaries = Gathering(), dict[str, list[RunSummary]]()
    runs = runs_of(plan.tasks)
    with _pool(processes) as pool:
        done = pool.map(_merge_run, runs, runs.values(), repeat(place), repeat(report_dir))
        for tasks, (summary, seen) in zip(runs.values(), done, strict=True):
            summaries.setdefault(tasks[0].endpoint, []).append(summary)
            gathering.join(seen)
    endpoints = tuple(endpoint_summary(name, own) for name, own in summaries.items())
    result = CampaignResult(plan.name, endpoints, gathering.section_lines(), gathering.shared_findings())
    report_dir.mkdir(parents=True, exist_ok=True)
    put(report_dir / RESULTS, document_text(result))
    return result


def document_text(result: CampaignResult) -> str:
    """Return the one text in which ``campaign-results.json`` is written."""
    return json.dumps(result.document(), indent=1) + "\n"


def run_summary(name: str, run: Run, missing: tuple[str, ...]) -> RunSummary:
    """Return what the campaign tells of a run; ``missing`` says which of its shards are not whole."""
    return RunSummary(
        name, run.verdict.value, int(run.exit_code), headline(run), run.counts, missing, report=True
    )


def without_report(name: str, code: int, missing: tuple[str, ...]) -> RunSummary:
    """Return what the campaign tells of a run of which no shard has a report."""
    verdict = RunVerdict.NOT_VERIFIED.value
    return RunSummary(
        name, verdict, code, f"{verdict.upper()}: no shard has a report", {}, missing, report=False
    )


def _pool(processes: int) -> Executor:
    """Return what merges runs: one after the other in a thread, or in processes that share nothing with this one."""
    if processes == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _merge_run(
    name: str, tasks: Sequence[Task], place: str, report_dir: Path
) -> tuple[RunSummary, Gathering]:
    """Merge one run, write its report, and return its summary with what its verdicts and findings are."""
    store = open_store(place)
    outcomes = stored_outcomes(store, [task.id for task in tasks])
    below = Path(tempfile.mkdtemp(prefix="kms-campaign-"))
    try:
        # A shard that a plain command has left tells nothing but its report.
        reports = {
            task.id: store.folder(shard_place(task.id), below)
            for task in tasks
            if store.has_folders or task.id in outcomes
        }
        reports = {task_id: folder for task_id, folder in reports.items() if (folder / NAME).is_file()}
        folders = list(reports.values())
        missing = [_missing(task, outcomes.get(task.id), has_report=task.id in reports) for task in tasks]
        why = tuple(filter(None, missing))
        if not folders:
            code = _code([outcome["code"] for outcome in outcomes.values()])
            shutil.rmtree(report_dir / name, ignore_errors=True)
            return without_report(name, code, why), Gathering()
        try:
            run = merge(folders, all_parts=False)
        except BadValueError as error:
            raise CampaignResultsError(
                store.place, f"{name}: {error.sentence}", "give the campaign another place for its results."
            ) from None
    finally:
        shutil.rmtree(below, ignore_errors=True)
    write_all(run, report_dir / name)
    return run_summary(name, run, why), Gathering.of(tasks[0].endpoint, name, run)


def _missing(task: Task, outcome: Mapping[str, Any] | None, *, has_report: bool) -> str:
    if outcome is None:
        return "" if has_report else f"shard {task.shard} has not been run"
    if outcome["state"] == State.COMPLETE:
        return ""
    return f"shard {task.shard}: {outcome['state']}, {outcome['message']}"


def _code(codes: Sequence[int]) -> int:
    """Return the exit code of a run of which nothing is there: unreachable where that is what every shard found."""
    distinct = set(codes)
    if distinct in ({int(ExitCode.UNREACHABLE)}, {int(ExitCode.USAGE)}):
        return distinct.pop()
    return int(ExitCode.NOT_VERIFIED)


def endpoint_summary(name: str, runs: Sequence[RunSummary]) -> EndpointSummary:
    """Return an endpoint with the worst verdict of its runs."""
    verdict = min((run.verdict for run in runs), key=lambda text: _WORST.index(RunVerdict(text)))
    codes = [run.exit_code for run in runs if run.verdict == verdict]
    return EndpointSummary(name, verdict, max(codes), tuple(runs))
