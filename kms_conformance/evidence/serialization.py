"""Dataclasses as documents of plain JSON, and back: for shards, transcripts, and the workers of a parallel run.

A document holds nothing but ``str``, ``int``, ``float``, ``bool``, ``None``, ``list`` and ``dict``. A field that holds
any JSON (a body, an expected value) travels as JSON text in ASCII: whatever a server sent (``NaN``, half a surrogate
pair) then comes out on the other side as it went in. Such a field is declared with :data:`AS_TEXT` or
:data:`AS_TEXT_OR_NONE`, everything else follows from the types.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
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
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types whose values are plain JSON already."""


def to_document(value: Any) -> Any:
    """Return a dataclass, or what such a field holds, as plain JSON; sets are sorted."""
    return value if type(value) in _PLAIN else _writer(type(value))(value)  # type: ignore[arg-type]  # a class is hashable


def from_document(kind: type[T], document: Mapping[str, Any]) -> T:
    """Return the dataclass that :func:`to_document` wrote; members that it does not have are ignored.

    Raises :class:`KeyError` where a member is missing, :class:`TypeError` or :class:`ValueError` where one is of a
    wrong kind.
    """
    return kind(**{name: read(document[name]) for name, read in _readers(kind)})  # type: ignore[arg-type]  # a class is hashable


@cache
def _writer(kind: type) -> Callable[[Any], Any]:
    """Return what writes a value of exactly this type: a run has hundreds of thousands of values and few types."""
    if is_dataclass(kind):
        return _dataclass_writer(kind)
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, frozenset):
        return sorted
    if issubclass(kind, Sequence) and not issubclass(kind, str):
        return lambda value: [to_document(entry) for entry in value]
    if issubclass(kind, Mapping):
        return lambda value: {str(name): to_document(entry) for name, entry in value.items()}
    if issubclass(kind, date):
        return lambda value: value.isoformat()
    return str if issubclass(kind, str | Path) else lambda value: value


def _dataclass_writer(kind: type) -> Callable[[Any], Any]:
    forms = {field.name: field.metadata.get("json") for field in fields(kind)}
    as_text = {name: form == AS_TEXT_OR_NONE["json"] for name, form in forms.items() if form is not None}

    def write(value: Any) -> dict[str, Any]:
        document = {}
        for name in forms:
            member = getattr(value, name)
            if name in as_text:
                member = None if member is None and as_text[name] else json.dumps(member)
            elif type(member) not in _PLAIN:
                member = _writer(type(member))(member)  # type: ignore[arg-type]  # a class is hashable
            document[name] = member
        return document

    return write


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
    if origin in {tuple, frozenset, Sequence}:
        read, made = _reader(arguments[0]), tuple if origin is Sequence else origin
        return lambda value: made(read(entry) for entry in value)
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: from_document(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum | Path):
        return hint
    if hint is date:
        return date.fromisoformat
    return lambda value: value


def _read_text(text: str | None) -> Any:
    return None if text is None else json.loads(text)
