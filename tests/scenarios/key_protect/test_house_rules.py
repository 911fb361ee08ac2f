"""The cases keep the rules that their authors' page states, and together cover the contract."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import load_contract
from kms_conformance.system import systems

FOLDER = Path(__file__).resolve().parents[3] / "scenarios" / "key_protect"
FILES = sorted(FOLDER.glob("test_*.py"))
LONGEST = 25
IDENTITIES = {"approver", "service", "reader", "outsider", "purger", "expired"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Yield the cases of a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def named(tree: ast.AST, marker: str) -> Iterator[str]:
    """Yield the words that a marker names, wherever it is used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == marker:
            given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "identity")]
            for value in given:
                yield from (part.value for part in ast.walk(value) if isinstance(part, ast.Constant))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shape(path: Path) -> None:
    """A case has at most 25 lines, a rule of its own, and markers that name what exists."""
    rows, tree = load_contract("key_protect").requirements, ast.parse(path.read_text(encoding="utf-8"))
    for case in functions(path):
        assert (case.end_lineno or 0) - case.lineno < LONGEST, case.name
        assert ast.get_docstring(case), case.name
    assert set(named(tree, "covers")) <= set(rows)
    assert set(named(tree, "impact")) <= {name for system in systems().values() for name in system.impacts}
    assert set(named(tree, "needs")) <= IDENTITIES


def test_rules_differ() -> None:
    """No two cases state the same rule."""
    rules = Counter(ast.get_docstring(case) for path in FILES for case in functions(path))
    assert [rule for rule, times in rules.items() if times > 1] == []


def test_every_row_has_a_case() -> None:
    """Every row that is not excluded, and not a rule of every exchange, has a case."""
    covered = {row for case in listed_cases("key_protect") for row in case.covers}
    rows = load_contract("key_protect").requirements.values()
    topics = {row.section for row in rows if row.section in {"wire", "api-fuzz"}}
    expected = {row.id for row in rows if not row.excluded and row.section not in topics}
    # Views are cases run again: no case names their rows.
    assert {row for row in expected - covered if not row.startswith("law-view-")} == set()
