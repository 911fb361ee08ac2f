"""A case as the report shows it, in the page or in a block, and what a reader may search it by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from markupsafe import Markup

from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.judging.groups import without_variable_parts
from kms_conformance.judging.results import CaseResult, Finding, RowResult
from kms_conformance.outputs import history
from kms_conformance.outputs.overview import unjudged_text
from kms_conformance.outputs.text import duration_text, shorten, visible, visible_lines

# A page of a thousand cases must still open; the transcript holds what is cut here.
LONGEST_BODY = 6000
_CLEAN_UP = "clean-up"
_WORDS = {None: "null", True: "true", False: "false"}
_plainly = lru_cache(maxsize=1024)(without_variable_parts)
Rows = Mapping[tuple[str, str], RowResult]


def case_block(case: CaseResult, place: str, rows: Rows) -> dict[str, Any]:
    """Return what the template shows of a case."""
    named = {finding.exchange for finding in case.findings}
    judged = {expectation.exchange for expectation in case.expectations}
    return {
        "place": place,
        "result": case,
        "took": duration_text(case.duration),
        "waited": duration_text(case.waited) if case.waited else "",
        "rows": [result for name in case.requirements if (result := rows.get((case.contract, name)))],
        "unjudged": unjudged_text(case),
        "findings": sorted(case.findings, key=lambda finding: -finding.severity.rank),
        "drawings": {
            finding.exchange: Markup(history.svg(drawn))  # noqa: S704 - made of numbers and escaped words
            for finding in case.findings
            if (drawn := history.of_finding(case, finding))
        },
        "exchanges": [
            _exchange(exchange, case, aside=bool(named) and exchange.id not in named | judged)
            for exchange in case.exchanges
        ],
    }


def search_text(case: CaseResult, rows: Rows) -> str:
    """Return everything by which a case is found, in small letters, blanks around each word."""
    words: dict[str, None] = dict.fromkeys([case.id, case.title, case.verdict.value, *case.requirements])
    for name in case.requirements:
        row = rows[case.contract, name].row if (case.contract, name) in rows else None
        if row is not None:
            words |= dict.fromkeys([row.level, row.evidence, row.reason_code or ""])
    for finding in case.findings:
        words |= dict.fromkeys([finding.expected, finding.got])
    for exchange in case.exchanges:
        answer = exchange.answer
        words |= dict.fromkeys([exchange.sent.method, _plainly(exchange.sent.path), exchange.operation or ""])
        words |= dict.fromkeys([str(answer.status) if answer else "no answer", exchange.code or ""])
    words |= dict.fromkeys(exchange.id for exchange in case.exchanges)
    return f" {' '.join(filter(None, words))} ".lower()


def _exchange(exchange: Exchange, case: CaseResult, *, aside: bool) -> dict[str, Any]:
    sent, answer = exchange.sent, exchange.answer
    findings = [finding for finding in case.findings if finding.exchange == exchange.id]
    body = sent.text if sent.text is not None else None if sent.body is None else pretty(sent.body)
    if answer is None:
        response = f"no answer: {exchange.trouble or exchange.outcome}"
    else:
        shown = pretty(answer.body) if answer.is_json else f"({answer.kind})" if answer.kind else None
        response = _message(f"HTTP {answer.status}", answer.headers.items(), shown)
    line = visible(f"{sent.method} {sent.path}")
    return {
        "id": exchange.id,
        "named": visible(exchange.step) or line,
        "outcome": visible(exchange.outcome),
        "about": f"{line}, {duration_text(exchange.duration)}, {exchange.id} as {exchange.identity}",
        "verdict": worst([finding.severity for finding in findings]).value if findings else "",
        "aside": aside or exchange.notes.get("phase") == _CLEAN_UP,
        "request": _text(_message(f"{sent.method} {sent.url}", sent.headers.items(), body)),
        "response": _marked(_text(visible_lines(response)), findings, exchange),
        # What passed is hardly sent again, and its curl lines would be a fifth of the page.
        "curl": _text(visible_lines(curl_line(exchange))) if case.verdict is not Verdict.PASSED else "",
    }


def _marked(response: Markup, findings: Iterable[Finding], exchange: Exchange) -> Markup:
    """Return an answer with what deviates marked: status and reason code, or each value that a finding names, and what was expected."""
    deviations = list(findings)
    if not deviations:
        return response
    first, *rest = response.split("\n")
    wanted = "; ".join(dict.fromkeys(finding.expected for finding in deviations if finding.expected))
    named = {
        exchange.code or "",
        *(word for finding in deviations for word in re.findall(r"[\w.-]{4,}", finding.got)),
    }
    words = "|".join(re.escape(str(_text(word))) for word in sorted(named, key=len, reverse=True) if word)
    inner = "\n".join(rest)
    if words:
        inner = re.sub(
            rf"(?<![\w&])(?:{words})(?![\w;])", lambda match: f"<mark>{match[0]}</mark>", inner, count=20
        )
    expected = f"   <ins>expected {_text(visible(wanted))}</ins>" if wanted else ""
    return Markup(f"<mark>{first}</mark>{expected}\n{inner}")  # noqa: S704 - escaped before, and marks are put around words only


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
    if value is None or value is True or value is False:
        return _WORDS[value]
    if type(value) is int:
        return str(value)
    inner = margin + "  "
    if isinstance(value, dict) and value:
        # Most members are texts, and a list is joined faster than what yields its entries.
        members = f",{inner}".join(
            [
                f"{encode_basestring(str(key))}: {encode_basestring(member) if type(member) is str else _pretty(member, inner)}"
                for key, member in value.items()
            ]
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
