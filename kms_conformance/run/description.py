"""The verdict object of a run: its cases and rows, how it was run, and what the baseline accepts."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kms_conformance import __version__
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.corpus import shipped_digest
from kms_conformance.contract.severity import Row
from kms_conformance.evidence import steady_clock
from kms_conformance.judging.results import CaseResult, KnownDeviation
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.baseline import accepted, settle
from kms_conformance.outputs.shards import note as shard_note
from kms_conformance.run.circumstances import options_block
from kms_conformance.run.options import Options
from kms_conformance.run.record import Recorded
from kms_conformance.target.target import Target


def describe_run(
    options: Options,
    target: Target | None,
    recorded: Recorded,
    started: float,
    circumstances: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """Return the verdict object; ``started`` is seconds since the epoch, ``target`` ``None`` where none was reached.

    ``circumstances`` are more blocks for the results (see :mod:`kms_conformance.run.circumstances`).
    """
    partial = recorded.partial
    if options.shard and not partial:
        partial = shard_note(options.shard, options.shard_durations)
    contracts = [load_contract(contract_id) for contract_id in options.contracts]
    cases = recorded.cases
    rows = tuple(row for contract in contracts for row in contract.rows())
    baseline = options.baseline or ()
    return Run(
        profile=options.profile,
        cases=cases,
        rows=rows,
        partial=partial,
        interrupted=recorded.interrupted,
        not_run=recorded.not_run,
        trouble=recorded.trouble,
        refused=bool(recorded.refused),
        started=round(started, 3),
        finished=round(steady_clock.now(), 3),
        meta={
            "suite": {"name": "kms-conformance", "version": __version__, "commit": commit()},
            "run_id": options.run,
            "edition": options.edition,
            "contracts": [
                {
                    "id": contract.id,
                    "title": contract.title,
                    "edition": contract.edition,
                    "sha256": contract.sha256,
                }
                for contract in contracts
            ],
            "target": target.public() if target else {},
            **({"product": dict(options.product)} if options.product else {}),
            "sections": {
                contract.id: [dict(section) for section in contract.about.get("sections", ())]
                for contract in contracts
            },
            "options": {**options_block(options), "fuzz": _fuzzing(options)},
            **circumstances,
        },
        baseline=_settled(
            options, cases, rows, complete=not partial and not recorded.interrupted and not recorded.trouble
        ),
        accepted={case.id: reason for case in cases if (reason := accepted(case, baseline))},
    )


def commit() -> str:
    """Return the commit that the suite was built from, or ``unknown`` outside a checkout."""
    try:
        printed = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return printed or "unknown"


def _settled(
    options: Options, cases: Sequence[CaseResult], rows: Sequence[Row], *, complete: bool
) -> tuple[KnownDeviation, ...]:
    """Compare the baseline with what was found."""
    if options.baseline is None:
        return ()
    case_ids = [case.id for contract in options.contracts for case in listed_cases(contract)]
    return settle(options.baseline, cases, case_ids, rows, complete=complete)


def _fuzzing(options: Options) -> dict[str, Any]:
    """Return how the run fuzzed, with the digest of each corpus: equal digests are equal requests."""
    fuzz = options.fuzz
    description: dict[str, Any] = {
        "on": fuzz.on,
        "corpus": "whole" if fuzz.whole else "sample",
        "generated": fuzz.generate,
    }
    if fuzz.on:
        description["sha256"] = {
            contract: digest for contract in options.contracts if (digest := shipped_digest(contract))
        }
    if fuzz.generate:
        description |= {"seed": fuzz.seed, "examples": fuzz.examples, "seconds": fuzz.seconds}
    return description
