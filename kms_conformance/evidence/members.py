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
    if not path:
        return document
    head, _, rest = path.partition(".")
    if head == "*":
        if not isinstance(document, list):
            return MISSING
        return [value for value in _each(document, rest) if value is not MISSING]
    if isinstance(document, dict) and head in document:
        value = document[head]
    elif isinstance(document, list) and head.isdigit() and int(head) < len(document):
        value = document[int(head)]
    else:
        return MISSING
    return pick(value, rest) if rest else value


def _each(entries: list[JSON], rest: str) -> Iterator[JSON]:
    for entry in entries:
        yield pick(entry, rest) if rest else entry
