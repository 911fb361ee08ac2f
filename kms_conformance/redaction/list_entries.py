"""What answers show again in memory once: on an instance that many cases share, each list shows the keys of all of them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON

FEW = 20
"""Entries of a list that are kept as they came: looking for equal ones costs more than that saves."""
_MOST = 20_000
"""Entries that are looked for; beyond that, it begins anew."""
_MOST_TEXTS = 4_096
"""Texts that are looked for, likewise."""


class ListEntries:
    """Gives equal entries of long lists as one and the same object; nobody changes evidence. Safe between threads."""

    def __init__(self) -> None:
        self._kept: dict[bytes, JSON] = {}

    def once(self, entries: list[JSON]) -> list[JSON]:
        """Return a list whose entries are those that were seen before, where they are equal."""
        if len(entries) <= FEW:
            return entries
        if len(self._kept) > _MOST:
            self._kept = {}
        return [self._once(entry) if isinstance(entry, dict) else entry for entry in entries]

    def _once(self, entry: JSON) -> JSON:
        text = json.dumps(entry).encode("ascii")
        return self._kept.setdefault(hashlib.blake2b(text, digest_size=16).digest(), entry)


class Texts:
    """Texts that answers show again and again, each in memory once as far as there is room; safe between threads."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def once(self, text: str) -> str:
        """Return an equal text that is there already, if there is one."""
        if len(self._kept) >= _MOST_TEXTS:
            self._kept = {}  # what a case shows is shown again soon
        return self._kept.setdefault(text, text)
