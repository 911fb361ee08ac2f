"""Keys that sign bundles: Ed25519, the private one as PKCS #8 and the public one as SubjectPublicKeyInfo, both PEM."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from kms_conformance.errors import KeyFileError
from kms_conformance.outputs.files import read_file

_MAKE = "`kms-conformance keygen NAME` makes NAME.key and NAME.pub."
_OWNER_ONLY, _ALL_READ = 0o600, 0o644
SHOWN = 12
"""Characters by which a sentence names a key: fewer than those of a word that may be a secret, which errors leave out."""


def make_pair(stem: Path) -> tuple[Path, Path, str]:
    """Make a key pair as ``<stem>.key`` and ``<stem>.pub``; return both paths and the id of the key.

    Raises :class:`KeyFileError` where one of them is there already, or cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key()
    shown = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    paths = (stem.with_name(f"{stem.name}.key"), stem.with_name(f"{stem.name}.pub"))
    for path, content, mode in zip(paths, (secret, shown), (_OWNER_ONLY, _ALL_READ), strict=True):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise KeyFileError(str(path), error.strerror or str(error), "choose another name.") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return *paths, SSlibKey.from_crypto(public).keyid


def read_signer(path: Path) -> CryptoSigner:
    """Return what signs with a private key; raise :class:`KeyFileError`."""
    try:
        key = load_pem_private_key(read_file(path), password=None)
    except OSError as error:
        raise KeyFileError(str(path), error.strerror or str(error), _MAKE) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(str(path), "it is no private key in PEM form without a password", _MAKE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(str(path), "it is no Ed25519 key", _MAKE)
    return CryptoSigner(key)


def read_public(path: Path) -> SSlibKey:
    """Return a public key; raise :class:`KeyFileError`."""
    try:
        return public_of(read_file(path))
    except OSError as error:
        raise KeyFileError(str(path), error.strerror or str(error), _MAKE) from error
    except ValueError as error:
        raise KeyFileError(str(path), str(error), _MAKE) from error


def public_of(pem: bytes) -> SSlibKey:
    """Return the key of a PEM text; raise :class:`ValueError` where it is none."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("it is no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004 - the file is wrong, not the caller
    return SSlibKey.from_crypto(key)


def pem_of(key: SSlibKey) -> str:
    """Return a public key as PEM."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
