"""Whether shards that are under way at once keep the rate of their endpoint together.

Usage: ``python benchmarks/campaign_rate.py [--rate 40] [--shards 4]``. A reference is judged in shards by as many workers; the
times of all requests, as the shards' own evidence has them, are put together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from bisect import bisect_left
from pathlib import Path

from kms_reference.server import Server
from kms_reference.target import write_target

CASES = "key_protect and rotat and not laws and not views"


def main() -> None:
    """Run the campaign and count the requests of each second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--shards", type=int, default=4)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="campaign-rate-"))
    (folder / "campaign.toml").write_text(
        f'name = "rate"\ncontracts = ["key_protect"]\nfuzz = false\n[groups]\nsome = "{CASES}"\n'
        f'[[endpoints]]\nname = "one"\ntarget = "target.toml"\nat_once = {asked.shards}\nrequests_per_second = {asked.rate}\n'
    )
    words = [sys.executable, "-m", "kms_conformance", "campaign", "campaign.toml", "--quiet"]
    with Server() as server:
        write_target(folder / "target.toml", server)
        subprocess.run(
            [*words, "--local", str(asked.shards)], cwd=folder, check=False, stdout=subprocess.DEVNULL
        )
    files = sorted(folder.rglob("shard.json"))
    parts = [json.loads(file.read_text())["cases"] for file in files]
    times = sorted(exchange["started"] for part in parts for case in part for exchange in case["exchanges"])
    most = max(bisect_left(times, begin + 1) - number for number, begin in enumerate(times))
    print(
        f"{len(files)} shards at once, {len(times)} requests in {times[-1] - times[0]:.1f} s: at most {most} in any second"
    )
    assert len(files) == asked.shards
    sys.exit(0 if most <= asked.rate else 1)


if __name__ == "__main__":
    main()
