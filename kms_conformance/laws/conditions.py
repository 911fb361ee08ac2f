"""Which entries a condition selects: the law's own filter, with which the system's filter is compared.

A condition is ``{member: value}``: a list means one of its values, an object operators, anything else equality. Operators are
``lt``, ``lte``, ``gt``, ``gte``, ``none`` (not there), ``has`` and ``is`` (part of the text, the whole text, in any case; of a list: of one
of its texts), ``like`` (``*`` stands for any text). ``any`` joins conditions of which one holds, ``all`` those that all hold, ``not`` turns one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Any

from kms_conformance.judging.order import comparable

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}


def holds(condition: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry fulfils a condition; raise :class:`ValueError` for an operator that is none."""
    for name, wanted in condition.items():
        if name == "any":
            right = any(holds(inner, entry) for inner in wanted)
        elif name == "all":
            right = all(holds(inner, entry) for inner in wanted)
        elif name == "not":
            right = not holds(wanted, entry)
        else:
            right = _fits(entry.get(name), wanted)
        if not right:
            return False
    return True


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return value in wanted
    if isinstance(wanted, dict):
        return all(_operator(name, value, operand) for name, operand in wanted.items())
    return bool(comparable(value) == comparable(wanted))


def _operator(name: str, value: Any, operand: Any) -> bool:
    if name == "none":
        return (value is None) is operand
    if name in _COMPARED:
        return value is not None and _COMPARED[name](comparable(value), comparable(operand))
    texts = [str(text) for text in (value if isinstance(value, list) else [value]) if text is not None]
    if name == "has":
        return any(str(operand).lower() in text.lower() for text in texts)
    if name == "is":
        return any(str(operand).lower() == text.lower() for text in texts)
    if name == "like":
        return any(fnmatchcase(text, str(operand)) for text in texts)
    raise ValueError(name)
