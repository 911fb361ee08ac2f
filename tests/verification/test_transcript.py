"""The judge is pure: a stored transcript, judged again by somebody else, gives the findings of the run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from runs import run_cases

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.judging.every_exchange import wire_findings
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import Finding
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.outputs import har

# Wrong in status, in code, in message, in a member, in the envelope, and in what must not be there.
SOME = ("-k", "test_bodies or test_states or test_rotation or test_wrapping or test_lists")
DEFECTS = [
    "rotation-unlimited",
    "deleted-key-not-found",
    "refusal-echoes-request",
    "bad-ciphertext-unprocessable",
]


def judged_again(path: Path) -> list[Finding]:
    """Return what the transcript's expectations and the wire rules find in the transcript's exchanges."""
    contract, schemas = load_contract("key_protect"), SchemaFiles()
    results = []
    for exchange, expectations in har.read(path):
        results += wire_findings(exchange, contract, schemas)
        results += [finding for expected in expectations if (finding := judge(expected, exchange, schemas))]
    return results


def of_run(run: Run) -> list[Finding]:
    """Return the findings of a run."""
    return [finding for case in run.cases for finding in case.findings]


def key(finding: Finding) -> tuple[str, ...]:
    """Return what findings are sorted by."""
    return (finding.exchange, finding.requirement, finding.expected, finding.got)


@pytest.mark.parametrize("defects", [[], DEFECTS], ids=["unbroken", "broken"])
def test_transcript_gives_the_same_findings(
    defects: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every expectation of a run, judged again from transcript.har, gives the identical finding; without any network."""
    run = run_cases(None, *SOME, report_dir=tmp_path, defects=tuple(defects))
    assert (run.verdict is RunVerdict.NON_CONFORMANT) is bool(defects)
    monkeypatch.setattr(socket, "socket", None)
    again = judged_again(har.write(run, tmp_path))
    assert sorted(again, key=key) == sorted(of_run(run), key=key)
    assert bool(again) is bool(defects)
    stored = har.read(tmp_path / har.NAME)
    kept = [exchange for case in run.cases for exchange in case.exchanges]
    assert [exchange for exchange, _ in stored] == sorted(kept, key=lambda exchange: exchange.started)
    assert sum(len(expected) for _, expected in stored) == sum(case.checks for case in run.cases) > 100


def test_judging_changes_nothing(tmp_path: Path) -> None:
    """Judging the same exchange twice gives the same, and leaves expectation and exchange as they were."""
    run = run_cases(
        None, "-k", "test_rotate_twice_within_the_hour and not by", defects=("rotation-unlimited",)
    )
    schemas = SchemaFiles()
    (case,) = run.cases
    before = har.render(run)
    by_id = {exchange.id: exchange for exchange in case.exchanges}
    twice = [
        [judge(expected, by_id[expected.exchange], schemas) for expected in case.expectations]
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert har.render(run) == before
