"""Texts that come again and again and in which no secret stands: header values, names, words of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

_MOST, _LONGEST = 2_000, 160
"""Texts that are kept, and characters of the longest one."""
_OFTEN = 12
"""Times that a text must come to be kept: ids come a few times, and keeping one costs more than that saves."""


class ClearTexts:
    """Texts that were searched and found clear.

    A text is clear as long as none of its sequences of ``length`` characters is one that the search looks for: a
    sequence that it looks for from now on takes every text out in which it stands. ``fold`` makes equal what looks the
    same to the search. To be changed under the lock of the search; asking needs none.
    """

    def __init__(self, length: int, fold: Callable[[str], str]) -> None:
        self._length, self._fold = length, fold
        self._clear: dict[str, str] = {}
        self._holding: dict[str, list[str]] = {}
        self._seen: dict[str, int] = {}

    def get(self, text: str) -> str | None:
        """Return a text that is known to be clear, always the same object: it is in memory once. ``None`` for another text."""
        return self._clear.get(text)

    def is_worth_keeping(self, text: str) -> bool:
        """Tell whether a text without secrets has come often enough to be remembered."""
        if len(text) > _LONGEST:
            return False
        times = self._seen.get(text, 0) + 1
        if times < _OFTEN:
            if times == 1 and len(self._seen) >= _MOST:
                self._seen = {}
            self._seen[text] = times
        return times >= _OFTEN

    def keep(self, text: str, is_looked_for: Callable[[str], bool]) -> None:
        """Keep a text, unless one of the sequences that are looked for stands in it after all."""
        if len(self._clear) >= _MOST:  # what comes now and then is soon back
            self._clear, self._holding = {}, {}
        low = self._fold(text)
        sequences = {low[place : place + self._length] for place in range(len(low) - self._length + 1)}
        if text not in self._clear and not any(map(is_looked_for, sequences)):
            self._clear[text] = text
            for sequence in sequences:
                self._holding.setdefault(sequence, []).append(text)

    def forget(self, sequences: Iterable[str]) -> None:
        """Take out the texts that hold what is looked for from now on."""
        for sequence in sequences:
            for text in self._holding.pop(sequence, ()):
                self._clear.pop(text, None)

    def forget_all(self) -> None:
        """Take out every text: what is looked for from now on is shorter than the sequences."""
        self._clear, self._holding = {}, {}
