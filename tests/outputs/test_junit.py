"""JUnit: real elements, right counters, legal XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import junit


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (Verdict.PASSED, None),
        (Verdict.WARNED, None),
        (Verdict.FAILED, "failure"),
        (Verdict.ERROR, "error"),
        (Verdict.INCONCLUSIVE, "error"),
        (Verdict.NOT_TESTED, "skipped"),
        (Verdict.NOT_APPLICABLE, "skipped"),
    ],
)
def test_each_verdict_has_its_element(verdict: Verdict, tag: str | None) -> None:
    """A reader that knows elements only sees the verdict; one that knows properties sees which."""
    root = ET.fromstring(junit.render(run_of(CaseResult("a", "A", "one", verdict, (), "why"))))
    element = root.find("testsuite/testcase[@name='a']")
    assert element is not None
    children = [child for child in element if child.tag != "properties"]
    assert [child.tag for child in children] == ([tag] if tag else [])
    assert not children or (children[0].get("type"), children[0].get("message")) == (verdict.value, "why")
    entry = element.find("properties/property[@name='verdict']")
    assert entry is not None
    assert entry.get("value") == verdict.value


def test_hostile_text_stays_legal(tmp_path: Path) -> None:
    """Control characters, half a character and markup leave the document well-formed."""
    text = '\x00\x1b[31m\ud800 ]]> <b> & " \ufffe'
    case = CaseResult(text, text, text, Verdict.FAILED, (text,), text, rule=text)
    path = junit.write(run_of(case), tmp_path)
    assert junit.read_counts(path)["failed"] == 1
    assert "\\x1b[31m" in path.read_text()


@pytest.mark.parametrize(("sign", "shown"), [("\u202e", "\\u202e"), ("\x85", "\\x85"), ("\u2028", "\\u2028")])
def test_what_hides_is_escaped(tmp_path: Path, sign: str, shown: str) -> None:
    """Marks of direction and ends of lines that no eye sees are escaped, as in every other output."""
    text = f"KEY{sign}ERR"
    path = junit.write(run_of(CaseResult("c", text, "x", Verdict.FAILED, ("row",), text)), tmp_path)
    assert sign not in path.read_text()
    assert f"KEY{shown}ERR" in path.read_text()


def test_a_suite_per_contract(realistic: Callable[[int, int], Run]) -> None:
    """Each contract has a suite with its title and its id."""
    run = realistic(40, 1)
    other = replace(run.cases[0], contract="other")
    root = ET.fromstring(junit.render(replace(run, cases=(*run.cases, other))))
    assert [(suite.get("name"), suite.get("id"), suite.get("tests")) for suite in root] == [
        ("Demo KMS", "demo", "40"),
        ("other", "other", "1"),
    ]


def test_a_case_has_its_module_and_place(realistic: Callable[[int, int], Run]) -> None:
    """Readers group by ``classname`` and jump to ``file`` and ``line``."""
    (first, *_) = ET.fromstring(junit.render(realistic(2, 1))).iter("testcase")
    assert first.get("classname") == "kms_conformance.scenarios.demo.test_bodies"
    assert (first.get("file"), first.get("line")) == ("kms_conformance/scenarios/demo/test_bodies.py", "1")


def test_properties_tell_how_the_run_was_made(realistic: Callable[[int, int], Run]) -> None:
    """What was left behind, requests, server and command line are properties of each suite."""
    suite = ET.fromstring(junit.render(realistic(2, 1)))[0]
    properties = {
        element.get("name"): element.get("value", "") for element in suite.iterfind("properties/property")
    }
    assert properties["contract"] == "demo"
    assert properties["run-left-behind"].startswith("key kmsct-1")
    assert properties["run-requests"].startswith("90, 3 answered by 429")
    assert "SHA-256 " + "cd" * 32 in properties["run-server"]


@pytest.mark.parametrize(
    "change",
    [
        {"cases": ()},
        {"interrupted": "Ctrl-C"},
        {"partial": "some"},
        {"trouble": "a worker died"},
        {"profile": Profile.CERTIFY},
    ],
)
def test_not_verified_is_never_green(change: dict[str, object]) -> None:
    """A run that nobody may trust has an error, although no case has."""
    passed = CaseResult("a", "A", "one", Verdict.PASSED, ("r0",), checks=1, judged=("r0",))
    run = Run(
        Profile.GATE, (passed,), tuple(Row(name, "one", "s", "MUST", "documented") for name in ("r0", "r1"))
    )
    assert not list(ET.fromstring(junit.render(run)).iter("error"))
    (error,) = ET.fromstring(junit.render(replace(run, **change))).iter("error")  # type: ignore[arg-type]  # any field may change
    assert error.get("type") == "not-verified"


def test_contradiction_is_found(tmp_path: Path) -> None:
    """A verdict whose element was taken away is not read as a pass."""
    path = junit.write(run_of(CaseResult("a", "A", "one", Verdict.FAILED, ())), tmp_path)
    path.write_text(path.read_text().replace("failure", "system-out"))
    with pytest.raises(ValueError, match="a: verdict failed"):
        junit.read_counts(path)


def run_of(case: CaseResult) -> Run:
    """Return a run of one case."""
    return Run(Profile.GATE, (case,), ())
