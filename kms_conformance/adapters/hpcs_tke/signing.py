"""What an administrator of a crypto unit holds: a signature key, its certificate, and key parts to send.

Throw-away keys, made per run. P-521 signs with SHA-512, RSA-2048 with SHA-256 under ANSI X9.31; a certificate
has the shape of the vendor's tools (version 3, serial 0, fixed names and dates).
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from kms_conformance.adapters.hpcs_tke import forms
from kms_conformance.adapters.hpcs_tke.wire import WireError, sequence, tlv


class Administrator(Protocol):
    """One administrator: ``ski`` has 32 octets."""

    name: str
    ski: bytes

    def certificate(self) -> bytes:
        """Encode the certificate that installs this administrator."""

    @property
    def certificate_sent(self) -> bytes:
        """The certificate, the same octets each time."""

    def sign(self, block: bytes) -> bytes:
        """Encode the signer info over an encoded admin block."""


class _Certified(ABC):
    """Makes the certificate once: its signature differs each time."""

    @abstractmethod
    def certificate(self) -> bytes:
        """Encode the certificate that installs this administrator."""

    @cached_property
    def certificate_sent(self) -> bytes:
        """The certificate, the same octets each time."""
        return self.certificate()


class EcAdministrator(_Certified):
    """An administrator with a P-521 key; with a ``seed``, the same one each time.

    After a kill with such an administrator installed, a later run can zeroize the unit, because it derives the same key.
    """

    def __init__(self, name: str, seed: bytes | None = None) -> None:
        self.name = name
        curve = ec.SECP521R1()
        self._key = (
            ec.generate_private_key(curve)
            if seed is None
            else ec.derive_private_key(
                1 + int.from_bytes(hmac.digest(seed, name.encode(), "sha512"), "big"), curve
            )
        )
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.ski = hashlib.sha256(point).digest()

    def renamed(self, name: str) -> EcAdministrator:
        """Return the same key under another name."""
        other = copy(self)
        other.name = name
        other.__dict__.pop("certificate_sent", None)
        return other

    def certificate(self) -> bytes:
        """Encode the certificate that installs this administrator."""
        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        body = forms.certificate_body(self.name, sequence(forms.ECDSA_SHA512), spki, self.ski)
        signature = self._key.sign(body, ec.ECDSA(SHA512()))
        return sequence(body, sequence(forms.ECDSA_SHA512), tlv(0x03, b"\0" + signature))

    def sign(self, block: bytes) -> bytes:
        """Encode the signer info over an encoded admin block."""
        return self.enclose(self._key.sign(block, ec.ECDSA(SHA512())))

    def enclose(self, signature: bytes) -> bytes:
        """Encode a signer info around any octets in the signature's place."""
        return forms.ec_signer_info(self.ski, signature)

    def sign_for(self, other: Administrator, block: bytes) -> bytes:
        """Encode a signer info over a block that names another administrator as the signer."""
        signature = self._key.sign(block, ec.ECDSA(SHA512()))
        return forms.ec_signer_info(other.ski, signature)

    def signed_as(self, octets: int, block: bytes) -> bytes:
        """Encode a signer info over a block whose identifier has another number of octets."""
        signature = self._key.sign(block, ec.ECDSA(SHA512()))
        return forms.ec_signer_info(self.ski[:octets], signature)


class RsaAdministrator(_Certified):
    """An administrator with an RSA-2048 key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = rsa.generate_private_key(65537, 2048)
        numbers = self._key.public_key().public_numbers()
        self.ski = hashlib.sha256(sequence(forms.integer(numbers.n), forms.integer(numbers.e))).digest()

    def certificate(self) -> bytes:
        """Encode the certificate that installs this administrator."""
        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        algorithm = sequence(forms.SHA256_RSA)
        body = forms.certificate_body(self.name, algorithm, spki, self.ski)
        return sequence(body, algorithm, tlv(0x03, b"\0" + self._x931(body)))

    def sign(self, block: bytes) -> bytes:
        """Encode the signer info over an encoded admin block."""
        return forms.rsa_signer_info(self.ski, self._x931(block))

    def _x931(self, signed: bytes) -> bytes:
        key, number = self._key.private_numbers(), forms.x931_number(signed)
        # By the Chinese remainder theorem, in a quarter of the time.
        one, other = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
        return (other + key.q * ((one - other) * key.iqmp % key.p)).to_bytes(256, "big")


@dataclass(frozen=True, slots=True)
class Importer:
    """A unit's importer key as the unit printed it: SubjectPublicKeyInfo in DER."""

    spki: bytes

    @classmethod
    @cache
    def made(cls, kind: str) -> Importer:
        """Return the public half of a key that nobody keeps, once made: ``rsa`` (2048 bits) or ``secp521r1``."""
        key = (
            rsa.generate_private_key(65537, 2048)
            if kind == "rsa"
            else ec.generate_private_key(ec.SECP521R1())
        )
        return cls(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def seal(self, part: bytes) -> bytes:
        """Encode the recipient info that carries one key part (32 octets) to the unit.

        Raises:
            WireError: the importer key is neither RSA nor P-521.
        """
        try:
            key = load_der_public_key(self.spki)
        except ValueError as error:
            raise WireError("an importer key that is not a public key") from error
        if isinstance(key, rsa.RSAPublicKey):
            encrypted = key.encrypt(part, padding.PKCS1v15())
            return forms.rsa_recipient_info(hashlib.sha256(self.spki).digest(), encrypted)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp521r1":
            raise WireError("an importer key of another kind")
        return _seal_ec(key, part)

    def holder_certificate(self) -> bytes:
        """Encode a P-521 importer key as the key part holder of an export (309 octets).

        Raises:
            WireError: not a P-521 key.
        """
        key = load_der_public_key(self.spki)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise WireError("an importer key that is not on a curve")
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return (bytes(36) + b"K\x01\x01\0\0\x85\x02\x09" + point).ljust(309, b"\0")


def _seal_ec(key: ec.EllipticCurvePublicKey, part: bytes) -> bytes:
    """Seal a part as the reference reads it: the vendor's own form for P-521 is not public."""
    sender = ec.generate_private_key(ec.SECP521R1())
    shared = X963KDF(SHA256(), 32, b"").derive(sender.exchange(ec.ECDH(), key))
    point = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    ski = hashlib.sha256(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).digest()
    return sequence(forms.integer(3), tlv(0x80, ski), tlv(0x04, point), tlv(0x04, aes_key_wrap(shared, part)))
