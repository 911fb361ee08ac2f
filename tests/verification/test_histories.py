"""A record of several clients is refused where an answer is left out of the histories that it states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.outputs import har, write_all
from kms_conformance.verification.check import examine
from kms_conformance.verification.rejudge import read_record, run_of

CASES = ("key_protect.laws.concurrency[rotate-name]", "key_protect.laws.effects[root-imported-suspended]")


@pytest.fixture(scope="module", name="recorded")
def recorded_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of two cases of laws on a sound server."""
    from cases import collected, run_cases  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    folder = tmp_path_factory.mktemp("laws")
    some = {case_id: collected("key_protect")[case_id] for case_id in CASES}
    with without_sockets(), reference() as (target, _):
        write_all(run_cases(target, some, "key_protect"), folder)
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
    """Cases of laws that nobody has touched are played again, and are what they were."""
    assert _complaints(recorded) == []


@pytest.mark.parametrize("kind", ["history", "effect"])
def test_what_is_left_out_is_refused(kind: str, recorded: Path, tmp_path: Path) -> None:
    """A history without its last answer, and a look at a thing about which nothing is stated any more."""
    copy = Path(shutil.copytree(recorded, tmp_path / "copy"))
    _without(copy, kind)
    assert _complaints(copy)
