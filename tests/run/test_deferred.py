"""Cases that wait longer than a run: deferred, finished later, and not lost to a kill in between."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import fork_command, run_command
from killing_proxy import KillingProxy

from kms_conformance.run.journal import Journal
from kms_conformance.run.recording import (
    Cipher,
    OtherKeyError,
    RandomSource,
    Recording,
    StaleError,
    begin,
)
from kms_reference.server import Server
from kms_reference.target import target_text

CASE = "rotate_again_after_an_hour"
NOT_ITS_VIEWS = (
    "not laws"  # the laws play the same case again, and each of these cases is deferred for itself
)


@pytest.fixture
def reference() -> Iterator[Server]:
    """Yield a reference whose clock the test moves and the suite cannot."""
    with Server() as server:
        yield server


opened: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def _close_journals() -> Iterator[None]:
    """Close what the tests have opened."""
    yield
    while opened:
        opened.pop().close()


def write_target(folder: Path, server: Server, base_url: str = "") -> Path:
    """Write a target without control, so that the suite has the real clock only."""
    text = re.sub(r"\[control\]\nurl = .*\n", "", target_text(server))
    path = folder / "target.toml"
    path.write_text(
        text.replace(f'base_url = "{server.base_url}"', f'base_url = "{base_url or server.base_url}"', 1)
    )
    return path


def words(target: Path, case: str = CASE) -> list[str]:
    """Return the words of the command line that run one long case."""
    return ["run", "--target", str(target), "--max-wait", "1", "-k", f"{case} and {NOT_ITS_VIEWS}"]


def run(folder: Path, target: Path, *more: str, case: str = CASE) -> None:
    """Run one long case with the real command line."""
    run_command(folder, *words(target, case), *more, timeout=300)


def case_of(folder: Path, name: str = CASE) -> dict[str, Any]:
    """Return the long case from the results."""
    cases: list[dict[str, Any]] = json.loads((folder / "reports/out/results.json").read_text())["cases"]
    (case,) = [case for case in cases if case["id"].endswith(name)]
    return case


def journal(folder: Path) -> sqlite3.Connection:
    """Open the journal."""
    opened.append(sqlite3.connect(folder / ".kms-conformance/journal.sqlite"))
    return opened[-1]


def advance(server: Server, folder: Path, seconds: float) -> None:
    """Move the clock of the deferred case's instance."""
    (instance,) = journal(folder).execute("SELECT instance FROM plants WHERE due != ''").fetchone()
    httpx.post(
        f"{server.control_url}/instances/{instance}/clock", json={"advance_seconds": seconds}
    ).raise_for_status()


def test_gate_defers_nothing(reference: Server, tmp_path: Path) -> None:
    """Only the nightly profile defers cases."""
    run(tmp_path, write_target(tmp_path, reference))

    assert case_of(tmp_path)["verdict"] == "not-tested"
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)


def test_deferred_once_and_finished_when_due(reference: Server, tmp_path: Path) -> None:
    """Deferred once, however many nights; before the due date not tested, afterwards a verdict with both days' evidence."""
    target = write_target(tmp_path, reference)
    for _ in range(2):
        run(tmp_path, target, "--profile", "nightly")

        assert re.fullmatch(r"due \d{4}-\d\d-\d\d", case_of(tmp_path)["message"])
        assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (1,)
    advance(reference, tmp_path, 3700)

    run(tmp_path, target)

    case = case_of(tmp_path)
    assert case["verdict"] == "passed", case
    assert len(case["exchanges"]) >= 3
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)
    assert journal(tmp_path).execute("SELECT count(*) FROM things WHERE state != 'gone'").fetchone() == (0,)


def test_journal_holds_no_secret(reference: Server, tmp_path: Path) -> None:
    """Neither API keys nor key material nor answers stand in the journal in clear."""
    run(tmp_path, write_target(tmp_path, reference), "--profile", "nightly")

    content = b"".join(
        path.read_bytes() for path in (tmp_path / ".kms-conformance").iterdir() if path.is_file()
    )
    # Names of cases may hold the word; a member of a document stands in quotation marks.
    assert b'"payload"' not in content
    assert not any(key.encode() in content for key in reference.api_keys.values())


def test_another_machine_finishes(reference: Server, tmp_path: Path) -> None:
    """Whoever has the journal and the API key can finish the case elsewhere."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    run(here, write_target(here, reference), "--profile", "nightly")
    advance(reference, here, 3700)
    (there / ".kms-conformance").mkdir()
    source, copy = journal(here), journal(there)
    source.backup(copy)

    run(there, write_target(there, reference))

    assert case_of(there)["verdict"] == "passed"


@pytest.mark.parametrize("at", [3, 4, 6, 8])
def test_killed_while_deferring(reference: Server, tmp_path: Path, at: int) -> None:
    """A run that is killed between any two requests loses nothing: the next one sweeps, begins anew, and it finishes."""
    with KillingProxy(reference.base_url, at) as proxy:
        target = write_target(tmp_path, reference, proxy.base_url)
        proxy.victim = fork_command(tmp_path, *words(target), "--profile", "nightly")
        proxy.victim.wait(60)
        proxy.victim = None
        run(tmp_path, target, "--profile", "nightly")
        advance(reference, tmp_path, 3700)

        run(tmp_path, target)

    assert case_of(tmp_path)["verdict"] == "passed"
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)
    assert journal(tmp_path).execute("SELECT kind, name FROM things WHERE state != 'gone'").fetchall() == []


@pytest.mark.parametrize("at", [3, 5, 6, 7, 8, 9])
def test_killed_while_finishing(reference: Server, tmp_path: Path, at: int) -> None:
    """After a run that was killed while it finished a case, no later run fails the endpoint for a request sent twice.

    The case is finished, or begun anew; nothing is left behind.
    """
    with KillingProxy(reference.base_url, 0) as proxy:
        target = write_target(tmp_path, reference, proxy.base_url)
        run(tmp_path, target, "--profile", "nightly")
        advance(reference, tmp_path, 3700)
        proxy.victim = fork_command(tmp_path, *words(target))
        proxy.left = at
        proxy.victim.wait(60)
        proxy.victim = None

        run(tmp_path, target, "--profile", "nightly")

        case = case_of(tmp_path)
        assert case["verdict"] in {"passed", "not-tested"}, case
        if case["verdict"] == "not-tested":
            assert case["message"].startswith("due "), case
            advance(reference, tmp_path, 3700)
            run(tmp_path, target)

    assert case_of(tmp_path)["verdict"] == "passed"
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)
    run(tmp_path, target)  # what a killed run had deferred goes with the next one
    assert journal(tmp_path).execute("SELECT kind, name FROM things WHERE state != 'gone'").fetchall() == []


def test_recording_of_a_request_without_an_answer(tmp_path: Path) -> None:
    """Whether a request was received of which only the beginning is known, nobody can tell; reading is harmless."""
    with closing(Journal(tmp_path / "j.sqlite", "run1")) as opened_journal:
        cipher = Cipher("one")
        recording = begin(opened_journal, cipher, "c", base_url="http://a", instance="i", run="run1-1")
        recording.ask("GET", "GET /x")
        assert Recording.load(opened_journal, recording.case, cipher).events == []
        recording.ask("POST", "POST /x")
        with pytest.raises(StaleError, match="POST /x"):
            Recording.load(opened_journal, recording.case, cipher)
        with pytest.raises(OtherKeyError):
            Recording.load(opened_journal, recording.case, Cipher("two"))
        recording.record("exchange", "POST /x")
        assert [event["kind"] for event in Recording.load(opened_journal, recording.case, cipher).events] == [
            "exchange"
        ]


def test_too_short_a_window_is_not_deferred(reference: Server, tmp_path: Path) -> None:
    """What has to continue before the next night is not deferred: a late run would take the delay for a fault of the endpoint."""
    target = write_target(tmp_path, reference)

    run(tmp_path, target, "--profile", "nightly", case="rotate_again_after_55_minutes")

    case = case_of(tmp_path, "rotate_again_after_55_minutes")
    assert case["verdict"] == "not-tested"
    assert "cannot be deferred" in case["message"]
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)
    assert journal(tmp_path).execute("SELECT name FROM things WHERE state != 'gone'").fetchall() == []


@pytest.mark.parametrize(("days", "verdict"), [(6.5, "passed"), (8, "not-tested")])
def test_a_run_that_comes_too_late(reference: Server, tmp_path: Path, days: float, verdict: str) -> None:
    """A promise that holds for seven days is judged within them, or not at all."""
    case = "authorisation_stands"
    target = write_target(tmp_path, reference)
    run(tmp_path, target, "--profile", "nightly", case=case)
    assert case_of(tmp_path, case)["message"].startswith("due ")
    advance(reference, tmp_path, days * 86400)

    run(tmp_path, target, case=case)

    result = case_of(tmp_path, case)
    assert result["verdict"] == verdict, result
    assert ("the next nightly run begins it anew" in result["message"]) is (verdict == "not-tested")
    assert journal(tmp_path).execute("SELECT count(*) FROM plants").fetchone() == (0,)


def test_random_bytes_come_again() -> None:
    """In a deferred case the same random bytes are made each time it is played, and none twice."""
    first, again = RandomSource(b"seed"), RandomSource(b"seed")

    assert [first.take(40), first.take(12)] == [again.take(40), again.take(12)]
    assert first.take(40) != first.take(40)


def test_another_key_opens_nothing() -> None:
    """What one operator sealed, another cannot read."""
    sealed = Cipher("one").encrypt({"answer": 1})

    assert Cipher("one").decrypt(sealed) == {"answer": 1}
    with pytest.raises(StaleError):
        Cipher("two").decrypt(sealed)
