"""Changes of source: what is changed, and that a running function takes it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from source_changes import Mutant, mutants_of, put_in

SOURCE = '''
def kept(values, most):
    """Docstring."""
    found = [value for value in values if value < most]
    if not found:
        raise ValueError
    return {"first": found[0], "all": True}
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a module of one function."""
    file = tmp_path / "sample.py"
    file.write_text(SOURCE, encoding="utf-8")
    return file


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _mutant(path: Path, words: str) -> Mutant:
    (mutant,) = (mutant for mutant in mutants_of(path) if mutant.change.startswith(words))
    return mutant


def test_every_kind_of_change(path: Path) -> None:
    """Comparison, condition, filter, step, member and value are changed, a docstring is not."""
    assert {mutant.change.partition(":")[0] for mutant in mutants_of(path)} == {
        "Lt -> LtE",
        "without `if value < most`",
        "if True instead of",
        "if False instead of",
        "without not",
        "without",
        "without the member 'first'",
        "without the member 'all'",
        "0 -> 1",
        "True -> False",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Lt -> LtE", {"first": 1, "all": True}),
        ("without the member 'all'", {"first": 1}),
        ("True -> False", {"first": 1, "all": False}),
    ],
)
def test_a_function_takes_its_change(path: Path, words: str, expected: dict[str, object]) -> None:
    """The function that others hold already answers as the changed source says."""
    kept = _loaded(path).kept
    assert put_in(_mutant(path, words))
    assert kept([1, 2, 3], 3) == expected


def test_a_bound_is_moved(path: Path) -> None:
    """The changed comparison lets the bound itself in."""
    kept = _loaded(path).kept
    assert put_in(_mutant(path, "Lt -> LtE"))
    assert kept([3], 3)["first"] == 3


def test_nothing_that_runs(path: Path) -> None:
    """A change of a module that nobody has loaded is said to be in no function."""
    assert not put_in(_mutant(path, "Lt -> LtE"))
