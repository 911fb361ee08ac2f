"""Verdicts of rows: one fails only where a finding names it, and what kept it from being judged follows from the evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run

MATRIX = Path(__file__).parents[2] / "docs" / "kill-matrix.json"
THREE = ("rotation-unlimited", "status-key-deleted-err", "unknown-sort-accepted")
SERVERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "three": ("key_protect", THREE),
    "envelope": ("key_protect", ("metadata-missing", "date-bound-left-out", "last-zeros-lost")),
    "laws": ("key_protect", ("enabling-forgets-tags", "count-ignores-filter", "name-in-octets")),
    "units": ("hpcs_tke", ("tke-foreign-signer-counts",)),
    "clusters": ("iks", ("iks-no-credentials-as-200", "iks-permission-in-wrong-group")),
}
MOST = 12
"""Cases of each defect."""


@cache
def run_of(server: str) -> Run:
    """Return a run of the cases that find the defects of a server."""
    import in_process  # noqa: PLC0415 - in tests/proof
    from cases import collected, run_cases  # noqa: PLC0415 - same

    contract, defects = SERVERS[server]
    found_by = {row["name"]: row["found_by"] for row in json.loads(MATRIX.read_text())["defects"]}
    wanted = {case for name in defects for case in found_by[name][:MOST]}
    cases = {case_id: case for case_id, case in collected(contract).items() if case_id in wanted}
    with in_process.without_sockets(), in_process.reference(defect=defects) as (target, _):
        return run_cases(target, cases, contract)


@pytest.mark.parametrize("server", SERVERS)
def test_row_fails_only_where_a_finding_names_it(server: str) -> None:
    """Failed and warned rows are those that findings name; a row passes where an expectation of it held."""
    run = run_of(server)
    named: dict[str, set[Verdict]] = {}
    expected = {expectation.requirement for case in run.cases for expectation in case.expectations}
    for case in run.cases:
        for finding in case.findings:
            named.setdefault(finding.requirement, set()).add(finding.severity)
    assert any(result.verdict is Verdict.FAILED for result in run.requirements)
    for result in run.requirements:
        found = named.get(result.row.id, set())
        assert (result.verdict is Verdict.FAILED) is (Verdict.FAILED in found), result
        assert result.verdict is not Verdict.WARNED or Verdict.WARNED in found, result
        if result.verdict is Verdict.PASSED:
            assert not found, result
            assert result.row.every_exchange or result.row.id in expected, result


@pytest.mark.parametrize("server", SERVERS)
def test_what_kept_a_row_from_being_judged(server: str) -> None:
    """An inconclusive row names a case that covers it, and what that case says or the finding that ended it."""
    run = run_of(server)
    cases: dict[str, Any] = {case.id: case for case in run.cases}
    for result in run.requirements:
        if result.verdict is not Verdict.INCONCLUSIVE:
            assert result.why == ""
            continue
        name, _, ended = result.why.removeprefix("see ").partition(", ended by the finding of ")
        assert name in result.cases
        assert result.row.id in cases[name].requirements
        assert ended in {finding.requirement for finding in cases[name].findings}


BEFORE_AND_AFTER = {
    "alias-addresses-key": "failed",
    "invalid-query-param-err-sort": "failed",
    "key-deleted-err": "failed",
    "key-deleted-err-standard": "failed",
    "key-deleted-err-unchanged": "passed",
    "key-payload-req-err": "inconclusive",
    "key-rotation-not-permitted": "failed",
    "key-rotation-not-permitted-55-minutes": "failed",
    "key-rotation-not-permitted-after-1h": "failed",
    "key-rotation-not-permitted-after-enable": "failed",
    "key-rotation-not-permitted-after-restore": "failed",
    "key-rotation-not-permitted-at-once": "failed",
    "key-rotation-not-permitted-first-at-once": "passed",
    "key-rotation-not-permitted-generated": "failed",
    "old-action-form": "passed",
    "precedence-p11": "failed",
    "rotate-generated-key": "passed",
}
"""The rows of the failed cases on the server with three defects. All failed when a row took the worst verdict of its cases."""


def test_rows_of_three_defects() -> None:
    """Five of seventeen rows that failed cases cover do not fail: four have held, and one was not reached."""
    from cases import law_of  # noqa: PLC0415 - in tests/proof

    run = run_of("three")
    before = {
        row
        for case in run.cases
        if case.verdict is Verdict.FAILED and not law_of(case.id)
        for row in case.requirements
    }
    after = {result.row.id: result.verdict.value for result in run.requirements if result.row.id in before}
    assert after == BEFORE_AND_AFTER
