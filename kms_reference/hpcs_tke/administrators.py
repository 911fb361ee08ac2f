"""Administrators of a crypto unit: their certificates, subject key identifiers and signatures.

A certificate's own signature is never checked: the two ways in which the vendor's tools make it disagree.
"""

import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA512

from kms_reference.hpcs_tke import ber
from kms_reference.hpcs_tke.codes import (
    CERTIFICATE_MALFORMED,
    DATA_LENGTH_RANGE,
    SIGNATURE_MALFORMED,
    TOO_MANY_SIGNERS,
    Pair,
    Refusal,
)

MAX_ADMINISTRATORS = 8
SKI_LENGTH = 32
POINT_LENGTH = 133
RSA_LENGTH = 256
"""Octets of an RSA-2048 modulus and signature."""

OID_SHA512 = bytes.fromhex("0609608648016503040203")
OID_SHA256 = bytes.fromhex("0609608648016503040201")
OID_ECDSA_SHA512 = bytes.fromhex("06082A8648CE3D040304")
OID_RSA = bytes.fromhex("06092A864886F70D010101")
OID_EC_KEY = bytes.fromhex("06072A8648CE3D0201")
OID_P521 = bytes.fromhex("06052B81040023")

_SIGNER_VERSION = 3
_BODY_MEMBERS = range(7, 11)
_KEY_MEMBER = 6
_MAX_EXPONENT = 1 << 32


class RsaPublic(NamedTuple):
    """An RSA-2048 public key."""

    modulus: int
    exponent: int


class Administrator(NamedTuple):
    """An installed administrator: identifier, certificate as it was sent, public key."""

    ski: bytes
    certificate: bytes
    key: ec.EllipticCurvePublicKey | RsaPublic


class SignerInfo(NamedTuple):
    """One signature on a command."""

    ski: bytes
    digest: bytes
    algorithm: bytes
    signature: bytes


def read_certificate(certificate: bytes) -> Administrator:
    """Take the public key out of an administrator certificate.

    Raises:
        Refusal: 33 for no input, 32/40 when it is not such a certificate or not a P-521 or RSA-2048 key.
    """
    if not certificate:
        raise Refusal(Pair(DATA_LENGTH_RANGE))
    try:
        members = ber.read_sequence(certificate)
        body = ber.read_elements(members[0].body)
        if len(members) != 3 or members[0].tag != ber.SEQUENCE or len(body) not in _BODY_MEMBERS:  # noqa: PLR2004 - body, algorithm, signature
            raise ber.BerError("not a certificate")
        algorithm, key = ber.read_sequence(body[_KEY_MEMBER].raw)
        if key.tag != ber.BIT_STRING or key.body[:1] != b"\0":
            raise ber.BerError("not a public key")
        ski, public = _read_key(algorithm, key.body[1:])
    except (ValueError, IndexError) as error:
        raise Refusal(CERTIFICATE_MALFORMED) from error
    return Administrator(ski, certificate, public)


def _read_key(algorithm: ber.Element, key: bytes) -> tuple[bytes, ec.EllipticCurvePublicKey | RsaPublic]:
    oid = ber.read_elements(algorithm.body)
    if [part.raw for part in oid] == [OID_EC_KEY, OID_P521] and len(key) == POINT_LENGTH:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP521R1(), key)
        return hashlib.sha256(key).digest(), point
    if oid[0].raw == OID_RSA:
        modulus, exponent = (ber.read_integer(part) for part in ber.read_sequence(key))
        if modulus.bit_length() == RSA_LENGTH * 8 and 1 < exponent < _MAX_EXPONENT:
            both = ber.encode_integer(modulus) + ber.encode_integer(exponent)
            return hashlib.sha256(ber.encode(ber.SEQUENCE, both)).digest(), RsaPublic(modulus, exponent)
    raise ber.BerError("unsupported key")


def read_signers(data: bytes) -> list[SignerInfo]:
    """Read concatenated signer infos; an empty buffer is an unsigned command.

    Raises:
        Refusal: 193 when a signer info is malformed, 193/87 when there are more than administrators can be.
    """
    try:
        infos = ber.read_elements(data)
        signers = [_read_signer(info) for info in infos]
    except (ber.BerError, IndexError) as error:
        raise Refusal(SIGNATURE_MALFORMED) from error
    if len(signers) > MAX_ADMINISTRATORS:
        raise Refusal(TOO_MANY_SIGNERS)
    return signers


def _read_signer(info: ber.Element) -> SignerInfo:
    version, ski, digest, algorithm, signature = _exactly(ber.read_sequence(info.raw), 5)
    if ber.read_integer(version) != _SIGNER_VERSION:
        raise ber.BerError("signer version")
    if (ski.tag, len(ski.body), signature.tag) != (ber.CONTEXT_0, SKI_LENGTH, ber.OCTET_STRING):
        raise ber.BerError("signer members")
    oids = [ber.read_sequence(part.raw)[0].raw for part in (digest, algorithm)]
    return SignerInfo(ski.body, oids[0], oids[1], signature.body)


def _exactly(members: list[ber.Element], count: int) -> list[ber.Element]:
    if len(members) != count:
        raise ber.BerError(f"{len(members)} members where {count} belong")
    return members


def verifies(administrator: Administrator, signer: SignerInfo, signed: bytes) -> bool:
    """Verify one signature over an encoded admin block.

    Raises:
        Refusal: 193 when the signature has not the form that the administrator's kind of key makes.
    """
    if isinstance(administrator.key, RsaPublic):
        if (signer.digest, signer.algorithm) != (OID_SHA256, OID_RSA) or len(signer.signature) != RSA_LENGTH:
            raise Refusal(SIGNATURE_MALFORMED)
        return _verifies_x931(administrator.key, signer.signature, signed)
    if (signer.digest, signer.algorithm) != (OID_SHA512, OID_ECDSA_SHA512):
        raise Refusal(SIGNATURE_MALFORMED)
    try:
        pair = _exactly(ber.read_sequence(signer.signature), 2)
    except ber.BerError as error:
        raise Refusal(SIGNATURE_MALFORMED) from error
    if any(part.tag != ber.INTEGER for part in pair):
        raise Refusal(SIGNATURE_MALFORMED)
    try:
        administrator.key.verify(signer.signature, signed, ec.ECDSA(SHA512()))
    except InvalidSignature:
        return False
    return True


def _verifies_x931(key: RsaPublic, signature: bytes, signed: bytes) -> bool:
    """ANSI X9.31 with SHA-256: ``6B BB .. BB BA || hash || 34 CC``; signers may send s or n - s."""
    hashed = hashlib.sha256(signed).digest()
    filler = RSA_LENGTH - len(hashed) - 4
    expected = int.from_bytes(b"\x6b" + b"\xbb" * filler + b"\xba" + hashed + b"\x34\xcc", "big")
    value = int.from_bytes(signature, "big")
    if value >= key.modulus:
        return False
    opened = pow(value, key.exponent, key.modulus)
    return expected in (opened, key.modulus - opened)
