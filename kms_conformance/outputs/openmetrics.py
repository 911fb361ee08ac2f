"""The run as an OpenMetrics text file, as a collector of a monitoring system takes it up (openmetrics.io, version 1.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kms_conformance.errors import ReportDirError
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.outputs.files import put

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_STEM = "kms_conformance"


def write_metrics(run: Run, path: Path) -> None:
    """Write the file at once, so that no collector sees half of it; raise :class:`ReportDirError` when that fails."""
    try:
        put(path, text(run))
    except OSError as error:
        raise ReportDirError(str(path), error.strerror or str(error)) from error


def text(run: Run) -> str:
    """Return the metrics of a run; their labels hold nothing that a server has chosen."""
    target = run.meta.get("target", {})
    labels = {"base_url": target.get("base_url", ""), "profile": run.profile.value}
    lines = [line for family in _families(run, labels) for line in family]
    return "\n".join([*lines, "# EOF", ""])


def _families(run: Run, labels: Mapping[str, str]) -> Iterator[list[str]]:
    verdicts = {verdict.value: float(run.verdict is verdict) for verdict in RunVerdict}
    yield _family(
        "verdict", "stateset", "The verdict of the last run.", labels, verdicts, label=f"{_STEM}_verdict"
    )
    counts = {name: float(number) for name, number in run.counts.items()}
    yield _family("cases", "gauge", "Cases of the last run by verdict.", labels, counts, label="verdict")
    rows = {
        name: float(sum(result.verdict.value == name for result in run.requirements)) for name in run.counts
    }
    yield _family("rows", "gauge", "Rows of the contract by verdict.", labels, rows, label="verdict")
    requests = run.meta.get("requests", {})
    singles = {
        "exit_code": (float(run.exit_code), "Exit code of the last run."),
        "not_run_cases": (float(run.not_run), "Cases that the last run left out or did not get to."),
        "requests": (float(requests.get("sent", 0)), "Requests that the last run sent."),
        "throttled_requests": (float(requests.get("throttled", 0)), "Of these, answered by 429."),
        "duration_seconds": (run.finished - run.started, "How long the last run took."),
        "finished_timestamp_seconds": (run.finished, "When the last run ended."),
    }
    for name, (value, what) in singles.items():
        yield _family(name, "gauge", what, labels, {"": value})


def _family(
    name: str,
    kind: str,
    what: str,
    labels: Mapping[str, str],
    values: Mapping[str, float],
    *,
    label: str = "",
) -> list[str]:
    full = f"{_STEM}_{name}"
    lines = [f"# TYPE {full} {kind}", f"# HELP {full} {what}"]
    lines[1:1] = [f"# UNIT {full} seconds"] if name.endswith("_seconds") else []
    for key, value in values.items():
        sample_labels = {**labels, **({label: key} if label else {})}
        shown = ",".join(f'{label_name}="{_escaped(entry)}"' for label_name, entry in sample_labels.items())
        lines.append(f"{full}{{{shown}}} {value:.10g}" if value < 1e9 else f"{full}{{{shown}}} {value:.3f}")  # noqa: PLR2004 - a date has more digits
    return lines


def _escaped(value: str) -> str:
    return re.sub(r'[\\"\n]', lambda match: _ESCAPES[match[0]], value)
