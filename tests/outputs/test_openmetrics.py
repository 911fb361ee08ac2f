"""Metrics: each family once, escaped labels, an end, and no half of a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kms_conformance.errors import ReportDirError
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs.openmetrics import text, write_metrics

SAMPLE = re.compile(r'kms_conformance_[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+')


def run(**meta: object) -> Run:
    """Return a run of no case."""
    return Run(Profile.NIGHTLY, (), (), started=1_795_962_800.0, finished=1_795_962_813.5, meta=meta)


def test_form() -> None:
    """Every line is a sample or says what a family is; the text ends as the format asks for."""
    lines = text(run(target={"base_url": 'https://x/"\\\n'}, requests={"sent": 12, "throttled": 3})).split(
        "\n"
    )
    assert lines[-2:] == ["# EOF", ""]
    families = [line.split(" ")[2] for line in lines if line.startswith("# TYPE ")]
    assert len(families) == len(set(families)) == 9
    for line in lines[:-2]:
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#") and line)
    values = {
        name.partition("{")[0]: float(value) for name, value in samples.items() if "verdict=" not in name
    }
    assert values["kms_conformance_requests"] == 12
    assert values["kms_conformance_duration_seconds"] == 13.5
    assert values["kms_conformance_finished_timestamp_seconds"] == 1_795_962_813.5
    assert values["kms_conformance_exit_code"] == 3


def test_file(tmp_path: Path) -> None:
    """The file appears at once, and what keeps it from that is told."""
    write_metrics(run(), tmp_path / "kms.prom")
    assert (tmp_path / "kms.prom").read_text() == text(run())
    assert [entry.name for entry in tmp_path.iterdir()] == ["kms.prom"]
    with pytest.raises(ReportDirError):
        write_metrics(run(), tmp_path / "nowhere" / "kms.prom")
