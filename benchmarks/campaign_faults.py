"""Campaigns in trouble: what is lost, what is left behind, and whether verdicts are those of single runs.

Usage: ``python benchmarks/campaign_faults.py [--kills 20] [--cases EXPR] [--seed N]``, with the group ``campaign`` installed.

Eight references are served as eight endpoints: five sound ones, one with a defect, one far away (80 ms), one that does not
answer. Four Dask workers (TLS by ``campaign certs``) run campaigns of them. Workers, or the run that one has started,
are killed with -9 at random moments, the scheduler and the client once; the same command then goes on. At the end every shard has to be
there, every verdict, count and row has to be that of a single run, and no key may live in any reference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from network import far_away

from kms_reference.server import Server
from kms_reference.target import target_text

SUITE = [sys.executable, "-m", "kms_conformance"]
SOUND = ("alpha", "beta", "gamma", "delta", "epsilon")
BROKEN, SLOW, DEAD = "broken", "slow", "dead"
CASES = "key_protect and (rotat or restore) and not laws and not views"
DEFECT = "rotation-unlimited"
MILLISECONDS = 80
WORKERS = 4
LONGEST = 3600.0
MIDDLE = 3
"""Kills after which the scheduler goes."""


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Cluster:
    """A scheduler and workers on this machine; each can be killed and is then started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.certificates = folder / "certificates"
        subprocess.run(
            [*SUITE, "campaign", "certs", str(self.certificates)], check=True, stdout=subprocess.DEVNULL
        )
        self.address = f"tls://127.0.0.1:{self._port}"
        self.scheduler = self._start_scheduler()
        self.workers = [self._start_worker() for _ in range(WORKERS)]

    def _tls(self, role: str) -> list[str]:
        place = self.certificates
        return [
            *("--tls-ca-file", str(place / "ca.pem")),
            *("--tls-cert", str(place / f"{role}.pem"), "--tls-key", str(place / f"{role}.key")),
        ]

    def _started(self, words: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "cluster.log").open("ab") as log:
            return subprocess.Popen(words, cwd=self._folder, stdout=log, stderr=log)

    def _start_scheduler(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", self.address]
        return self._started([*words, "--no-dashboard", "--no-show", *self._tls("scheduler")])

    def _start_worker(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1"]
        return self._started(
            [*words, "--no-nanny", "--no-dashboard", "--memory-limit", "0", *self._tls("worker")]
        )

    def kill_worker(self, number: int) -> None:
        """Kill a worker and start another one."""
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self._start_worker()

    def kill_run(self, number: int) -> bool:
        """Kill the run that a worker has started; tell whether there was one."""
        worker = self.workers[number].pid
        try:
            children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
            threads = Path(f"/proc/{worker}/task").iterdir()
            children += [child for one in threads for child in (one / "children").read_text().split()]
        except OSError:
            return False
        for child in children:
            os.kill(int(child), signal.SIGKILL)
            return True
        return False

    def kill_scheduler(self) -> None:
        """Kill the scheduler, and start another one at the same address; workers end by themselves, so they are started, too."""
        self.scheduler.kill()
        self.scheduler.wait()
        self.scheduler = self._start_scheduler()
        for number in range(len(self.workers)):
            self.kill_worker(number)

    def close(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def endpoints(folder: Path) -> Iterator[dict[str, Server]]:
    """Serve the references and write their target files; give those that are there by name."""
    with ExitStack() as stack:
        servers = {}
        for name in (*SOUND, BROKEN, SLOW):
            defects = (DEFECT,) if name == BROKEN else ()
            servers[name] = stack.enter_context(Server(defects=defects))
            text = target_text(servers[name])
            if name == SLOW:
                text = stack.enter_context(far_away(text, MILLISECONDS))
            (folder / f"{name}.toml").write_text(text)
        text = target_text(servers[SOUND[0]])
        port = servers[SOUND[0]].base_url.rpartition(":")[2]
        limits = "\n[limits]\npatience = 1\n"
        (folder / f"{DEAD}.toml").write_text(text.replace(f":{port}", f":{free_port()}") + limits)
        yield servers


def alive(server: Server) -> int:
    """Return how many keys of all instances are not destroyed."""
    assert server.server_state is not None
    return sum(
        key.state.name != "DESTROYED"
        for instance in server.server_state.instances.values()
        for key in instance.keys.values()
    )


def judged(record: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be equal of two results."""
    return {
        "verdict": record["verdict"],
        "exit_code": record["exit_code"],
        "counts": record["counts"],
        "cases": {case["id"]: case["verdict"] for case in record["cases"]},
        "rows": {f"{row['contract']}/{row['id']}": row["verdict"] for row in record["requirements"]},
    }


def single_runs(folder: Path, cases: str) -> dict[str, tuple[int, dict[str, Any] | None]]:
    """Judge each endpoint by one ordinary run; return exit code and results."""
    found = {}
    for name in (*SOUND[:1], BROKEN, SLOW, DEAD):
        place = folder / "single" / name
        words = [*SUITE, "run", "--target", f"{name}.toml", "--contract", "key_protect", "--no-fuzz"]
        words += ["--report-dir", str(place), "--journal", str(folder / "single.sqlite"), "-q"]
        words += ["-k", cases] if cases else []
        ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        results = place / "results.json"
        record = judged(json.loads(results.read_text())) if results.exists() else None
        found[name] = (ended.returncode, record)
        print(f"single run of {name}: {(ended.stdout or ended.stderr).strip().splitlines()[-1]}", flush=True)
    for name in SOUND[1:]:  # one sound reference is as the other
        found[name] = found[SOUND[0]]
    return found


def campaign_text(cases: str) -> str:
    """Return the campaign file."""
    group = f'[groups]\nsome = "{cases}"\n' if cases else ""
    own = "".join(
        f'[[endpoints]]\nname = "{name}"\ntarget = "{name}.toml"\nat_once = 2\n'
        for name in (*SOUND, BROKEN, SLOW, DEAD)
    )
    return f'name = "trouble"\ncontracts = ["key_protect"]\nfuzz = false\nattempts = 2\n{group}{own}'


def one_campaign(
    folder: Path, number: int, cluster: Cluster, chance: random.Random, kills: int, *, scheduler: bool
) -> dict[str, int]:
    """Run a campaign to its end while things are killed; return how many of which were."""
    words = [
        *SUITE,
        "campaign",
        str(folder / "campaign.toml"),
        "--results",
        str(folder / f"results-{number}"),
    ]
    words += ["--scheduler", cluster.address, "--certificates", str(cluster.certificates)]
    words += ["--state", str(folder / "state"), "--report-dir", str(folder / f"merged-{number}")]
    done = {"worker": 0, "run": 0, "scheduler": 0, "client": 0, "starts": 0}
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        done["starts"] += 1
        with (folder / f"campaign-{number}.log").open("ab") as log:
            process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(chance.uniform(2, 9))
            if process.poll() is not None:
                break
            if scheduler and not done["scheduler"] and done["worker"] + done["run"] >= MIDDLE:
                cluster.kill_scheduler()
                done["scheduler"] += 1
            elif scheduler and not done["client"] and done["worker"] + done["run"] >= 2 * MIDDLE:
                process.kill()
                done["client"] += 1
            elif done["worker"] + done["run"] < kills:
                victim = chance.randrange(WORKERS)
                if chance.random() < 0.5 and cluster.kill_run(victim):  # noqa: PLR2004 - half of them
                    done["run"] += 1
                else:
                    cluster.kill_worker(victim)
                    done["worker"] += 1
        process.wait()
        if (folder / f"merged-{number}" / "campaign-results.json").exists():
            return done
    raise SystemExit("the campaign did not end")


def compare(folder: Path, number: int, single: dict[str, tuple[int, dict[str, Any] | None]]) -> list[str]:
    """Return what differs from single runs, and what is missing."""
    merged = json.loads((folder / f"merged-{number}" / "campaign-results.json").read_text())
    wrong = []
    for endpoint in merged["endpoints"]:
        code, record = single[endpoint["name"]]
        (run,) = endpoint["runs"]
        if endpoint["exit_code"] != code:
            wrong.append(f"{endpoint['name']}: exit code {endpoint['exit_code']}, a single run has {code}")
        if record is None:
            wrong += [f"{endpoint['name']}: has a report"] if run["report"] else []
            continue
        wrong += [f"{endpoint['name']}: {line}" for line in run["missing"]]
        found = judged(json.loads((folder / f"merged-{number}" / run["name"] / "results.json").read_text()))
        wrong += [f"{endpoint['name']}: {name} differs" for name in record if found[name] != record[name]]
    return wrong


def main() -> None:
    """Run campaigns until as many things have been killed as asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="campaign-faults-"))
    print(f"folder {folder}, seed {asked.seed}", flush=True)
    chance = random.Random(asked.seed)  # noqa: S311 - moments, not secrets
    total, number, wrong = {"worker": 0, "run": 0, "scheduler": 0, "client": 0, "starts": 0}, 0, []
    with endpoints(folder) as servers:
        single = single_runs(folder, asked.cases)
        (folder / "campaign.toml").write_text(campaign_text(asked.cases))
        before = sum(map(alive, servers.values()))
        cluster = Cluster(folder)
        try:
            while number == 0 or total["worker"] + total["run"] < asked.kills:
                number += 1
                left = asked.kills - total["worker"] - total["run"]
                done = one_campaign(
                    folder, number, cluster, chance, left, scheduler=not total["scheduler"] and left > MIDDLE
                )
                total = {name: total[name] + done[name] for name in total}
                wrong += compare(folder, number, single)
                print(f"campaign {number}: {done}, different so far: {wrong}", flush=True)
        finally:
            cluster.close()
        after = sum(map(alive, servers.values()))
    print(
        f"killed: {total['worker']} workers, {total['run']} runs, {total['scheduler']} schedulers, {total['client']} clients"
    )
    print(f"campaigns: {number}; different from single runs or missing: {len(wrong)}")
    print(f"keys alive: {before} before, {after} after")
    sys.exit(1 if wrong or after > before else 0)


if __name__ == "__main__":
    main()
