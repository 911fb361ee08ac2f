"""How many octets a text in base64 stands for, and words for how many it has to: a record does not show what a secret is."""

from __future__ import annotations

import base64
import re

_KEY = "an RSA public key (SubjectPublicKeyInfo) of {} bits in base64"
_KEY_IN_WORDS = re.compile(re.escape(_KEY).replace(r"\{\}", r"(\d+)"))
_WORDS = re.compile(r"(\d+) octets in base64")


class Words(str):
    """What is said in the place of a secret that is not as it has to be: how it has to be."""

    __slots__ = ()


def octets_in_words(number: int) -> Words:
    """Return words for so many octets in base64."""
    return Words(f"{number} octets in base64")


def has_octets(text: str, words: str) -> bool:
    """Tell whether a text is base64 of as many octets as words say."""
    told = _WORDS.fullmatch(words)
    try:
        return told is not None and len(base64.b64decode(text, validate=True)) == int(told[1])
    except ValueError:
        return False


def rsa_key_in_words(bits: int) -> Words:
    """Return words for an RSA key of so many bits."""
    return Words(_KEY.format(bits))


def bits_of_key(words: str) -> int | None:
    """Return of how many bits words for an RSA key tell; none where they are no such words."""
    told = _KEY_IN_WORDS.fullmatch(words)
    return None if told is None else int(told[1])
