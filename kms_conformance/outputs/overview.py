"""Views of a run that several outputs share, so that they cannot disagree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.judging.groups import FindingGroup, group_findings
from kms_conformance.judging.results import CaseResult, Finding, RowResult
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.outputs.text import first_line, plural

BAD = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE)
# An answer that lists keys would fill a page of causes; the case has it whole.
MOST_TEXT = 400
SKIPPED = (Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a source page with the rows that restate it."""

    contract: str
    anchor: str
    title: str
    link: str
    rows: tuple[RowResult, ...]

    @property
    def demanded(self) -> tuple[RowResult, ...]:
        """The rows that are not excluded."""
        return tuple(result for result in self.rows if not result.row.excluded)

    @property
    def judged(self) -> tuple[RowResult, ...]:
        """The rows that have a verdict from a case that was run."""
        return tuple(result for result in self.demanded if result.verdict is not Verdict.NOT_TESTED)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the rows that were tested; ``not-tested`` when none was.

        A row that does not apply says nothing about the others of its section.
        """
        verdicts = [result.verdict for result in self.judged]
        return worst([verdict for verdict in verdicts if verdict is not Verdict.NOT_APPLICABLE] or verdicts)

    @property
    def partly(self) -> bool:
        """Whether some rows were tested and some were not."""
        return 0 < len(self.judged) < len(self.demanded)

    @property
    def state(self) -> str:
        """The verdict in words, with a note when only some rows were tested."""
        if not self.demanded:
            return "excluded"
        return f"{self.verdict.value}, in part" if self.partly else self.verdict.value


def sections(run: Run) -> tuple[Section, ...]:
    """Return every section that has a row, in the order of the contract, tested or not."""
    grouped: dict[tuple[str, str], list[RowResult]] = {}
    for result in run.requirements:
        grouped.setdefault((result.row.contract, result.row.section), []).append(result)
    return tuple(
        Section(contract, anchor, _title(rows, anchor), rows[0].row.link, tuple(rows))
        for (contract, anchor), rows in grouped.items()
    )


def rows_text(run: Run) -> str:
    """Return how many rows of the contracts have a verdict from a case that was run; ``""`` for a run of no rows."""
    demanded = [result for section in sections(run) for result in section.demanded]
    excluded = len(run.rows) - len(demanded)
    if not run.rows:
        return ""
    judged = sum(result.verdict is not Verdict.NOT_TESTED for result in demanded)
    return f"{judged} of {len(demanded)} judged" + (
        f", {excluded} excluded with a reason" if excluded else ""
    )


def contract_title(run: Run, contract: str) -> str:
    """Return the name of a contract's system, or its id where the run does not say."""
    for block in run.meta.get("contracts", ()):
        if block.get("id") == contract:
            return str(block.get("title") or contract)
    return contract


def contract_ids(run: Run) -> tuple[str, ...]:
    """Return the contracts that the run judges, in order: those it names, then those of its rows and cases."""
    named = [str(block["id"]) for block in run.meta.get("contracts", ()) if "id" in block]
    return tuple(
        dict.fromkeys([*named, *(row.contract for row in run.rows), *(case.contract for case in run.cases)])
    )


def with_verdict(run: Run, *verdicts: Verdict) -> tuple[CaseResult, ...]:
    """Return the cases that have one of the verdicts, in order."""
    return tuple(case for case in run.cases if case.verdict in verdicts)


def gravest(case: CaseResult) -> Finding | None:
    """Return the first of the worst findings of a case, or ``None`` when it has none."""
    return max(case.findings, key=lambda finding: finding.severity.rank, default=None)


def failure_groups(run: Run) -> tuple[FindingGroup, ...]:
    """Return what fails the run, one group per cause, the cause of most cases first; what a baseline accepts is left out."""
    failed = [case for case in with_verdict(run, Verdict.FAILED) if case.id not in run.accepted]
    return group_findings(failed, run.rows, Verdict.FAILED)


def warning_groups(run: Run) -> tuple[FindingGroup, ...]:
    """Return what warns, one group per cause, wherever it was found."""
    return group_findings(run.cases, run.rows, Verdict.WARNED)


def group_title(run: Run, group: FindingGroup) -> tuple[str, str]:
    """Return the title of a group's section, and the address of it; both may be ``""``."""
    for section in sections(run):
        if (section.contract, section.anchor) == (group.contract, group.section):
            return section.title, section.link
    return group.section, ""


def rule_of(run: Run, group: FindingGroup) -> str:
    """Return what the first row of a group promises, in a line; ``""`` where the run does not say."""
    wanted = (group.contract, next(iter(group.rows), ""))
    return next((first_line(row.text) for row in run.rows if (row.contract, row.id) == wanted), "")


def first_of(group: FindingGroup, case_id: str) -> str:
    """Return how many cases a group has, and one of them as the output writes it."""
    number = len(group.cases)
    return f"{plural(number, 'case')}, {'first ' if number > 1 else ''}{case_id}"


def untested(run: Run) -> tuple[tuple[str, Sequence[CaseResult]], ...]:
    """Return the cases that were not tested by what is missing for them, the most wanted first."""
    grouped: dict[str, list[CaseResult]] = {}
    for case in with_verdict(run, Verdict.NOT_TESTED):
        grouped.setdefault(case.missing or case.message or "no reason given", []).append(case)
    return tuple(sorted(grouped.items(), key=lambda group: -len(group[1])))


def unjudged_rows(run: Run) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the rows that an earlier finding kept from being judged, by that finding, the one of most rows first.

    Those of a case that is inconclusive itself are listed with the case.
    """
    inconclusive = {case.id for case in with_verdict(run, Verdict.INCONCLUSIVE, Verdict.ERROR)}
    grouped: dict[str, list[str]] = {}
    for result in run.requirements:
        if result.verdict is Verdict.INCONCLUSIVE and not inconclusive.intersection(result.cases):
            grouped.setdefault(result.why, []).append(result.row.id)
    return tuple(
        (why, tuple(rows)) for why, rows in sorted(grouped.items(), key=lambda group: -len(group[1]))
    )


def unjudged_text(case: CaseResult) -> str:
    """Return the rows that a finding of a case kept it from judging, in a sentence; ``""`` where it has judged all."""
    named = {finding.requirement for finding in case.findings}
    rows = [row for row in case.requirements if row not in case.judged and row not in named]
    if not rows or case.verdict not in {Verdict.FAILED, Verdict.WARNED}:
        return ""
    return f"not judged, as the finding came before: {', '.join(rows)}"


def why_not_conformant(run: Run) -> str:
    """Return why the run is not conformant although no case says so, or ``""``.

    Readers of formats that know only cases would otherwise see green: a run of no case, or one cut short, or one
    that left required rows untested, or one whose baseline is wrong.
    """
    if run.verdict is RunVerdict.CONFORMANT or any(
        case.id not in run.accepted for case in with_verdict(run, *BAD)
    ):
        return ""
    return (
        "; ".join(entry.message for entry in run.baseline if entry.breaks_run)
        or run.trouble
        or run.incomplete
        or ("no case was tested" if not with_verdict(run, Verdict.PASSED, Verdict.WARNED) else "")
        or "required rows were not tested"
    )


def _title(rows: Sequence[RowResult], anchor: str) -> str:
    title = next((result.row.section_title for result in rows if result.row.section_title), "")
    return title or anchor.replace("-", " ").replace("_", " ")
