"""Reports on the disk: whole, ours only, readable by others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kms_conformance.errors import ExitCode, ReportDirError
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import allure, manifest, repro
from kms_conformance.outputs.files import prepare
from kms_conformance.outputs.write import WRITERS, write_all

EMPTY = Run(Profile.GATE, (), ())


def test_only_what_is_ours_is_replaced(tmp_path: Path, realistic: Callable[[int, int], Run]) -> None:
    """A second run leaves no file of the first, and every file of somebody else."""
    write_all(realistic(30, 2), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / allure.NAME / "other-result.json").write_text("{}")
    (tmp_path / ".kms-results.json.1.tmp").write_text("half")
    write_all(EMPTY, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        *(writer.NAME for writer in WRITERS if writer is not repro),  # nothing failed
        manifest.NAME,
    }
    left = {path.name for path in (tmp_path / allure.NAME).iterdir() if "-result.json" not in path.name}
    assert left == set(allure.SHARED)
    assert (tmp_path / allure.NAME / "other-result.json").exists()


def test_the_directory_is_made(tmp_path: Path) -> None:
    """Parents are made as well, and the paths are returned."""
    paths = write_all(EMPTY, tmp_path / "a" / "b")
    assert all(path.exists() and path.parent == tmp_path / "a" / "b" for path in paths)


def test_a_failed_write_leaves_no_half_and_no_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full, there is the old report no longer and no piece of the new one."""
    write_all(EMPTY, tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReportDirError, match="No space left"):
        write_all(EMPTY, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ReportDirError, match="No space left"):
        write_all(EMPTY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file where the directory should be is bad usage, told in a sentence with a hint."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ReportDirError, match="hint: give --report-dir") as caught:
        prepare(tmp_path / "taken")
    assert caught.value.exit_code is ExitCode.USAGE


def test_others_may_read(tmp_path: Path) -> None:
    """Files get the permissions that the user's mask gives any file."""
    before = os.umask(0o022)
    try:
        for path in write_all(EMPTY, tmp_path):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    finally:
        os.umask(before)


def test_outputs_know_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, realistic: Callable[[int, int], Run]
) -> None:
    """Nothing but the run is written: no environment, no host, no folder."""
    monkeypatch.setenv("KMS_API_KEY", "a-key-that-must-not-leak")
    for path in write_all(realistic(40, 2), tmp_path / "report"):
        for file in [path] if path.is_file() else path.iterdir():
            text = file.read_text()
            for word in ("a-key-that-must-not-leak", os.uname().nodename, str(tmp_path), str(Path.cwd())):
                assert word not in text
