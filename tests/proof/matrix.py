"""The kill matrix: every case against every defect and every variation of the references.

`python tests/proof/matrix.py` runs it all in two processes, writes `docs/kill-matrix.json` and `docs/kill-matrix.md`,
says which rules are broken and ends with 1 if any is. `--only PATTERN` runs and prints some rows and writes nothing.
Of the pairs in which the stored matrix has found nothing, a quarter is run, always the same; `--full` runs them all.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from cases import collected, law_of, run_cases
from matrix_page import render
from matrix_rules import NIGHTLY, PAUSING, broken_rules
from reach import Reach, reach_of
from systems import SYSTEMS, Kind

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import Run
from kms_reference.defects import LAW_OF

ROOT = Path(__file__).parents[2]
DATA, PAGE = ROOT / "docs" / "kill-matrix.json", ROOT / "docs" / "kill-matrix.md"
SCHEMA_VERSION = "1.0"
_CHUNK = 4
_REACH_PARTS = 4
"""Parts of a contract's cases that are looked at apart, so that no process waits long for another."""
_AGAIN = 4
"""How often a row is run again that differs from the stored one: some cells are there three times of four."""
_LAW_PARTS = 4
"""A variation is run with one case of a law in so many: all with all would take four minutes more."""
_REST_PARTS = 4
"""A defect or a variation is run with one of so many of the cases that are known not to notice it."""
Task = tuple[str, Kind, str, tuple[str, ...], int]
"""Contract, kind and name of a row, the cases that it is run with, and how many it can reach."""
Document = dict[str, Any]


def tasks(
    pool: Executor,
    wanted: Callable[[str], bool] = lambda _: True,
    *,
    stored: Document | None = None,
    everywhere: bool = False,
) -> list[Task]:
    """Return the rows to run whose name is wanted.

    A defect that a law is made for is run with the cases of that law, all else with the cases of documented sequences; a
    variation besides with a part of the cases of every law, another part for each. Of these the cases are run that the defect
    or the variation can reach (``reach.py``), with ``everywhere`` also those that it cannot. Of the pairs in which the
    ``stored`` matrix has found nothing, a quarter is run (``--full``: all). What only a nightly run is sure to find is run
    with the cases that find it, as such a run tries them.
    """
    before = _Before(stored)
    rows: dict[str, list[tuple[Kind, str]]] = {
        contract: [
            *(("defect", name) for name in system.defects if wanted(name)),
            *(("variation", name) for name in system.variations if wanted(name)),
        ]
        for contract, system in SYSTEMS.items()
        if collected(contract)
    }
    reaches = {
        contract: [
            pool.submit(_reach, contract, [name for _, name in chosen], place)
            for place in range(_REACH_PARTS)
        ]
        for contract, chosen in rows.items()
        if chosen and not everywhere
    }
    all_tasks: list[Task] = []
    chosen_cases = {**NIGHTLY, **PAUSING}
    for contract, chosen in rows.items():
        every = tuple(collected(contract))
        reach = _joined([part.result() for part in reaches.get(contract, ())])
        for kind, name in chosen:
            if name in chosen_cases:
                cases = reached = chosen_cases[name]
            else:
                belonging = [case for case in every if _belongs(case, kind, name)]
                reached = tuple(case for case in belonging if case in reach.get(name, every))
                left_out = {case for case in reached if not before.asks(name, case)}
                cases = tuple(case for case in (belonging if everywhere else reached) if case not in left_out)
            all_tasks.append((contract, kind, name, cases, len(reached)))
    return all_tasks


class _Before:
    """What the stored matrix says about defects and cases."""

    def __init__(self, stored: Document | None) -> None:
        stored = stored or {"cases": [], "defects": [], "variations": []}
        self._cases = {case["id"] for case in stored["cases"]}
        self._noticed = {
            row["name"]: {*row["found_by"], *row["warned"], *row["inconclusive"], *row["errors"]}
            for row in (*stored["defects"], *stored["variations"])
        }
        self._unseen = {row["name"] for row in stored["defects"] if not self._noticed[row["name"]]}

    def asks(self, name: str, case: str) -> bool:
        """Tell whether a defect or a variation is to be run with a case that it reaches.

        It is where either is new or no case has found the defect, where the case noticed it, and for a quarter of all other pairs,
        which is always the same.
        """
        return (
            name not in self._noticed
            or name in self._unseen
            or case in self._noticed[name]
            or case not in self._cases
            or _is_part(f"{name} {case}", 0, _REST_PARTS)
        )


def _belongs(case: str, kind: Kind, name: str) -> bool:
    law = law_of(case)
    if kind == "variation" and law:
        return case in _part_of_law(case.partition(".")[0], law, name)
    return law == LAW_OF.get(name, "")


@cache
def _part_of_law(contract: str, law: str, name: str) -> frozenset[str]:
    """Return the cases of a law that a variation is run with; of a law of few cases chance may choose none."""
    of_law = [case for case in collected(contract) if law_of(case) == law]
    return frozenset(case for case in of_law if _is_part(f"{name} {case}", 0, _LAW_PARTS)) or frozenset(
        of_law[:1]
    )


def _is_part(name: str, place: int, parts: int) -> bool:
    """Tell whether a name belongs to one of several parts of nearly equal size."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % parts == place % parts


def _reach(contract: str, names: Sequence[str], place: int) -> Reach:
    """Return what each defect or variation reaches of a part of the cases."""
    switches = SYSTEMS[contract].switches
    cases = {
        name: case
        for number, (name, case) in enumerate(collected(contract).items())
        if number % _REACH_PARTS == place
    }
    return reach_of(contract, cases, {name: switches[name] for name in names})


def _joined(parts: Iterable[Reach]) -> Reach:
    """Return what is reached in any part."""
    reach: dict[str, frozenset[str]] = {}
    for part in parts:
        for name, cases in part.items():
            reach[name] = reach.get(name, frozenset()) | cases
    return reach


def run_row(task: Task) -> Document:
    """Run a row's cases against its defect or variation and return the row."""
    contract, kind, name, chosen, reached = task
    system = SYSTEMS[contract]
    cases = collected(contract)
    with system.serve(kind, name) as target:
        of_row = {case: cases[case] for case in chosen}
        run = run_cases(target, of_row, contract, profile="nightly" if name in NIGHTLY else "gate")
    # Once a row instead of some hundred times, and without what lives as long as the process: a third of the time.
    gc.collect()
    gc.freeze()
    switch = system.switches[name]
    return {
        "contract": contract,
        "name": name,
        "doc": switch.doc,
        "sections": list(switch.sections),
        "verdict": run.verdict.value,
        "reached": reached,
        "found_by": _with(run, Verdict.FAILED),
        "warned": _with(run, Verdict.WARNED),
        "inconclusive": _with(run, Verdict.INCONCLUSIVE),
        "errors": _with(run, Verdict.ERROR),
    }


def _with(run: Run, verdict: Verdict) -> list[str]:
    return [case.id for case in run.cases if case.verdict is verdict]


def matrix_of(chosen: Iterable[Task], rows: Iterable[Document]) -> Document:
    """Return the whole matrix as a document: cases, defects and variations, without any time."""
    judged = [(task[1], row) for task, row in zip(chosen, rows, strict=True)]
    return {
        "schema_version": SCHEMA_VERSION,
        "cases": [
            {"id": case.info.id, "contract": contract, "must": case.must, "sections": sorted(case.sections)}
            for contract in SYSTEMS
            for case in sorted(collected(contract).values(), key=lambda case: case.info.id)
        ],
        "defects": [row for kind, row in judged if kind == "defect"],
        "variations": [row for kind, row in judged if kind == "variation"],
    }


def text_of(matrix: Document) -> str:
    """Return the matrix as JSON with one case, defect or variation a line, so that a difference of two shows rows."""
    members = []
    for name, value in matrix.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in value)
            members.append(f" {json.dumps(name)}: [\n{rows}\n ]")
        else:
            members.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(members) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix as the command line asks; return the exit code."""
    chosen = _options(arguments)
    begun = time.monotonic()
    rows: list[Document] = []
    with ProcessPoolExecutor(
        chosen.processes, mp_context=get_context("spawn"), initializer=gc.disable
    ) as pool:
        stored = json.loads(DATA.read_text(encoding="utf-8"))
        wanted = tasks(
            pool,
            lambda name: _is_wanted(name, chosen.only, chosen.part),
            stored=None if chosen.full else stored,
            everywhere=chosen.everywhere,
        )
        for row in pool.map(run_row, wanted, chunksize=_CHUNK):
            rows.append(row)
            if chosen.only is not None:
                click.echo(json.dumps(row, indent=1))
            elif sys.stderr.isatty():
                click.echo(f"\r{len(rows)}/{len(wanted)} {row['name']:<50}", nl=False, err=True)
        changed = differences(stored, rows) if chosen.part else []
        if changed and not chosen.everywhere:
            # Races and drawn values may differ by chance: such a row is run again a few times, and said to have differed.
            for line in changed:
                click.echo(f"once: {line}")
            changed = _run_again(pool, stored, wanted, rows)
    took = time.monotonic() - begun
    if chosen.only is not None:
        return 0
    if chosen.part:
        summary = f"{len(rows)} rows differ in {len(changed)} from {DATA.name}"
    else:
        matrix = matrix_of(wanted, rows)
        DATA.write_text(text_of(matrix), encoding="utf-8")
        PAGE.write_text(render(matrix), encoding="utf-8")
        changed = broken_rules(matrix)
        summary = f"{len(matrix['cases'])} cases, {len(matrix['defects'])} defects, {len(matrix['variations'])} variations"
        summary += f"; {len(changed)} rules broken"
    for line in changed:
        click.echo(line)
    ran = sum(len(task[3]) for task in wanted)
    click.echo(f"{summary}; {ran} runs of a case in {took:.0f} s, {chosen.processes} processes")
    return 1 if changed else 0


def _run_again(
    pool: Executor, stored: Document, wanted: Iterable[Task], rows: Iterable[Document]
) -> list[str]:
    """Run those rows again that are not as stored, until each has been so once; return the differences that stay."""
    changed: list[str] = []
    again = [task for task, row in zip(wanted, rows, strict=True) if differences(stored, [row])]
    for _ in range(_AGAIN):
        tried = list(pool.map(run_row, again))
        changed = differences(stored, tried)
        again = [task for task, row in zip(again, tried, strict=True) if differences(stored, [row])]
        if not again:
            break
    return changed


def differences(matrix: Document, rows: Iterable[Document]) -> list[str]:
    """Return a line for each row that is not as the stored matrix has it."""
    stored_rows = {
        (row["contract"], row["name"]): row for kind in ("defects", "variations") for row in matrix[kind]
    }
    lines = []
    for row in rows:
        before = stored_rows.get((row["contract"], row["name"]), {})
        changed = [
            f"{name}: {before.get(name)} -> {row[name]}" for name in row if before.get(name) != row[name]
        ]
        if changed:
            lines.append(f"{row['contract']}: {row['name']} differs ({'; '.join(changed)})")
    return lines


def _is_wanted(name: str, pattern: str | None, part: str | None) -> bool:
    if part is not None:
        place, _, parts = part.partition("/")
        return _is_part(name, int(place), int(parts))
    return pattern is None or fnmatch.fnmatch(name, pattern)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Every case against every defect and variation.")
    parser.add_argument(
        "--only", metavar="PATTERN", help="run and print the rows whose name matches; write nothing"
    )
    parser.add_argument(
        "--part", metavar="N/M", help="run the N-th of M parts, compare with the stored matrix; write nothing"
    )
    parser.add_argument(
        "--everywhere", action="store_true", help="also run the cases that a defect cannot reach"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="run every case that a defect reaches, whatever the stored matrix says",
    )
    parser.add_argument(
        "--processes", type=int, default=3, help="some cases wait, so more than there are cores"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
