"""A recorded run judged again is the same run, byte for byte; a record that was touched is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rejudged import rejudge, text_of

from kms_conformance.errors import RecordError
from kms_conformance.outputs import har, results
from kms_conformance.verification.rejudge import differences, read_record

# Refusals and members wrong; an envelope that breaks wire rules everywhere; a reference that now and then fails; no waits;
# a part of every contract's cases in one run; the fuzzer.
SOME = ("--contract", "key_protect", "--no-fuzz", "-k", "states or rotation or list or expir or token")
RUNS: dict[str, tuple[str, ...]] = {
    "rules": (
        *SOME,
        "--defect",
        "rotation-unlimited",
        "--defect",
        "status-key-deleted-err",
        "--defect",
        "unknown-sort-accepted",
    ),
    "envelope": (*SOME, "--defect", "metadata-missing"),
    "now-and-then": (*SOME, "--defect", "every-seventh-request-fails"),
    "no-waits": (*SOME, "--max-wait", "0"),
    "part": ("-k", "rotation or queries or permissions"),
    "fuzz": ("--contract", "key_protect", "-k", "fuzz", "--defect", "unknown-sort-accepted"),
}


@pytest.mark.xdist_group("whole-runs")
def test_whole_runs_have_the_same_verdict(whole_runs: tuple[Path, list[Any]]) -> None:
    """results.json of whole runs, made anew from their transcripts, is the same bytes."""
    folder, documents = whole_runs
    for document in documents:
        directory = folder / document["contracts"][0]["id"]
        again = rejudge(directory)
        assert differences(document, again) == []
        assert text_of(again) == (directory / results.NAME).read_text()


@pytest.mark.parametrize("kind", RUNS)
def test_same_inputs_same_verdict(kind: str, command: Callable[..., Any], tmp_path: Path) -> None:
    """results.json, made anew from the transcript, is the same bytes."""
    command("run", "--report-dir", "out", *RUNS[kind])
    directory = tmp_path / "out"
    again = rejudge(directory)
    assert len(again["cases"]) > 5
    assert differences(read_record(directory), again) == []
    assert text_of(again) == (directory / results.NAME).read_text()


def test_same_verdict_with_workers_and_baseline(command: Callable[..., Any], tmp_path: Path) -> None:
    """A run in several processes under a baseline is judged again to the same bytes; the command says so."""
    defect = ("run", "--contract", "iks", "--report-dir", "out", "--defect", "iks-no-credentials-as-200")
    (tmp_path / "known.yaml").write_text(command(*defect, "--write-baseline").out)
    assert command(*defect, "--baseline", "known.yaml", "-n", "2").code == 0
    directory = tmp_path / "out"
    assert text_of(rejudge(directory)) == (directory / results.NAME).read_text()
    judged = command("judge", "out")
    assert (judged.code, judged.out.splitlines()[-1]) == (
        0,
        "judged again: the same verdict, findings and counts as recorded",
    )


@pytest.fixture(scope="module", name="recorded")
def recorded_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report directory of one run that failed."""
    from cases import collected, run_cases  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    from kms_conformance.outputs.writers import write_all  # noqa: PLC0415 - same

    cases = collected("key_protect")
    some = {name: case for name, case in cases.items() if ".states." in name or ".rotation." in name}
    directory = tmp_path_factory.mktemp("recorded")
    with without_sockets(), reference(defect="rotation-unlimited") as (target, _):
        write_all(run_cases(target, some, "key_protect"), directory)
    return directory


@pytest.fixture(name="copy")
def copy_fixture(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy of that directory that a test may touch."""
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def test_recorded_failure_cannot_be_talked_away(copy: Path) -> None:
    """Verdicts that somebody has changed in results.json come back as the evidence has them."""
    record = read_record(copy)
    failed = [case for case in record["cases"] if case["verdict"] == "failed"]
    assert failed
    for case in failed:
        case.update(verdict="passed", findings=[], message="")
    record.update(verdict="conformant", exit_code=0)
    (copy / results.NAME).write_text(json.dumps(record))
    again = rejudge(copy)
    assert again["verdict"] == "non-conformant"
    assert [case["id"] for case in again["cases"] if case["verdict"] == "failed"] == [
        case["id"] for case in failed
    ]
    assert len(differences(record, again)) == len(failed) + 1


def test_changed_answer_changes_the_verdict(copy: Path) -> None:
    """A status that somebody has changed in the transcript fails the case whose evidence it is."""
    transcript = json.loads((copy / har.NAME).read_text())
    refused = next(entry for entry in transcript["log"]["entries"] if entry["response"]["status"] == 410)
    refused["response"]["status"] = 200
    (copy / har.NAME).write_text(json.dumps(transcript))
    verdicts = {case["id"]: case["verdict"] for case in rejudge(copy)["cases"]}
    assert verdicts[refused["_kms"]["case"]] == "failed"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda record: record["contracts"][0].update(sha256="0" * 64), "another version of the contract"),
        (lambda record: record.pop("profile"), "missing or of the wrong kind"),
        (lambda record: record["cases"][0].update(verdict="fine"), "missing or of the wrong kind"),
    ],
)
def test_record_of_another_kind_is_refused(spoil: Callable[[Any], object], sentence: str, copy: Path) -> None:
    """What this version of the suite cannot judge again is refused in one sentence."""
    record = read_record(copy)
    spoil(record)
    (copy / results.NAME).write_text(json.dumps(record))
    with pytest.raises(RecordError) as caught:
        rejudge(copy)
    assert sentence in caught.value.sentence


def test_empty_directory_is_refused(tmp_path: Path) -> None:
    """A directory without a run is refused in one sentence."""
    with pytest.raises(RecordError, match="cannot be judged again"):
        rejudge(tmp_path)


def test_a_note_on_a_gateway_makes_nothing_green(copy: Path) -> None:
    """Whoever puts a gateway's answer and note in the place of a refusal gets an inconclusive case, not a passed one."""
    transcript = json.loads((copy / har.NAME).read_text())
    changed = next(
        entry
        for entry in transcript["log"]["entries"]
        if entry["request"]["method"] == "POST"
        and entry["response"]["status"] < 300
        and "phase" not in entry["_kms"]["notes"]
    )
    changed["response"]["status"] = 503
    changed["_kms"]["notes"]["gateway"] = "unsure"
    (copy / har.NAME).write_text(json.dumps(transcript))
    verdicts = {case["id"]: case["verdict"] for case in rejudge(copy)["cases"]}
    assert verdicts[changed["_kms"]["case"]] in {"failed", "inconclusive"}
