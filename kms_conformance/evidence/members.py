"""Members of a JSON document by dotted path."""

from __future__ import annotations

from collections.abc import Iterator

from kms_conformance.evidence.exchange import JSON

MISSING = object()
"""What :func:`pick` returns where nothing is."""


def pick(document: JSON, path: str) -> JSON:
    """Return the value at a dotted path, or :data:`MISSING`; ``*`` collects from all entries of a list.

    No path: the whole document.
    """
    while path:
        head, _, path = path.partition(".")
        if isinstance(document, dict):
            if head not in document or head == "*":
                return MISSING
            document = document[head]
        elif not isinstance(document, list):
            return MISSING
        elif head == "*":
            return [value for value in _each(document, path) if value is not MISSING]
        elif head.isdigit() and int(head) < len(document):
            document = document[int(head)]
        else:
            return MISSING
    return document


def _each(entries: list[JSON], rest: str) -> Iterator[JSON]:
    for entry in entries:
        yield pick(entry, rest) if rest else entry


def is_same(value: object, wanted: object) -> bool:
    """Tell whether a value is the wanted one: numbers by what they are worth, as 2.0 is 2 in JSON; true is no number."""
    if isinstance(value, bool) or isinstance(wanted, bool) or not isinstance(value, int | float):
        return type(value) is type(wanted) and value == wanted
    return isinstance(wanted, int | float) and value == wanted


def texts_in(document: JSON) -> Iterator[str]:
    """Yield every text of a document, wherever it stands."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list | dict):
        for value in document if isinstance(document, list) else document.values():
            yield from texts_in(value)
