"""The rows of a contract: reason codes and requirements, read from their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kms_conformance.contract.severity import Verdict


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One reason code of the catalogue: what an answer that carries it must look like.

    ``patterns`` are regular expressions for the accepted texts where the texts have variable parts; ``subjects`` are
    what ``errorMsg`` was seen to say beside the code.
    """

    code: str
    statuses: tuple[int, ...]
    messages: tuple[str, ...]
    detail: bool
    target: tuple[str, str] | None
    sections: tuple[str, ...]
    documented: bool
    in_body: bool
    evidence: str
    source: str
    provoke: str
    answer: str
    patterns: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    status_judged: bool = True
    symptom: str = ""
    cause: str = ""
    resolution: str = ""

    @property
    def refusals(self) -> tuple[int, ...]:
        """The statuses that a refusal may have; none where no source says, so that any error will do."""
        return self.statuses if self.status_judged else ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise. Field names as in ``schemas/requirements.schema.json``."""

    id: str
    section: str
    text: str
    level: str
    evidence: str
    title: str = ""
    code: str | None = None
    target: tuple[str, str] | None = None
    excluded: str = ""
    accepts: tuple[Mapping[str, Any], ...] = ()
    editions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def severity(self) -> Verdict:
        """What a deviation does to a case; level and evidence decide it.

        ``documented`` and ``observed`` promises fail when they are a MUST and warn otherwise; ``reported`` ones warn;
        ``unspecified`` ones are recorded, which costs nothing.
        """
        if self.evidence in {"documented", "observed"}:
            return Verdict.FAILED if self.level == "MUST" else Verdict.WARNED
        return Verdict.WARNED if self.evidence == "reported" else Verdict.PASSED


def read_reason_code(row: Mapping[str, Any]) -> ReasonCode:
    """Return a row of ``reason_codes.yaml`` as an object; raise :class:`KeyError` where a member is missing."""
    target = row.get("target")
    status = row["status"]
    return ReasonCode(
        code=row["code"],
        statuses=tuple(status) if isinstance(status, list) else (status,),
        messages=tuple(row.get("messages", ())),
        detail=bool(row.get("detail")),
        target=(target["type"], target["name"]) if target else None,
        sections=tuple(row.get("sections", ())),
        documented=bool(row.get("documented")),
        in_body=row.get("in_body", True),
        evidence=row.get("evidence", "documented"),
        source=str(row.get("source", "")),
        provoke=row.get("provoke", ""),
        answer=row.get("answer", ""),
        patterns=tuple(row.get("patterns", ())),
        subjects=tuple(row.get("errorMsg", ())),
        status_judged=row.get("status_judged", True),
        symptom=row.get("symptom", ""),
        cause=row.get("cause", ""),
        resolution=row.get("resolution", ""),
    )


def read_requirement(row: Mapping[str, Any]) -> Requirement:
    """Return a row of ``requirements.yaml`` as an object; raise :class:`KeyError` where a member is missing."""
    target = row.get("target")
    return Requirement(
        id=row["id"],
        section=row["section"],
        text=row["text"],
        level=row["level"],
        evidence=row["evidence"],
        title=row.get("title", ""),
        code=row.get("code"),
        target=(target["type"], target["name"]) if target else None,
        excluded=row.get("excluded", ""),
        accepts=tuple(row.get("accepts", ())),
        editions=row.get("editions", {}),
    )
