"""The transcript: HAR for any viewer, and everything that judging again takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.errors import TranscriptError
from kms_conformance.judging.judge import judge
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import har

SCHEMAS = SchemaFiles()


@settings(deadline=None)
@given(case=st.from_type(CaseResult))
def test_reading_back_gives_equal_objects_and_equal_findings(
    case: CaseResult, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A stored transcript, judged again, gives the very findings of the run."""
    run = Run(Profile.GATE, (case,), ())
    again = har.read(har.write(run, tmp_path_factory.getbasetemp()))
    assert [exchange for exchange, _ in again] == sorted(
        case.exchanges, key=lambda exchange: exchange.started
    )
    by_id = {exchange.id: exchange for exchange in case.exchanges}
    read = [(expectation, exchange) for exchange, expected in again for expectation in expected]
    original = [(expectation, by_id[expectation.exchange]) for expectation in case.expectations]
    assert sorted(read, key=repr) == sorted(original, key=repr)
    findings = sorted(repr(judge(*pair, SCHEMAS)) for pair in original)
    assert sorted(repr(judge(*pair, SCHEMAS)) for pair in read) == findings


def test_document_is_har(realistic: Callable[[int, int], Run]) -> None:
    """The members that HAR 1.2 demands are there, and what is ours begins with an underscore."""
    log = json.loads(har.render(realistic(20, 2)))["log"]
    assert log["version"] == "1.2"
    assert set(log) == {"version", "creator", "pages", "entries", "_kms"}
    entry = log["entries"][0]
    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
    assert {name for name in entry if name.startswith("_")} == {"_kms"}
    assert {
        "method",
        "url",
        "httpVersion",
        "cookies",
        "headers",
        "queryString",
        "headersSize",
        "bodySize",
    } <= set(entry["request"])
    assert {
        "status",
        "statusText",
        "httpVersion",
        "cookies",
        "headers",
        "content",
        "redirectURL",
        "headersSize",
        "bodySize",
    } <= set(entry["response"])
    assert entry["request"]["queryString"] == [{"name": "limit", "value": "20"}]
    assert entry["pageref"] in {page["id"] for page in log["pages"]}
    assert {"case", "step", "operation", "identity", "id", "trouble", "expectations"} <= set(entry["_kms"])


def test_entries_are_in_the_order_of_time(realistic: Callable[[int, int], Run]) -> None:
    """Cases overlap; a transcript tells what happened when, and its head how the run was made."""
    log = json.loads(har.render(realistic(20, 2)))["log"]
    times = [entry["startedDateTime"] for entry in log["entries"]]
    assert times == sorted(times)
    assert [entry["pageref"] for entry in log["entries"]][:2] != [log["pages"][0]["id"]] * 2
    assert log["_kms"]["about"]["Left behind"].startswith("key kmsct-1")


def test_exchange_without_answer_says_why(realistic: Callable[[int, int], Run]) -> None:
    """Where no answer came, the response has status 0 and the trouble."""
    case = realistic(1, 1).cases[0]
    silent = replace(case.exchanges[0], answer=None, trouble="no complete answer within 10 s")
    run = Run(Profile.GATE, (replace(case, exchanges=(silent,)),), ())
    response = json.loads(har.render(run))["log"]["entries"][0]["response"]
    assert response["status"] == 0
    assert response["_error"] == "no complete answer within 10 s"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nonsense", '{"log": {"entries": [{}]}}', '{"log": {"entries": [1]}}', "[" * 100_000],
)
def test_broken_transcript_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """What is no transcript ends in an error that a user can read."""
    path = tmp_path / "broken.har"
    path.write_text(text)
    with pytest.raises(TranscriptError, match=r"broken\.har"):
        har.read(path)


def test_missing_transcript_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(TranscriptError, match=r"none\.har"):
        har.read(tmp_path / "none.har")
