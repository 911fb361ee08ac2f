"""The page of a campaign: endpoints by sections, and each finding once. Static, no script, everything escaped."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from kms_conformance.campaign.merged import CampaignResult, Cell, RunSummary
from kms_conformance.outputs.files import put
from kms_conformance.outputs.pages import page

NAME = "campaign.html"
MOST_FINDINGS = 200


def write(result: CampaignResult, directory: Path, made: str) -> Path:
    """Write the page beside the reports that it points to; ``made`` is the day."""
    return put(directory / NAME, render(result, made))


def render(result: CampaignResult, made: str) -> str:
    """Return the page."""
    contracts: dict[str, list[dict[str, object]]] = {}
    titles = {line.contract: line.contract_title for line in result.sections}
    names = [endpoint.name for endpoint in result.endpoints]
    for line in result.sections:
        if line.cells:
            contracts.setdefault(line.contract, []).append(
                {
                    "title": line.title,
                    "link": line.link,
                    "cells": [_cell(line.cells.get(name)) for name in names],
                }
            )
    return page(
        "campaign.html.j2",
        name=result.name,
        made=made,
        endpoints=[
            {
                "name": endpoint.name,
                "verdict": endpoint.verdict,
                "runs": [_run(run) for run in endpoint.runs],
            }
            for endpoint in result.endpoints
        ],
        contracts=[(titles[contract], lines) for contract, lines in contracts.items()],
        findings=[
            {
                "title": finding.title or finding.section or finding.contract,
                "expected": finding.expected,
                "got": finding.got,
                "rows": finding.rows,
                "cases": finding.cases,
                "endpoints": [(name, _href(href)) for name, href in finding.endpoints.items()],
            }
            for finding in result.findings[:MOST_FINDINGS]
        ],
        left_out=max(len(result.findings) - MOST_FINDINGS, 0),
    )


def _run(run: RunSummary) -> dict[str, object]:
    return {
        "name": run.name.partition("/")[2],
        "verdict": run.verdict,
        "headline": run.headline,
        "href": _href(f"{run.name}/report.html") if run.report else "",
        "missing": run.missing,
    }


def _cell(cell: Cell | None) -> dict[str, str] | None:
    if cell is None:
        return None
    return {
        "verdict": cell.verdict,
        "short": f"{cell.good} of {cell.applicable}",
        "href": _href(cell.href),
    }


def _href(place: str) -> str:
    return quote(place, safe="/#.-_~")
