"""``results.json``: the one verdict object as a document (``schemas/results.schema.json``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kms_conformance import __version__
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.results import CaseResult, Finding, KnownDeviation, RowResult
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs.about import latency_block, left_behind, requests_of, skew_block
from kms_conformance.outputs.files import put
from kms_conformance.outputs.opted_out import opted_out
from kms_conformance.outputs.overview import contract_ids, failure_groups, warning_groups
from kms_conformance.outputs.rerun import rerun_command
from kms_conformance.outputs.text import rfc3339, rounded

NAME = "results.json"
SCHEMA_VERSION = "1.2"


def write(run: Run, directory: Path) -> Path:
    """Write ``results.json`` and return its path."""
    return put(directory / NAME, json.dumps(render(run), indent=1) + "\n")


def render(run: Run) -> dict[str, Any]:
    """Return the document. Times are RFC 3339 in UTC, durations seconds to the millisecond."""
    meta = run.meta
    named = {block["id"]: block for block in meta.get("contracts", ()) if "id" in block}
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": run.verdict.value,
        "headline": headline(run),
        "exit_code": int(run.exit_code),
        "counts": run.counts,
        "profile": run.profile.value,
        "edition": str(meta.get("edition", "page")),
        "run_id": str(meta.get("run_id", "")),
        "started": rfc3339(run.started),
        "finished": rfc3339(run.finished),
        "duration_s": rounded(run.finished - run.started),
        "partial": run.partial,
        "interrupted": run.interrupted,
        "not_run": run.not_run,
        "trouble": run.trouble,
        "suite": {"version": __version__, "commit": "", **meta.get("suite", {})},
        "contracts": [
            {"edition": "", "sha256": "", **named.get(contract, {}), "id": contract}
            for contract in contract_ids(run)
        ],
        "target": {"base_url": "", "instance": "", **meta.get("target", {})},
        **({"product": dict(meta["product"])} if meta.get("product") else {}),
        "options": meta.get("options", {}),
        "command_line": list(meta.get("command_line", ())),
        "environment": dict(meta.get("environment", {})),
        "servers": list(meta.get("servers", ())),
        "identities": dict(meta.get("identities", {})),
        "requests": requests_of(run),
        "left_behind": left_behind(run) if "left_behind" in meta else None,
        "shards": list(meta.get("shards", ())),
        "clock_skew": skew_block(run),
        "latency": latency_block(run),
        "groups": [_group(run, group) for group in (*failure_groups(run), *warning_groups(run))],
        "baseline": [_known(entry) for entry in run.baseline],
        "opted_out": [
            {"contract": row.contract, "view": row.view, "why": row.why, "cases": list(row.cases)}
            for row in opted_out(run)
        ],
        "cases": [_case(case, run.accepted.get(case.id, "")) for case in run.cases],
        "requirements": [_requirement(result) for result in run.requirements],
    }


def _group(run: Run, group: FindingGroup) -> dict[str, Any]:
    return {
        "contract": group.contract,
        "section": group.section,
        "severity": group.severity.value,
        "expected": group.expected,
        "got": group.got,
        "findings": group.findings,
        "rows": list(group.rows),
        "cases": list(group.cases),
        "exchange": group.exchange,
        "again": rerun_command(run, group.case),
    }


def _known(entry: KnownDeviation) -> dict[str, Any]:
    return {
        "case": entry.case,
        "requirement": entry.requirement,
        "reason": entry.reason,
        "owner": entry.owner,
        "link": entry.link,
        "expiry": entry.expiry,
        "state": entry.state,
        "message": entry.message,
        "deviations": list(entry.deviations),
    }


def _case(case: CaseResult, accepted: str) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": case.title,
        "contract": case.contract,
        "verdict": case.verdict.value,
        "requirements": list(case.requirements),
        "rule": case.rule,
        "message": case.message,
        "accepted": accepted,
        "missing": case.missing,
        "started": rfc3339(case.started),
        "duration_s": rounded(case.duration),
        "waited_s": rounded(case.waited),
        **({"clock_ahead_s": rounded(case.clock_ahead)} if case.clock_ahead else {}),
        "checks": case.checks,
        "judged": list(case.judged),
        "findings": [_finding(finding) for finding in case.findings],
        "exchanges": [exchange.id for exchange in case.outlines],
        "nodeid": case.nodeid,
        "file": case.file,
        "line": case.line,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "requirement": finding.requirement,
        "severity": finding.severity.value,
        "expected": finding.expected,
        "got": finding.got,
        "step": finding.step,
        "exchange": finding.exchange,
        "curl": finding.curl,
    }


def _requirement(result: RowResult) -> dict[str, Any]:
    row = result.row
    return {
        "id": row.id,
        "contract": row.contract,
        "section": row.section,
        "level": row.level,
        "evidence": row.evidence,
        "reason_code": row.reason_code,
        "text": row.text,
        "excluded": row.excluded,
        "link": row.link,
        "verdict": result.verdict.value,
        "why": result.why,
        "cases": list(result.cases),
    }
