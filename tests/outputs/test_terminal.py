"""The terminal: verdict first, at most twelve lines a failure, nothing that acts."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run, headline
from kms_conformance.outputs import progress as progress_module
from kms_conformance.outputs.terminal import Progress, print_summary, summary_lines


def test_lines_of_a_cause(realistic: Callable[[int, int], Run]) -> None:
    """Section, rule, expected, got, rows, cases, evidence, page, how to run it again; then the report and the verdict."""
    run = realistic(40, 2)
    lines = summary_lines(run, Path("reports/out"))
    assert lines[0] == lines[-1] == headline(run)
    assert lines[2] == "1 failed case, 1 cause:"
    assert lines[4] == "FAILED 1 case: The body of request 4 is missing"
    block = lines[5 : lines.index("", 5)]
    names = [line.split()[0] for line in block if not line.startswith(" " * 14)]
    assert names == ["rule", "expected", "got", "rows", "cases", "evidence", "section", "again"]
    report = f"{Path('reports/out/report.html').absolute().as_uri()}"
    assert f"  evidence    {report}#x00171" in lines
    assert "  again       kms-conformance run --target t.toml -k demo/bodies/test_body_17_is_missing" in lines
    assert "not-tested 1 case: needs [identities.reader]" in lines
    assert lines[-2] == f"report: {report}"


def test_what_the_run_did_is_told(realistic: Callable[[int, int], Run]) -> None:
    """Things left behind, requests, retries, clock and roles stand between the failures and the report."""
    text = " ".join(" ".join(summary_lines(realistic(40, 2), "out")).split())
    assert (
        "left behind key kmsct-1 in instance 7f1d: it is still there (403) (`kms-conformance sweep --yes` tries"
        in text
    )
    assert "requests 90, 3 answered by 429 and sent again after 4.5 s in all" in text
    assert "clock the endpoint's and ours agree" in text
    assert "identities manager (its token says Manager), reader" in text


def test_one_cause_is_one_block(realistic: Callable[[int, int], Run]) -> None:
    """Ten failures that say the same of one section are one block, with the number of cases."""
    failed = next(case for case in realistic(40, 2).cases if case.verdict is Verdict.FAILED)
    cases = tuple(replace(failed, id=f"demo.bodies.case_{number}") for number in range(10))
    lines = summary_lines(replace(realistic(40, 2), cases=cases), "out")
    assert [line for line in lines if line.startswith("FAILED")] == [
        "FAILED 10 cases: The body of request 4 is missing"
    ]
    assert "  cases       demo.bodies.case_0, demo.bodies.case_1, demo.bodies.case_2 and 7 more" in lines
    assert sum(line.startswith("  again ") for line in lines) == 1


def test_long_lists_are_counted(realistic: Callable[[int, int], Run]) -> None:
    """Ten causes are told in full, then a number; the rest at most ten lines of a kind."""
    lines = summary_lines(realistic(400, 1), "out")
    failures = [line for line in lines if line.startswith("FAILED")]
    assert len(failures) == 10
    assert "and 3 more causes; the report has them all" in lines
    assert "warned: and 3 more" in lines
    assert len(lines) < 200


@pytest.mark.parametrize("width", [0, 60, 80, 120])
def test_width_is_kept(realistic: Callable[[int, int], Run], width: int) -> None:
    """Lines with a server's text fit the terminal: they are wrapped, at most to three lines, and begin under each other."""
    run = realistic(40, 2)
    long = "400 with a body that is not an error-envelope: " + "member " * 60
    cases = [
        replace(case, findings=tuple(replace(finding, got=long) for finding in case.findings))
        for case in run.cases
    ]
    lines = summary_lines(replace(run, cases=tuple(cases)), "out", width=width)
    place = next(place for place, line in enumerate(lines) if line.startswith("  got"))
    assert all(len(line) <= max(width, 40) for line in lines[place : place + 3])
    assert all(line.startswith(" " * 14) for line in lines[place + 1 : place + 3])
    assert lines[place + 2].endswith("...")


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals(
    realistic: Callable[[int, int], Run],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    coloured: bool,
) -> None:
    """A terminal gets colour unless NO_COLOR or a dumb terminal forbids it; a pipe never; the words are the same."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = realistic(40, 2)
    terminal, pipe = Terminal(), io.StringIO()
    print_summary(run, "out", terminal)
    print_summary(run, "out", pipe)
    assert ("\x1b[" in terminal.getvalue()) is coloured
    assert pipe.getvalue().splitlines() == summary_lines(run, "out")
    assert re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).split() == pipe.getvalue().split()


def test_no_word_is_broken(realistic: Callable[[int, int], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A window narrower than the verdict line gets it on lines of whole words, first and last; a pipe gets it on one."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    run = realistic(40, 2)
    terminal = Terminal()
    print_summary(run, "out", terminal)
    lines = terminal.getvalue().splitlines()
    number = next(place for place, line in enumerate(lines) if not line)
    assert number > 1
    assert max(map(len, lines[:number])) <= 60
    assert " ".join(map(str.strip, lines[:number])) == headline(run)
    assert lines[-number:] == lines[:number]


def test_names_are_counted(realistic: Callable[[int, int], Run]) -> None:
    """Names that do not fit are left out and counted; one that no line holds is broken at its points and brackets."""
    run = realistic(40, 2)
    failed = next(case for case in run.cases if case.verdict is Verdict.FAILED)
    view = "key_protect.laws.views[prefer-representation-rotation.rotate_again_after_55_minutes_"
    cases = tuple(replace(failed, id=f"{view}{number}]") for number in range(10))
    lines = summary_lines(replace(run, cases=cases), "out", width=80)
    place = next(place for place, line in enumerate(lines) if line.startswith("  cases"))
    assert lines[place] == "  cases       key_protect.laws.views[prefer-representation-rotation.rotate_"
    assert lines[place + 1] == "              again_after_55_minutes_0] and 9 more"


def test_hostile_text_does_not_act() -> None:
    """Escape sequences, line breaks and direction marks of a server are shown, not obeyed."""
    text = "a\x1b]0;title\x07\r\n\u202eb"
    finding = Finding(text, Verdict.FAILED, text, text, text, text)
    cases = [
        CaseResult(text, text, text, verdict, (), text, text, findings=(finding,), rule=text)
        for verdict in Verdict
    ]
    run = Run(Profile.GATE, tuple(cases), (), text, text, trouble=text, meta={"left_behind": [text]})
    lines = summary_lines(run, f"out/{text}")
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
