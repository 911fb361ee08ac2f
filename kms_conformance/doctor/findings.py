"""A finding of the doctor, and what a list of them means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kms_conformance.errors import ExitCode, SuiteError
from kms_conformance.outputs.text import one_line

MOST_LINES = 10
"""So many lines are printed; ``--json`` has all."""


class Level(StrEnum):
    """How much a finding matters: no run is possible, a run may tell less than hoped for, or good to know."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: ``symptom`` is what was seen, ``cause`` why, ``resolution`` what to do.

    ``id`` names its kind and does not change. ``exit_code`` is that of a problem.
    """

    id: str
    level: Level
    symptom: str
    cause: str
    resolution: str
    exit_code: ExitCode = ExitCode.UNREACHABLE

    @property
    def sentence(self) -> str:
        """Symptom and cause in one sentence."""
        text = f"{self.symptom}: {self.cause}" if self.cause else self.symptom
        return one_line(text).rstrip(".") + "."

    @property
    def line(self) -> str:
        """The finding on one line, with its hint."""
        return f"{self.level:8} {self.sentence} Hint: {one_line(self.resolution).rstrip('.')}."

    def document(self) -> dict[str, str]:
        """Return the finding as ``schemas/doctor.schema.json`` says."""
        return {
            "id": self.id,
            "level": self.level.value,
            "symptom": one_line(self.symptom),
            "cause": one_line(self.cause),
            "resolution": one_line(self.resolution),
        }


class DiagnosedError(SuiteError):
    """A problem that the doctor has found: no run is possible."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.finding = finding

    @property
    def code(self) -> ExitCode:
        """The code with which the command ends."""
        return self.finding.exit_code

    @property
    def sentence(self) -> str:
        """Symptom and cause."""
        return self.finding.sentence

    @property
    def hint(self) -> str:
        """The resolution."""
        return self.finding.resolution.rstrip(".") + "."


def of_error(error: SuiteError, kind: str) -> Finding:
    """Return an error that a user is meant to read as a problem."""
    symptom, _, cause = error.sentence.rstrip(".").partition(": ")
    return Finding(kind, Level.PROBLEM, symptom, cause, error.hint, error.exit_code)


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Return the code of the first problem; without one 3 where there are warnings, else 0."""
    listed = list(findings)
    for finding in listed:
        if finding.level is Level.PROBLEM:
            return finding.exit_code
    warned = any(finding.level is Level.WARNING for finding in listed)
    return ExitCode.NOT_VERIFIED if warned else ExitCode.CONFORMANT


def lines_of(findings: Sequence[Finding]) -> list[str]:
    """Return the lines to print, the gravest first, and of many how many more there are."""
    order = list(Level)
    ranked = sorted(findings, key=lambda finding: order.index(finding.level))
    lines = [finding.line for finding in ranked]
    if len(lines) <= MOST_LINES:
        return lines
    kept = MOST_LINES - 1
    return [*lines[:kept], f"{len(lines) - kept} more: `kms-conformance doctor --json` has all."]


def document_of(
    findings: Sequence[Finding], target: Mapping[str, Any], *, profile: str, seconds: float
) -> dict[str, Any]:
    """Return what ``doctor --json`` prints."""
    code = exit_code_of(findings)
    return {
        "schema_version": "1.0",
        "ready": not any(finding.level is Level.PROBLEM for finding in findings),
        "exit_code": int(code),
        "profile": profile,
        "target": {name: target[name] for name in ("base_url", "instance", "mode") if name in target},
        "seconds": round(seconds, 3),
        "findings": [finding.document() for finding in findings],
    }
