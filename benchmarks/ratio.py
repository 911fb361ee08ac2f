"""How much the suite costs beside the bare wire: the cases against the same exchanges sent by a plain loop.

Usage: ``python benchmarks/ratio.py [ROUNDS]``. Both sides run in this process against one reference in a process of
its own, in turn; the figures are from one machine at one time, so only the ratio means anything. On a machine that is
busy with other things, that of the processor time of this process alone means more.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from kms_conformance.pytest_plugin.plugin import State
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.transport.client import Client, Reply

QUIET = [
    "-p",
    "no:terminal",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:schemathesis",
    "-p",
    "no:allure_pytest",
    "-s",
    "-c",
    os.devnull,
]


def suite(session: Session, sent: list[httpx.Request], report: Path) -> tuple[float, int, int]:
    """Run every case; return the seconds from the first request to the last answer, cases and exchanges."""
    read = Client._read

    def recorded(self: Client, built: httpx.Request) -> Reply:
        sent.append(built)
        return read(self, built)

    Client._read = recorded  # type: ignore[method-assign]
    state = State(lambda: session, report)
    try:
        pytest.main([*QUIET, "--pyargs", "kms_conformance.scenarios.key_protect"], plugins=[state])
    finally:
        Client._read = read  # type: ignore[method-assign]
    assert state.run is not None
    cases = state.run.cases
    begun = min(case.started for case in cases)
    return (
        max(case.started + case.duration for case in cases) - begun,
        len(cases),
        sum(len(case.exchanges) for case in cases),
    )


def bare(sent: list[httpx.Request]) -> float:
    """Send the same requests one after the other; return the seconds."""
    # The reference makes an RSA pair where the shipped ones are used up, which takes its time on a busy machine.
    with httpx.Client(trust_env=False, timeout=60) as client:
        begun = time.perf_counter()
        for request in sent:
            client.send(
                client.build_request(
                    request.method, request.url, headers=request.headers, content=request.content
                )
            )
        return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            sent: list[httpx.Request] = []
            # A reference of its own per round, kept alive for both sides.
            session = Session(Options())
            closing, session.close = session.close, lambda: None  # type: ignore[method-assign]
            worked = time.process_time()
            seconds, cases, exchanges = suite(session, sent, Path(folder))
            worked = time.process_time() - worked
            plain_worked = time.process_time()
            plain = bare(sent)
            plain_worked = time.process_time() - plain_worked
            closing()
            if number == 0:
                continue  # the first round warms both sides
            ratios.append(seconds / plain)
            print(
                f"round {number}: {cases} cases, {exchanges} exchanges, suite {seconds:.2f} s, bare loop {plain:.2f} s, ratio {seconds / plain:.2f};"
                f" own work, start and reports included: {worked:.2f} s beside {plain_worked:.2f} s"
            )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
