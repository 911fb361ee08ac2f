"""How much faster a campaign is with more workers.

Usage: ``python benchmarks/campaign_scaling.py [--delay MS] [--workers 1,2,4] [--contract ID] [--cases EXPR]``.

Eight references on this machine, each behind a proxy that adds a round trip (:mod:`delay_proxy`; 0: none). Every shard has one
case under way at a time, so that with a delay the endpoints bound it, and without one the processors of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from network import far_away

from kms_reference.server import Server
from kms_reference.target import target_text

ENDPOINTS = 8
CASES = "key_protect and (rotat or restore) and not laws and not views"


def measure(folder: Path, workers: int) -> tuple[float, float, str]:
    """Run the campaign; return wall and processor seconds of it, and its verdicts."""
    words = [sys.executable, "-m", "kms_conformance", "campaign", "campaign.toml", "--local", str(workers)]
    words += [
        "--results",
        f"results-{workers}",
        "--report-dir",
        f"merged-{workers}",
        "--state",
        f"state-{workers}",
    ]
    before = os.times()
    began = time.monotonic()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    plan = folder / f"results-{workers}" / "shards"
    while process.poll() is None and len(list(plan.rglob("task.json"))) < ENDPOINTS:
        time.sleep(0.2)
    seconds = time.monotonic() - began  # merging is the client's own work, which no worker shortens
    process.wait()
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    merged = json.loads((folder / f"merged-{workers}" / "campaign-results.json").read_text())
    verdicts = [f"{endpoint['verdict']} {endpoint['runs'][0]['counts']}" for endpoint in merged["endpoints"]]
    assert len(set(verdicts)) == 1, verdicts
    return seconds, used, verdicts[0]


def main() -> None:
    """Measure each number of workers and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=int, default=80)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--contract", default="key_protect")
    parser.add_argument("--cases", default=CASES)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="campaign-scaling-"))
    group = f'[groups]\nsome = "{asked.cases}"\n' if asked.cases else ""
    text = f'name = "scaling"\ncontracts = ["{asked.contract}"]\nfuzz = false\njobs = 1\n{group}'
    with ExitStack() as stack:
        for number in range(ENDPOINTS):
            server = stack.enter_context(Server())
            target = stack.enter_context(far_away(target_text(server), asked.delay))
            (folder / f"{number}.toml").write_text(target)
            text += f'[[endpoints]]\nname = "e{number}"\ntarget = "{number}.toml"\nat_once = 1\n'
        (folder / "campaign.toml").write_text(text)
        first = 0.0
        for workers in map(int, asked.workers.split(",")):
            seconds, used, verdict = measure(folder, workers)
            first = first or seconds
            print(
                f"{workers} workers: {seconds:.1f} s, {first / seconds:.2f} times as fast, {used:.0f} s of processors; each {verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
