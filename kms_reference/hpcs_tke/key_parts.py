"""Key parts on their way into and out of a crypto unit: importer keys, recipient infos, export parameter files.

An RSA recipient info is the vendor's: INTEGER 2, [0] SKI, {rsaEncryption, NULL}, part under PKCS #1 v1.5. For
P-521 no source shows the inside (clients pass the export's output on unread), so this reference uses its own:
INTEGER 3, [0] SKI, OCTET STRING ephemeral point, OCTET STRING part under AES key wrap with the X9.63 key.
"""

import hashlib
import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms_reference.combined_rsa import Keys
from kms_reference.hpcs_tke import ber, codes
from kms_reference.hpcs_tke.administrators import OID_RSA, POINT_LENGTH, SKI_LENGTH
from kms_reference.hpcs_tke.codes import Refusal
from kms_reference.hpcs_tke.module import encode_public_key

KEY_LENGTH = 32
IMPORTER_RSA_2048 = 0
IMPORTER_P521 = 3
MAX_PARTS = 3

TAG_ENCRYPTED_PART = 0x0019
TAG_M_POLICY = 0x001C
TAG_HOLDER_CERTIFICATE = 0x001D

_RSA_VERSION = 2
_EC_VERSION = 3
_TYPE_LENGTH = 4
_ENTRY_HEAD = 6
_HOLDER_LENGTH = 309
_HOLDER_POINT = 44
_RSA_KEYS = Keys(2048)


class ExportRequest(NamedTuple):
    """A parsed parameter file: how many parts are needed, and the key of each part's holder in order."""

    needed: int
    holders: tuple[ec.EllipticCurvePublicKey, ...]


class Importer:
    """The private key under which parts come in; one per domain."""

    def __init__(self, kind: int) -> None:
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if kind == IMPORTER_P521:
            self._key = ec.generate_private_key(ec.SECP521R1())
        else:
            self._key = _RSA_KEYS.take()

    def public_key(self) -> bytes:
        """Encode the SubjectPublicKeyInfo in DER."""
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def open_part(self, recipient_info: bytes) -> bytes:
        """Decrypt one key part (32 octets).

        Raises:
            Refusal: 32/23 for a malformed recipient info, 32/28 when the part does not decrypt to a key.
        """
        try:
            version, algorithm, encrypted = _read_recipient(recipient_info)
            if isinstance(self._key, rsa.RSAPrivateKey):
                fits = version == _RSA_VERSION and ber.read_sequence(algorithm.raw)[0].raw == OID_RSA
            else:
                fits = version == _EC_VERSION and len(algorithm.body) == POINT_LENGTH
        except (ber.BerError, IndexError) as error:
            raise Refusal(codes.RECIPIENT_MALFORMED) from error
        if not fits:
            raise Refusal(codes.RECIPIENT_MALFORMED)
        try:
            part = self._decrypt(algorithm.body, encrypted)
        except (ValueError, InvalidUnwrap, InvalidKey) as error:
            raise Refusal(codes.PART_UNREADABLE) from error
        if len(part) != KEY_LENGTH:
            raise Refusal(codes.PART_UNREADABLE)
        return part

    def _decrypt(self, point: bytes, encrypted: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.decrypt(encrypted, padding.PKCS1v15())
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP521R1(), point)
        return aes_key_unwrap(_agreed_key(self._key, sender), encrypted)


def _read_recipient(recipient_info: bytes) -> tuple[int, ber.Element, bytes]:
    """Version, key or algorithm member, encrypted part."""
    members = ber.read_sequence(recipient_info)
    if [member.tag for member in members[::3]] != [ber.INTEGER, ber.OCTET_STRING]:
        raise ber.BerError("recipient info")
    if (members[1].tag, len(members[1].body)) != (ber.CONTEXT_0, SKI_LENGTH):
        raise ber.BerError("recipient identifier")
    return ber.read_integer(members[0]), members[2], members[3].body


def new_importer(data: bytes) -> Importer:
    """Make the importer key that a generate command asks for.

    Raises:
        Refusal: 33 for an input that is not four octets, 32/55 for an unknown type.
    """
    if len(data) != _TYPE_LENGTH:
        raise Refusal(codes.INPUT_LENGTH)
    kind = int.from_bytes(data, "big")
    if kind not in (IMPORTER_RSA_2048, IMPORTER_P521):
        raise Refusal(codes.IMPORTER_TYPE)
    return Importer(kind)


def combine(parts: list[bytes]) -> bytes:
    """Combine key parts to the key: the exclusive-or of all."""
    key = bytes(KEY_LENGTH)
    for part in parts:
        key = bytes(a ^ b for a, b in zip(key, part, strict=True))
    return key


def verification_pattern(key: bytes) -> bytes:
    """SHA-256 over 01 and the key, the last four octets zero as newer modules print it."""
    return hashlib.sha256(b"\x01" + key).digest()[:28] + bytes(4)


def read_export_request(data: bytes) -> ExportRequest:
    """Read an export parameter file.

    Raises:
        Refusal: 33 for no input, 7 for a malformed file, 3/102 for a holder certificate that is none, 32/96 when
            the parts asked for and the holders named do not fit.
    """
    if not data:
        raise Refusal(codes.INPUT_LENGTH)
    try:
        entries = [member.body for member in ber.read_sequence(data)]
    except ber.BerError as error:
        raise Refusal(codes.BAD_ARGUMENTS) from error
    needed, holders = 1, {}
    for entry in entries:
        if len(entry) < _ENTRY_HEAD:
            raise Refusal(codes.BAD_ARGUMENTS)
        tag, index = int.from_bytes(entry[:2], "big"), int.from_bytes(entry[2:_ENTRY_HEAD], "big")
        if tag == TAG_M_POLICY:
            needed = index
        elif tag == TAG_HOLDER_CERTIFICATE:
            holders[index] = _holder_key(entry[_ENTRY_HEAD:])
    if not 1 <= needed <= MAX_PARTS or needed != len(holders):
        raise Refusal(codes.EXPORT_PARTS)
    return ExportRequest(needed, tuple(holders[index] for index in sorted(holders)))


def _holder_key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    point = certificate[_HOLDER_POINT : _HOLDER_POINT + POINT_LENGTH]
    if len(certificate) != _HOLDER_LENGTH or certificate[36:37] != b"K":
        raise Refusal(codes.BAD_EXPORT_CERTIFICATE)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP521R1(), point)
    except ValueError as error:
        raise Refusal(codes.BAD_EXPORT_CERTIFICATE) from error


def seal(key: bytes, request: ExportRequest) -> bytes:
    """Split a key among its holders; answer a parameter file with one encrypted part for each."""
    parts = [secrets.token_bytes(KEY_LENGTH) for _ in request.holders[1:]]
    parts.append(combine([key, *parts]))
    entries = []
    for index, (holder, part) in enumerate(zip(request.holders, parts, strict=True)):
        head = TAG_ENCRYPTED_PART.to_bytes(2, "big") + index.to_bytes(4, "big")
        entries.append(head + _seal_part(holder, part))
    return ber.encode_octet_strings(*entries)


def _seal_part(holder: ec.EllipticCurvePublicKey, part: bytes) -> bytes:
    sender = ec.generate_private_key(ec.SECP521R1())
    ski = hashlib.sha256(encode_public_key(holder)).digest()
    members = (
        ber.encode_integer(_EC_VERSION),
        ber.encode(ber.CONTEXT_0, ski),
        ber.encode(ber.OCTET_STRING, encode_public_key(sender.public_key())),
        ber.encode(ber.OCTET_STRING, aes_key_wrap(_agreed_key(sender, holder), part)),
    )
    return ber.encode(ber.SEQUENCE, b"".join(members))


def _agreed_key(own: ec.EllipticCurvePrivateKey, other: ec.EllipticCurvePublicKey) -> bytes:
    return X963KDF(SHA256(), 32, b"").derive(own.exchange(ec.ECDH(), other))
