"""What a worker does: one shard as one plain command, and its report into the results.

A worker takes secrets from its own environment and from files of its own. What names an endpoint there is left out, or
every shard would go to that one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kms_conformance.campaign.plan import Task, task_of
from kms_conformance.campaign.store import (
    TASK,
    Store,
    durations_name,
    open_store,
    read_json,
    shard_place,
)
from kms_conformance.errors import ExitCode
from kms_conformance.outputs.files import put
from kms_conformance.outputs.shards import NAME
from kms_conformance.outputs.text import one_line, shorten
from kms_conformance.run.option_table import HOME

_PATIENCE = 60.0
"""Seconds that a shard has to clean up once it is log to end."""
_OF_ONE_ENDPOINT = (
    *("KMS_TARGET", "KMS_BASE_URL", "KMS_INSTANCE", "KMS_CONTRACT", "KMS_IAM_URL", "KMS_CONTROL_URL"),
    *("KMS_RESCUE_URL", "KMS_REQUESTS_PER_SECOND", "KMS_REPORT_DIR", "KMS_BASELINE"),
)
_LONGEST = 300
_WRITTEN_AGAIN = ("transcript.har", "allure-results", "manifest.json", "repro", "badge.svg")
"""What merging writes anew from the shard's own file: half of a report's bytes, and nearly all of its files."""
_UNDER_WAY: set[subprocess.Popen[bytes]] = set()


class State(StrEnum):
    """How far a shard came: judged as a whole, cut short but with a report, without a report."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    ``code`` is the exit code of the run, below 0 the signal that ended it; ``bound`` what it was bound by (as its progress
    said); ``message`` why there is no complete report, ``worker`` the host and process that ran it; ``seconds`` how long.
    """

    task: str
    state: State
    code: int
    seconds: float
    bound: str
    message: str
    worker: str

    @property
    def again(self) -> bool:
        """Whether another attempt may end better: not where the command or the target is wrong."""
        return self.state is not State.COMPLETE and self.code != ExitCode.USAGE


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a document; raise :class:`KeyError` where it is none."""
    return Outcome(
        **{name: document[name] for name in Outcome.__slots__ if name != "state"},
        state=State(document["state"]),
    )


def run_task(document: Mapping[str, Any], place: str, state: str = "") -> dict[str, Any]:
    """Run one task and put its report into the results; return its outcome as a document.

    ``place`` is that of the results, ``state`` the folder where journals outlive a worker that is killed. A task that is
    complete already is not run again. Takes and returns plain data, as it travels between machines.
    """
    task, store = task_of(document), open_store(place)
    before = read_json(store, f"{shard_place(task.id)}/{TASK}")
    if before is not None and before.get("state") == State.COMPLETE:
        return dict(before)
    home = Path(state) if state else HOME / "campaign"
    own = home / "work" / f"{task.id.replace('/', '.')}-{uuid.uuid4().hex[:8]}"
    report = own / "report"
    report.mkdir(parents=True)
    try:
        journal = home / "journals" / f"{task.id.replace('/', '.')}.sqlite"
        journal.parent.mkdir(parents=True, exist_ok=True)
        outcome = _run(task, own, report, journal, store)
        for name in _WRITTEN_AGAIN:
            _remove(report / name)
        put(report / TASK, json.dumps(asdict(outcome), indent=1) + "\n")
        store.put_folder(shard_place(task.id), report)
        return asdict(outcome)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def command_of(
    task: Task, *, target: str, report: Path | str, journal: Path | str, durations: str
) -> list[str]:
    """Return the words behind ``kms-conformance`` that run a task."""
    cut = ["--shard-durations", durations] if task.durations else []
    places = ["--report-dir", str(report), "--journal", str(journal)]
    return ["run", "--target", target, *task.arguments, *cut, *places, "--quiet"]


@contextmanager
def target_file(target: str | Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Give the path of an endpoint's target file, written into a folder for as long as it is needed where it is a table."""
    if isinstance(target, str):
        yield target
        return
    path = put(folder / "target.toml", toml_text(target))
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def judge_beside(target: str, contract: str, cases: str, folder: Path, timeout: float) -> dict[str, Any]:
    """Judge chosen cases by a plain run; return its exit code, verdict line and counts."""
    report, log = folder / "report", folder / "run.log"
    words = ["run", "--target", target, "--contract", contract, "--no-fuzz", "-k", cases, "--quiet"]
    words += ["--report-dir", str(report), "--journal", str(folder / "run.sqlite"), "--progress", "none"]
    _remove(report / "results.json")
    began = time.monotonic()
    code = _process(words, log, timeout)
    seconds = round(time.monotonic() - began, 3)
    try:
        record = json.loads((report / "results.json").read_text(encoding="utf-8"))
        line, counts = record["headline"], record["counts"]
    except (OSError, ValueError, KeyError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        line, counts = _short(lines[-1] if lines else "it said nothing"), {}
    return {"code": code, "seconds": seconds, "line": line, "counts": counts}


def _run(task: Task, own: Path, report: Path, journal: Path, store: Store) -> Outcome:
    durations = own / "durations.json"
    if task.durations:
        durations.write_bytes(store.read(durations_name(task.endpoint)) or b"{}")
    began = time.monotonic()
    log = own / "run.log"
    with target_file(task.target, own) as target:
        words = command_of(task, target=target, report=report, journal=journal, durations=str(durations))
        code = _process([*words, "--progress", "json"], log, task.timeout)
    seconds = round(time.monotonic() - began, 3)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    state, why = _reached(report, task, code, lines)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    return Outcome(task.id, state, code, seconds, _bound(lines), why, worker)


def _process(words: Sequence[str], log: Path, timeout: float) -> int:
    """Run the suite in a process of its own; what it says goes to a file. Return its exit code."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ONE_ENDPOINT}
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - this suite's own command
            [sys.executable, "-m", "kms_conformance.cli.campaign_shard", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        _UNDER_WAY.add(process)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return _end(process)
        except BaseException:
            _end(process)
            raise
        finally:
            _UNDER_WAY.discard(process)


def end_runs() -> None:
    """Tell the runs that this process has started to end: they clean up, and write what they have."""
    for process in tuple(_UNDER_WAY):
        process.terminate()


def _end(process: subprocess.Popen[bytes]) -> int:
    """End a run as Ctrl-C does, clean-up and reports included."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _reached(report: Path, task: Task, code: int, lines: Sequence[str]) -> tuple[State, str]:
    """Return how far a shard came, and why not further."""
    try:
        part = json.loads((report / NAME).read_text(encoding="utf-8"))
        shard, interrupted, trouble = part["shard"], part["interrupted"], part["trouble"]
    except (OSError, ValueError, KeyError, TypeError):
        if code < 0:
            return State.FAILED, f"its process was ended by signal {-code}"
        errors = [line for line in lines if line.startswith("error: ")]
        return State.FAILED, _short(errors[-1] if errors else f"it ended with code {code} and left no report")
    if shard != task.shard:
        return State.FAILED, f"its report is one of shard {shard}"
    if interrupted or trouble:
        return State.PARTIAL, _short(str(interrupted or trouble))
    return State.COMPLETE, ""


def _short(text: str) -> str:
    return shorten(one_line(text), _LONGEST)


def _bound(lines: Sequence[str]) -> str:
    """Return what the run was bound by as its last case ended; ``""`` where it did not say."""
    for line in reversed(lines):
        if '"bound": ' in line:
            try:
                return str(json.loads(line)["bound"])
            except (ValueError, KeyError, TypeError):
                continue
    return ""


def toml_text(document: Mapping[str, Any]) -> str:
    """Return a document as TOML: values first, then tables, each with its whole name."""
    return "\n".join(_toml_lines(document, ())) + "\n"


def _toml_lines(table: Mapping[str, Any], name: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{'.'.join(map(json.dumps, name))}]"] if name else []
    lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml_lines(value, (*name, key))
    return lines
