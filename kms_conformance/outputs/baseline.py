"""Known deviations: what a baseline file accepts, and where the file itself has become wrong.

A baseline lets a gate stay useful while a deviation is being repaired. An outdated one breaks the run: an entry that has expired,
names nothing, contradicts another or describes what no longer occurs breaks the run. :func:`settle` is pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.errors import BaselineError, did_you_mean
from kms_conformance.judging.results import CaseResult, KnownDeviation

# How long an entry holds that `--write-baseline` proposes.
TERM = timedelta(days=90)
NOBODY = "unassigned"
_LONGEST_REASON = 200
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MEMBERS = ("case", "requirement", "reason", "owner", "link", "expiry")
_BROKEN = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TESTED = {Verdict.PASSED, Verdict.WARNED, Verdict.FAILED}
_COUNTS = {Verdict.FAILED, Verdict.WARNED}


@dataclass(frozen=True, slots=True)
class Entry:
    """A deviation that is known. ``case`` and ``requirement`` are ids or patterns, one of them may be ``""``.

    ``expiry`` is the last day (UTC) on which the entry holds.
    """

    case: str
    requirement: str
    reason: str
    owner: str
    link: str
    expiry: date

    @property
    def description(self) -> str:
        """What the entry names, in a few words."""
        parts = [
            f"case {self.case}" if self.case else "",
            f"requirement {self.requirement}" if self.requirement else "",
        ]
        return ", ".join(part for part in parts if part)

    def covers(self, case: CaseResult, requirement: str) -> bool:
        """Tell whether the entry names a deviation from a requirement in a case."""
        return (not self.case or _matches(self.case, case.id)) and (
            not self.requirement or (bool(requirement) and _matches(self.requirement, requirement))
        )

    def document(self) -> dict[str, Any]:
        """Return the entry as it stands in a file; the date is a :class:`datetime.date`."""
        members = {
            "case": self.case,
            "requirement": self.requirement,
            "reason": self.reason,
            "owner": self.owner,
            "link": self.link,
        }
        return {**{name: value for name, value in members.items() if value}, "expiry": self.expiry}


def read_baseline(path: Path) -> tuple[Entry, ...]:
    """Read a baseline file; raise :class:`BaselineError` when it is not one (``schemas/baseline.schema.json``)."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BaselineError(str(path), error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise BaselineError(str(path), "it is not UTF-8 text") from None
    return parse(text, str(path))


def parse(text: str, path: str = "the baseline") -> tuple[Entry, ...]:
    """Read a baseline's text; raise :class:`BaselineError`."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BaselineError(path, f"it is not YAML ({' '.join(str(error).split())})") from None
    return entries_of(document, path)


def entries_of(document: Any, path: str = "the baseline") -> tuple[Entry, ...]:
    """Return the entries of a document; raise :class:`BaselineError` with the number of the entry that is wrong."""
    rows = [] if document is None else document
    if not isinstance(rows, list):
        raise BaselineError(path, "it is not a list of entries")
    entries = []
    for number, row in enumerate(rows, 1):
        plain = {**row, "expiry": str(row["expiry"])} if isinstance(row, dict) and "expiry" in row else row
        why = _complaint(plain)
        if why:
            raise BaselineError(path, f"entry {number}: {why}")
        try:
            expiry = date.fromisoformat(plain["expiry"])
        except ValueError:
            raise BaselineError(
                path, f"entry {number}: the expiry {plain['expiry']} is no day of the calendar"
            ) from None
        texts = {name: str(plain.get(name, "")) for name in _MEMBERS[:-1]}
        entries.append(Entry(**texts, expiry=expiry))
    return tuple(entries)


def _complaint(row: Any) -> str:
    """Return what is wrong with an entry, or ``""``."""
    if not isinstance(row, dict):
        return "it is not a mapping"
    for key in row:
        if key not in _MEMBERS:
            near = did_you_mean(str(key), _MEMBERS)
            return f"unknown member {str(key)!r}" + (
                f" (did you mean {near!r}?)" if near else f"; known are {', '.join(_MEMBERS)}"
            )
    if "case" not in row and "requirement" not in row:
        return "it names neither a case nor a requirement"
    for name in ("reason", "owner", "expiry"):
        if name not in row:
            return f"it has no {name}"
    if not _DAY.fullmatch(str(row["expiry"])):
        return f"the expiry {str(row['expiry'])!r} is no date such as 2027-01-31"
    return SchemaFiles().complaint("baseline", [row]) or ""


def settle(
    entries: Sequence[Entry],
    cases: Sequence[CaseResult],
    known_cases: Collection[str],
    rows: Sequence[Row],
    *,
    complete: bool,
    today: date | None = None,
) -> tuple[KnownDeviation, ...]:
    """Compare the entries with the findings, and return how each was used, in their order.

    ``known_cases`` are the ids that exist, run or not; a case with parameters may be known by its name alone.
    ``complete`` is whether every case was run: only then does an entry without a deviation count as stale.
    """
    today = today or datetime.now(UTC).date()
    names = {*known_cases, *(case.id for case in cases)}
    row_ids = {row.id for row in rows}
    everywhere = [row.id for row in rows if row.every_exchange]
    used = []
    for number, entry in enumerate(entries):
        deviations = tuple(
            f"{case.id} {row}".strip()
            for case in cases
            for row in _deviations(case)
            if entry.covers(case, row)
        )
        state, why = _fault(entry, entries[:number], names=names, rows=row_ids, cases=cases, today=today)
        if not state and deviations:
            state = "used"
        elif not state:
            state, why = _unused(entry, cases, everywhere) if complete else ("not-tested", "")
        used.append(
            KnownDeviation(
                case=entry.case,
                requirement=entry.requirement,
                reason=entry.reason,
                owner=entry.owner,
                link=entry.link,
                expiry=entry.expiry.isoformat(),
                state=state,
                message=f"baseline entry {number + 1} ({entry.description}): {why}" if why else "",
                deviations=deviations,
            )
        )
    return tuple(used)


def accepted(case: CaseResult, entries: Iterable[Entry], today: date | None = None) -> str:
    """Return why a failed case does not fail the run, or ``""``: all that fails in it is listed and has not expired."""
    if case.verdict is not Verdict.FAILED:
        return ""
    today = today or datetime.now(UTC).date()
    alive = [entry for entry in entries if entry.expiry >= today]
    reasons: list[str] = []
    for row in _deviations(case, {Verdict.FAILED}):
        entry = next((entry for entry in alive if entry.covers(case, row)), None)
        if entry is None:
            return ""
        reasons.append(f"{entry.reason} ({entry.owner}, until {entry.expiry.isoformat()})")
    return "; ".join(dict.fromkeys(reasons))


def proposed(
    cases: Iterable[CaseResult], entries: Iterable[Entry] = (), today: date | None = None
) -> tuple[Entry, ...]:
    """Return a baseline for what was found: the entries that are in use, and a new one for each other deviation."""
    today = today or datetime.now(UTC).date()
    failed = [case for case in cases if case.verdict is Verdict.FAILED]
    everywhere = [(case, row) for case in cases for row in _deviations(case)]
    kept = [
        entry
        for entry in entries
        if entry.expiry >= today and any(entry.covers(case, row) for case, row in everywhere)
    ]
    new = []
    for case in failed:
        for row in _deviations(case, {Verdict.FAILED}):
            if any(entry.covers(case, row) for entry in kept):
                continue
            finding = next((finding for finding in case.findings if finding.requirement == row), None)
            cause = (
                f"expected {finding.expected}, got {finding.got}" if finding else case.message or "it fails"
            )
            new.append(Entry(case.id, row, _plain(cause), NOBODY, "", today + TERM))
    return (*kept, *new)


def dump(entries: Sequence[Entry]) -> str:
    """Return the text of a baseline file: what :func:`parse` reads back, and always in the same bytes."""
    if not entries:
        return "[]\n"
    return yaml.safe_dump(
        [entry.document() for entry in entries], sort_keys=False, allow_unicode=True, width=2**20
    )


def as_documents(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return entries as documents of plain JSON, which :func:`entries_of` reads back."""
    return [{**entry.document(), "expiry": entry.expiry.isoformat()} for entry in entries]


def _deviations(case: CaseResult, severities: Collection[Verdict] = _COUNTS) -> list[str]:
    """Return the requirements that a case found broken; ``[""]`` when it failed without a finding."""
    rows = list(
        dict.fromkeys(finding.requirement for finding in case.findings if finding.severity in severities)
    )
    return rows or ([""] if case.verdict is Verdict.FAILED else [])


def _fault(
    entry: Entry,
    before: Sequence[Entry],
    *,
    names: Collection[str],
    rows: Collection[str],
    cases: Sequence[CaseResult],
    today: date,
) -> tuple[str, str]:
    """Return what is wrong with an entry whatever the run has found: a state and a sentence, or two empty texts."""
    if entry.expiry < today:
        return "expired", f"it expired on {entry.expiry.isoformat()}"
    for kind, pattern, candidates in (("case", entry.case, names), ("requirement", entry.requirement, rows)):
        if (
            not pattern
            or any(_matches(pattern, name) for name in candidates)
            or (kind == "case" and _bare(pattern) in candidates)
        ):
            continue
        if _is_pattern(pattern):
            return "no-match", f"no {kind} matches {pattern}"
        near = did_you_mean(pattern, candidates)
        return "unknown", f"there is no {kind} {pattern}" + (f"; did you mean {near}?" if near else "")
    for number, other in enumerate(before, 1):
        if other.expiry < today:
            continue
        if (other.case, other.requirement) == (entry.case, entry.requirement):
            return "duplicate", f"entry {number} says the same"
        clash = _clash(entry, other, cases)
        if clash:
            return "contradictory", f"entry {number} names {clash} too"
    return "", ""


def _clash(one: Entry, other: Entry, cases: Sequence[CaseResult]) -> str:
    """Return what two entries both name: a case twice, or a case and one of its requirements; ``""`` for nothing."""
    for case in cases:
        if not one.requirement and not other.requirement:
            if one.covers(case, "") and other.covers(case, ""):
                return f"case {case.id}"
            continue
        for row in case.requirements:
            if one.covers(case, row) and other.covers(case, row):
                return f"requirement {row} of case {case.id}"
    return ""


def _unused(entry: Entry, cases: Sequence[CaseResult], everywhere: Collection[str]) -> tuple[str, str]:
    """Return the state of an entry that no deviation of a complete run used."""
    if any(case.verdict in _TESTED and _concerns(entry, case, everywhere) for case in cases):
        return "stale", "the deviation no longer occurs; remove the entry"
    return "not-tested", ""


def _concerns(entry: Entry, case: CaseResult, everywhere: Collection[str]) -> bool:
    """Tell whether a case could show an entry's deviation; ``everywhere`` are the rows of every exchange."""
    rows = [*case.requirements, *(everywhere if case.exchanges else ())]
    return entry.covers(case, "") or any(entry.covers(case, row) for row in rows)


def _plain(text: str) -> str:
    """Return one line that YAML can carry."""
    line = " ".join(_BROKEN.sub("?", text).split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _bare(case_id: str) -> str:
    """Return a case's name without its parameters."""
    return case_id.partition("[")[0]


def _matches(pattern: str, name: str) -> bool:
    return bool(_compiled(pattern).fullmatch(name))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Not fnmatch: the brackets of a case with parameters are brackets.
    return re.compile(
        "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern), re.DOTALL
    )
