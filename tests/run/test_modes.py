"""What a run may send: a reference that records every change says what it did send."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from change_recorder import Changes, recorded
from commands import Command
from runs import served_target

from kms_conformance.run.eligibility import switched_off
from kms_conformance.target.target import FULL, READ_ONLY, SAFE, Target
from kms_reference.server import Server
from kms_reference.target import target_text

UUID = re.compile(r"/keys/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
CHANGING = "instance_policies or import_tokens or allowed_ip or dual_details or states or kmip or aliases"
Runs = Callable[..., tuple[dict[str, Any], Changes]]


@pytest.fixture
def runs(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return a function that judges a shared instance in a mode, where the target permits everything."""

    def run(*arguments: str) -> tuple[dict[str, Any], Changes]:
        with recorded(monkeypatch) as changes, Server() as server:
            text = target_text(server).partition("[hpcs_tke]")[0]
            path = tmp_path / "target.toml"
            path.write_text(text.replace('instance = "fresh"', f'instance = "{uuid4()}"'))
            ended = command("run", "--target", str(path), "--report-dir", "report", *arguments)
            assert not server.crashes
        assert ended.code in {0, 1, 3}, ended.output
        document: dict[str, Any] = json.loads((tmp_path / "report" / "results.json").read_text())
        return document, changes

    return run


def test_read_only_changes_nothing(runs: Runs) -> None:
    """A whole run that only reads, generated requests and raw ones included, sends nothing that may change something."""
    document, changes = runs("--mode", READ_ONLY, "--max-examples", "1", "--jobs", "8")
    assert changes.asked == []
    assert document["target"]["mode"] == READ_ONLY
    assert document["counts"]["failed"] == document["counts"]["error"] == 0
    assert document["counts"]["passed"] > 0
    messages = {case["message"] for case in document["cases"] if case["verdict"] == "not-tested"}
    assert any("--mode read-only sends no request that may change something" in text for text in messages)


def test_read_only_is_judged_again(runs: Runs, command: Command) -> None:
    """The record of a run that only reads says its mode, so that judging again comes to the same."""
    document, _ = runs("--mode", READ_ONLY, "-k", "test_allowed_ip or test_lists")
    assert "instance_policies" in document["target"]["without_effect"]
    again = command("judge", "report")
    assert again.code == 3, again.output
    assert "the same verdict" in again.output


def test_safe_touches_own_things_only(runs: Runs) -> None:
    """What [allow] permits is not done in the mode safe, and no key is touched that the run has not made."""
    document, changes = runs("--mode", SAFE, "-k", CHANGING)
    assert changes.to("/keys")
    assert changes.to("/instance/policies") == []
    assert changes.to("/import_token") == []
    named = {key for _, path in changes.asked for key in UUID.findall(path)}
    assert named & set(changes.made)
    messages = {case["message"] for case in document["cases"] if case["verdict"] == "not-tested"}
    assert any("--mode full lets it run" in text for text in messages)
    assert document["target"]["allow"] == {}


def test_full_does_what_is_allowed(runs: Runs) -> None:
    """In the mode full, policies of the instance are changed where [allow] permits it."""
    document, changes = runs("--mode", FULL, "-k", "test_instance_policies")
    assert changes.to("/instance/policies")
    assert "mode" not in document["target"]


@pytest.fixture
def elsewhere(reference: Server) -> Target:
    """Return a target that is not on this machine, where two things are allowed."""
    target = served_target(reference, allow={"instance_policies": True, "raw": False})
    return replace(target, base_url="https://kms.example.test", instance=str(uuid4()))


def test_usual_mode(elsewhere: Target) -> None:
    """Without a mode a run is safe on a real target, and full on this machine."""
    assert elsewhere.in_mode("").mode == SAFE
    assert replace(elsewhere, base_url="http://127.0.0.1:1").in_mode("").mode == FULL


def test_what_a_mode_takes_away(elsewhere: Target) -> None:
    """Only the mode full leaves [allow] its effect, and only one that reads only takes the clock away; twice is as once."""
    assert elsewhere.in_mode(FULL).allow == elsewhere.allow
    safe = elsewhere.in_mode(SAFE)
    assert (safe.allow, safe.unused, safe.control_url) == ({}, ("instance_policies",), elsewhere.control_url)
    assert safe.in_mode(SAFE) == safe
    assert elsewhere.in_mode(READ_ONLY).control_url == ""


def test_what_is_missing(elsewhere: Target) -> None:
    """A case that needs a permission says whether the mode or the target lacks it."""
    assert switched_off("instance", elsewhere.in_mode(FULL)) == ""
    assert switched_off("instance", elsewhere.in_mode(SAFE)) == "--mode full"
    assert switched_off("litter", elsewhere.in_mode(SAFE)) == "[allow] dual_auth_litter = true"
