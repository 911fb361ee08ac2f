"""RSA keys of primes that are combined two by two, because making primes takes nearly all of the time.

Each key has a modulus of its own, but two keys that share a prime can both be broken by their holder: good for a throw-away
reference, for nothing else.
"""

from __future__ import annotations

import threading
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

EXPONENT: Final = 65_537


def of_primes(p: int, q: int) -> rsa.RSAPrivateKey:
    """Return the private key of two primes."""
    d = rsa.rsa_recover_private_exponent(EXPONENT, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    )
    # Checking primes again would take as long as a request may; OpenSSL made them.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def combined(primes: list[int], made: tuple[int, int]) -> list[tuple[int, int]]:
    """Add two new primes to the known ones and return the pairs that this allows: the new two, and each with each."""
    pairs = [made, *((old, new) for old in primes for new in made)]
    primes += made
    return pairs


class Keys:
    """Hands out keys of some size in bits, each modulus once; safe between threads."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._lock = threading.Lock()
        self._primes: list[int] = []
        self._ready: list[tuple[int, int]] = []

    def take(self) -> rsa.RSAPrivateKey:
        """Return a key that nobody was given before."""
        with self._lock:
            if not self._ready:
                made = rsa.generate_private_key(EXPONENT, self._bits).private_numbers()
                self._ready = combined(self._primes, (made.p, made.q))
            return of_primes(*self._ready.pop())
