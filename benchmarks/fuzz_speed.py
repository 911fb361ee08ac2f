"""How fast each way of fuzzing is: Schemathesis's own command, our live tier, the replay, and a bare loop.

Usage: ``python benchmarks/fuzz_speed.py [ROUNDS]``. All against one running reference, in turn, three rounds; the
table shows medians. The figures are from one machine at one time, so only the ratios mean anything.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import httpx

from kms_conformance.contract.corpus import shipped_corpus
from kms_conformance.fuzz.entrypoints import fixtures_of
from kms_conformance.fuzz.replay import Replay
from kms_conformance.fuzz.requests import CaseFuzzer
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import USUAL, Options
from kms_conformance.run.reference_process import EmbeddedReference
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target

EXAMPLES = 30
LOOP = 4000


class Bench:
    """One reference, and the ways to fuzz it."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder = target, folder

    def case(self, name: str) -> tuple[Session, object]:
        """Open a case in a session of its own."""
        session = Session(Options(fuzz=replace(USUAL, whole=True)), self.target)
        return session, session.open(
            CaseInfo(id=f"bench.{name}", title=name, contract="key_protect", covers=("fuzz-any-request",))
        )

    def st_run(self) -> float:
        """Return the requests a second of ``st run``: coverage and fuzzing of the same OpenAPI document."""
        session, case = self.case("st")
        token = session.context("key_protect").client.tokens.of("manager")
        har = self.folder / "st.har"
        spec = files("kms_conformance.contracts") / "key_protect" / "openapi.yaml"
        command = [
            str(Path(sys.executable).parent / "st"), "run", str(spec), "--url", f"{self.target.base_url}/api/v2",
            "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--exclude-checks", "ignored_auth", "--workers", "1",
            "-H", f"Authorization: Bearer {token}", "-H", f"bluemix-instance: {case.instance}",  # type: ignore[attr-defined]
            "--report", "har", "--report-har-path", str(har),
        ]  # fmt: skip
        begun = time.perf_counter()
        subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        seconds = time.perf_counter() - begun
        session.close()
        return len(json.loads(har.read_text(encoding="utf-8"))["log"]["entries"]) / seconds

    def live(self) -> float:
        """Return the requests a second of the live tier in two processes, its start included."""
        path = self.folder / "target.toml"
        path.write_text(_toml(self.target), encoding="utf-8")
        command = [
            str(Path(sys.executable).parent / "kms-conformance"), "run", "--target", str(path), "-n", "2", "-k", "test_operation",
            "--max-examples", str(EXAMPLES), "--report-dir", str(self.folder / "live"),
        ]  # fmt: skip
        begun = time.perf_counter()
        subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        seconds = time.perf_counter() - begun
        document = json.loads((self.folder / "live" / "results.json").read_text(encoding="utf-8"))
        return sum(case["checks"] for case in document["cases"]) / seconds

    def replay(self) -> float:
        """Return the requests a second of the replay of the whole corpus, all checks on."""
        session, case = self.case("replay")
        corpus = shipped_corpus("key_protect", whole=True)
        assert corpus is not None
        replay = Replay(case, fixtures_of(case.context.contract, case))  # type: ignore[attr-defined, arg-type]
        begun = time.perf_counter()
        tally = replay.run(corpus.entries)
        seconds = time.perf_counter() - begun
        session.close()
        assert not tally.found, list(tally.found)
        return tally.sent / seconds

    def loop(self) -> float:
        """Return the requests a second of a bare ``httpx.Client`` over requests of the same corpus."""
        session, case = self.case("loop")
        corpus = shipped_corpus("key_protect", whole=True)
        assert corpus is not None
        fixtures = fixtures_of(case.context.contract, case)  # type: ignore[attr-defined, arg-type]
        entries = corpus.entries[:: len(corpus.entries) // LOOP]
        fixtures.prepare({name for entry in entries for name in entry.placeholders()})
        fuzzer = CaseFuzzer(case, fixtures)  # type: ignore[arg-type]
        outgoing = [fuzzer.fill(entry).outgoing for entry in entries]
        sent = 0
        with httpx.Client(trust_env=False, base_url=self.target.base_url) as client:
            begun = time.perf_counter()
            for request in outgoing:
                try:
                    client.request(
                        request.method, request.target, headers=request.headers, content=request.content
                    )
                except (httpx.InvalidURL, UnicodeEncodeError):
                    continue
                sent += 1
            seconds = time.perf_counter() - begun
        session.close()
        return sent / seconds


def _toml(target: Target) -> str:
    lines = [f'base_url = "{target.base_url}"', 'instance = "fresh"', "[iam]", f'url = "{target.iam_url}"']
    lines += ["[control]", f'url = "{target.control_url}"']
    for name, identity in target.identities.items():
        lines += [f"[identities.{name}]", f'api_key = "{identity.api_key!s}"']
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with EmbeddedReference() as reference, tempfile.TemporaryDirectory() as folder:
        bench = Bench(reference.target(), Path(folder))
        ways: dict[str, Callable[[], float]] = {
            "st run (coverage, fuzzing)": bench.st_run,
            "live tier, -n 2": bench.live,
            "replay of the corpus": bench.replay,
            "bare httpx.Client loop": bench.loop,
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                rates[name].append(way())
    base = statistics.median(rates["st run (coverage, fuzzing)"])
    print("| way | requests/s, median | of each round | times st run |\n|---|---:|---|---:|")
    for name, speeds in rates.items():
        middle = statistics.median(speeds)
        print(
            f"| {name} | {middle:.0f} | {', '.join(f'{rate:.0f}' for rate in speeds)} | {middle / base:.1f} |"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process, replay and loop included: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
