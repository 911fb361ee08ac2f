"""Planning a large campaign, handing it out, and what merging it costs.

Usage: ``python benchmarks/campaign_plan.py [--endpoints 1000] [--seeds 20] [RESULTS]``: with the results of a real campaign, its
merge is measured and counted up.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kms_conformance.campaign.conduct import conclude, remaining, settled_plan
from kms_conformance.campaign.description import read_campaign
from kms_conformance.campaign.dispatch import Dispatch
from kms_conformance.campaign.plan import Task, runs_of
from kms_conformance.campaign.store import FolderStore
from kms_conformance.campaign.work import Outcome, State
from kms_conformance.contract.case_index import listed_cases

MOST_SECONDS, MOST_MEMORY = 5.0, 1024
WORKERS = 200
CASE_SECONDS = 0.2


class AtOnce:
    """Workers that need no time at all."""

    def submit(self, task: Task) -> Future[dict[str, Any]]:
        """Say that a task is complete."""
        future: Future[dict[str, Any]] = Future()
        future.set_result(asdict(Outcome(task.id, State.COMPLETE, 3, 60.0, "latency", "", "host:1")))
        return future

    def number(self) -> int:
        """Return how many there are."""
        return WORKERS

    def why_gone(self) -> str:
        """Return why there are none."""
        return ""


def memory() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_campaign(folder: Path, endpoints: int, seeds: int) -> Path:
    """Write a campaign of many endpoints, and an earlier run of all cases."""
    earlier = folder / "earlier"
    earlier.mkdir()
    cases = [
        {"id": case.id, "duration_s": CASE_SECONDS, "waited_s": 0.0} for case in listed_cases("key_protect")
    ]
    (earlier / "results.json").write_text(json.dumps({"target": {"base_url": "x"}, "cases": cases}))
    (folder / "target.toml").write_text('base_url = "https://kms.example.test"\ninstance = "fresh"\n')
    text = (
        f'name = "large"\ncontracts = ["key_protect"]\nseeds = {list(range(seeds))}\nearlier = ["earlier"]\n'
    )
    text += "".join(
        f'[[endpoints]]\nname = "e{number}"\ntarget = "target.toml"\n' for number in range(endpoints)
    )
    path = folder / "campaign.toml"
    path.write_text(text)
    return path


def main() -> None:
    """Plan, hand out, and measure a merge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("results", nargs="?")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="campaign-plan-"))
    path = write_campaign(folder, asked.endpoints, asked.seeds)
    store = FolderStore(folder / "results")
    began = time.process_time()
    plan = settled_plan(read_campaign(path), store)
    planning = time.process_time() - began
    size = (folder / "results" / "campaign.json").stat().st_size >> 20
    print(
        f"planning: {len(plan.tasks)} shards in {planning:.2f} s of processor, plan of {size} MiB, peak {memory():.0f} MiB"
    )
    began = time.process_time()
    tasks = remaining(plan, store)
    looking = time.process_time() - began
    began = time.process_time()
    dispatch = Dispatch(AtOnce(), 1, print)
    dispatch.run(tasks)
    handing = time.process_time() - began
    assert len(dispatch.outcomes) == len(plan.tasks)
    print(
        f"looking for what is done: {looking:.2f} s; handing out and taking in: {handing:.2f} s, peak {memory():.0f} MiB"
    )
    assert planning < MOST_SECONDS, "planning takes too long"
    assert memory() < MOST_MEMORY, "planning takes too much memory"
    if asked.results:
        began = time.process_time()
        merged = conclude(asked.results, folder / "merged")
        used = time.process_time() - began
        shards = len(list(Path(asked.results).rglob("shard.json")))
        each = used / max(shards, 1)
        size = sum(file.stat().st_size for file in Path(asked.results).rglob("*") if file.is_file())
        runs = len(runs_of(plan.tasks))
        print(
            f"merge: {shards} shards of {len(merged.endpoints)} endpoints in {used:.1f} s of processor, {each:.2f} s each, "
            f"{size / max(shards, 1) / 1e6:.1f} MB each, peak {memory():.0f} MiB; {runs} such shards: {runs * each / 3600:.1f} h, "
            f"{runs * size / max(shards, 1) / 1e9:.0f} GB"
        )


if __name__ == "__main__":
    main()
