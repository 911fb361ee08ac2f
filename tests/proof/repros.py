"""The reproductions put to the test: for a defect, that of the first case that fails alone, on the broken and on a sound server.

`python tests/proof/repros.py` plays them all and prints what ended otherwise than with 1 on the broken and 0 on the sound
server; it ends with 1 when a script that says it can be run does not tell the two apart. A sound server may answer a step
so that the sequence cannot go on: the script then ends there with 2 and says so. `--every N` takes one of N, `--part K/N` the
K-th of N such series (`1/N` is `--every N`), `--only WORD` those whose name, contract or case has the word, and `--why` says
of each that could not be run why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from cases import collected, run_cases
from matrix_rules import NIGHTLY
from systems import AFTER_RESTART

from kms_conformance.outputs import repro
from kms_conformance.outputs.repro_runtime import COULD_NOT_RUN
from kms_conformance.target.target import build_target
from kms_reference.server import Server
from kms_reference.target import target_text

MATRIX = Path(__file__).parents[2] / "docs" / "kill-matrix.json"
_PATIENCE, _TRIES, _OTHERS = 120, 4, 8
_RIGHT = {(1, 0), (1, 2), (2, 2)}


@dataclass(frozen=True, slots=True)
class Played:
    """The exit codes of one script, and what it printed on the sound server."""

    defect: str
    case: str
    broken: int
    sound: int
    output: str

    @property
    def right(self) -> bool:
        """Whether the script tells the servers apart, or says that it cannot be run."""
        return (self.broken, self.sound) in _RIGHT


def defects() -> list[dict[str, Any]]:
    """Return the defects that a case finds, as the kill matrix has them."""
    return [row for row in json.loads(MATRIX.read_text())["defects"] if row["found_by"]]


def chosen(every: int, only: str, first: int = 0) -> list[dict[str, Any]]:
    """Return one of so many defects, from a first one on, of those whose name, contract or case has a word."""
    return [
        row
        for row in defects()
        if any(only in text for text in (row["name"], row["contract"], row["found_by"][0]))
    ][first::every]


def play(defect: dict[str, Any], sound: Server) -> Played:
    """Run the cases that find a defect until one fails alone, and its reproduction against both servers."""
    case, contract, name = defect["found_by"][0], defect["contract"], defect["name"]
    profile = "nightly" if name in NIGHTLY else "gate"
    # What only some moments show, one try of a case need not meet; what others leave, no case meets alone.
    there = [one for one in defect["found_by"] if one in collected(contract)][:_OTHERS]
    tries = [(one, number) for one in there for number in range(_TRIES)]
    for case, _ in sorted(tries, key=lambda one: one[1]):
        broken = _served(name)
        target = replace(build_target(tomllib.loads(target_text(broken)), {}), embedded=True)
        scripts = repro.render(
            run_cases(target, {case: collected(contract)[case]}, contract, profile=profile)
        )
        if scripts:
            break
        broken.stop()
    else:
        return Played(name, case, 2, 2, "the case alone does not fail")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "script.py"
            path.write_text(next(iter(scripts.values())))
            (first, _), (second, output) = _run(path, broken), _run(path, sound)
            if first == COULD_NOT_RUN != second:
                # What the case has asked may have left a server that refuses everybody.
                broken.stop()
                broken = _served(name)
                first, _ = _run(path, broken)
        return Played(name, case, first, second, output)
    finally:
        broken.stop()


def _served(name: str) -> Server:
    """Serve a reference with a defect, as after a restart where it shows only then."""
    server = Server(edition="page", defects=[name], variations=[]).start()
    assert server.server_state is not None
    server.server_state.restarted = name.startswith(AFTER_RESTART)
    return server


def _run(script: Path, server: Server) -> tuple[int, str]:
    """Run a script as an operator would, with nothing but Python and the environment."""
    environment = {
        "PATH": os.environ["PATH"],
        "KMS_BASE_URL": server.base_url,
        "KMS_CONTROL_URL": server.control_url,
        "KMS_IAM_URL": server.iam_url,
    }
    for name, key in server.api_keys.items():
        environment["KMS_API_KEY" if name == "manager" else f"KMS_{name.upper()}_API_KEY"] = key
    ended = subprocess.run(
        [sys.executable, "-I", "-S", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def played(rows: Sequence[dict[str, Any]]) -> Iterator[Played]:
    """Play the reproductions of some defects."""
    sound = Server(edition="page", defects=[], variations=[]).start()
    try:
        for defect in rows:
            yield play(defect, sound)
    finally:
        sound.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play them as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--part", default="1/1", metavar="K/N")
    parser.add_argument("--only", default="")
    parser.add_argument("--why", action="store_true")
    asked = parser.parse_args(arguments)
    counted: Counter[tuple[int, int]] = Counter()
    why: Counter[str] = Counter()
    place, _, parts = asked.part.partition("/")
    every = asked.every * int(parts)
    for one in played(chosen(every, asked.only, asked.every * (int(place) - 1))):
        counted[one.broken, one.sound] += 1
        if asked.why and one.sound == COULD_NOT_RUN:
            click.echo(f"{one.broken}, {one.sound}: {one.defect}, {one.case}: {one.output.strip()}")
        if one.sound == COULD_NOT_RUN and one.right:
            why[one.output.rpartition("could not be run: ")[2].strip().partition(" (")[0]] += 1
        elif not one.right:
            click.echo(
                f"{one.broken} on the broken, {one.sound} on the sound server: {one.defect}, {one.case}"
            )
    for (broken, sound), number in sorted(counted.items()):
        click.echo(f"{number} ended with {broken} on the broken and {sound} on the sound server")
    for reason, number in why.most_common():
        click.echo(f"  {number} could not be run: {reason}")
    return int(any(pair not in _RIGHT for pair in counted))


if __name__ == "__main__":
    sys.exit(main())
