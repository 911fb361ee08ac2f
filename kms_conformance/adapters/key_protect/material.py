"""Key material and the import-token cryptography of a client.

RSA-OAEP wraps the material for the way, AES-GCM under the material proves that sender and token belong together.
(Facts of the error page, sections ``incorrect-nonce-err`` and ``incorrect-nonce-iv-err``.)
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_conformance.redaction.redactor import Secret

IV_BYTES = 12


@dataclass(frozen=True, slots=True)
class WrappedMaterial:
    """Key material packed for an import token: the members that an import or a rotation sends."""

    payload: Secret
    encrypted_nonce: Secret
    iv: Secret
    algorithm: str = "RSAES_OAEP_SHA_256"

    def members(self) -> dict[str, str]:
        """Return the request's members."""
        return {
            "payload": self.payload,
            "encryptedNonce": self.encrypted_nonce,
            "iv": self.iv,
            "encryptionAlgorithm": self.algorithm,
        }


def pack(material: str, public_key: str, nonce: str, iv: bytes) -> WrappedMaterial:
    """Pack base64 key material for the token whose public key (base64 of PEM or DER) and nonce are given.

    Raises :class:`ValueError` when the public key or the nonce cannot be read.
    """
    return WrappedMaterial(
        payload=Secret(
            base64.b64encode(_oaep(base64.b64decode(material), base64.b64decode(public_key))).decode()
        ),
        encrypted_nonce=seal_nonce(material, nonce, iv),
        iv=Secret(base64.b64encode(iv).decode()),
    )


def seal_nonce(material: str, nonce: str, iv: bytes) -> Secret:
    """Encrypt a token's nonce under the key material: AES-GCM, no AAD, the tag behind the ciphertext."""
    sealed = AESGCM(base64.b64decode(material)).encrypt(iv, base64.b64decode(nonce), None)
    return Secret(base64.b64encode(sealed).decode())


def _oaep(material: bytes, public_key: bytes) -> bytes:
    load = (
        serialization.load_pem_public_key
        if public_key.lstrip().startswith(b"-----")
        else serialization.load_der_public_key
    )
    key = load(public_key)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the import token's key is not an RSA key")  # noqa: TRY004 - the value is wrong, not our type
    return key.encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
