"""One cause, one group: findings that say the same of the same section, whichever cases and rows they come from.

Pure. A server that never refuses a second rotation fails ten cases of eight rows; who has to mend it needs one line
with the number of cases and the first piece of evidence. Two findings have one cause where contract, section, expected
and got are the same; what differs from request to request (ids, names, times, the tokens of secrets) is left out of the
comparison. An answer that breaks several rows in the same way, such as a case's own and that of its view, has the cause of
the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult, Finding

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VARIABLE = (
    (re.compile(r"-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----"), r"<\1>"),
    (re.compile(r"<([a-z][a-z-]*):[0-9a-f]{4,}>"), r"<\1>"),
    (re.compile(rf"\b[\w-]*{_UUID}[\w-]*\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d|\b)"), "<time>"),
    (re.compile(r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b"), "<time>"),
    # Eight or more hexadecimal digits, alone or inside a name that the suite has made.
    (re.compile(r"\b(?:[A-Za-z0-9]+[-_])*(?=[0-9a-f]*\d)[0-9a-f]{8,}(?:[-_][A-Za-z0-9_-]+)?\b"), "<id>"),
    (
        re.compile(r"(?<![\w+/=-])(?=[\w+/-]*\d)(?=[\w+/-]*[A-Z])(?=[\w+/-]*[a-z])[\w+/-]{20,}={0,2}"),
        "<data>",
    ),
    # Which entry of a list it was.
    (re.compile(r"(?<=[A-Za-z]\.)\d+\b"), "<n>"),
)

_LIST, _ANY = re.compile(r"(?<== )\["), ", "
"""Where a text quotes a list: behind an equals sign, as Python writes one."""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one cause.

    ``expected`` and ``got`` have a word such as ``<id>`` in the place of what differs; ``rows`` and ``cases`` are ids, in
    the order of the run, but the first is the case of fewest requests, and of these of fewest rows: it is the easiest to look at and to run again.
    ``findings`` counts. ``case``, ``exchange``, ``step`` and ``curl`` are those of its finding; ``exchange`` is ``""`` where
    a case failed without evidence.
    """

    contract: str
    section: str
    severity: Verdict
    expected: str
    got: str
    rows: tuple[str, ...]
    cases: tuple[str, ...]
    findings: int
    exchange: str
    step: str
    curl: str

    @property
    def case(self) -> str:
        """The case of fewest requests, and of these of fewest rows."""
        return self.cases[0]


def group_findings(
    cases: Iterable[CaseResult], rows: Sequence[Row], severity: Verdict
) -> tuple[FindingGroup, ...]:
    """Return the findings of a severity by their cause, the cause of most cases first.

    A case that has the verdict itself but no such finding gives its message: it then is its own evidence.
    """
    sections = {(row.contract, row.id): row.section for row in rows}
    grouped: dict[tuple[str, str, str, str], list[tuple[CaseResult, Finding]]] = {}
    for case in cases:
        own: dict[tuple[str, str, str], str] = {}
        for finding in _findings(case, severity):
            answer = (finding.exchange, finding.expected, finding.got)
            section = own.setdefault(answer, sections.get((case.contract, finding.requirement), ""))
            cause = (case.contract, section, without_variable_parts(finding.expected))
            got = in_any_order(without_variable_parts(finding.got))
            grouped.setdefault((*cause, got), []).append((case, finding))
    groups = (_group(cause, severity, members) for cause, members in grouped.items())
    return tuple(sorted(groups, key=lambda group: -len(group.cases)))


def without_variable_parts(text: str) -> str:
    """Return a text with a word such as ``<id>`` or ``<time>`` in the place of what differs between requests."""
    for pattern, word in _VARIABLE:
        text = pattern.sub(word, text)
    return text


def in_any_order(text: str) -> str:
    """Return a text in which the entries of each list that it quotes stand in one order, whatever order an answer had.

    Which of two new things a server lists first may differ from run to run, and so would the cause.
    """
    pieces, place = [], 0
    for match in _LIST.finditer(text):
        if match.start() < place:
            continue
        end, entries = _entries(text, match.end())
        if not end:
            break  # everything behind it is inside of it
        pieces += [text[place : match.end()], _ANY.join(sorted(entries)), "]"]
        pieces += [" in any order"] if len(set(entries)) > 1 else []
        place = end
    return "".join([*pieces, text[place:]])


def _entries(text: str, place: int) -> tuple[int, list[str]]:
    """Return where a list ends whose entries begin at a place, and its entries; 0 where it does not end."""
    entries, depth, start, quote = list[str](), 0, place, ""
    while place < len(text):
        sign = text[place]
        if quote:
            place += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[{(":
            depth += 1
        elif sign in "]})" and depth:
            depth -= 1
        elif sign == "]":
            return place + 1, [*entries, text[start:place]] if place > start else entries
        elif not depth and text.startswith(_ANY, place):
            entries.append(text[start:place])
            start = place + len(_ANY)
        place += 1
    return 0, []


def _findings(case: CaseResult, severity: Verdict) -> Iterator[Finding]:
    findings = [finding for finding in case.findings if finding.severity is severity]
    if not findings and case.verdict is severity:
        first = next(iter(case.requirements), "")
        findings = [Finding(first, severity, "", case.message or "no details", "")]
    yield from findings


def _group(
    cause: tuple[str, str, str, str], severity: Verdict, members: Sequence[tuple[CaseResult, Finding]]
) -> FindingGroup:
    contract, section, expected, got = cause
    # A case and the same one under a view send as many requests; the latter has the view's row besides.
    members = sorted(members, key=lambda member: (len(member[0].exchanges), len(member[0].requirements)))
    first = members[0][1]
    return FindingGroup(
        contract=contract,
        section=section,
        severity=severity,
        expected=expected,
        got=got,
        rows=tuple(dict.fromkeys(finding.requirement for _, finding in members if finding.requirement)),
        cases=tuple(dict.fromkeys(case.id for case, _ in members)),
        findings=len(members),
        exchange=first.exchange,
        step=first.step,
        curl=first.curl,
    )
