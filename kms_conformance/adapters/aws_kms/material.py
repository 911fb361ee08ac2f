"""Key material, wrapped for its import."""

from __future__ import annotations

import base64
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms_conformance.run.outcomes import Inconclusive


class Parameters(NamedTuple):
    """What GetParametersForImport gives: a token, and the public key of it in DER and base64."""

    token: str
    public_key: str


def wrapped(parameters: Parameters, material: str) -> str:
    """Return material in base64, encrypted with RSAES_OAEP_SHA_256 and again in base64.

    Raises :class:`Inconclusive` where the public key is none.
    """
    try:
        key = load_der_public_key(base64.b64decode(parameters.public_key))
    except ValueError:
        raise Inconclusive("GetParametersForImport gives a PublicKey that is no public key") from None
    if not isinstance(key, RSAPublicKey):
        raise Inconclusive("GetParametersForImport gives a PublicKey that is no RSA key")
    sealed = key.encrypt(base64.b64decode(material), OAEP(MGF1(SHA256()), SHA256(), None))
    return base64.b64encode(sealed).decode()
