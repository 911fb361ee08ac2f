"""What is said about lists: which entries they select, and in what order they stand."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.judging.order import chosen, comparable, is_sorted, selects

OURS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("values", "are", "ordered", "right"),
    [
        (["x", "b", "a", "y"], ["a", "b"], False, True),
        (["x", "b", "a", "y"], ["a", "b"], True, False),
        (["a", "x", "b"], ["a", "b"], True, True),
        (["a", "b", "c"], ["a", "b"], False, False),
        (["a"], ["a", "b"], False, False),
        (["a", "b", "a"], ["a", "b"], False, False),
        (None, [], False, True),
        ([], [], False, True),
        (None, ["a"], False, False),
        ({}, [], False, False),
        ("a", [], False, False),
        ([["a"], 7, None, "a"], ["a"], False, True),
    ],
)
def test_selects(values: Any, are: list[str], ordered: bool, right: bool) -> None:
    """Of the values that count a list holds exactly the wanted ones, each once; others do not matter."""
    assert selects(values, [OURS, are, ordered]) is right


@pytest.mark.parametrize(
    ("values", "by", "right"),
    [
        ([1, 2, 2, 5], "ascending", True),
        ([5, 2, 2, 1], "descending", True),
        ([1, 5, 2], "ascending", False),
        (["2026-01-02T00:00:00Z", "2026-01-02T01:00:00+02:00"], "descending", True),
        (["2026-01-02T00:00:00.5Z", "2026-01-02T00:00:00Z"], "ascending", False),
        ([1, "x"], "ascending", False),
        ([True, True, False], "grouped", True),
        ([True, False, True], "grouped", False),
        ([True, False], [False, True], False),
        ([False, True], [False, True], True),
        ([False, None, True], [False, True], True),
        ([2, None, 1], "ascending", False),
    ],
)
def test_order_of_one_member(values: list[Any], by: Any, right: bool) -> None:
    """Entries stand in the order of a member, dates as moments; those without it are passed over."""
    assert is_sorted([{"m": value} for value in values], [["m", by]]) is right


def test_order_of_two_members() -> None:
    """Where the first member is equal, the second decides."""
    entries = [{"a": 1, "b": 2}, {"a": 1, "b": 1}, {"a": 2, "b": 3}]
    assert is_sorted(entries, [["a", "ascending"], ["b", "descending"]])
    assert not is_sorted(entries, [["a", "ascending"], ["b", "ascending"]])


def test_no_list_is_sorted() -> None:
    """A list that is not there is in order: whether it may be missing is another statement."""
    assert is_sorted(None, [["a", "ascending"]])


def test_words() -> None:
    """A deviation names what counts, and nothing else."""
    assert chosen(["x", "a"], [OURS, [], False]) == "a"
    assert chosen(None, [OURS, [], False]) == "no list"
    assert chosen(["x"], [OURS, [], False]) == "none of them"


@pytest.mark.parametrize("value", ["T:", "2026-01-02", "2026-01-02T00:00:00", 7, None, True])
def test_what_is_no_moment_stays(value: Any) -> None:
    """A text that is no date with a zone is compared as it is."""
    assert comparable(value) == value
