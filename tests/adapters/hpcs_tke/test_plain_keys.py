"""Keys by Python's integers are those of the library: the same identifiers, and signatures that it verifies."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from kms_conformance.adapters.hpcs_tke import forms, plain_keys
from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator
from kms_conformance.adapters.hpcs_tke.wire import WireError, nodes, tlv

SEED = b"seed"


def public_key(certificate: bytes) -> object:
    """Return the public key of a certificate, whose serial number 0 the library's own reader deprecates."""
    (outer,) = nodes(certificate)
    spki = list(nodes(next(nodes(outer.value)).value))[6]
    return load_der_public_key(tlv(spki.tag, spki.value))


def test_ec_key() -> None:
    """A P-521 key of a seed and a name is the administrator's; what it signs, the library verifies, and signs alike."""
    key, administrator = plain_keys.EcKey(SEED, "one"), EcAdministrator("one", SEED)
    assert key.ski == administrator.ski
    public = public_key(key.certificate("one"))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    for message in (b"", b"a block"):
        public.verify(key.signature(message), message, ec.ECDSA(SHA512()))
        assert key.signature(message) == key.signature(message)


def test_rsa_key() -> None:
    """An RSA key of a seed has 2,048 bits; its signature, raised to the public exponent, is the padded digest."""
    key = plain_keys.RsaKey(SEED, "one")
    public = public_key(key.certificate("one"))
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    assert numbers.n.bit_length() == 2048
    signed = int.from_bytes(key.signature(b"a block"), "big")
    assert pow(signed, numbers.e, numbers.n) == forms.x931_number(b"a block")


def test_sealed_parts() -> None:
    """A part that was sealed for an importer key is opened by the library; one for a key of nobody is of the same form."""
    private = rsa.generate_private_key(65537, 2048)
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sealed = plain_keys.seal(b"\x5a" * 32, spki, b"\x01" * 512)
    assert private.decrypt(sealed[-256:], padding.PKCS1v15()) == b"\x5a" * 32
    assert hashlib.sha256(spki).digest() in sealed
    nobody = plain_keys.importer_of_nobody(SEED, "nobody")
    assert isinstance(load_der_public_key(nobody), rsa.RSAPublicKey)
    assert len(plain_keys.seal(bytes(32), nobody, b"\x01" * 512)) == len(sealed)
    with pytest.raises(WireError):
        forms.rsa_numbers(b"\x30\x00")
