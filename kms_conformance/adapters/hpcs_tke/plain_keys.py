"""Signature keys of administrators by Python's integers alone: for reproductions, which bring this module along.

Slow, and open to an observer of time: for throw-away keys. Keys and signatures follow from a seed, so a sequence that is
sent again is the same one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from functools import cache

from kms_conformance.adapters.hpcs_tke import forms
from kms_conformance.adapters.hpcs_tke.wire import sequence, tlv

P = 2**521 - 1
N = 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7
_G = (
    0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
    0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650,
)
_OCTETS = 66
_EXPONENT = 65537
_SMALL = [
    number
    for number in range(3, 2000, 2)
    if all(number % other for other in range(3, 45, 2) if other < number)
]
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_CURVE = bytes.fromhex("06072a8648ce3d020106052b81040023")

Point = tuple[int, int, int]
"""A point in Jacobian coordinates; the last is 0 at infinity."""


def _doubled(point: Point) -> Point:
    x, y, z = point
    delta, gamma = z * z % P, y * y % P
    beta, alpha = x * gamma % P, 3 * (x - delta) * (x + delta) % P
    new_x = (alpha * alpha - 8 * beta) % P
    return new_x, (alpha * (4 * beta - new_x) - 8 * gamma * gamma) % P, 2 * y * z % P


def _with(point: Point, other: tuple[int, int]) -> Point:
    """Add a point that is given by two coordinates."""
    x, y, z = point
    if not z:
        return (*other, 1)
    square = z * z % P
    apart, rise = (other[0] * square - x) % P, (other[1] * square * z - y) % P
    if not apart:
        return (0, 1, 0) if rise else _doubled(point)
    squared = apart * apart % P
    cubed, moved = apart * squared % P, x * squared % P
    new_x = (rise * rise - cubed - 2 * moved) % P
    return new_x, (rise * (moved - new_x) - y * cubed) % P, z * apart % P


def _plain(point: Point) -> tuple[int, int]:
    inverse = pow(point[2], -1, P)
    return point[0] * inverse * inverse % P, point[1] * inverse * inverse * inverse % P


@cache
def _powers() -> tuple[tuple[int, int], ...]:
    """Return the generator doubled 0 to 520 times."""
    powers, point = [], (*_G, 1)
    for _ in range(521):
        powers.append(_plain(point))
        point = _doubled(point)
    return tuple(powers)


def times_generator(number: int) -> tuple[int, int]:
    """Return a multiple of the curve's generator."""
    point: Point = (0, 1, 0)
    for place, power in enumerate(_powers()):
        if number >> place & 1:
            point = _with(point, power)
    return _plain(point)


def _drawn(key: bytes, *about: bytes) -> Iterator[bytes]:
    """Yield octets that follow from a key, 128 at a time."""
    for number in range(1 << 16):
        text = b"\0".join((*about, number.to_bytes(2, "big")))
        yield hmac.digest(key, b"1" + text, "sha512") + hmac.digest(key, b"2" + text, "sha512")


class EcKey:
    """A P-521 key of a seed and a name; signs by ECDSA with SHA-512."""

    def __init__(self, seed: bytes, name: str) -> None:
        self._secret = 1 + int.from_bytes(hmac.digest(seed, name.encode(), "sha512"), "big")
        point = b"\x04" + b"".join(one.to_bytes(_OCTETS, "big") for one in times_generator(self._secret))
        self.ski = hashlib.sha256(point).digest()
        self._spki = sequence(sequence(_CURVE), tlv(0x03, b"\0" + point))

    def certificate(self, name: str) -> bytes:
        """Encode a certificate under a name."""
        body = forms.certificate_body(name, sequence(forms.ECDSA_SHA512), self._spki, self.ski)
        return sequence(body, sequence(forms.ECDSA_SHA512), tlv(0x03, b"\0" + self.signature(body)))

    def signature(self, message: bytes) -> bytes:
        """Sign; the same message is signed by the same octets."""
        digest = int.from_bytes(hashlib.sha512(message).digest(), "big")
        for drawn in _drawn(self._secret.to_bytes(_OCTETS, "big"), message):
            nonce = 1 + int.from_bytes(drawn, "big") % (N - 1)
            first = times_generator(nonce)[0] % N
            second = pow(nonce, -1, N) * (digest + first * self._secret) % N
            if first and second:
                return sequence(forms.integer(first), forms.integer(second))
        raise ValueError("no nonce")

    def signer_info(self, octets: int, signature: bytes) -> bytes:
        """Encode a signer info around a signature; the identifier has so many octets."""
        return forms.ec_signer_info(self.ski[:octets], signature)


class RsaKey:
    """An RSA-2048 key of a seed and a name; signs with SHA-256 under ANSI X9.31."""

    def __init__(self, seed: bytes, name: str) -> None:
        one, other = (prime_of(seed, name, number) for number in ("1", "2"))
        self._modulus = one * other
        self._secret = pow(_EXPONENT, -1, (one - 1) * (other - 1))
        numbers = sequence(forms.integer(self._modulus), forms.integer(_EXPONENT))
        self.ski = hashlib.sha256(numbers).digest()
        self._spki = sequence(sequence(forms.RSA, forms.NULL), tlv(0x03, b"\0" + numbers))

    def certificate(self, name: str) -> bytes:
        """Encode a certificate under a name."""
        algorithm = sequence(forms.SHA256_RSA)
        body = forms.certificate_body(name, algorithm, self._spki, self.ski)
        return sequence(body, algorithm, tlv(0x03, b"\0" + self.signature(body)))

    def signature(self, message: bytes) -> bytes:
        """Sign a message."""
        return pow(forms.x931_number(message), self._secret, self._modulus).to_bytes(256, "big")

    def signer_info(self, octets: int, signature: bytes) -> bytes:
        """Encode a signer info around a signature; the identifier has so many octets."""
        return forms.rsa_signer_info(self.ski[:octets], signature)


def prime_of(seed: bytes, *about: str) -> int:
    """Return a prime of 1,024 bits, of which the highest two are set, that follows from a seed."""
    for drawn in _drawn(seed, *(text.encode() for text in about)):
        number = int.from_bytes(drawn, "big") | 3 << 1022 | 1
        if all(number % small for small in _SMALL) and number % _EXPONENT != 1 and _is_prime(number):
            return number
    raise ValueError("no prime")


def _is_prime(number: int) -> bool:
    """Tell whether a large number is a prime, by Miller and Rabin."""
    halves = ((number - 1) & -(number - 1)).bit_length() - 1
    for witness in _WITNESSES:
        power = pow(witness, number - 1 >> halves, number)
        if power == 1:
            continue
        for _ in range(halves):
            if power == number - 1:
                break
            power = power * power % number
        else:
            return False
    return True


def seal(part: bytes, spki: bytes, padding: bytes) -> bytes:
    """Encode the recipient info that carries a key part to an RSA importer key; ``padding`` has no zeros.

    Raises :class:`ValueError` where the key is none of RSA.
    """
    modulus, exponent = forms.rsa_numbers(spki)
    size = (modulus.bit_length() + 7) // 8
    padded = b"\0\x02" + padding[: size - len(part) - 3] + b"\0" + part
    encrypted = pow(int.from_bytes(padded, "big"), exponent, modulus).to_bytes(size, "big")
    return forms.rsa_recipient_info(hashlib.sha256(spki).digest(), encrypted)


def importer_of_nobody(seed: bytes, about: str) -> bytes:
    """Return an RSA-2048 key, as a unit prints one, of which nobody has the other half."""
    drawn = next(_drawn(seed, about.encode())) + next(_drawn(seed, about.encode(), b"more"))
    numbers = sequence(forms.integer(int.from_bytes(drawn, "big") | 1 << 2047 | 1), forms.integer(_EXPONENT))
    return sequence(sequence(forms.RSA, forms.NULL), tlv(0x03, b"\0" + numbers))
