"""Damage that a case does to a ciphertext on purpose: by the same functions the case makes it, and a script that asks again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import partial


def tampered(ciphertext: str, place: str) -> str:
    """Return the ciphertext with one bit changed at a place of its innermost bytes, still well-formed base64.

    Places are ``iv``, and ``front`` and ``end`` of what is encrypted; where the format is unknown, it is the middle. Raises
    :class:`ValueError` where the ciphertext is no base64.
    """
    outer = bytearray(base64.b64decode(ciphertext))
    begin = b'"iv":"' if place == "iv" else b'"ciphertext":"'
    at = outer.find(begin)
    first = at + len(begin)
    # The authentication tag stands at the end.
    changed = len(outer) // 2 if at < 0 else _last(outer, first) if place == "end" else first + 8
    # A base64 letter becomes another letter, so that the outer format can still be parsed.
    outer[changed] = ord("B") if outer[changed] != ord("B") else ord("C")
    return base64.b64encode(bytes(outer)).decode()


def _last(outer: bytes | bytearray, first: int) -> int:
    """Return where the last letter but one of a base64 text stands: the next one may hold bits that say nothing."""
    end = outer.index(b'"', first)
    return len(bytes(outer[:end]).rstrip(b"=")) - 2


def cut(ciphertext: str) -> str:
    """Return the ciphertext without its last characters, so that what is left is no base64."""
    return ciphertext.rstrip("=")[: len(ciphertext) // 4 * 4 - 3]


DAMAGES: Mapping[str, Callable[[str], str]] = {
    **{place: partial(tampered, place=place) for place in ("front", "end", "iv")},
    "cut": cut,
}
"""What may be done to a ciphertext, by its name."""
