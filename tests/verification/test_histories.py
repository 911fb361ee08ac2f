"""Cases of laws and of several clients are played again to their end, whatever clock their instance has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rejudged import run_of

from kms_conformance.outputs import har
from kms_conformance.outputs.writers import write_all
from kms_conformance.verification.check import examine
from kms_conformance.verification.rejudge import read_record

CASES = (
    # A wait first, which moves the clock of a shared instance for all that come after it.
    "key_protect.rotation.rotate_again_after_55_minutes",
    "key_protect.rotation.rotate_twice_at_the_same_moment",
    "key_protect.laws.concurrency[clients-of-registrations]",
    "key_protect.laws.concurrency[rotate-name]",
    # With jobs, several clients share what only reads.
    "key_protect.laws.effects[root-imported-suspended]",
    "key_protect.laws.relations[registrations-of-a-key]",
)
SHARED = "7f1d1c4e-0000-4000-8000-000000000000"


@pytest.fixture(scope="module", name="recorded")
def recorded_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of such cases on a shared instance of a sound server."""
    from cases import collected, run_cases  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    folder = tmp_path_factory.mktemp("laws")
    some = {case_id: collected("key_protect")[case_id] for case_id in CASES}
    with without_sockets(), reference() as (target, _):
        write_all(run_cases(replace(target, instance=SHARED), some, "key_protect", jobs=2), folder)
    return folder


def _complaints(directory: Path) -> list[str]:
    return [sentence for sentence in examine(directory).problems if sentence.startswith("transcript.har: ")]


def _without(directory: Path, kind: str) -> None:
    document = json.loads((directory / har.NAME).read_text())
    for entry in document["log"]["entries"]:
        for expectation in list(entry["_kms"]["expectations"]):
            for member in expectation["members"]:
                if kind == "history" and member["check"] == "one-order":
                    value: dict[str, Any] = json.loads(member["value"])
                    value["requests"] = value["requests"][:-1]
                    member["value"] = json.dumps(value)
            if kind == "effect" and expectation["requirement"] == "law-effects-bystander":
                entry["_kms"]["expectations"].remove(expectation)
    (directory / har.NAME).write_text(json.dumps(document))
    record = read_record(directory)
    write_all(run_of(record, har.read(directory / har.NAME), directory), directory)


def test_laws_are_as_recorded(recorded: Path) -> None:
    """Cases that nobody has touched are played again to their end, and are what they were."""
    found = examine(recorded)
    assert _complaints(recorded) == []
    assert not [note for note in found.notes if "played" in note]
    ahead = {case["id"]: case.get("clock_ahead_s", 0.0) for case in read_record(recorded)["cases"]}
    assert ahead["key_protect.laws.concurrency[rotate-name]"] > 3000


@pytest.mark.parametrize("kind", ["history", "effect"])
def test_what_is_left_out_is_refused(kind: str, recorded: Path, tmp_path: Path) -> None:
    """A history without its last answer, and a look at a thing about which nothing is stated any more."""
    copy = Path(shutil.copytree(recorded, tmp_path / "copy"))
    _without(copy, kind)
    assert _complaints(copy)


def _clients(document: dict[str, Any], _: dict[str, Any]) -> None:
    for entry in document["log"]["entries"]:
        entry["_kms"]["notes"].pop("client", None)


def _clock(_: dict[str, Any], record: dict[str, Any]) -> None:
    *_, last = (case for case in record["cases"] if case.get("clock_ahead_s"))
    last["clock_ahead_s"] = 60.0


def _other_run(document: dict[str, Any], record: dict[str, Any]) -> None:
    record["run_id"] = "00000000"
    document["log"]["_kms"]["run_id"] = "00000000"


def _earlier(document: dict[str, Any], _: dict[str, Any]) -> None:
    for entry in document["log"]["entries"]:
        if entry["_kms"]["case"] == CASES[0]:
            entry["_kms"]["started"] -= 86400.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_clients, "transcript.har: "),
        (_clock, "clock_ahead_s of "),
        (_other_run, "names a thing of run "),
        # It waits, but the control protocol moves its clock, so that no earlier run has begun it.
        (_earlier, f"lies outside the time of {CASES[0]}"),
    ],
)
def test_circumstances_fit_the_evidence(
    change: Callable[[dict[str, Any], dict[str, Any]], None], sentence: str, recorded: Path, tmp_path: Path
) -> None:
    """Who of several asked, how far the clock was ahead and which run it was cannot be rewritten."""
    copy = Path(shutil.copytree(recorded, tmp_path / "copy"))
    document, record = json.loads((copy / har.NAME).read_text()), read_record(copy)
    change(document, record)
    (copy / har.NAME).write_text(json.dumps(document))
    write_all(run_of(record, har.read(copy / har.NAME), copy), copy)
    assert any(sentence in told for told in examine(copy).problems)
