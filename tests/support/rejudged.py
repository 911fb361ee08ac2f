"""A whole run of a report directory, judged again: every case's verdict made anew from the transcript."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kms_conformance.errors import RecordError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import har, results
from kms_conformance.verification.rejudge import (
    Judged,
    Judgements,
    case_of,
    demand_contracts,
    read_record,
    run_with,
)


def rejudge(directory: Path) -> dict[str, Any]:
    """Judge the run in a report directory again and return its ``results.json`` as a document.

    Raises :class:`RecordError` when the directory holds no run, or one that was judged by another contract, and
    :class:`kms_conformance.outputs.har.TranscriptError` when the transcript cannot be read.
    """
    record = read_record(directory)
    transcript = har.read(directory / har.NAME)
    try:
        return results.render(run_of(record, transcript, directory))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            str(directory), f"a member of results.json is missing or of the wrong kind ({error!r})"
        ) from error


def text_of(document: Mapping[str, Any]) -> str:
    """Return ``results.json`` as a run writes it."""
    return json.dumps(document, indent=1) + "\n"


def run_of(record: Mapping[str, Any], transcript: Iterable[Judged], directory: Path) -> Run:
    """Return the verdict object made anew: times and circumstances are those of then, what follows from judging is new."""
    evidence: dict[str, list[Judged]] = {}
    for exchange, expectations in transcript:
        evidence.setdefault(exchange.case, []).append((exchange, expectations))
    demand_contracts(record, directory)
    return run_with(
        record, [case_of(row, evidence.get(row["id"], []), Judgements()) for row in record["cases"]]
    )
