"""Packing key material for an import token with the standard library alone: pasted into a script that needs it.

RSA-OAEP with SHA-256 and AES-GCM, for public-key encryption only. Slow, and open to an observer of time: for throw-away
key material, which is all that a reproduction has.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from functools import cache

from kms_conformance.evidence.octets import bits_of_key, has_octets

_BLOCK, _DIGEST = 16, 32
_INTEGER, _SEQUENCE, _BITS = 0x02, 0x30, 0x03
_REDUCED = 0xE1000000000000000000000000000000


def oaep(message: bytes, public_key: bytes) -> bytes:
    """Encrypt by RSA-OAEP with SHA-256 for a public key in PEM or DER; raise :class:`ValueError` where it is none."""
    modulus, exponent = rsa_numbers(public_key)
    size = (modulus.bit_length() + 7) // 8
    room = size - len(message) - 2 * _DIGEST - 2
    if room < 0:
        raise ValueError(f"{len(message)} bytes are too many for a key of {size} bytes")
    block = hashlib.sha256(b"").digest() + bytes(room) + b"\x01" + message
    seed = secrets.token_bytes(_DIGEST)
    masked = _xor(block, _mask(seed, len(block)))
    encoded = _xor(seed, _mask(masked, _DIGEST)) + masked
    return pow(int.from_bytes(encoded, "big"), exponent, modulus).to_bytes(size, "big")


def rsa_numbers(public_key: bytes) -> tuple[int, int]:
    """Return modulus and exponent of a public key: SubjectPublicKeyInfo or PKCS#1, in PEM or DER."""
    parts = _elements(_elements(_der(public_key))[0][1])
    if _names_its_kind(parts):
        parts = _elements(_elements(parts[1][1][1:])[0][1])
    if [kind for kind, _ in parts] != [_INTEGER, _INTEGER]:
        raise ValueError("the import token's key is not an RSA key")
    modulus, exponent = (int.from_bytes(value, "big") for _, value in parts)
    return modulus, exponent


def _der(public_key: bytes) -> bytes:
    if not public_key.lstrip().startswith(b"-----"):
        return public_key
    lines = [line for line in public_key.splitlines() if line and not line.startswith(b"-")]
    return base64.b64decode(b"".join(lines))


def _names_its_kind(parts: list[tuple[int, bytes]]) -> bool:
    """Tell whether the parts of a public key are those of a SubjectPublicKeyInfo."""
    return [kind for kind, _ in parts] == [_SEQUENCE, _BITS]


def is_as_told(text: str, words: str) -> bool:
    """Tell whether a secret is as words say that stand in its place: so many octets, or a key of so many bits."""
    return has_octets(text, words) or _is_rsa_key_as_told(text, words)


def _is_rsa_key_as_told(text: str, words: str) -> bool:
    """Tell whether a text is base64 of a public key of as many bits as words say, in the form that they name."""
    bits = bits_of_key(words)
    try:
        key = base64.b64decode(text)
        is_of_form = bits is not None and _names_its_kind(_elements(_elements(_der(key))[0][1]))
        return is_of_form and rsa_numbers(key)[0].bit_length() == bits
    except (ValueError, IndexError):
        return False


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    found, place = [], 0
    while place + 2 <= len(der):
        kind, size = der[place], der[place + 1]
        place += 2
        if size & 0x80:
            more = size & 0x7F
            size = int.from_bytes(der[place : place + more], "big")
            place += more
        found.append((kind, der[place : place + size]))
        place += size
    return found


def _mask(seed: bytes, size: int) -> bytes:
    blocks = (
        hashlib.sha256(seed + number.to_bytes(4, "big")).digest() for number in range(-(-size // _DIGEST))
    )
    return b"".join(blocks)[:size]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


def aes_gcm(key: bytes, iv: bytes, plain: bytes) -> bytes:
    """Encrypt by AES-GCM with an IV of 12 bytes and no additional data; the tag stands behind the ciphertext."""
    round_keys = _round_keys(key)

    def counted(number: int) -> bytes:
        return _encrypted(iv + number.to_bytes(4, "big"), round_keys)

    blocks = [plain[start : start + _BLOCK] for start in range(0, len(plain), _BLOCK)]
    sealed = b"".join(
        _xor(block, counted(number)[: len(block)]) for number, block in enumerate(blocks, start=2)
    )
    hash_key = int.from_bytes(_encrypted(bytes(_BLOCK), round_keys), "big")
    padded = (
        sealed + bytes(-len(sealed) % _BLOCK) + (0).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    )
    tag = 0
    for start in range(0, len(padded), _BLOCK):
        tag = _product(tag ^ int.from_bytes(padded[start : start + _BLOCK], "big"), hash_key)
    return sealed + _xor(tag.to_bytes(_BLOCK, "big"), counted(1))


def _product(one: int, other: int) -> int:
    """Return the product in the field of GCM, whose bits run from the left."""
    product = 0
    for place in range(127, -1, -1):
        if one >> place & 1:
            product ^= other
        other = (other >> 1) ^ (_REDUCED if other & 1 else 0)
    return product


def _doubled(value: int) -> int:
    return (value << 1 ^ (0x11B if value & 0x80 else 0)) & 0xFF


def _times(one: int, other: int) -> int:
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one, other = _doubled(one), other >> 1
    return product


@cache
def _substitutes() -> bytes:
    """Return the S-box of AES: inverses in the field, and an affine map."""
    table = bytearray()
    for value in range(256):
        inverse = 1
        for _ in range(254):
            inverse = _times(inverse, value)
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        table.append(turned ^ 0x63)
    return bytes(table)


def _round_keys(key: bytes) -> list[bytes]:
    box, words = _substitutes(), len(key) // 4
    if len(key) not in {16, 24, 32}:
        raise ValueError(f"AES has no key of {len(key)} bytes")
    expanded = [key[start : start + 4] for start in range(0, len(key), 4)]
    constant = 1
    for place in range(words, 4 * (words + 7)):
        word = expanded[-1]
        if place % words == 0:
            word = bytes(box[value] for value in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _doubled(constant)
        elif words > 6 and place % words == 4:  # noqa: PLR2004 - of keys of 32 bytes
            word = bytes(box[value] for value in word)
        expanded.append(_xor(expanded[place - words], word))
    return [b"".join(expanded[start : start + 4]) for start in range(0, len(expanded), 4)]


def _encrypted(block: bytes, round_keys: list[bytes]) -> bytes:
    """Encrypt one block; its bytes stand in columns of four."""
    box = _substitutes()
    state = _xor(block, round_keys[0])
    for number, round_key in enumerate(round_keys[1:], start=1):
        moved = bytes(box[state[(place + 4 * (place % 4)) % _BLOCK]] for place in range(_BLOCK))
        state = _xor(moved if number == len(round_keys) - 1 else _mixed(moved), round_key)
    return state


def _mixed(state: bytes) -> bytes:
    mixed = bytearray()
    for start in range(0, _BLOCK, 4):
        column = state[start : start + 4]
        for place in range(4):
            one, two, three, four = (column[(place + step) % 4] for step in range(4))
            mixed.append(_doubled(one) ^ _doubled(two) ^ two ^ three ^ four)
    return bytes(mixed)
