"""Pseudonyms for who and whose: e-mail addresses, ids of users and numbers of accounts are no secrets, but do not belong into a report.

A pseudonym has the form of what it stands for, so that schemas and patterns still hold of the evidence; equal things have
equal pseudonyms within a run. What they look like is the contract's data; a pseudonym is known by its beginning.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache

_MOST, _LONGEST = 4096, 200
"""Texts whose replacement is kept, and characters of the longest one: nine of ten texts have come before."""
MARK = "0000"
"""How pseudonyms begin; what begins so is left as it is."""


# The one form of a look-behind, and of an address, whose sign can be told without a parser of patterns.
_BEHIND = re.compile(r"\(\?<=([A-Za-z0-9:/%_@-]+)\)(?![?*{])[^|]*")
_CLASS = r"\[[^\]\\]*\](?:\+|\{1,[0-9]+\})"
_AT = re.compile(rf"(?:\(\?<!\[[^\]\\]*\]\))?{_CLASS}(@){_CLASS}[^|]*")


class Pseudonyms:
    """Replaces what the patterns match; ``key`` makes the pseudonyms of one run differ from those of another."""

    def __init__(self, patterns: Iterable[str], key: bytes) -> None:
        patterns = tuple(patterns)
        joined = "|".join(f"(?:{pattern})" for pattern in dict.fromkeys(patterns))
        self._pattern = re.compile(joined) if joined else None
        self._signs = _signs(patterns)
        self._key = key
        self._kept = lru_cache(maxsize=_MOST)(self._replaced)

    def replace(self, text: str) -> str:
        """Return a text in which everything personal is replaced; what is replaced already stays."""
        if self._pattern is None:
            return text
        return self._kept(text) if len(text) <= _LONGEST else self._replaced(text)

    def _replaced(self, text: str) -> str:
        assert self._pattern is not None
        for sign in self._signs:
            if sign in text:
                return self._pattern.sub(self._stand_in, text)
        return text

    def _stand_in(self, match: re.Match[str]) -> str:
        value = match[0]
        if value.startswith(MARK):
            return value
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        if "@" in value:
            # A plus is one of the few signs of an address that a service may mistake for another one.
            plus = "+" if "+" in value else ""
            return f"{MARK}{digest[:4]}{plus}{digest[4:8]}@pseudonym.invalid"
        return _like(value, MARK + digest)


def _signs(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return texts of which one stands wherever one of the patterns matches, so that most texts need no closer look.

    The sign of a pattern is the literal text that it looks back at, or the ``@`` between its two character classes; a
    pattern of another form has none, and ``""`` stands in every text.
    """
    found = [_BEHIND.fullmatch(pattern) or _AT.fullmatch(pattern) for pattern in dict.fromkeys(patterns)]
    return tuple(match[1] if match is not None else "" for match in found)


def _like(value: str, digits: str) -> str:
    """Return a text of the form of a value: its separators stay, its digits and letters become those of a digest."""
    source = iter(digits * (len(value) // len(digits) + 1))
    only_digits, is_upper = value.isdecimal(), value != value.lower()

    def sign(character: str) -> str:
        if not character.isalnum():
            return character
        digit = next(source)
        if only_digits:
            return str(int(digit, 16) % 10)
        return digit.upper() if is_upper else digit

    return "".join(map(sign, value))
