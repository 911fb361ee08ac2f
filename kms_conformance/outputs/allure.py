"""``allure-results/``: what Allure 2 and 3 read, written with Allure's own models.

One result per case, one step per exchange; requests and responses are attached where something is wrong, and stand for
the others in ``report.html`` and ``transcript.har``: a report of ten thousand small files is read by nobody. Every file of ours begins with
``kms-``, so a directory that a test runner's own Allure plugin also writes to can be shared.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from allure_commons.model2 import Label, Link, Parameter, Status, StatusDetails, TestResult

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs.about import facts_by_name, latency_of
from kms_conformance.outputs.allure_steps import (
    FINISHED,
    STATUS,
    add_steps,
    attach_exchanges,
    details_of,
    milliseconds,
)
from kms_conformance.outputs.files import PREFIX, put_directory
from kms_conformance.outputs.overview import (
    contract_title,
    gravest,
    sections,
    unjudged_text,
    why_not_conformant,
)
from kms_conformance.outputs.text import duration_text, plural, rfc3339

__all__ = ["NAME", "SHARED", "add_steps", "render", "write"]

NAME = "allure-results"
# Allure knows them by these names only.
SHARED = ("environment.properties", "categories.json", "executor.json", "allurerc.mjs")

_SEVERITY = {"MUST": "critical", "SHOULD": "normal", "MAY": "minor"}
_CATEGORIES = (
    ("Promises not kept", Status.FAILED, Verdict.FAILED),
    ("Preconditions that did not hold", Status.BROKEN, Verdict.INCONCLUSIVE),
    ("Errors of the suite", Status.BROKEN, Verdict.ERROR),
    ("Warnings", Status.PASSED, Verdict.WARNED),
    ("Accepted by the baseline", Status.SKIPPED, Verdict.FAILED),
    ("Not tested", Status.SKIPPED, Verdict.NOT_TESTED),
    ("Not applicable", Status.SKIPPED, Verdict.NOT_APPLICABLE),
)
_HISTORY = ".kms-conformance/allure-history.jsonl"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://kms-conformance.invalid/allure")


def write(run: Run, directory: Path) -> Path:
    """Write ``allure-results/`` and return its path."""
    return put_directory(directory / NAME, pieces(run))


def render(run: Run) -> dict[str, bytes]:
    """Return the files of the directory by name. The same run gives the same files."""
    return dict(pieces(run))


def pieces(run: Run) -> Iterator[tuple[str, bytes]]:
    """Yield the files of :func:`render` one after the other."""
    encode = json.JSONEncoder(default=_plain).encode
    rows = {(row.contract, row.id): row for row in run.rows}
    titles = {(section.contract, section.anchor): section.title for section in sections(run)}
    start = str(run.meta.get("run_id") or run.started)
    for case in run.cases:
        covered = [row for name in case.requirements if (row := rows.get((case.contract, name)))]
        result = _result(run, case, covered, titles, start)
        attached: dict[str, bytes] = {}
        attach_exchanges(result, case, f"{PREFIX}{result.uuid}", attached)
        yield from attached.items()
        yield f"{PREFIX}{result.uuid}-result.json", encode(result).encode("ascii")
    why = why_not_conformant(run)
    if why:
        result = _run_result(run, why, start)
        yield f"{PREFIX}{result.uuid}-result.json", encode(result).encode("ascii")
    yield "environment.properties", _environment(run)
    categories = [
        {"name": name, "matchedStatuses": [status], "messageRegex": rf"^{verdict.value}:[\s\S]*"}
        for name, status, verdict in _CATEGORIES
    ]
    yield "categories.json", encode(categories).encode("ascii")
    yield "executor.json", encode(_executor(run)).encode("ascii")
    yield "allurerc.mjs", _configuration(run, categories).encode("ascii")


def _name(run: Run) -> str:
    """Return the report's name, with the verdict in it."""
    return f"KMS conformance: {run.verdict.value}, {rfc3339(run.finished)[:10]}"


def _executor(run: Run) -> dict[str, str]:
    """Return by what the results were made; Allure 2 takes the report's name from here."""
    return {
        "name": "kms-conformance",
        "type": "kms-conformance",
        "reportName": _name(run),
        "buildName": f"run {run.meta.get('run_id', '')}",
    }


def _configuration(run: Run, categories: list[dict[str, Any]]) -> str:
    """Return the configuration of Allure 3, which reads no categories.json; it keeps the history of runs too."""
    document = {"name": _name(run), "historyPath": _HISTORY, "categories": categories}
    return f"// allure generate --config allure-results/allurerc.mjs allure-results\nexport default {json.dumps(document, indent=1)};\n"


def _result(
    run: Run, case: CaseResult, covered: list[Row], titles: Mapping[tuple[str, str], str], start: str
) -> TestResult:
    stable = hashlib.sha256(f"{case.contract}\0{case.id}".encode("utf-8", "backslashreplace")).hexdigest()[
        :32
    ]
    features = dict.fromkeys(titles[row.contract, row.section] for row in covered)
    accepted = run.accepted.get(case.id, "")
    labels = [
        ("epic", contract_title(run, case.contract)),
        *(("feature", feature) for feature in features),
        *(("story", requirement) for requirement in case.requirements),
        ("severity", _severity(covered)),
        ("verdict", case.verdict.value),
        ("parentSuite", contract_title(run, case.contract)),
        ("suite", next(iter(features), case.contract)),
        ("framework", "kms-conformance"),
        ("language", "python"),
    ]
    links = {row.link: row.section for row in covered if row.link}
    return TestResult(
        uuid=str(uuid.uuid5(_NAMESPACE, f"{start}/{stable}")),
        historyId=stable,
        testCaseId=stable,
        fullName=f"{case.contract}:{case.id}",
        name=case.title or case.id,
        description="\n\n".join(text for text in (case.rule, unjudged_text(case)) if text),
        status=Status.SKIPPED if accepted else STATUS[case.verdict],
        statusDetails=details_of(case, accepted, _section_of(case, run, titles)),
        stage=FINISHED,
        start=milliseconds(case.started),
        stop=milliseconds(case.started + case.duration),
        labels=[Label(name=name, value=value) for name, value in labels],
        links=[Link(type="link", url=url, name=name) for url, name in links.items()],
        parameters=[Parameter(name="case", value=case.id)],
    )


def _section_of(case: CaseResult, run: Run, titles: Mapping[tuple[str, str], str]) -> str:
    """Return the title of the section that the case's gravest finding belongs to."""
    finding = gravest(case)
    if finding is None:
        return ""
    sections_by_row = {(row.contract, row.id): row.section for row in run.rows}
    section = sections_by_row.get((case.contract, finding.requirement), "")
    return titles.get((case.contract, section), "")


def _run_result(run: Run, why: str, start: str) -> TestResult:
    """Return a result for the run itself, which would look green because no case is red."""
    stable = hashlib.sha256(b"run verdict").hexdigest()[:32]
    return TestResult(
        uuid=str(uuid.uuid5(_NAMESPACE, f"{start}/{stable}")),
        historyId=stable,
        testCaseId=stable,
        fullName="run verdict",
        name="run verdict",
        status=Status.BROKEN,
        statusDetails=StatusDetails(message=f"{run.verdict.value}: {why}", trace=headline(run)),
        stage=FINISHED,
        start=milliseconds(run.started),
        stop=milliseconds(run.finished),
        labels=[Label(name="epic", value="run"), Label(name="run-verdict", value=run.verdict.value)],
    )


def _severity(covered: list[Row]) -> str:
    levels = {row.level for row in covered}
    return next((severity for level, severity in _SEVERITY.items() if level in levels), "normal")


def _environment(run: Run) -> bytes:
    values = {"Verdict": run.verdict.value, "Headline": headline(run)}
    values |= {name.replace(" ", "."): text for name, text in facts_by_name(run).items()}
    for block in run.meta.get("contracts", ()):
        values[f"Contract.{block.get('id', '')}"] = str(block.get("edition", ""))
    for latency in latency_of(run):
        took = ", ".join(f"{name} {duration_text(getattr(latency, name))}" for name in ("p50", "p95", "p99"))
        values[f"Latency.{latency.operation or 'other'}"] = f"{took}, {plural(latency.count, 'answer')}"
    return "".join(f"{_property(key)}={_property(value)}\n" for key, value in values.items()).encode("ascii")


def _property(text: str) -> str:
    """Return a text in the escapes of a Java properties file."""
    encoded = text.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(encoded[place : place + 2], "big") for place in range(0, len(encoded), 2)]
    plain = set(range(0x20, 0x7F)) - {ord("\\"), ord("="), ord(":")}
    return "".join(chr(unit) if unit in plain else f"\\u{unit:04x}" for unit in units)


def _plain(model: object) -> dict[str, Any]:
    """Return a model of Allure's as a document, without the members that are not set."""
    return {name: value for name, value in vars(model).items() if value is not None and value != []}
