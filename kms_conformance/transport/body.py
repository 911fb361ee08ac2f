"""Bodies: how long one may be, and which JSON document it is. The same for cases, fuzzer, tokens and the control protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable

import httpx

from kms_conformance.evidence.exchange import JSON

LARGEST_BODY = 8 * 1024 * 1024
"""The largest body that is read, in bytes; a longer one is no complete answer."""
DEEPEST = 100
"""How deep a document may be nested: no answer of a KMS comes near."""
TOO_LARGE = f"an answer of more than {LARGEST_BODY} bytes"


def bounded(chunks: Iterable[bytes]) -> bytes:
    """Return a body from its pieces; raise :class:`httpx.ReadError` when it is larger than :data:`LARGEST_BODY`."""
    pieces, size = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            raise httpx.ReadError(TOO_LARGE)
    return b"".join(pieces)


def json_document(content: bytes | None, *, lenient: bool = False) -> JSON:
    """Return the JSON document that a body is; ``None`` when it is none, or is nested deeper than :data:`DEEPEST`.

    ``lenient`` takes ``NaN`` and ``Infinity`` too: for those whose answers are used and not judged.
    """
    if not content:
        return None
    try:
        document = json.loads(content, parse_constant=float if lenient else _refuse)
    except (ValueError, RecursionError):
        return None
    layer, depth = [document], 0
    while layer and depth <= DEEPEST:
        containers = [entry for entry in layer if isinstance(entry, dict | list)]
        layer = [
            value
            for container in containers
            for value in (container.values() if isinstance(container, dict) else container)
        ]
        depth += 1
    return None if layer else document


def _refuse(name: str) -> None:
    """Refuse ``NaN`` and ``Infinity``, which Python reads but JSON does not have."""
    raise ValueError(name)
