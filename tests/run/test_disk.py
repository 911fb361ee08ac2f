"""A disk that is full, and a journal that cannot be used: one sentence, the right exit code, and no verdict lost."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import clean_environment
from runs import run_cases, served_target, write_case

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ExitCode, JournalError
from kms_conformance.run.journal import Journal
from kms_reference.server import Server
from kms_reference.target import write_target

CASES = """
@covers("create-standard-key")
def test_make_one(kms):
    kms.create_key().succeeds(201)

@covers("create-standard-key")
def test_make_two(kms):
    kms.create_key().succeeds(201)
"""


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return two cases that make something."""
    return str(write_case(tmp_path / "own", CASES))


def fill(journal: Journal, size: int) -> None:
    """Write things of a size until there is no more room."""
    for number in range(10_000):
        journal.intend("http://x", "i", "key", f"name-{number}", detail="x" * size)


def test_a_journal_on_a_full_disk_ends_the_run(reference: Server, tmp_path: Path, place: str) -> None:
    """Nothing is created without it; the run is not verified, and the exit code is that of a wrong setting."""
    journal = tmp_path / "journal.sqlite"
    Journal(journal, "before").close()
    file = sqlite3.connect(journal)
    pages = file.execute("PRAGMA page_count").fetchone()[0]
    file.close()
    real = sqlite3.connect

    def limited(*arguments: object, **options: object) -> sqlite3.Connection:
        made = real(*arguments, **options)  # type: ignore[call-overload]
        made.execute(f"PRAGMA max_page_count = {pages}")
        return made  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kms_conformance.run.journal.sqlite3.connect", limited)
        filler = Journal(journal, "filler")
        for size in (1000, 0):
            with pytest.raises(JournalError, match="the disk is full"):
                fill(filler, size)
        run = run_cases(served_target(reference), place=place, journal=journal, jobs=1)
        filler.close()
    assert run.exit_code is ExitCode.USAGE
    assert "the disk is full" in run.interrupted
    assert {case.verdict for case in run.cases} == {Verdict.INCONCLUSIVE, Verdict.NOT_TESTED}
    assert not [case for case in run.cases if any(part.sent.method == "POST" for part in case.exchanges)]


def test_a_report_on_a_full_disk_does_not_swallow_the_verdict(tmp_path: Path, reference: Server) -> None:
    """The verdict is told, with the reason why there is no report; a conformant run is no success without it."""
    write_target(tmp_path / "target.toml", reference)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    words = ["run", "--target", "target.toml", "-k", "list_shows_the_key", "--report-dir", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "kms_conformance", *words],
        cwd=tmp_path,
        env=clean_environment(),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "NOT-VERIFIED" in done.stdout.splitlines()[0], done.stderr
    assert "The report directory 'out' cannot be used: File too large." in done.stderr
    assert done.returncode == ExitCode.NOT_VERIFIED


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """Yield a journal that somebody keeps locked."""
    path = tmp_path / "journal.sqlite"
    Journal(path, "before").close()
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("BEGIN EXCLUSIVE")
    yield path
    file.close()


def test_a_locked_journal(locked: Path) -> None:
    """It is told so, and not after half a minute."""
    begun = time.thread_time()
    with pytest.raises(JournalError) as refused:
        Journal(locked, "now")
    assert "another process keeps it locked" in refused.value.sentence
    assert "end that process" in refused.value.hint
    assert time.thread_time() - begun < 5


def test_a_damaged_journal(tmp_path: Path) -> None:
    """A file in which pages are broken is told from one that is no journal at all."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, "before")
    for number in range(200):
        journal.intend("http://x", "i", "key", f"name-{number}")
    journal.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(JournalError) as refused:
        Journal(path, "now")
    assert "it is damaged" in refused.value.sentence
    assert "sweep --by-name" in refused.value.hint


def test_an_older_journal(tmp_path: Path) -> None:
    """A file that lacks a column is of another version, and says so."""
    path = tmp_path / "journal.sqlite"
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, run TEXT, base_url TEXT, state TEXT)")
    file.commit()
    file.close()
    with pytest.raises(JournalError) as refused:
        Journal(path, "now")
    assert "of another version" in refused.value.sentence


def test_report_folders_are_their_owner_s(tmp_path: Path, reference: Server, place: str) -> None:
    """A new folder for reports is private; one that was there keeps what it has."""
    run_cases(served_target(reference), place=place, report_dir=tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    old.chmod(0o755)
    run_cases(served_target(reference), place=place, report_dir=old)
    assert old.stat().st_mode & 0o777 == 0o755
