"""RSA-4096 pairs made ahead, off the path of requests.

Making one takes about a second. To have some at once, the first come from twenty primes that are shipped
with the package, combined two by two in random order: 190 moduli, more than a run of the suite asks for.
Later ones are made in the background, and their primes combined with all earlier ones in the same way. Each
pair that is handed out is a modulus of its own, so that an import under an older token's key fails, as it
must. A reader of the shipped file, or a holder of two private keys of this server, can break these keys: good
for a throw-away reference, for nothing else.
"""

from __future__ import annotations

import json
import threading
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kms_reference.combined_rsa import EXPONENT, combined, of_primes

if TYPE_CHECKING:
    from concurrent.futures import Future

BITS: Final = 4_096
_LOW_WATER: Final = 4

Pair = tuple[str, str]
"""Private and public key as PEM texts."""


class PairPool:
    """Hands out pairs, each once. Each server has a pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._primes: list[int] = []
        self._ready: list[tuple[int, int]] = []
        self._waiting: list[Future[Pair]] = []
        self._working = False
        self._started = False

    def warm_up(self) -> None:
        """Start making pairs in the background, unless that is under way or enough are there."""
        with self._lock:
            self._start()
            if self._working or (len(self._ready) >= _LOW_WATER and not self._waiting):
                return
            self._working = True
        threading.Thread(target=self._make, name="rsa-pairs", daemon=True).start()

    def request(self, future: Future[Pair]) -> None:
        """Fulfil `future` with a pair, now or as soon as one is made."""
        with self._lock:
            self._start()
            primes = self._ready.pop(0) if self._ready else None
            if primes is None:
                self._waiting.append(future)
        self.warm_up()
        if primes is not None:
            future.set_result(_pems(*primes))

    def _start(self) -> None:
        """Fill the pool from the shipped primes, once."""
        if not self._started:
            self._started = True
            self._primes = _shipped_primes()
            self._ready = list(combinations(self._primes, 2))
            SystemRandom().shuffle(self._ready)

    def _make(self) -> None:
        while True:
            made = rsa.generate_private_key(EXPONENT, BITS).private_numbers()
            served: list[tuple[Future[Pair], tuple[int, int]]] = []
            with self._lock:
                self._ready += combined(self._primes, (made.p, made.q))
                while self._waiting and self._ready:
                    served.append((self._waiting.pop(0), self._ready.pop(0)))
                done = len(self._ready) >= _LOW_WATER and not self._waiting
                if done:
                    self._working = False
            for future, primes in served:
                if not future.cancelled():
                    future.set_result(_pems(*primes))
            if done:
                return


@lru_cache(maxsize=64)
def load_private(pem: str) -> rsa.RSAPrivateKey:
    """Return the private key behind a PEM text."""
    key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _shipped_primes() -> list[int]:
    text = (files(__package__) / "starter_primes.json").read_text(encoding="utf-8")
    return [int(prime, 16) for prime in json.loads(text)["primes"]]


def _pems(p: int, q: int) -> Pair:
    key = of_primes(p, q)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()
