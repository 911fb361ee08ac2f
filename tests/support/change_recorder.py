"""A reference that records every request that may change something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from kms_reference.key_protect.app import KeyProtect

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKENS = "/identity/token"


@dataclass
class Changes:
    """What was asked for: method and path of each request that may change something, and each answer that made a thing."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def to(self, part: str) -> list[tuple[str, str]]:
        """Return those whose path holds a part."""
        return [one for one in self.asked if part in one[1]]


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Changes]:
    """Record what the references of this process are asked for until the block ends."""
    changes = Changes()
    serve = KeyProtect._serve

    async def recording(app: KeyProtect, scope: Any, path: str, headers: dict[str, str], raw: bytes) -> Any:
        draft = await serve(app, scope, path, headers, raw)
        if scope["method"] not in _READS and path != _TOKENS:
            changes.asked.append((scope["method"], path))
            body = getattr(draft, "body", None)
            if isinstance(body, dict):
                made = body.get("resources")
                ids = (
                    [one.get("id") for one in made if isinstance(one, dict)] if isinstance(made, list) else []
                )
                changes.made += [str(one) for one in ids if one]
        return draft

    with monkeypatch.context() as patch:
        patch.setattr(KeyProtect, "_serve", recording)
        yield changes
