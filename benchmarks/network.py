"""How long a run takes when the endpoint is far away, beside the same run on loopback.

Usage: ``python benchmarks/network.py [--rounds N] [--delays 20,80,200] [--repeat N] [-- ARGUMENTS OF run]``.

The reference is served in a process of its own; a proxy of this folder (:mod:`delay_proxy`) adds the round trip. In each
round every delay is measured beside loopback, one after the other, so that what else the machine does touches both. The
figures are medians of ratios. A run that sends another number of requests, or comes to another verdict, ends it.

``--repeat N`` instead makes N runs at 80 ms with 32 cases at once, half of them on one shared instance, and two with
``-n 2 --jobs 8``, and compares verdicts, counts and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kms_conformance.run.expected import counts_of

RUN = [sys.executable, "-m", "kms_conformance", "run"]
SERVE = [sys.executable, "-m", "kms_conformance", "serve", "--port", "0"]
PROXY = [sys.executable, str(Path(__file__).with_name("delay_proxy.py"))]
GOALS = {80: 1.5, 200: 2.5}
MOST_MEMORY = 300
_BOUND = re.compile(r"bound by ([a-z ]+)")
_START = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds, peak memory in MiB, verdicts, requests, its longest case, and what bound it most of the time."""

    seconds: float
    memory: float
    counts: str
    requests: int
    longest: str
    bound: str


@contextmanager
def reference(folder: Path) -> Iterator[str]:
    """Serve the reference; give its target file's text."""
    path = folder / f"target-{uuid.uuid4().hex}.toml"
    process = subprocess.Popen([*SERVE, "--write-target", str(path)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _START
        while not path.exists() or not path.read_text():
            assert time.monotonic() < until, "the reference did not start"
            time.sleep(0.1)
        yield path.read_text()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def far_away(text: str, milliseconds: int) -> Iterator[str]:
    """Give a target file's text whose endpoint is so far away; 0 is the endpoint itself."""
    if not milliseconds:
        yield text
        return
    port = re.search(r":(\d+)", text)
    assert port is not None
    process = subprocess.Popen([*PROXY, "0", port[1], str(milliseconds)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield text.replace(f":{port[1]}", f":{process.stdout.readline().strip()}")
    finally:
        process.terminate()
        process.wait()


def measure(text: str, folder: Path, arguments: list[str]) -> Measured:
    """Run every case once."""
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "target.toml").write_text(text)
    command = [
        *RUN,
        "--target",
        "target.toml",
        "--report-dir",
        "report",
        "--journal",
        "j/j.sqlite",
        *arguments,
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    log = process.stderr.read()
    _, _, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    results = json.loads((place / "report" / "results.json").read_text())
    sent = counts_of((place / "j" / "requests.json").read_text())
    longest = max(results["cases"], key=lambda case: case["duration_s"])
    bounds = Counter(_BOUND.findall(log)).most_common(1)
    return Measured(
        seconds,
        used.ru_maxrss / 1024,
        json.dumps(results["counts"], sort_keys=True),
        sum(sent[case["id"]].all for case in results["cases"] if case["id"] in sent),
        f"{longest['id']} {longest['duration_s']:.1f} s",
        bounds[0][0] if bounds else "",
    )


def table(folder: Path, rounds: int, delays: list[int], arguments: list[str]) -> bool:
    """Print the table; tell whether the goals are met."""
    seen: dict[int, list[Measured]] = {delay: [] for delay in delays}
    ratios: dict[int, list[float]] = {delay: [] for delay in delays}
    for _ in range(rounds):
        for delay in delays:
            with reference(folder) as text:
                near = measure(text, folder, arguments)
            with reference(folder) as text, far_away(text, delay) as moved:
                far = measure(moved, folder, arguments)
            assert near.counts == far.counts, f"at {delay} ms {far.counts}, on loopback {near.counts}"
            seen[delay].append(far)
            ratios[delay].append(far.seconds / near.seconds)
            print(
                f"{delay:4} ms: {far.seconds:6.1f} s, loopback {near.seconds:6.1f} s, ratio {far.seconds / near.seconds:.2f}; "
                f"{far.requests} and {near.requests} requests; {far.memory:.0f} MiB; bound by {far.bound or '-'}, on loopback "
                f"by {near.bound or '-'}; longest case: {far.longest}",
                flush=True,
            )
    met = True
    for delay in delays:
        ratio, goal = statistics.median(ratios[delay]), GOALS.get(delay)
        met = met and (goal is None or ratio <= goal)
        seconds = statistics.median(one.seconds for one in seen[delay])
        print(
            f"median at {delay} ms: {seconds:.1f} s, {ratio:.2f} times loopback"
            + (f" (goal {goal})" if goal else "")
        )
    return met


def same(folder: Path, number: int, arguments: list[str]) -> bool:
    """Make runs at 80 ms; tell whether all come to the same, in little memory."""
    results: Counter[tuple[str, str]] = Counter()
    memory = 0.0
    runs = [("fresh", ["--jobs", "32"]), ("shared", ["--jobs", "32"])] * ((number + 1) // 2)
    for kind, more in [*runs, ("-n", ["-n", "2", "--jobs", "8"]), ("-n", ["-n", "2", "--jobs", "8"])]:
        with reference(folder) as text, far_away(text, 80) as moved:
            shared = moved.replace('instance = "fresh"', f'instance = "{uuid.uuid4()}"', 1)
            one = measure(shared if kind == "shared" else moved, folder, [*more, *arguments])
        results[kind, f"{one.counts} {one.requests} requests"] += 1
        memory = max(memory, one.memory)
        print(f"{kind:6} {one.seconds:6.1f} s {one.memory:4.0f} MiB {one.counts} {one.requests}", flush=True)
    for (kind, counts), times in sorted(results.items()):
        print(f"{times} times {kind}: {counts}")
    return len({counts.rpartition("}")[0] for _, counts in results}) == 1 and memory < MOST_MEMORY


def main() -> None:
    """Measure as the arguments say; end with 1 where a goal is missed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--delays", default="0,20,80,200")
    options.add_argument("--repeat", type=int, default=0)
    options.add_argument("arguments", nargs="*")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.repeat:
            met = same(folder, chosen.repeat, chosen.arguments)
        else:
            delays = [int(delay) for delay in chosen.delays.split(",")]
            met = table(folder, chosen.rounds, delays, chosen.arguments)
    sys.exit(not met)


if __name__ == "__main__":
    main()
