"""A stored run judged again, case by case: the same evidence gives the same verdict.

``results.json`` says what was run, ``transcript.har`` what was answered and expected. From these two, and from nothing
that was found at the time, the findings, the verdicts and the counts are made anew. What a run noticed beyond its
exchanges stays as recorded: why a case was not tested, what was inconclusive, an error of the suite, and what the
fuzzer found in answers that it did not keep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.errors import RecordError
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.every_exchange import after_outage, of_gateway, of_outage, wire_findings
from kms_conformance.judging.expectation import Expectation
from kms_conformance.judging.histories import CaseHistories
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import about, results
from kms_conformance.outputs.baseline import accepted, entries_of, settle
from kms_conformance.outputs.files import read_file

Judged = tuple[Exchange, Sequence[Expectation]]
_STOPPED = {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE}


@dataclass(frozen=True)
class Judgements:
    """What was found once in a case and need not be looked for again.

    ``wire`` is what breaks the rules of every exchange, by the id of the exchange; ``expected`` what deviates from an
    expectation, by ``id`` of the object, which is that of the run.
    """

    wire: dict[str, list[Finding]] = field(default_factory=dict)
    expected: dict[int, Finding | None] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget everything: another case follows."""
        self.wire.clear()
        self.expected.clear()


def differences(record: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Return a line for each verdict that judging again has changed; none when the two say the same."""
    lines = []
    if record["verdict"] != again["verdict"]:
        lines.append(f"the verdict was {record['verdict']} and is {again['verdict']}")
    before = {case["id"]: case for case in record["cases"]}
    for case in again["cases"]:
        old = before[case["id"]]
        if old["verdict"] != case["verdict"]:
            lines.append(f"{case['id']} was {old['verdict']} and is {case['verdict']}")
        elif old != case:
            lines.append(f"{case['id']} is {case['verdict']} as before, with other findings")
    if not lines and record != again:
        changed = [name for name in again if record.get(name) != again[name]]
        lines.append(f"other values in {', '.join(changed)}")
    return lines


def read_record(directory: Path) -> dict[str, Any]:
    """Return the ``results.json`` of a report directory; raise :class:`RecordError`."""
    return _record(directory / results.NAME)


def _record(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_file(path).decode("utf-8"))
    except OSError as error:
        raise RecordError(str(path.parent), error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(str(path.parent), f"results.json is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise RecordError(str(path.parent), "results.json is not an object")
    return document


def demand_contracts(record: Mapping[str, Any], directory: Path) -> None:
    """Demand that a record was judged by the contracts that are here; raise :class:`RecordError`."""
    for block in record["contracts"]:
        if block["sha256"] != load_contract(block["id"]).sha256:
            raise RecordError(
                str(directory), f"it was judged by another version of the contract {block['id']}"
            )


def run_with(record: Mapping[str, Any], cases: Sequence[CaseResult]) -> Run:
    """Return the verdict object made anew of the cases that were judged again."""
    contracts = [block["id"] for block in record["contracts"]]
    rows = tuple(row for contract in contracts for row in load_contract(contract).rows())
    entries = entries_of([_entry(member) for member in record["baseline"]])
    today = date.fromisoformat(record["finished"][:10])
    names = [case.id for contract in contracts for case in listed_cases(contract)] if entries else []
    complete = not any(record[name] for name in ("partial", "interrupted", "trouble"))
    return Run(
        profile=Profile(record["profile"]),
        cases=tuple(cases),
        rows=rows,
        partial=record["partial"],
        interrupted=record["interrupted"],
        not_run=record["not_run"],
        trouble=record["trouble"],
        started=_seconds(record["started"]),
        finished=_seconds(record["finished"]),
        meta={
            **{name: record[name] for name in about.TAKEN_OVER if record[name] is not None},
            **({"product": record["product"]} if "product" in record else {}),
        },
        baseline=settle(entries, cases, names, rows, complete=complete, today=today),
        accepted={case.id: why for case in cases if (why := accepted(case, entries, today))},
        # Whether a baseline without entries was given changes nothing.
    )


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def own_order(row: Mapping[str, Any], evidence: Sequence[Judged]) -> list[int]:
    """Return the places of a case's evidence in the case's own order: what it sends at once begins in any order."""
    places = {exchange_id: place for place, exchange_id in enumerate(row["exchanges"])}
    return sorted(range(len(evidence)), key=lambda place: places.get(evidence[place][0].id, len(places)))


def _entry(document: Mapping[str, Any]) -> dict[str, Any]:
    members = ("case", "requirement", "reason", "owner", "link", "expiry")
    return {name: document[name] for name in members if document[name]}


def case_of(row: Mapping[str, Any], evidence: Sequence[Judged], known: Judgements) -> CaseResult:
    """Return the case with everything that follows from its evidence made anew; what is found goes into ``known``."""
    contract = load_contract(row["contract"])
    evidence = [evidence[place] for place in own_order(row, evidence)]
    recorded = Verdict(row["verdict"])
    judged = sum(len(expectations) for _, expectations in evidence)
    by_hand = bool(row["checks"]) and not judged
    findings = tuple(
        Finding(**{**finding, "severity": Verdict(finding["severity"])}) for finding in row["findings"]
    )
    verdict, message = recorded, row["message"]
    if not by_hand:
        all_findings = _findings(evidence, contract, known)
        after = {exchange.id for exchange, _ in evidence if after_outage(exchange)}
        findings = tuple(finding for finding in all_findings if finding.exchange not in after)
        verdict = _verdict(recorded, findings)
        nothing = any(
            (of_gateway(exchange) or of_outage(exchange)) and "phase" not in exchange.notes
            for exchange, _ in evidence
        )
        if nothing or len(findings) < len(all_findings):
            verdict = worst([verdict, Verdict.INCONCLUSIVE])
        if findings and verdict in {Verdict.FAILED, Verdict.WARNED}:
            grave = max(findings, key=lambda finding: finding.severity.rank)
            message = f"{grave.requirement}: expected {grave.expected}, got {grave.got}"
        elif verdict is not recorded:
            message = ""
    return CaseResult(
        id=row["id"],
        title=row["title"],
        contract=row["contract"],
        started=_seconds(row["started"]),
        duration=row["duration_s"],
        waited=row["waited_s"],
        clock_ahead=row.get("clock_ahead_s", 0.0),
        verdict=verdict,
        requirements=tuple(row["requirements"]),
        message=message,
        missing=row["missing"],
        checks=max(judged, row["checks"]),
        judged=tuple(row["judged"]) if by_hand else _judged(row, evidence),
        findings=findings,
        exchanges=tuple(exchange for exchange, _ in evidence),
        expectations=tuple(expectation for _, expectations in evidence for expectation in expectations),
        rule=row["rule"],
        nodeid=row["nodeid"],
        file=row["file"],
        line=row["line"],
    )


def _judged(row: Mapping[str, Any], evidence: Sequence[Judged]) -> tuple[str, ...]:
    """Return the covered rows that an expectation names, and those that were judged without evidence being kept."""
    named = {expectation.requirement for _, expectations in evidence for expectation in expectations}
    unkept = row["checks"] > sum(len(expectations) for _, expectations in evidence)
    return tuple(name for name in row["requirements"] if name in named or (unkept and name in row["judged"]))


def _findings(evidence: Sequence[Judged], contract: Contract, known: Judgements) -> list[Finding]:
    """Return what the wire rules and the expectations find: by exchange, the rules first."""
    schemas = SchemaFiles(contract.system.schemas)
    exchanges = [_read_again(stored, contract) for stored, _ in evidence]
    histories = CaseHistories(contract.about, exchanges)
    findings: list[Finding] = []
    for exchange, (_, expectations) in zip(exchanges, evidence, strict=True):
        if exchange.notes.get("phase") == "clean-up":
            continue
        broken = known.wire[exchange.id] = wire_findings(exchange, contract, schemas)
        findings += broken
        for expectation in expectations:
            finding = known.expected[id(expectation)] = judge(expectation, exchange, schemas, histories)
            findings += [] if finding is None else [finding]
    return findings


def _read_again(exchange: Exchange, contract: Contract) -> Exchange:
    """Return an exchange with the reason code that its evidence shows."""
    answer = exchange.answer
    if answer is None or (code := contract.code_of(answer.body)) == answer.code:
        return exchange
    return replace(exchange, answer=replace(answer, code=code))


def _verdict(recorded: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Return the verdict of the findings, and of what stopped the case, which no exchange shows."""
    judged = worst(finding.severity for finding in findings) if findings else Verdict.PASSED
    if recorded is Verdict.ERROR:
        return recorded
    if recorded in _STOPPED:
        return recorded if judged is Verdict.PASSED else worst([judged, recorded])
    return judged
