"""The suite is proved: every defect is found, no variation raises an alarm, and the stored kill matrix is no fiction.

The whole matrix is `make matrix`. Here a twenty-fourth of its rows is run, always the same; ``KMS_MATRIX=all`` runs every row,
``KMS_MATRIX=0/9`` the first of nine parts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from cases import collected, law_of
from matrix import DATA, PAGE, _Before, _belongs, _is_wanted, differences, text_of
from matrix_page import render
from matrix_rules import broken_rules
from systems import SYSTEMS

from kms_conformance.contract.schemas import load_schema
from kms_reference.variations import SYSTEM_VARIATIONS, VARIATIONS

PART = "0/24"
"""Which rows are run anew: a twenty-fourth, by the hash of their name."""
SAMPLE = "0/401"
"""Which rows are run with every case, to prove that no case is left out that would have found the defect."""
NAMES = [name for system in SYSTEMS.values() for name in system.switches]
SCRIPT = Path(__file__).parent / "matrix.py"


def matrix_command(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run the matrix in a process of its own, as `make matrix` does."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith(("KMS_", "PYTEST_"))},
        cwd=SCRIPT.parents[2],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module", name="stored")
def stored_fixture() -> Any:
    """Return the stored matrix."""
    return json.loads(DATA.read_text(encoding="utf-8"))


def test_stored_matrix_keeps_the_rules(stored: Any) -> None:
    """Every defect is found where it belongs, every case with a MUST finds one, no variation alarms, nothing errs."""
    assert broken_rules(stored) == []


def test_stored_matrix_is_complete(stored: Any) -> None:
    """The matrix has every defect and variation of the references, at least 150 and 25 of them for Key Protect."""
    own = [row["name"] for row in stored["defects"] if row["contract"] == "key_protect"]
    assert len(own) >= 150
    assert len(stored["variations"]) >= 25
    assert {row["name"] for row in stored["defects"]} == set(NAMES) - set(VARIATIONS)
    assert {row["name"] for row in stored["variations"]} == set(VARIATIONS)
    assert all(row["doc"] for row in (*stored["defects"], *stored["variations"]))
    assert all(row["reached"] for row in stored["variations"])


def test_stored_matrix_is_what_its_schema_and_page_say(stored: Any) -> None:
    """kill-matrix.json fits its schema and has a row a line, kill-matrix.md is made of it."""
    jsonschema_rs.validator_for(load_schema("kill-matrix")).validate(stored)
    assert DATA.read_text(encoding="utf-8") == text_of(stored)
    assert PAGE.read_text(encoding="utf-8") == render(stored)


def test_rows_are_as_stored() -> None:
    """Some of the rows, run again, is what the stored matrix says; a row may differ, but not five times in a row."""
    wanted = os.environ.get("KMS_MATRIX", PART)
    done = matrix_command("--part", "0/1" if wanted == "all" else wanted)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_case_is_left_out_that_would_find_a_defect(stored: Any) -> None:
    """A few rows, run with every case on the broken reference: the same cases find the defect."""
    names = [name for name in NAMES if _is_wanted(name, None, SAMPLE)]
    assert names
    done = matrix_command("--part", SAMPLE, "--everywhere")
    lines = [line for line in done.stdout.splitlines() if " differs (" in line]
    # All cases were run instead of those that the defect reaches: this number, and nothing else, may differ.
    assert all("; " not in line.partition(" differs (")[2] and "(reached: " in line for line in lines), (
        done.stdout
    )
    assert len(lines) <= len(names)


def test_each_law_meets_each_variation() -> None:
    """Every variation is run with cases of every law, and every case of a law with some variation."""
    cases = {case for case in collected("key_protect") if law_of(case)}
    variations = SYSTEM_VARIATIONS["key_protect"]
    met = {(name, case) for name in variations for case in cases if _belongs(case, "variation", name)}
    laws = {law_of(case) for case in cases}
    assert {(name, law_of(case)) for name, case in met} == {
        (name, law) for name in variations for law in laws
    }
    assert {case for _, case in met} == cases
    assert len(met) < len(cases) * len(variations) / 3


def row(**members: Any) -> dict[str, Any]:
    """Return a row of a matrix."""
    plain: dict[str, Any] = {
        "contract": "one",
        "name": "d",
        "doc": "It is broken.",
        "sections": ["key-deleted-err"],
        "verdict": "non-conformant",
        "reached": 1,
        "found_by": ["one.a"],
        "warned": [],
        "inconclusive": [],
        "errors": [],
    }
    return plain | members


def matrix(**members: Any) -> dict[str, Any]:
    """Return a matrix of one case and one defect that keeps the rules."""
    cases = [{"id": "one.a", "contract": "one", "must": True, "sections": ["key-deleted-err"]}]
    return {"schema_version": "1.0", "cases": cases, "defects": [row()], "variations": []} | members


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"defects": [row(), row(name="e", found_by=[])]}, "defect one: e is seen by no case"),
        ({"defects": [row(sections=["bad-body-err"])]}, "found by no case of its sections bad-body-err"),
        ({"defects": [row(errors=["one.a"])]}, "makes one.a err"),
        ({"defects": [row(found_by=[], warned=["one.a"])]}, "case one.a has a MUST and finds no defect"),
        (
            {"variations": [row(name="v", verdict="non-conformant")]},
            "variation one: v is non-conformant (one.a)",
        ),
    ],
)
def test_rules_notice(changed: dict[str, Any], sentence: str) -> None:
    """What breaks a rule of the matrix gets a line of that rule, and of no other."""
    (line,) = broken_rules(matrix(**changed))
    assert sentence in line
    assert broken_rules(matrix()) == []


def test_section_by_topic_counts() -> None:
    """A case of a topic that elaborates a section counts as one of that section, whatever the spelling of its anchor."""
    cases = [{"id": "one.a", "contract": "one", "must": True, "sections": ["api-wrap"]}]
    assert broken_rules(matrix(cases=cases, defects=[row(sections=["invalid_sig_exp_err"])])) == []


def test_what_is_new_is_run_with_everything() -> None:
    """A new defect meets each case, a new case each defect, a finder what it found; a quarter of all else is run again."""
    known = [f"one.{number}" for number in range(400)]
    before = _Before(
        matrix(
            cases=[{"id": case} for case in known],
            defects=[
                row(found_by=known[:2], warned=known[2:3], inconclusive=known[3:4]),
                row(name="unseen", found_by=[]),
            ],
            variations=[row(name="v", found_by=[])],
        )
    )
    assert all(before.asks("d", case) for case in known[:4])
    assert before.asks("d", "one.new")
    assert all(before.asks("new", case) and before.asks("unseen", case) for case in known)
    assert all(_Before(None).asks("d", case) for case in known)
    for name in ("d", "v"):
        again = [case for case in known[4:] if before.asks(name, case)]
        assert len(known) / 5 < len(again) < len(known) / 3
        assert again == [case for case in known[4:] if before.asks(name, case)]


def test_differences_are_told() -> None:
    """A row that is not as stored is told with what has changed."""
    (line,) = differences(matrix(), [row(found_by=["one.b"])])
    assert "found_by: ['one.a'] -> ['one.b']" in line
    assert differences(matrix(), [row()]) == []
