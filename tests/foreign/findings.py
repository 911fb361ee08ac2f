"""What a run has found, reduced to what stays the same from run to run, and compared with what is known."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

KNOWN = Path(__file__).parent / "known"
NOT_RUN = "not judged"
"""Stands in place of a row for cases that came to no verdict."""

Findings = Mapping[str, tuple[str, ...]]
"""The cases that break a row, by row."""


def findings_of(results: Mapping[str, Any]) -> Findings:
    """Return the findings of a ``results.json``; cases that came to no verdict stand under :data:`NOT_RUN`."""
    rows_by_case: dict[str, set[str]] = {}
    for case in results["cases"]:
        for finding in case["findings"]:
            if finding["severity"] == "passed":
                continue  # recorded only
            rows_by_case.setdefault(str(finding["requirement"]), set()).add(str(case["id"]))
        if case["verdict"] in {"inconclusive", "error", "not-tested"}:
            rows_by_case.setdefault(NOT_RUN, set()).add(str(case["id"]))
    return {row: tuple(sorted(cases)) for row, cases in sorted(rows_by_case.items())}


def cases_of(results: Mapping[str, Any]) -> frozenset[str]:
    """Return the cases that a ``results.json`` tells of."""
    return frozenset(str(case["id"]) for case in results["cases"])


def known_findings(server: str, among: Collection[str] | None = None) -> Findings:
    """Return what is known of a server, ``among`` some cases or in all; nothing where no file is kept."""
    path = KNOWN / f"{server}.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = {
        row: tuple(case for case in cases if among is None or case in among)
        for row, cases in document.get("findings", {}).items()
    }
    return {row: cases for row, cases in known.items() if cases}


def keep(server: str, version: str, findings: Findings) -> Path:
    """Write what is known of a server; return the file."""
    path = KNOWN / f"{server}.yaml"
    path.parent.mkdir(exist_ok=True)
    lines = [
        f"# What the cases of aws_kms find in {server} {version}, by row. `make foreign ARGS=--keep` writes it anew.",
        f"version: {version}",
        "findings:",
    ]
    for row, cases in findings.items():
        lines += [f"  {row}:", *(f"    - {json.dumps(case)}" for case in cases)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def differences(known: Findings, found: Findings) -> Iterator[str]:
    """Yield a line for each case that breaks a row and did not, and for each that broke it and does not any more."""
    for row in sorted({*known, *found}):
        before, now = set(known.get(row, ())), set(found.get(row, ()))
        yield from (f"new: {row} in {case}" for case in sorted(now - before))
        yield from (f"gone: {row} in {case}" for case in sorted(before - now))
