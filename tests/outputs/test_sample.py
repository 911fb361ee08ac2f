"""The sample report is one that this version of the suite writes; `make sample` makes it anew."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sample import (
    CERTIFICATE,
    CHALLENGE,
    CONFORMANT,
    DEFECTS,
    NON_CONFORMANT,
    PLACE,
    PUBLIC_KEY,
    arguments,
)

from kms_conformance.outputs import results
from kms_conformance.verification.bundle import NAME
from kms_conformance.verification.check import examine
from kms_conformance.verification.keys import read_public
from kms_conformance.verification.verify import verify


def stable(directory: Path) -> dict[str, Any]:
    """Return what two runs of the same server have in common: verdicts, causes, and which files there are."""
    record = json.loads((directory / results.NAME).read_text())
    return {
        "headline": record["headline"],
        "exit_code": record["exit_code"],
        "options": record["options"],
        "cases": {
            case["id"]: [case["verdict"], case["title"], case["requirements"]] for case in record["cases"]
        },
        "rows": {row["id"]: [row["verdict"], row["text"]] for row in record["requirements"]},
        "groups": [
            [group[name] for name in ("section", "severity", "expected", "got", "rows")]
            for group in record["groups"]
        ],
        "files": sorted(
            path.relative_to(directory).as_posix()
            for path in directory.rglob("*")
            if path.is_file() and path.parent.name != "allure-results"
        ),
    }


@pytest.mark.xdist_group("whole-runs")
def test_sample_is_fresh(command: Callable[..., Any], tmp_path: Path) -> None:
    """A run of today has the cases, verdicts, causes and files of the sample: else `make sample` is due."""
    assert command(*arguments("out")).code == NON_CONFORMANT
    assert stable(PLACE) == stable(tmp_path / "out"), "the sample is of another version: run `make sample`"


def test_sample_is_as_recorded() -> None:
    """The sample ends as its run did when it is judged again: else it is of another version, and `make sample` is due."""
    examination = examine(PLACE)
    assert (examination.problems, examination.exit_code) == ((), NON_CONFORMANT), "run `make sample`"
    assert len(json.loads((PLACE / results.NAME).read_text())["groups"]) >= len(DEFECTS)


def test_certificate_verifies() -> None:
    """The signed sample is accepted with its key and challenge: else it is of another version, and `make sample` is due."""
    with zipfile.ZipFile(CERTIFICATE / NAME) as opened:
        made = datetime.fromisoformat(json.loads(opened.read(results.NAME))["finished"])
    verified = verify(CERTIFICATE / NAME, read_public(CERTIFICATE / PUBLIC_KEY), CHALLENGE, made)
    examination = verified.examination
    assert (examination.problems, examination.exit_code) == ((), CONFORMANT), "run `make sample`"
    assert str(Path.home()) not in json.dumps(verified.record)


def test_sample_names_no_machine() -> None:
    """Nothing in the sample tells where it was made."""
    text = (PLACE / results.NAME).read_text()
    assert str(Path.home()) not in text
    assert str(Path(__file__).parents[2]) not in text
