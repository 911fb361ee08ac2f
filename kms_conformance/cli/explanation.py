"""The explanation of a code, a section or a row: as lines to read, and as a document."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kms_conformance.contract.case_index import ListedCase, listed_cases
from kms_conformance.contract.phrases import Kind

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.contract.lookup import Recognised
    from kms_conformance.contract.rows import ReasonCode, Requirement

_WIDTH = 100
_BY = {Kind.CODE: "code", Kind.MESSAGE: "message", Kind.HEADING: "heading", Kind.SUBJECT: "errorMsg"}


@dataclass(frozen=True)
class Explanation:
    """One thing that a contract knows: exactly one of code, section and row; ``by``: what it was recognised by."""

    contract: Contract
    code: ReasonCode | None = None
    section: Mapping[str, Any] | None = None
    row: Requirement | None = None
    by: str = "name"

    @classmethod
    def of(cls, recognised: Recognised) -> Explanation:
        """Return what was recognised in a text."""
        entry = recognised.entry
        return cls(entry.contract, code=entry.code, row=entry.row, by=_BY[recognised.kind])

    @property
    def name(self) -> str:
        """The code, the section's anchor or the row's id."""
        if self.section is not None:
            return str(self.section["anchor"])
        return self.code.code if self.code is not None else self.row.id if self.row is not None else ""

    def lines(self) -> Iterator[str]:
        """Yield the lines that explain it."""
        if self.code is not None:
            yield from _code_lines(self.contract, self.code)
        elif self.section is not None:
            yield f"Section {self.section.get('number', '')} {self.section['title']}".strip()
            yield f"  page: {self.contract.link(str(self.section['anchor']))}"
            for code in self.section.get("codes", ()):
                yield ""
                yield from _code_lines(self.contract, self.contract.codes[code])
        elif self.row is not None:
            yield f"{self.row.id}  ({self.row.level}, {self.row.evidence})"
            yield from _paragraph("rule", self.row.text)
            yield f"  section: {self.row.section}"
            if self.row.code:
                yield f"  code: {self.row.code}"
            yield from _case_lines(_cases(self.contract, {self.row.id}))

    def headline(self) -> str:
        """Return it in one line."""
        if self.code is not None:
            return _headline(self.contract, self.code)
        return next(self.lines())

    def document(self) -> dict[str, Any]:
        """Return it as ``schemas/explain.schema.json`` says; what is not known is left out."""
        members: dict[str, Any] = {
            "contract": self.contract.id,
            "title": self.contract.title,
            "name": self.name,
            "recognised_by": self.by,
        }
        if self.code is not None:
            members |= _code_members(self.contract, self.code)
        elif self.section is not None:
            members |= {
                "kind": "section",
                "text": str(self.section["title"]),
                "sections": _sections(self.contract, [self.name]),
                "codes": list(self.section.get("codes", ())),
            }
        elif self.row is not None:
            members |= {
                "kind": "row",
                "level": self.row.level,
                "evidence": self.row.evidence,
                "text": self.row.text,
                "codes": [self.row.code] if self.row.code else [],
                "cases": _case_members(_cases(self.contract, {self.row.id})),
            }
        return members


def _code_members(contract: Contract, reason: ReasonCode) -> dict[str, Any]:
    prose = {
        name: text
        for name in ("symptom", "cause", "resolution", "provoke", "answer")
        if (text := str(getattr(reason, name)))
    }
    return {
        "kind": "code",
        "statuses": list(reason.refusals),
        "evidence": reason.evidence,
        "sections": _sections(contract, reason.sections),
        "messages": list(reason.messages),
        **prose,
        "cases": _case_members(_cases(contract, _rows_of(contract, reason))),
    }


def _headline(contract: Contract, reason: ReasonCode) -> str:
    status = (
        "HTTP " + " or ".join(map(str, reason.statuses)) if reason.status_judged else "whatever error status"
    )
    return f"{reason.code}  {status}  ({contract.title}, {'documented' if reason.documented else reason.evidence})"


def _code_lines(contract: Contract, reason: ReasonCode) -> Iterator[str]:
    yield _headline(contract, reason)
    for anchor in reason.sections:
        section = contract.sections.get(anchor)
        if section is not None:
            yield f"  section {section.get('number', '')}: {section['title']}  {contract.link(anchor)}"
    if reason.messages or contract.reason.summary:
        yield from _paragraph(
            "message", reason.messages[0] if reason.messages else "(no reasons in the answer)"
        )
    for text in reason.messages[1:]:
        yield from _paragraph("or", text)
    yield from _paragraph("symptom", reason.symptom)
    yield from _paragraph("cause", reason.cause)
    yield from _paragraph("resolution", reason.resolution)
    yield from _paragraph("how to provoke it", reason.provoke)
    yield from _paragraph("what to answer", reason.answer)
    yield from _case_lines(_cases(contract, _rows_of(contract, reason)))


def _rows_of(contract: Contract, reason: ReasonCode) -> set[str]:
    return {row.id for row in contract.requirements.values() if row.code == reason.code}


def _cases(contract: Contract, rows: set[str]) -> list[ListedCase]:
    return [case for case in listed_cases(contract.id) if rows.intersection(case.covers)]


def _case_lines(cases: list[ListedCase]) -> Iterator[str]:
    yield f"  checked by {len(cases)} case{'s' if len(cases) != 1 else ''}:"
    for case in cases:
        yield f"    {case.id}: {case.title}"


def _case_members(cases: list[ListedCase]) -> list[dict[str, str]]:
    return [{"id": case.id, "title": case.title} for case in cases]


def _sections(contract: Contract, anchors: tuple[str, ...] | list[str]) -> list[dict[str, str]]:
    return [
        {"anchor": anchor, "title": contract.section_title(anchor), "link": contract.link(anchor)}
        for anchor in anchors
        if anchor in contract.sections
    ]


def _paragraph(title: str, text: str) -> Iterator[str]:
    if text:
        yield from textwrap.wrap(f"{title}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
