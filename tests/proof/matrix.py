"""The kill matrix: every case against every defect and every variation of the references.

`python tests/proof/matrix.py` runs it all in two processes, writes `docs/kill-matrix.json` and `docs/kill-matrix.md`,
says which rules are broken and ends with 1 if any is. `--only PATTERN` runs and prints some rows and writes nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from cases import collected, run_cases
from in_process import without_sockets
from matrix_page import render
from matrix_rules import broken_rules
from systems import SYSTEMS, Kind

from kms_conformance.verdict import Run, Verdict

ROOT = Path(__file__).parents[2]
DATA, PAGE = ROOT / "docs" / "kill-matrix.json", ROOT / "docs" / "kill-matrix.md"
SCHEMA_VERSION = "1.0"
_CHUNK = 4
Task = tuple[str, Kind, str]
Document = dict[str, Any]


def tasks(contracts: Iterable[str] = SYSTEMS) -> list[Task]:
    """Return every row to run: contract, kind and name, in the order of the registries."""
    found: list[Task] = []
    for contract in contracts:
        system = SYSTEMS[contract]
        found += [(contract, "defect", name) for name in system.defects]
        found += [(contract, "variation", name) for name in system.variations]
    return found


def run_row(task: Task) -> Document:
    """Run all cases of a contract against one defect or variation and return the row."""
    contract, kind, name = task
    system = SYSTEMS[contract]
    with without_sockets() if kind == "defect" else nullcontext(), system.serve(kind, name) as target:
        run = run_cases(target, collected(contract), contract)
    switch = (system.defects if kind == "defect" else system.variations)[name]
    return {
        "contract": contract,
        "name": name,
        "doc": switch.doc,
        "sections": list(switch.sections),
        "verdict": run.verdict.value,
        "found_by": _with(run, Verdict.FAILED),
        "warned": _with(run, Verdict.WARNED),
        "inconclusive": _with(run, Verdict.INCONCLUSIVE),
        "errors": _with(run, Verdict.ERROR),
    }


def _with(run: Run, verdict: Verdict) -> list[str]:
    return [case.id for case in run.cases if case.verdict is verdict]


def run_rows(chosen: Sequence[Task], processes: int = 2) -> Iterator[Document]:
    """Run rows in several processes and give them in the order they were asked for."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_row, chosen, chunksize=_CHUNK)


def matrix_of(
    rows: Iterable[Document], kinds: Iterable[Kind], contracts: Iterable[str] = SYSTEMS
) -> Document:
    """Return the whole matrix as a document: cases, defects and variations, without any time."""
    told = list(zip(kinds, rows, strict=True))
    return {
        "schema_version": SCHEMA_VERSION,
        "cases": [
            {"id": case.info.id, "contract": contract, "must": case.must, "sections": sorted(case.sections)}
            for contract in contracts
            for case in sorted(collected(contract).values(), key=lambda case: case.info.id)
        ],
        "defects": [row for kind, row in told if kind == "defect"],
        "variations": [row for kind, row in told if kind == "variation"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--only", metavar="PATTERN", help="run and print the rows whose name matches; write nothing"
    )
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    wanted = [task for task in tasks() if chosen.only is None or fnmatch.fnmatch(task[2], chosen.only)]
    begun = time.monotonic()
    rows = []
    for row in run_rows(wanted, chosen.processes):
        rows.append(row)
        if chosen.only is not None:
            click.echo(json.dumps(row, indent=1))
        elif sys.stderr.isatty():
            click.echo(f"\r{len(rows)}/{len(wanted)} {row['name']:<50}", nl=False, err=True)
    took = time.monotonic() - begun
    if chosen.only is not None:
        return 0
    matrix = matrix_of(rows, (kind for _, kind, _ in wanted))
    DATA.write_text(json.dumps(matrix, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(matrix), encoding="utf-8")
    broken = broken_rules(matrix)
    for line in broken:
        click.echo(line)
    size = f"{len(matrix['cases'])} cases, {len(matrix['defects'])} defects, {len(matrix['variations'])} variations"
    click.echo(f"{size}: {took:.0f} s in {chosen.processes} processes; {len(broken)} rules broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
