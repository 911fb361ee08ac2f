"""``report.html``: everything on one page that needs no network and no server.

The page holds its style and its script; its content security policy allows nothing else, so even a text that
escaped escaping could not act.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.judging.groups import FindingGroup
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, RunVerdict, counts_of, headline
from kms_conformance.outputs import history
from kms_conformance.outputs.about import facts, latency_of, left_behind
from kms_conformance.outputs.again import again
from kms_conformance.outputs.files import put
from kms_conformance.outputs.overview import (
    contract_ids,
    contract_title,
    failure_groups,
    group_title,
    sections,
    untested,
    warning_groups,
    with_verdict,
)
from kms_conformance.outputs.text import duration_text, plural, shorten, visible, visible_lines

NAME = "report.html"
TEMPLATES = "kms_conformance.reports"
# A page of a thousand cases must still open; the transcript holds what is cut here.
LONGEST_BODY = 6000
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

_TITLES = {
    RunVerdict.CONFORMANT: "Conformant",
    RunVerdict.NON_CONFORMANT: "Not conformant",
    RunVerdict.NOT_VERIFIED: "Not verified",
}


def write(run: Run, directory: Path) -> Path:
    """Write ``report.html`` and return its path."""
    return put(directory / NAME, render(run))


def render(run: Run) -> str:
    """Return the page."""
    template, style, script = _page()
    places = {case.id: f"case-{number}" for number, case in enumerate(run.cases, 1)}
    failures = [_cause(run, group) for group in failure_groups(run)]
    verdicts = {(result.row.contract, result.row.id): result for result in run.requirements}
    return template.render(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file; the policy names its digest
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        run=run,
        title=_TITLES[run.verdict],
        headline=visible(headline(run)),
        counts=counts_of(run),
        about=[(name, visible(value)) for name, value in facts(run)],
        latency=latency_of(run),
        left_behind=left_behind(run),
        places=places,
        titles={case.id: case.title for case in run.cases},
        section_places=section_places(run),
        evidence={exchange.id for case in run.cases for exchange in case.exchanges},
        failures=failures,
        number_failed=len({case_id for group in failures for case_id in group["cases"]}),
        warnings=[_cause(run, group) for group in warning_groups(run)],
        accepted=[case for case in with_verdict(run, Verdict.FAILED) if case.id in run.accepted],
        shaky=[
            (verdict, cases)
            for verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE)
            if (cases := with_verdict(run, verdict))
        ],
        untested=untested(run),
        groups=_groups(run),
        cases=[
            _case(case, places[case.id], verdicts)
            for case in sorted(run.cases, key=lambda case: _MOST_WANTED.index(case.verdict))
        ],
        visible=visible,
        plural=plural,
        took=duration_text,
    )


@cache
def _page() -> tuple[Template, str, str]:
    root = files(TEMPLATES) / "templates"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    texts = [
        (root / name).read_text(encoding="utf-8") for name in ("report.html.j2", "report.css", "report.js")
    ]
    return environment.from_string(texts[0]), texts[1], texts[2]


def _cause(run: Run, group: FindingGroup) -> dict[str, Any]:
    title, link = group_title(run, group)
    return {
        "severity": group.severity,
        "contract": contract_title(run, group.contract),
        "title": title,
        "link": link,
        "expected": group.expected,
        "got": group.got,
        "rows": group.rows,
        "cases": group.cases,
        "exchange": group.exchange,
        "again": again(run, group.case),
    }


def section_places(run: Run) -> dict[tuple[str, str], str]:
    """Return the id on the page of each section, by contract and anchor."""
    return {
        (section.contract, section.anchor): f"section-{number}"
        for number, section in enumerate(sections(run), 1)
    }


def _groups(run: Run) -> list[tuple[str, list[Any]]]:
    """Return the sections by contract."""
    all_sections = sections(run)
    grouped = [
        (contract_title(run, contract), [section for section in all_sections if section.contract == contract])
        for contract in contract_ids(run)
    ]
    return [(title, own) for title, own in grouped if own]


def _case(case: CaseResult, place: str, verdicts: dict[tuple[str, str], Any]) -> dict[str, Any]:
    return {
        "place": place,
        "result": case,
        "took": duration_text(case.duration),
        "waited": duration_text(case.waited) if case.waited else "",
        "rows": [row for name in case.requirements if (row := verdicts.get((case.contract, name)))],
        "findings": sorted(case.findings, key=lambda finding: -finding.severity.rank),
        "drawings": {
            finding.exchange: Markup(history.svg(drawn))  # noqa: S704 - made of numbers and escaped words
            for finding in case.findings
            if (drawn := history.of_finding(case, finding))
        },
        "exchanges": [_exchange(exchange, case) for exchange in case.exchanges],
    }


def _exchange(exchange: Exchange, case: CaseResult) -> dict[str, Any]:
    sent, answer = exchange.sent, exchange.answer
    severities = [finding.severity for finding in case.findings if finding.exchange == exchange.id]
    body = sent.text if sent.text is not None else None if sent.body is None else pretty(sent.body)
    if answer is None:
        response = f"no answer: {exchange.trouble or exchange.outcome}"
    else:
        shown = pretty(answer.body) if answer.is_json else f"({answer.kind})" if answer.kind else None
        response = _message(f"HTTP {answer.status}", answer.headers.items(), shown)
    return {
        "id": exchange.id,
        "step": visible(exchange.step),
        "line": visible(f"{sent.method} {sent.path}"),
        "outcome": visible(exchange.outcome),
        "took": duration_text(exchange.duration),
        "identity": exchange.identity,
        "verdict": worst(severities).value if severities else "",
        "request": _text(_message(f"{sent.method} {sent.url}", sent.headers.items(), body)),
        "response": _text(visible_lines(response)),
        # What passed is hardly sent again, and its curl lines would be a fifth of the page.
        "curl": _text(visible_lines(curl_line(exchange))) if case.verdict is not Verdict.PASSED else "",
    }


def _text(text: str) -> Markup:
    """Return a text escaped for the inside of an element, where quotation marks are harmless and JSON is full of them."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(escaped)  # noqa: S704 - escaped just now


def pretty(body: JSON) -> str:
    """Return a JSON document indented by two, as ``json.dumps`` would with ``indent=2``, several times as fast."""
    return _pretty(body, "\n")


def _pretty(value: JSON, margin: str) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    inner = margin + "  "
    if isinstance(value, dict) and value:
        members = f",{inner}".join(
            f"{encode_basestring(str(key))}: {_pretty(member, inner)}" for key, member in value.items()
        )
        return f"{{{inner}{members}{margin}}}"
    if isinstance(value, list) and value:
        return f"[{inner}{f',{inner}'.join(_pretty(entry, inner) for entry in value)}{margin}]"
    return json.dumps(value)


def _message(start: str, headers: Iterable[tuple[str, str]], body: str | None) -> str:
    lines = [start, *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        cut = (
            "" if len(body) <= LONGEST_BODY else f"\n({len(body)} characters; the whole is in transcript.har)"
        )
        lines += ["", shorten(body, LONGEST_BODY) + cut]
    return visible_lines("\n".join(lines))
