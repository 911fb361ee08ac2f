"""What a nightly run prints: one line, or a line of JSON for each event, and a file of metrics."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Command


def test_quiet_with_events_and_metrics(command: Command, tmp_path: Path) -> None:
    """Standard output has the verdict line alone, standard error the events; the metrics say the same."""
    ended = command(
        *("run", "-k", "list_shows_the_key", "--quiet", "--progress", "json", "--metrics", "kms.prom")
    )
    lines = ended.out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("NOT-VERIFIED: 1 passed; partial run: ")
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert [event["event"] for event in events] == ["start", "case", "end"]
    assert events[1]["verdict"] == "passed"
    assert (events[1]["done"], events[1]["cases"]) == (1, 1)
    metrics = (tmp_path / "kms.prom").read_text()
    assert 'verdict="passed"} 1\n' in metrics
    assert metrics.endswith("# EOF\n")


def test_quiet_is_silent(command: Command) -> None:
    """Without events standard error is empty."""
    ended = command("run", "-k", "list_shows_the_key", "--quiet")
    assert ended.err == ""
    assert ended.code == 3
