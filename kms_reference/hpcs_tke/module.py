"""A crypto module: serial number, its signing key, and the chain of certificates over that key.

The chain ends in a root of this reference's own. The vendor's tools carry the roots of the real modules and so
refuse every emulator; a client that checks these signatures takes the root from the chain.
"""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from kms_reference.hpcs_tke import ber
from kms_reference.hpcs_tke.administrators import OID_ECDSA_SHA512, OID_SHA512

CHAIN_NAMES = ("epoch key", "module key", "root of the reference")
_NULL = b"\x05\x00"


class CryptoModule:
    """One module; ``serial`` is eight ASCII characters, ``imprint`` is true before the module itself is set up."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self.identifier = serial.encode("ascii") + bytes(8)
        self.imprint = False
        self._key = ec.generate_private_key(ec.SECP521R1())
        self._chain: list[bytes] | None = None

    def signer_info(self, block: bytes) -> bytes:
        """Sign a response block; answer the encoded signer info."""
        signature = self._key.sign(block, ec.ECDSA(SHA512()))
        members = (
            ber.encode_integer(3),
            ber.encode(ber.CONTEXT_0, self._ski()),
            ber.encode(ber.SEQUENCE, OID_SHA512 + _NULL),
            ber.encode(ber.SEQUENCE, OID_ECDSA_SHA512 + _NULL),
            ber.encode(ber.OCTET_STRING, signature),
        )
        return ber.encode(ber.SEQUENCE, b"".join(members))

    def certificates(self) -> list[bytes]:
        """Encode the chain in DER, the signing key's certificate first."""
        if self._chain is None:
            self._chain = self._make_chain()
        return self._chain

    def _ski(self) -> bytes:
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()).digest.ljust(32, b"\0")

    def _make_chain(self) -> list[bytes]:
        keys = [self._key, *(ec.generate_private_key(ec.SECP521R1()) for _ in CHAIN_NAMES[1:])]
        issuers = [*keys[1:], keys[-1]]
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.serial} {n}")]) for n in CHAIN_NAMES
        ]
        issuer_names = [*names[1:], names[-1]]
        start = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        end = dt.datetime(2100, 12, 31, tzinfo=dt.UTC)
        return [
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .sign(issuer, SHA512())
            .public_bytes(Encoding.DER)
            for key, issuer, name, issuer_name in zip(keys, issuers, names, issuer_names, strict=True)
        ]


def encode_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """Encode a point without compression (133 octets for P-521)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
