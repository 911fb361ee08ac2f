"""Small changes of the references' own code, and which of them no case notices.

The kill matrix measures faults that somebody thought of. Here nobody does: each comparison, condition, number, member
and step of a reference is changed in turn (``source_changes.py``), and the cases that pass the changed line are run until
one of them fails. A change that survives is the same behaviour in other words, or behaviour that no source fixes, or a
gap of the suite; which of them, only a reader can say.

``python tests/proof/mutants.py kms_reference/iks/state.py`` prints the survivors of some files, one a line, and how many
were found. ``--part N/M`` takes one change of M, ``--list`` counts them, ``--lines FILE`` keeps which case passes which
line, as it takes minutes to find out.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import click
from cases import collected, results_of
from in_process import reference, without_sockets
from source_changes import Mutant, mutants_of, put_in
from systems import SYSTEMS

from kms_conformance.contract.severity import Verdict
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target

ROOT = Path(__file__).parents[2]
REFERENCES = ROOT / "kms_reference"
_LONGEST = 120.0
"""Seconds after which the cases of one change are ended: the change lets the reference wait."""
_PARTS = 8
_MOST = 4000
"""Bytes of an outcome that are read."""
_FOUND = frozenset({Verdict.FAILED, Verdict.ERROR})
_QUIET = frozenset({Verdict.PASSED, Verdict.NOT_APPLICABLE})
Lines = Mapping[str, Mapping[int, Sequence[str]]]
"""By file and line: the ids of the cases that pass the line."""


def judged(target: Target, contract: str, names: Iterable[str]) -> Iterator[tuple[str, Verdict, str]]:
    """Run cases one after the other; yield id, verdict and message of each that does not pass."""
    wanted = frozenset(names)
    cases = {name: case for name, case in collected(contract).items() if name in wanted}
    session = Session(Options(contracts=(contract,)), target)
    try:
        for result in results_of(session, cases):
            if result.verdict not in _QUIET:
                yield result.id, result.verdict, result.message
    finally:
        session.close()


# --- which case passes which line -----------------------------------------------------------------------------------


def passed_lines(place: int) -> Lines:
    """Return the lines of the references that one part of the cases passes."""
    lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    passed: set[tuple[str, int]] = set()
    folder = f"{REFERENCES}{os.sep}"

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            passed.add((frame.f_code.co_filename, frame.f_lineno))
        return on_line

    def on_call(frame: FrameType, _: str, __: Any) -> Any:
        return on_line if frame.f_code.co_filename.startswith(folder) else None

    every = [(contract, name) for contract in SYSTEMS for name in collected(contract)]
    threading.settrace(on_call)
    with without_sockets(), reference() as (target, _):
        for contract, name in every[place::_PARTS]:
            passed.clear()
            sys.settrace(on_call)
            list(judged(target, contract, [name]))
            sys.settrace(None)
            for path, line in tuple(passed):
                lines[str(Path(path).relative_to(ROOT))][line].append(name)
    return {file: dict(by_line) for file, by_line in lines.items()}


def _lines(pool: Executor, kept: Path | None) -> Lines:
    if kept is not None and kept.exists():
        document = json.loads(kept.read_text(encoding="utf-8"))
        cases = document["cases"]
        return {
            file: {int(line): [cases[number] for number in numbers] for line, numbers in by_line.items()}
            for file, by_line in document["lines"].items()
        }
    lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for part in pool.map(passed_lines, range(_PARTS)):
        for file, by_line in part.items():
            for line, names in by_line.items():
                lines[file][line] += names
    if kept is not None:
        numbers = {
            name: number for number, name in enumerate(n for system in SYSTEMS for n in collected(system))
        }
        numbered = {
            file: {line: [numbers[name] for name in names] for line, names in by_line.items()}
            for file, by_line in lines.items()
        }
        kept.write_text(json.dumps({"cases": list(numbers), "lines": numbered}), encoding="utf-8")
    return lines


# --- one change -----------------------------------------------------------------------------------------------------


def outcome(mutant: Mutant, names: Sequence[str]) -> str:
    """Run the cases that pass a change in a process of its own; return who found it, or that it survived, or why not."""
    if not names:
        return "no case passes it"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, _found(mutant, names).encode()[:_MOST])
        finally:
            os._exit(0)
    os.close(writing)
    try:
        answered, _, _ = select.select([reading], [], [], _LONGEST)
        return (
            (os.read(reading, _MOST).decode(errors="replace") or "ended the process")
            if answered
            else "waits too long"
        )
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _found(mutant: Mutant, names: Sequence[str]) -> str:
    if not put_in(mutant):
        return "cannot be put in"
    others: dict[Verdict, str] = {}
    try:
        with without_sockets(), reference() as (target, _):
            # The system with the fewest cases first: a change of common code is found soonest there.
            for contract in sorted(SYSTEMS, key=lambda system: len(collected(system))):
                for name, verdict, message in judged(target, contract, names):
                    if verdict in _FOUND:
                        return f"found: {name}: {message}"
                    others.setdefault(verdict, f"{name}: {message}")
    except Exception as error:  # noqa: BLE001  (the reference may fail at its start, in any way)
        return f"found: {type(error).__name__}"
    if others:
        return f"{'/'.join(others)} only, of {len(names)} cases: {next(iter(others.values()))}"
    return f"survived {len(names)} cases"


@cache
def _mutants(file: str) -> Sequence[Mutant]:
    return tuple(mutants_of(ROOT / file))


def _row(task: tuple[str, int, Mapping[int, Sequence[str]]]) -> str:
    file, number, by_line = task
    mutant = _mutants(file)[number]
    names = {name for line in range(mutant.first, mutant.last + 1) for name in by_line.get(line, ())}
    return f"{file}:{mutant.first}: {mutant.change} | {outcome(mutant, sorted(names))}"


def _warm() -> None:
    gc.disable()
    for path in REFERENCES.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    for contract in SYSTEMS:
        collected(contract)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the changes of the named files and print what no case has failed for; return 0."""
    chosen = _options(arguments)
    place, parts = (int(word) for word in chosen.part.split("/"))
    numbers = {file: range(place, len(_mutants(file)), parts) for file in chosen.files}
    if chosen.list:
        for file, places in numbers.items():
            click.echo(f"{len(places)} {file}")
        return 0
    begun, counts = time.monotonic(), Counter[str]()
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn"), initializer=_warm) as pool:
        lines = _lines(pool, chosen.lines)
        tasks = [(file, number, lines.get(file, {})) for file, places in numbers.items() for number in places]
        for row in pool.map(_row, tasks):
            counts["found" if "| found: " in row else "not found"] += 1
            if chosen.all or "| found: " not in row:
                click.echo(row)
    click.echo(
        f"{dict(counts)} of {len(tasks)} changes, {time.monotonic() - begun:.0f} s, {chosen.processes} processes"
    )
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Changes of the references that no case notices.")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="files of kms_reference, from the project's folder"
    )
    parser.add_argument(
        "--part", default="0/1", metavar="N/M", help="take one change of M, beginning with the N-th"
    )
    parser.add_argument("--list", action="store_true", help="only count the changes")
    parser.add_argument("--all", action="store_true", help="print what was found as well")
    parser.add_argument(
        "--lines", type=Path, metavar="FILE", help="keep there which case passes which line, or read it"
    )
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
