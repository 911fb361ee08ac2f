"""Wrapping under key material, and the checks of the import-token protocol.

Ciphertexts are opaque to clients: base64 of a JSON text with the members `ciphertext`, `iv`,
`version` and `handle` (the id of the key version that wrapped).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

FORMAT: Final = "4.0.0"
KEY_SIZES: Final = (16, 24, 32)
NONCE_SIZE: Final = 12
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


class Base64Error(ValueError):
    """Not standard base64; `offset` is the byte at which a strict decoder stops."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


class CiphertextError(ValueError):
    """The text is base64 but no ciphertext of this service, or it does not open."""


def decode_base64(text: str) -> bytes:
    """Decode standard padded base64; line breaks are skipped as Go's decoder skips them.

    Raises Base64Error.
    """
    data = text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        body = data.rstrip(b"=")
        offset = next((at for at, byte in enumerate(body) if byte not in _BASE64), len(data))
        raise Base64Error(offset) from None


def encode_base64(data: bytes) -> str:
    """Return standard padded base64 as text."""
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Sealed:
    """The parts of a ciphertext."""

    data: bytes
    iv: bytes
    handle: str


def bind(aad: list[str], handle: str) -> bytes:
    """Additional authenticated data: each string with its length in front, so that order and cuts matter."""
    parts = [handle, *aad]
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


@lru_cache(maxsize=1024)
def _cipher(material: str) -> AESGCM:
    raw = bytes.fromhex(material)
    # Only a defect ever wraps with a standard key, whose material may have any size.
    return AESGCM(raw if len(raw) in KEY_SIZES else sha256(raw).digest())


def seal(material: str, handle: str, plaintext: bytes, aad: list[str], iv: bytes | None = None) -> str:
    """Encrypt under the material (hex); the base64 text that clients keep."""
    iv = iv or token_bytes(NONCE_SIZE)
    # The handle is not bound: two root keys with equal material open each other's ciphertexts.
    data = _cipher(material).encrypt(iv, plaintext, bind(aad, ""))
    text = json.dumps(
        {"ciphertext": encode_base64(data), "iv": encode_base64(iv), "version": FORMAT, "handle": handle},
        separators=(",", ":"),
    )
    return encode_base64(text.encode())


def parse(raw: bytes) -> Sealed:
    """Take a decoded ciphertext apart. Raises CiphertextError."""
    try:
        parts = json.loads(raw.decode("utf-8"))
        sealed = Sealed(
            base64.b64decode(parts["ciphertext"], validate=True),
            base64.b64decode(parts["iv"], validate=True),
            parts["handle"],
        )
        valid = parts["version"] == FORMAT and isinstance(sealed.handle, str)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CiphertextError("not a ciphertext of this service") from error
    if not valid:
        raise CiphertextError("not a ciphertext of this service")
    return sealed


def open_sealed(material: str, sealed: Sealed, aad: list[str]) -> bytes:
    """Decrypt and authenticate. Raises CiphertextError."""
    if len(sealed.iv) != NONCE_SIZE:
        raise CiphertextError("wrong iv size")
    try:
        return _cipher(material).decrypt(sealed.iv, sealed.data, bind(aad, ""))
    except InvalidTag as error:
        raise CiphertextError("authentication failed") from error


def open_nonce(material: bytes, iv: bytes, encrypted: bytes) -> bytes | None:
    """Return the nonce that a client encrypted under the key material it imports, None when it does not open."""
    if len(iv) != NONCE_SIZE or len(material) not in KEY_SIZES:
        return None
    try:
        return AESGCM(material).decrypt(iv, encrypted, None)
    except InvalidTag:
        return None


def seal_nonce(material: bytes, iv: bytes, nonce: bytes) -> bytes:
    """Return the client's half of the nonce check: ciphertext with a 16-byte tag."""
    return AESGCM(material).encrypt(iv, nonce, None)


def oaep_decrypt(private: RSAPrivateKey, data: bytes) -> bytes | None:
    """RSA-OAEP with SHA-256 for hash and mask, empty label; None when it does not open."""
    try:
        return private.decrypt(data, _oaep())
    except ValueError:
        return None


def oaep_encrypt(public: RSAPublicKey, data: bytes) -> bytes:
    """Return the client's half of `oaep_decrypt`."""
    return public.encrypt(data, _oaep())


def _oaep() -> AsymmetricPadding:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
