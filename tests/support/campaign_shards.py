"""Shards as runs leave them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs.shards import in_shard, note, write_shard

CASES = [f"iks.a.case_{number}" for number in range(6)]


def shard_run(
    shard: str,
    case_ids: Iterable[str] | None = None,
    *,
    contract_id: str = "iks",
    row: str = "",
    failed: str = "",
    got: str = "200",
) -> Run:
    """Return a part of a run with these cases (none named: those of the shard); one may fail a row, with any answer."""
    contract = load_contract(contract_id)
    row = row or next(iter(contract.requirements))
    sent = Sent("GET", "http://h/x", "/x", {})
    cases = tuple(
        CaseResult(
            id=case_id,
            title=case_id,
            contract=contract_id,
            verdict=Verdict.FAILED if case_id == failed else Verdict.PASSED,
            requirements=(row,),
            checks=1,
            judged=(row,),
            findings=(Finding(row, Verdict.FAILED, "400", got, "x00001"),) if case_id == failed else (),
            exchanges=(Exchange("x00001", case_id, "s", None, "manager", sent, Received(200, {})),),
        )
        for case_id in sorted(in_shard(CASES, shard) if case_ids is None else case_ids)
    )
    about = {
        "id": contract.id,
        "title": contract.title,
        "edition": contract.edition,
        "sha256": contract.sha256,
    }
    meta = {
        "suite": {"version": "1", "commit": "c"},
        "run_id": f"r{shard[0]}",
        "edition": "page",
        "contracts": [about],
        "target": {"base_url": "http://h", "instance": "i"},
        "options": {},
    }
    return Run(
        Profile.GATE, cases, contract.rows(), partial=note(shard), started=1.0, finished=2.0, meta=meta
    )


def leave_shard(folder: Path, shard: str, *, failed: str = "", got: str = "200") -> None:
    """Write what a shard leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(shard_run(shard, failed=failed, got=got), folder, shard=shard, cases_in_all=len(CASES))
