"""``report.html``: everything on one page that needs no network and no server.

The page holds its style and its script; its content security policy allows nothing else, so even a text that
escaped escaping could not act. What failed stands in the page as it is; the evidence of what passed is packed into blocks,
which the script unpacks when somebody opens a case.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, RunVerdict, counts_of, headline
from kms_conformance.outputs import timeline
from kms_conformance.outputs.about import facts, latency_of, left_behind
from kms_conformance.outputs.files import put
from kms_conformance.outputs.html_blocks import INDEX, block
from kms_conformance.outputs.html_case import case_block, search_text
from kms_conformance.outputs.opted_out import opted_out
from kms_conformance.outputs.overview import (
    MOST_TEXT,
    Section,
    contract_ids,
    contract_title,
    failure_groups,
    group_title,
    rule_of,
    sections,
    untested,
    warning_groups,
    with_verdict,
)
from kms_conformance.outputs.pages import TEMPLATES, template_of
from kms_conformance.outputs.rerun import rerun_command
from kms_conformance.outputs.text import shorten, visible

NAME = "report.html"
PER_BLOCK = 32
"""Cases whose evidence is unpacked together."""
MOST_SHOWN = 500
"""Exchanges of deviating cases that stand in the page; where there are more, later cases are packed too."""
MOST_NAMED = 60
"""Cases that a list names before it says how many more there are; the list of cases has all."""
# Who opens the page looks for what is wrong.
_MOST_WANTED = (
    Verdict.FAILED,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.WARNED,
    Verdict.NOT_TESTED,
    Verdict.NOT_APPLICABLE,
    Verdict.PASSED,
)
_BAD = frozenset(_MOST_WANTED[:4])

_TITLES = {
    RunVerdict.CONFORMANT: "Conformant",
    RunVerdict.NON_CONFORMANT: "Not conformant",
    RunVerdict.NOT_VERIFIED: "Not verified",
}


def write(run: Run, directory: Path) -> Path:
    """Write ``report.html`` and return its path."""
    return put(directory / NAME, pieces(run))


def render(run: Run) -> str:
    """Return the page."""
    return "".join(pieces(run))


def pieces(run: Run) -> Iterator[str]:
    """Yield the page piece by piece: it is one of the largest things that a run holds at once."""
    style, script = _files()
    ordered = sorted(run.cases, key=lambda case: (_MOST_WANTED.index(case.verdict), _of_fuzzer(case)))
    places = {case.id: f"case-{number}" for number, case in enumerate(run.cases, 1)}
    failures = [_cause(run, group) for group in failure_groups(run)]
    rows = {(result.row.contract, result.row.id): result for result in run.requirements}
    parts = template_of("parts.html.j2").module
    shown = list(_in_the_page(ordered))
    packed = ordered[len(shown) :]
    # A case may be read from disk for each use of it, so that both texts of one are made together.
    texts = [search_text(case, rows) for case in shown]
    blocks = list(_blocks(packed, places, rows, texts))
    in_order = sections(run)
    return template_of("report.html.j2").generate(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file; the policy names its digest
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        run=run,
        title=_TITLES[run.verdict],
        headline=visible(headline(run)),
        counts=counts_of(run),
        total=len(run.cases) + run.not_run,
        product=run.meta.get("product") or {},
        run_id=_css_text(run.meta.get("run_id", "")),
        base_url=str(run.meta.get("target", {}).get("base_url", "")),
        about=[(name, visible(value)) for name, value in facts(run)],
        digests=[
            (block["id"], block.get("sha256", "")) for block in run.meta.get("contracts", ()) if "id" in block
        ],
        latency=latency_of(run),
        timeline=Markup(timeline.svg(run)),  # noqa: S704 - made of numbers and our own words
        left_behind=left_behind(run),
        places=places,
        titles={case.id: case.title for case in run.cases},
        section_places=section_places(run),
        evidence={exchange.id for case in shown for exchange in case.exchanges},
        failures=failures,
        number_failed=len({case_id for group in failures for case_id in group["cases"]}),
        warnings=[_cause(run, group) for group in warning_groups(run)],
        accepted=[case for case in with_verdict(run, Verdict.FAILED) if case.id in run.accepted],
        shaky=[
            (verdict, alike)
            for verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE)
            if (alike := with_verdict(run, verdict))
        ],
        untested=untested(run),
        opted_out=opted_out(run),
        groups=_groups(run, in_order),
        bad=_BAD,
        cases=[case_block(case, places[case.id], rows) for case in shown],
        packed=packed,
        blocks=blocks,
        per_block=PER_BLOCK,
        most=MOST_NAMED,
        section_block=block(
            "sections-block",
            [str(parts.rows_of(section, places, section.rows)) for section in in_order],  # type: ignore[attr-defined]  # same
        ),
        index=block(INDEX, texts),
    )


def section_places(run: Run) -> dict[tuple[str, str], str]:
    """Return the id on the page of each section, by contract and anchor."""
    return {
        (section.contract, section.anchor): f"section-{number}"
        for number, section in enumerate(sections(run), 1)
    }


@cache
def _files() -> tuple[str, str]:
    root = files(TEMPLATES) / "templates"
    style, script = ((root / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return style, script


def _css_text(run_id: object) -> str:
    """Return a run id for a string of the style sheet, in which nothing else may stand."""
    return re.sub(r"[^A-Za-z0-9-]", "", str(run_id))


def _of_fuzzer(case: CaseResult) -> bool:
    return "fuzz" in case.id.partition("[")[0]


def _in_the_page(ordered: Sequence[CaseResult]) -> Iterator[CaseResult]:
    """Yield the cases that stand in the page as they are: those that deviate, the worst first, as far as there is room."""
    number = 0
    for case in ordered:
        number += len(case.exchanges)
        if case.verdict not in _BAD or number > MOST_SHOWN:
            return
        yield case


def _blocks(
    cases: Sequence[CaseResult],
    places: dict[str, str],
    rows: dict[tuple[str, str], Any],
    texts: list[str],
) -> Iterator[Markup]:
    """Yield the blocks of the cases that are unpacked when they are opened; by what they are found goes into ``texts``."""
    parts = template_of("parts.html.j2").module
    for number, start in enumerate(range(0, len(cases), PER_BLOCK)):
        bodies = []
        for case in cases[start : start + PER_BLOCK]:
            bodies.append(str(parts.body_of(case_block(case, places[case.id], rows))))  # type: ignore[attr-defined]  # a macro
            texts.append(search_text(case, rows))
        yield block(f"block-{number}", bodies)


def _cause(run: Run, group: FindingGroup) -> dict[str, Any]:
    title, link = group_title(run, group)
    return {
        "severity": group.severity,
        "contract": contract_title(run, group.contract),
        "title": title,
        "link": link,
        "expected": group.expected,
        "got": shorten(group.got, MOST_TEXT),
        "rule": rule_of(run, group),
        "rows": group.rows,
        "cases": group.cases,
        "exchange": group.exchange,
        "again": rerun_command(run, group.case),
    }


def _groups(run: Run, in_order: Sequence[Section]) -> list[tuple[str, list[tuple[int, Section]]]]:
    """Return the sections by contract, each with its number on the page from 0."""
    grouped = [
        (
            contract_title(run, contract),
            [(number, section) for number, section in enumerate(in_order) if section.contract == contract],
        )
        for contract in contract_ids(run)
    ]
    return [(title, own) for title, own in grouped if own]
