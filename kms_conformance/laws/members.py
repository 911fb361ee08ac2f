"""What a step of a law says about the members of its answer: ``shows``, ``agrees``, ``lists`` and the other such fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kms_conformance.laws.request import filled
from kms_conformance.run.answer import Answer

_CHECKS: Mapping[str, Callable[[Answer, str, Any, str], object]] = {
    "shows": lambda answer, path, value, row: answer.shows(path, value, requirement=row),
    "agrees": lambda answer, path, value, row: answer.agrees(path, value, requirement=row),
    "differs": lambda answer, path, value, row: answer.differs(path, value, requirement=row),
    "counts": lambda answer, path, number, row: answer.counts(path, number, requirement=row),
    "lists": lambda answer, path, values, row: answer.selects(path, values, values, requirement=row),
    "lists_not": lambda answer, path, values, row: answer.selects(path, values, [], requirement=row),
    "matches": lambda answer, path, pattern, row: answer.matches(path, pattern, requirement=row),
    "tells": lambda answer, name, value, row: answer.has_header(name, value, requirement=row),
}
"""The check of each field, in the order in which they are made."""


def check_members(answer: Answer, step: Mapping[str, Any], marks: Mapping[str, Any], row: str) -> None:
    """Judge the members and headers of an answer by its step, with the step's ``{names}`` replaced by their values.

    A failed check is a deviation from the requirement ``row``.
    """
    for path in step.get("lacks", ()):
        answer.lacks(path, requirement=row)
    for field, check in _CHECKS.items():
        for path, value in filled(step.get(field, {}), marks).items():
            check(answer, path, value, row)
