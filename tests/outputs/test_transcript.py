"""A transcript that is read case by case says what it says when it is read whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kms_conformance.errors import TranscriptError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import har
from kms_conformance.outputs.transcript import StoredExchanges, StoredExpectations, Transcript, outlines_of

Realistic = Callable[[int, int], Run]


@pytest.fixture(name="run", scope="module")
def run_fixture(realistic: Realistic) -> Run:
    """Return a run with 40 cases."""
    return realistic(40, 3)


@pytest.fixture(name="path")
def path_fixture(run: Run, tmp_path: Path) -> Path:
    """Return its transcript."""
    return har.write(run, tmp_path)


def kept_on_disk(run: Run, transcript: Transcript) -> Run:
    """Return a run whose evidence is in the transcript only."""
    cases = []
    for case in run.cases:
        places = transcript.cases.get(case.id)
        if places is not None:
            transcript.note_form(places)
            outlines = outlines_of(transcript.load(places))
            exchanges = StoredExchanges(transcript, places, outlines)
            expectations = StoredExpectations(transcript, places, len(case.expectations))
            case = replace(case, exchanges=exchanges, expectations=expectations)  # noqa: PLW2901 - the same case
        cases.append(case)
    return replace(run, cases=tuple(cases))


def read_whole(path: Path) -> None:
    """Read every case of a transcript."""
    with closing(Transcript(path)) as transcript:
        for places in transcript.cases.values():
            transcript.load(places)


def test_each_case_as_it_was(run: Run, path: Path) -> None:
    """Exchanges, expectations and outlines of each case are those of the run."""
    with closing(Transcript(path)) as transcript:
        for case, kept in zip(run.cases, kept_on_disk(run, transcript).cases, strict=True):
            assert list(kept.exchanges) == list(case.exchanges)
            assert list(kept.expectations) == list(case.expectations)
            assert tuple(kept.outlines) == tuple(case.outlines)
            assert list(kept.exchanges[-1:]) == list(case.exchanges[-1:])
        assert transcript.size == sum(len(case.exchanges) for case in run.cases)


def test_written_anew(run: Run, path: Path) -> None:
    """A run whose evidence is on disk writes the transcript that it was read from."""
    with closing(Transcript(path)) as transcript:
        assert har.render(kept_on_disk(run, transcript)) == path.read_text()


def test_in_another_form(run: Run, path: Path) -> None:
    """One that somebody has written in other lines is read too, and written as a run writes it."""
    text = path.read_text()
    for other in (json.dumps(json.loads(text)), text.replace('"pageref": ', '"pageref":  ')):
        path.write_text(other)
        with closing(Transcript(path)) as transcript:
            assert har.render(kept_on_disk(run, transcript)) == text


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"_kms": {"case": "', '"_kms": {"case": "other.', 1).replace(
            '"expectations": [', '"x": {"_kms": {"case": "a"}}, "expectations": [', 1
        ),
        lambda text: text.replace('"started": ', '"began": '),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("]}}\n", "]}}\n{}\n"),
    ],
)
def test_refused(path: Path, edit: Callable[[str], str]) -> None:
    """An entry of two cases, one without a member, and a file that is cut off or goes on are refused."""
    path.write_text(edit(path.read_text()))
    with pytest.raises(TranscriptError):
        read_whole(path)
