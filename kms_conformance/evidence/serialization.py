"""Dataclasses as documents of plain JSON, and back: for shards, transcripts, and the workers of a parallel run.

A document holds nothing but ``str``, ``int``, ``float``, ``bool``, ``None``, ``list`` and ``dict``. A field that holds
any JSON (a body, an expected value) travels as JSON text in ASCII: whatever a server sent (``NaN``, half a surrogate
pair) then comes out on the other side as it went in. Such a field is declared with :data:`AS_TEXT` or
:data:`AS_TEXT_OR_NONE`, everything else follows from the types.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

AS_TEXT = {"json": "text"}
"""Metadata of a field whose value is kept as JSON text."""
AS_TEXT_OR_NONE = {"json": "text or none"}
"""The same, but ``None`` stays ``None``."""

T = TypeVar("T")


def to_document(value: Any) -> Any:
    """Return a dataclass, or what such a field holds, as plain JSON; sets are sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _write(getattr(value, field.name), field.metadata.get("json"))
            for field in fields(value)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [to_document(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(name): to_document(entry) for name, entry in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | Path) else value


def from_document(kind: type[T], document: Mapping[str, Any]) -> T:
    """Return the dataclass that :func:`to_document` wrote; members that it does not have are ignored.

    Raises :class:`KeyError` where a member is missing, :class:`TypeError` or :class:`ValueError` where one is of a
    wrong kind.
    """
    return kind(**{name: read(document[name]) for name, read in _readers(kind)})  # type: ignore[arg-type]  # a class is hashable


def _write(value: Any, form: str | None) -> Any:
    if form is None:
        return to_document(value)
    return None if value is None and form == AS_TEXT_OR_NONE["json"] else json.dumps(value)


@cache
def _readers(kind: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return what reads each field of a dataclass."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, _read_text if "json" in field.metadata else _reader(hints[field.name]))
        for field in fields(kind)
    )


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what reads a value of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {types.UnionType, Union}:
        (read,) = (_reader(argument) for argument in arguments if argument is not type(None))
        return lambda value: None if value is None else read(value)
    if origin in {tuple, frozenset}:
        read = _reader(arguments[0])
        return lambda value: origin(read(entry) for entry in value)
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: from_document(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum | Path):
        return hint
    if hint is date:
        return date.fromisoformat
    return lambda value: value


def _read_text(text: str | None) -> Any:
    return None if text is None else json.loads(text)
