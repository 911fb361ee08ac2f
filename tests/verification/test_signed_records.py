"""The record of a run whose requests were signed is judged again like any other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "adapters" / "aws_kms"))

from fake_kms import Keys, serving
from runs import run_cases

from kms_conformance.outputs.write import write_all
from kms_conformance.target.target import build_target
from kms_conformance.verification.check import examine

CASES = "kms_conformance.scenarios.aws_kms.test_keys"


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Keys]:
    """Return the report of some cases, of which one fails, and the server that they were run on."""
    with serving() as keys:
        document: dict[str, Any] = {
            "base_url": keys.url,
            "contract": "aws_kms",
            "identities": {
                "principal": {"access_key_id": "AKIDTHROWAWAY", "secret_access_key": "a-secret-access-key"}
            },
            "allow": {"aws_litter": True},
        }
        target = build_target(document, {})
        run = run_cases(target, "-k", "repeats", "--pyargs", place=CASES, contracts=("aws_kms",))
    write_all(run, tmp_path)
    return tmp_path, keys


def departures(folder: Path) -> list[str]:
    """Return where the transcript is not that of the cases; that some of a module's cases make a run is another matter."""
    return [line for line in examine(folder).problems if line.startswith("transcript.har")]


def test_signed_record(recorded: tuple[Path, Keys]) -> None:
    """Every case is played again without any secret, although each request was signed at its own time."""
    assert departures(recorded[0]) == []


def test_another_request_is_seen(recorded: tuple[Path, Keys]) -> None:
    """A request that is not the one of the case is a departure; its signature does not hide it."""
    transcript = recorded[0] / "transcript.har"
    text = transcript.read_text(encoding="utf-8")
    transcript.write_text(text.replace("TrentService.DisableKey", "TrentService.EnableKey"), encoding="utf-8")
    assert departures(recorded[0]) != []
