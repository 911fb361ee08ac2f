"""``allure-results/``: what Allure 2 and 3 read, written with Allure's own models.

One result per case, one step per exchange with its request and response attached. Every file of ours begins with
``kms-``, so a directory that a test runner's own Allure plugin also writes to can be shared.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)

from kms_conformance import __version__
from kms_conformance.exchange import Exchange
from kms_conformance.outputs.files import PREFIX, put_directory
from kms_conformance.outputs.overview import contract_title, sections, unseen
from kms_conformance.outputs.text import rfc3339
from kms_conformance.verdict import CaseResult, Finding, Row, Run, Verdict, headline, worst

NAME = "allure-results"
# Allure knows them by these names only.
SHARED = ("environment.properties", "categories.json")

_STATUS = {
    Verdict.PASSED: Status.PASSED,
    Verdict.WARNED: Status.PASSED,
    Verdict.NOT_APPLICABLE: Status.SKIPPED,
    Verdict.NOT_TESTED: Status.SKIPPED,
    Verdict.INCONCLUSIVE: Status.BROKEN,
    Verdict.FAILED: Status.FAILED,
    Verdict.ERROR: Status.BROKEN,
}
_SEVERITY = {"MUST": "critical", "SHOULD": "normal", "MAY": "minor"}
_CATEGORIES = (
    ("Promises not kept", Status.FAILED, Verdict.FAILED),
    ("Preconditions that did not hold", Status.BROKEN, Verdict.INCONCLUSIVE),
    ("Errors of the suite", Status.BROKEN, Verdict.ERROR),
    ("Warnings", Status.PASSED, Verdict.WARNED),
    ("Not tested", Status.SKIPPED, Verdict.NOT_TESTED),
    ("Not applicable", Status.SKIPPED, Verdict.NOT_APPLICABLE),
)
_FINISHED = "finished"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://kms-conformance.invalid/allure")


def write(run: Run, directory: Path) -> Path:
    """Write ``allure-results/`` and return its path."""
    return put_directory(directory / NAME, render(run))


def render(run: Run) -> dict[str, bytes]:
    """Return the files of the directory by name. The same run gives the same files."""
    encode = json.JSONEncoder(default=_plain).encode
    rows = {(row.contract, row.id): row for row in run.rows}
    titles = {(section.contract, section.anchor): section.title for section in sections(run)}
    start = str(run.meta.get("run_id") or run.started)
    files: dict[str, bytes] = {}
    for case in run.cases:
        covered = [row for name in case.requirements if (row := rows.get((case.contract, name)))]
        result = _result(run, case, covered, titles, start)
        result.steps = [_step(case, exchange, files) for exchange in case.exchanges]
        files[f"{PREFIX}{result.uuid}-result.json"] = encode(result).encode("ascii")
    why = unseen(run)
    if why:
        result = _run_result(run, why, start)
        files[f"{PREFIX}{result.uuid}-result.json"] = encode(result).encode("ascii")
    files["environment.properties"] = _environment(run)
    files["categories.json"] = encode(
        [
            {"name": name, "matchedStatuses": [status], "messageRegex": rf"^{verdict.value}:[\s\S]*"}
            for name, status, verdict in _CATEGORIES
        ]
    ).encode("ascii")
    return files


def _result(
    run: Run, case: CaseResult, covered: list[Row], titles: Mapping[tuple[str, str], str], start: str
) -> TestResult:
    stable = hashlib.sha256(f"{case.contract}\0{case.id}".encode("utf-8", "backslashreplace")).hexdigest()[
        :32
    ]
    features = dict.fromkeys(titles[row.contract, row.section] for row in covered)
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
        description=case.rule,
        status=_STATUS[case.verdict],
        statusDetails=_details(case),
        stage=_FINISHED,
        start=_milliseconds(case.started),
        stop=_milliseconds(case.started + case.duration),
        labels=[Label(name=name, value=value) for name, value in labels],
        links=[Link(type="link", url=url, name=name) for url, name in links.items()],
        parameters=[Parameter(name="case", value=case.id)],
    )


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
        stage=_FINISHED,
        start=_milliseconds(run.started),
        stop=_milliseconds(run.finished),
        labels=[Label(name="epic", value="run"), Label(name="run-verdict", value=run.verdict.value)],
    )


def _step(case: CaseResult, exchange: Exchange, files: dict[str, bytes]) -> TestStepResult:
    found = [finding for finding in case.findings if finding.exchange == exchange.id]
    status = _STATUS[worst(finding.severity for finding in found)] if found else Status.PASSED
    if exchange.answer is None and status == Status.PASSED:
        status = Status.BROKEN
    request = f"{PREFIX}{exchange.id}-request-attachment.json"
    response = f"{PREFIX}{exchange.id}-response-attachment.json"
    files[request] = _request(exchange)
    files[response] = _response(exchange)
    return TestStepResult(
        name=f"{exchange.step or exchange.operation or exchange.sent.path}: {exchange.outcome}",
        status=status,
        statusDetails=StatusDetails(message=_told(found)) if found else None,
        stage=_FINISHED,
        start=_milliseconds(exchange.started),
        stop=_milliseconds(exchange.started + exchange.duration),
        parameters=[
            Parameter(name="exchange", value=exchange.id),
            Parameter(name="identity", value=exchange.identity),
        ],
        attachments=[
            Attachment(
                name=f"request {exchange.sent.method} {exchange.sent.path}",
                source=request,
                type="application/json",
            ),
            Attachment(name=f"response {exchange.outcome}", source=response, type="application/json"),
        ],
    )


def _request(exchange: Exchange) -> bytes:
    sent = exchange.sent
    body = sent.body if sent.text is None else sent.text
    document = {
        "method": sent.method,
        "url": sent.url,
        "headers": dict(sent.headers),
        "body": body,
        "curl": exchange.curl(),
    }
    return json.dumps(document).encode("ascii")


def _response(exchange: Exchange) -> bytes:
    answer = exchange.answer
    if answer is None:
        document: dict[str, Any] = {"trouble": exchange.trouble}
    else:
        document = {
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": answer.body if answer.is_json else answer.kind,
        }
    return json.dumps(document).encode("ascii")


def _details(case: CaseResult) -> StatusDetails | None:
    told = case.missing or case.message
    if not told and not case.findings and case.verdict is Verdict.PASSED:
        return None
    return StatusDetails(message=f"{case.verdict.value}: {told}", trace=_told(list(case.findings)) or None)


def _told(findings: list[Finding]) -> str:
    return "\n\n".join(
        f"{finding.severity.value}: {finding.requirement}\nexpected: {finding.expected}\ngot: {finding.got}\n{finding.curl}"
        for finding in findings
    )


def _severity(covered: list[Row]) -> str:
    levels = {row.level for row in covered}
    return next((severity for level, severity in _SEVERITY.items() if level in levels), "normal")


def _environment(run: Run) -> bytes:
    target = run.meta.get("target", {})
    values = {
        "Verdict": run.verdict.value,
        "Headline": headline(run),
        "Profile": run.profile.value,
        "Edition": str(run.meta.get("edition", "page")),
        "Endpoint": str(target.get("base_url", "")),
        "Suite": str(run.meta.get("suite", {}).get("version", __version__)),
        "Started": rfc3339(run.started),
    }
    for block in run.meta.get("contracts", ()):
        values[f"Contract.{block.get('id', '')}"] = str(block.get("edition", ""))
    return "".join(f"{_property(key)}={_property(value)}\n" for key, value in values.items()).encode("ascii")


def _property(text: str) -> str:
    """Return a text in the escapes of a Java properties file."""
    encoded = text.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(encoded[place : place + 2], "big") for place in range(0, len(encoded), 2)]
    plain = set(range(0x20, 0x7F)) - {ord("\\"), ord("="), ord(":")}
    return "".join(chr(unit) if unit in plain else f"\\u{unit:04x}" for unit in units)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _plain(model: object) -> dict[str, Any]:
    """Return a model of Allure's as a document, without the members that are not set."""
    return {name: value for name, value in vars(model).items() if value is not None and value != []}
