"""The forms in which administrators and key parts travel: certificates, signer infos, recipient infos, patterns.

Pure and of the standard library alone: what signs and encrypts is elsewhere.
"""

from __future__ import annotations

import hashlib

from kms_conformance.adapters.hpcs_tke.wire import (
    OCTET_STRING,
    SEQUENCE,
    WireError,
    members_of,
    nodes,
    octets,
    sequence,
    tlv,
)

NAME_WIDTH = 30
UNIT_NAME = "TKE Administration"
KEY_OCTETS = 32
PATTERN_OCTETS = 28
"""Octets of a verification pattern that count: newer modules print zeros behind them."""
P_521 = bytes.fromhex("052b81040023")
"""What the SubjectPublicKeyInfo of a P-521 key holds; its last octets are the point."""
POINT_OCTETS = 133
IDENTIFIER = 0x80
"""The tag of an administrator's or importer key's identifier."""

NULL = tlv(0x05, b"")
RSA = bytes.fromhex("06092a864886f70d010101")
SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
ECDSA_SHA512 = bytes.fromhex("06082a8648ce3d040304")
_SHA256 = bytes.fromhex("0609608648016503040201")
_SHA512 = bytes.fromhex("0609608648016503040203")
_UNIT_OID = bytes.fromhex("060355040b")
_NAME_OID = bytes.fromhex("0603550403")
_SKI_OID = bytes.fromhex("0603551d0e")


def integer(value: int) -> bytes:
    """Encode an INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def signer_info(ski: bytes, digest: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """Encode one signer info; ``digest`` and ``algorithm`` are encoded object identifiers."""
    algorithms = (sequence(digest, NULL), sequence(algorithm, NULL))
    return sequence(integer(3), tlv(IDENTIFIER, ski), *algorithms, tlv(OCTET_STRING, signature))


def ec_signer_info(ski: bytes, signature: bytes) -> bytes:
    """Encode the signer info of a P-521 key."""
    return signer_info(ski, _SHA512, ECDSA_SHA512, signature)


def rsa_signer_info(ski: bytes, signature: bytes) -> bytes:
    """Encode the signer info of an RSA key."""
    return signer_info(ski, _SHA256, RSA, signature)


def certificate_body(name: str, algorithm: bytes, spki: bytes, ski: bytes) -> bytes:
    """Encode what a certificate's signature covers: version 3, serial 0, fixed names and dates."""

    def relative(oid: bytes, text: str) -> bytes:
        return tlv(0x31, sequence(oid, tlv(0x13, text.encode("ascii"))))

    names = sequence(relative(_UNIT_OID, UNIT_NAME), relative(_NAME_OID, name[:NAME_WIDTH].ljust(NAME_WIDTH)))
    validity = sequence(tlv(0x18, b"20000101000000Z"), tlv(0x18, b"21001231235959Z"))
    extensions = tlv(0xA3, sequence(sequence(_SKI_OID, tlv(OCTET_STRING, tlv(OCTET_STRING, ski)))))
    version = tlv(0xA0, integer(2))
    return sequence(version, integer(0), algorithm, names, validity, names, spki, extensions)


def rsa_recipient_info(ski: bytes, encrypted: bytes) -> bytes:
    """Encode what carries a key part, encrypted under the RSA importer key of an identifier."""
    return sequence(integer(2), tlv(IDENTIFIER, ski), sequence(RSA, NULL), tlv(OCTET_STRING, encrypted))


def x931_number(signed: bytes) -> int:
    """Return what is raised to the secret exponent of an RSA-2048 key that signs under ANSI X9.31 with SHA-256."""
    head, tail = bytes.fromhex("6b" + "bb" * 220 + "ba"), bytes.fromhex("34cc")
    return int.from_bytes(head + hashlib.sha256(signed).digest() + tail, "big")


def rsa_numbers(spki: bytes) -> tuple[int, int]:
    """Return modulus and exponent of an RSA key's SubjectPublicKeyInfo; raise :class:`WireError` where it is none."""
    outer = list(nodes(spki))
    inner = list(nodes(outer[0].value)) if outer else []
    if len(inner) != 2 or RSA not in inner[0].value:  # noqa: PLR2004 - algorithm and key
        raise WireError("an importer key of another kind")
    key = list(nodes(inner[1].value[1:]))
    numbers = list(nodes(key[0].value)) if key and key[0].tag == SEQUENCE else []
    if len(numbers) != 2:  # noqa: PLR2004 - modulus and exponent
        raise WireError("an RSA key without its two numbers")
    modulus, exponent = (int.from_bytes(number.value, "big") for number in numbers)
    return modulus, exponent


def pattern_of(key: bytes) -> bytes:
    """Return the 28 octets of a master key's verification pattern that every module prints alike."""
    return hashlib.sha256(b"\x01" + key).digest()[:PATTERN_OCTETS]


def join_parts(*parts: bytes) -> bytes:
    """Return the key that key parts (32 octets each) make: their exclusive-or."""
    whole = 0
    for part in parts:
        whole ^= int.from_bytes(part, "big")
    return whole.to_bytes(KEY_OCTETS, "big")


def in_long_lengths(block: bytes) -> bytes:
    """Encode the block of a command anew, with lengths that take more octets than they need."""
    members = b"".join(tlv(OCTET_STRING, member, length_octets=2) for member in members_of(block, (5,)))
    return tlv(SEQUENCE, members, length_octets=3)


def in_short_lengths(block: bytes) -> bytes:
    """Encode the block of a command anew, with lengths that take as few octets as they can."""
    return octets(*members_of(block, (5,)))
