"""Ctrl-C, kill and the like: what was made is removed or written down, and no verdict is green."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from commands import Command, start_command
from runs import case_of, served_target, session_and_context, write_case

from kms_conformance.cli.judge_endpoint import judge
from kms_conformance.contract.severity import Verdict
from kms_conformance.pytest_plugin.plugin import State
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.journal import Journal
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target
from kms_conformance.transport.client import Request
from kms_reference.server import Server
from kms_reference.target import target_text

INSTANCE = "00000000-0000-4000-8000-0000000000aa"
PATIENCE = 120.0
SETTLED = 0.5
"""Seconds in which a case that has removed its key has its result."""
WAITING = "((test_enable_too_early and not again) or test_unwrap_after_enable or test_list_shows_the_key) and not views"


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield a reference of this test's own."""
    with Server() as running:
        yield running


@pytest.fixture
def without_control(server: Server, tmp_path: Path) -> Path:
    """Return a target file for one shared instance whose clock nobody can move."""
    text = re.sub(r"\[control\]\nurl = .*\n", "", target_text(server)).replace('"fresh"', f'"{INSTANCE}"')
    path = tmp_path / "target.toml"
    path.write_text(text)
    return path


def keys_of(server: Server, states: str = "") -> list[dict[str, object]]:
    """Return the keys of the instance in these states, by default those that are not destroyed."""
    session, context = session_and_context(served_target(server))
    try:
        reply, _ = context.client.send(
            Request("GET", f"/api/v2/keys?limit=5000{states}", {"bluemix-instance": INSTANCE}), "test"
        )
        assert reply is not None
        resources: list[dict[str, object]] = reply.body.get("resources", [])
        return resources
    finally:
        session.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, at most half a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def only_waits(server: Server) -> bool:
    """Tell whether the two waiting cases wait, their keys suspended, and the quick one has made and removed its own."""
    states = [key["state"] for key in keys_of(server, "&state=0,1,2,3,5")]
    return states.count(2) == 2 and 5 in states and set(states) == {2, 5}


def until_only_waits(server: Server) -> None:
    """Wait until two cases wait and the quick one is over: its result is there a moment after its key was removed."""
    until(lambda: only_waits(server), "both cases wait, and the quick one is over")
    time.sleep(SETTLED)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_during_a_wait(
    server: Server, without_control: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    """A run stopped during its waits removes its keys, writes its reports, and does not call anything conformant."""
    running = start_command(
        tmp_path, "run", "--target", str(without_control), "--report-dir", "report", "-k", WAITING
    )
    try:
        until_only_waits(server)
        running.send_signal(sent)
        out, err = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 3, out + err
    assert "Traceback" not in out + err
    assert out.startswith("NOT-VERIFIED: 2 not-tested, 1 passed")
    assert "stopped by hand" in out.splitlines()[0]
    assert keys_of(server) == []
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["verdict"] == "not-verified"
    assert "stopped by hand" in results["interrupted"]
    verdicts = {case["id"].rsplit(".", 1)[-1]: case for case in results["cases"]}
    assert verdicts["enable_too_early"]["verdict"] == "not-tested"
    assert verdicts["list_shows_the_key"]["verdict"] == "passed"
    assert "stopped" in verdicts["enable_too_early"]["message"]
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {
        "report.html",
        "junit.xml",
        "transcript.har",
    }
    with closing(Journal(tmp_path / ".kms-conformance" / "journal.sqlite", "later")) as journal:
        assert journal.left_over() == []


def test_killed(server: Server, without_control: Path, tmp_path: Path) -> None:
    """After kill -9 the journal lists exactly what is left, by the name and id that the endpoint knows."""
    running = start_command(
        tmp_path, "run", "--target", str(without_control), "--journal", "j.sqlite", "-k", WAITING
    )
    try:
        until_only_waits(server)
        running.kill()
        running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        running.wait()
    left = {(str(key["id"]), str(key["name"])) for key in keys_of(server)}
    assert len(left) == 2
    with closing(Journal(tmp_path / "j.sqlite", "later")) as journal:
        things = journal.left_over(server.base_url)
    assert {(entry.ref, entry.name) for entry in things} == left
    assert {(entry.kind, entry.state, entry.instance) for entry in things} == {("key", "created", INSTANCE)}
    assert all(name.startswith("kmsct-") for _, name in left)


def test_killed_before_the_answer(server: Server, tmp_path: Path) -> None:
    """A thing whose creation was never answered is in the journal too: it may or may not exist."""
    target = served_target(server, control=False, instance=INSTANCE)
    session = Session(Options(journal=tmp_path / "j.sqlite"), target)
    context = session.context("key_protect")
    row = context.journal.intend(target.base_url, INSTANCE, "key", "kmsct-nobody-knows")
    with closing(Journal(tmp_path / "j.sqlite", "later")) as journal:
        (entry,) = journal.left_over()
        assert (entry.id, entry.state, entry.ref, entry.name) == (row, "intended", "", "kmsct-nobody-knows")
    session.close()


def test_interrupt_within_a_case(server: Server) -> None:
    """KeyboardInterrupt inside a case cleans up first and is raised afterwards; the case is not tested."""
    target = served_target(server, control=False, instance=INSTANCE)
    session = Session(Options(), target)
    info = CaseInfo("own.case", "a case", "key_protect", ("list-keys",))

    def body(kms: object) -> None:
        kms.create_root_key()  # type: ignore[attr-defined]  # the adapter of the contract
        assert len(keys_of(server)) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run_case(session.open(info), body)
    assert session.results["own.case"].verdict is Verdict.NOT_TESTED
    assert keys_of(server) == []
    session.close()


def test_clean_up_goes_on_after_a_failure(server: Server) -> None:
    """What cannot be removed does not keep the rest from being removed."""
    session, context = session_and_context(served_target(server, control=False, instance=INSTANCE))
    case = case_of(context, instance=INSTANCE)
    removed: list[str] = []

    def fail() -> None:
        raise OSError("no route")

    case.clean_up += [lambda: removed.append("first"), fail, lambda: removed.append("last")]
    case.finish()
    assert removed == ["last", "first"]
    session.close()


@pytest.mark.parametrize("flag", ["-x", "--lf"])
def test_stop_at_the_first_failure_and_last_failed(flag: str, command: Command, tmp_path: Path) -> None:
    """`-x` stops after the first failure and says so; `--lf` runs only what failed, and says that it left cases out."""
    some = (
        "--defect",
        "rotation-unlimited",
        "--report-dir",
        "report",
        "-k",
        "test_rotation or test_list_shows",
    )
    first = command("run", *some, *(["-x"] if flag == "-x" else []))
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert first.code == 1
    failed = {case["id"] for case in results["cases"] if case["verdict"] == "failed"}
    if flag == "-x":
        assert len(failed) == 1
        assert "stopping after 1 failures" in results["interrupted"]
        return
    assert len(failed) > 1
    again = command("run", *some, "--lf")
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert {case["id"] for case in results["cases"]} == failed
    assert again.code == 1
    assert "left out by the selection" in results["partial"]


def test_stopped_before_any_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run stopped by hand while it collects its cases ends as one that was stopped, not as a fault of the suite."""

    def interrupted(_: Session, state: State, __: list[str]) -> int:
        with pytest.raises(KeyboardInterrupt) as excinfo:
            raise KeyboardInterrupt
        state.pytest_keyboard_interrupt(excinfo)
        return pytest.ExitCode.INTERRUPTED

    monkeypatch.setattr("kms_conformance.cli.judge_endpoint.collect", interrupted)
    session = Session(Options(), Target(base_url="http://127.0.0.1:9", instance=INSTANCE))
    with pytest.raises(KeyboardInterrupt):
        judge(session, tmp_path / "report", [])


def test_group_signal_reaches_the_embedded_reference(tmp_path: Path) -> None:
    """A terminal's Ctrl-C goes to the whole process group; the run still ends in order."""
    write_case(tmp_path / "own", "")
    running = start_command(tmp_path, "run", "--report-dir", "report")
    time.sleep(1.0)
    os.killpg(running.pid, signal.SIGINT)
    try:
        out, err = running.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    assert running.returncode in {0, 3, 4}, out + err
    assert "Traceback" not in out + err
