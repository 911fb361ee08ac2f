"""Two endpoints judged with the same cases, and what sets their answers apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kms_reference.server import Server
from kms_reference.target import write_target


def test_two_endpoints(command: Callable[..., Any], target_file: Path, tmp_path: Path) -> None:
    """The broken endpoint fails where the sound one passes, and the answer that differs is named."""
    with Server(defects=("wrap-on-disabled-key",)) as broken:
        write_target(tmp_path / "broken.toml", broken)
        words = [
            "--live",
            target_file.name,
            "broken.toml",
            "-k",
            "action_on_disabled_key and not by",  # without the views
            "--format",
            "json",
        ]
        ended = command("compare", *words)
    assert ended.code == 16, ended.err
    document = json.loads(ended.out)
    assert [entry["case"] for entry in document["newly_failing"]] == [
        "key_protect.states.action_on_disabled_key[wrap]"
    ]
    (answer,) = document["changed_answers"]
    assert answer["before"].startswith("409 KEY_ACTION_INVALID_STATE_ERR")
    assert answer["after"] == "200"
    assert (tmp_path / "reports" / "compared" / "after" / "report.html").exists()


def test_unreachable_endpoint(command: Callable[..., Any], target_file: Path, tmp_path: Path) -> None:
    """An endpoint that cannot be judged ends the comparison with a sentence."""
    text = target_file.read_text().replace("http://127.0.0.1:", "http://127.0.0.1:1", 1)
    (tmp_path / "away.toml").write_text(text)
    ended = command("compare", "--live", "away.toml", target_file.name, "-k", "action_on_disabled_key")
    assert ended.code == 2
    assert "has no verdict" in ended.err
