"""The terminal: verdict first, at most twelve lines a failure, nothing that acts."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run, headline
from kms_conformance.outputs import progress as progress_module
from kms_conformance.outputs.terminal import Progress, summary_lines


def test_lines_of_a_failure(realistic: Callable[[int, int], Run]) -> None:
    """Case, rule, requirement, expected, got, curl, evidence, section: in that order, and the report at the end."""
    run = realistic(40, 2)
    lines = summary_lines(run, Path("reports/out"))
    assert lines[0] == headline(run)
    assert lines[2] == "FAILED demo/bodies/test_body_17_is_missing"
    assert [line.split()[0] for line in lines[3:10]] == [
        "rule",
        "requirement",
        "expected",
        "got",
        "curl",
        "evidence",
        "section",
    ]
    assert lines[3].endswith(" A key is not created without a body.")
    assert lines[8].endswith(" reports/out/report.html#x00171")
    assert "not-tested (1 case): needs [identities.reader]" in lines
    assert lines[-1] == "report: reports/out"


def test_long_lists_are_counted(realistic: Callable[[int, int], Run]) -> None:
    """Ten failures are told in full, then a number; the rest one line each, at most ten of a kind."""
    cases = realistic(400, 1).cases
    lines = summary_lines(replace(realistic(1, 1), cases=cases), "out")
    failures = [line for line in lines if line.startswith("FAILED")]
    assert len(failures) == 10
    assert "and 3 more failures; the report has them all" in lines
    assert "warned: and 3 more" in lines
    assert max(map(len, _paragraphs(lines)[1:11])) <= 12
    assert len(lines) < 180


@pytest.mark.parametrize("width", [0, 60, 200])
def test_width_is_kept(realistic: Callable[[int, int], Run], width: int) -> None:
    """Lines with a server's text fit the terminal."""
    lines = summary_lines(realistic(40, 2), "out", width=width)
    assert all(len(line) <= max(width, 40) for line in lines if line.startswith(("  got", "warned", "error")))


@pytest.mark.parametrize(
    ("curl", "told"),
    [
        ("curl -sS " + "x" * 900, "curl -sS " + "x" * 900),
        ("curl -sS " + "x" * 1000, "(a line of 1009 characters: see the evidence)"),
        ("curl -sS -d 'a\nb'", "(a line of 17 characters: see the evidence)"),
    ],
)
def test_curl_line_can_be_pasted(curl: str, told: str) -> None:
    """It is told whole or not at all: half of it would leave a quotation mark open."""
    finding = Finding("row", Verdict.FAILED, "204", "200", "x00001", curl, "step")
    case = CaseResult("a", "A", "demo", Verdict.FAILED, ("row",), findings=(finding,))
    lines = summary_lines(Run(Profile.GATE, (case,), (), "", ""), "out", width=60)
    assert f"  curl        {told}" in lines


def test_hostile_text_does_not_act() -> None:
    """Escape sequences, line breaks and direction marks of a server are shown, not obeyed."""
    text = "a\x1b]0;title\x07\r\n\u202eb"
    finding = Finding(text, Verdict.FAILED, text, text, text, text)
    cases = [
        CaseResult(text, text, text, verdict, (), text, text, findings=(finding,), rule=text)
        for verdict in Verdict
    ]
    lines = summary_lines(Run(Profile.GATE, tuple(cases), (), text, text), f"out/{text}")
    assert all(line.isprintable() for line in lines)


def test_nothing_is_told_of_a_short_run() -> None:
    """A run of less than two seconds shows no progress at all."""
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.start(3)
    for _ in range(3):
        clock.at += 0.6
        progress.case(CaseResult("a", "A", "one", Verdict.PASSED, ()))
    progress.stop()
    assert stream.getvalue() == ""


def test_plain_lines_are_rare() -> None:
    """Without a terminal there is a line at most every two seconds."""
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.start(100)
    for number in range(100):
        clock.at += 0.1
        verdict = Verdict.FAILED if number == 7 else Verdict.PASSED
        progress.case(CaseResult("a", "A", "one", verdict, ()))
    progress.waiting(2, clock.at + 30)
    progress.stop()
    lines = stream.getvalue().splitlines()
    assert 4 <= len(lines) <= 5
    assert lines[0].startswith("20/100 cases; 1 failed; 2.0 s") or lines[0].startswith("21/100")
    assert "\x1b" not in stream.getvalue()


def test_waiting_is_told() -> None:
    """A wait says how many cases wait, and how long yet."""
    clock = Clock()
    progress = Progress(io.StringIO(), clock)
    progress.start(5)
    progress.waiting(2, clock.at + 90)
    assert progress.line() == "0/5 cases; 2 waiting, 1 min 30 s left; 0 ms"
    clock.at += 100
    assert "waiting" not in progress.line()


def test_a_terminal_gets_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the line appears after the quiet time by itself, and goes away at the end."""
    monkeypatch.setattr(progress_module, "QUIET", 0.05)
    stream = Terminal()
    progress = Progress(stream)
    progress.start(9)
    progress.case(CaseResult("a", "A", "one", Verdict.PASSED, ()))
    until = time.monotonic() + 10
    while "1/9 cases" not in stream.getvalue() and time.monotonic() < until:
        time.sleep(0.02)
    progress.stop()
    assert "1/9 cases" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
    progress.stop()


def test_a_short_run_on_a_terminal_shows_nothing() -> None:
    """The live line does not appear after the end."""
    stream = Terminal()
    progress = Progress(stream)
    progress.start(1)
    progress.stop()
    progress._show()
    assert stream.getvalue() == ""


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def _paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        else:
            found.append([])
    return found
