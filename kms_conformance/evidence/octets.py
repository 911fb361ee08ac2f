"""How many octets a text in base64 stands for, and words for how many it has to: a record does not show what a secret is."""

from __future__ import annotations

import base64
import re

_WORDS = re.compile(r"(\d+) octets in base64")


def octets_in_words(number: int) -> str:
    """Return words for so many octets in base64."""
    return f"{number} octets in base64"


def are_words(text: str) -> bool:
    """Tell whether a text is such words."""
    return _WORDS.fullmatch(text) is not None


def has_octets(text: str, words: str) -> bool:
    """Tell whether a text is base64 of as many octets as words say."""
    told = _WORDS.fullmatch(words)
    try:
        return told is not None and len(base64.b64decode(text, validate=True)) == int(told[1])
    except ValueError:
        return False
