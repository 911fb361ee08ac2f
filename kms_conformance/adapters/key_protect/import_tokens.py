"""Import tokens, and key material packed for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_conformance.adapters.key_protect.base import Base
from kms_conformance.adapters.key_protect.material import IV_BYTES, WrappedMaterial, pack, rsa_bits
from kms_conformance.evidence.exchange import JSON
from kms_conformance.evidence.octets import rsa_key_in_words
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.transport.capture import form_of


class ImportTokens(Base):
    """Requests on the instance's import token."""

    def create_import_token(self, body: JSON = None, **members: Any) -> Answer:
        """Create the instance's import token; it replaces the one before."""
        return self.request("POST", "/import_token", members or body)

    def get_import_token(self) -> Answer:
        """Retrieve the import token; uses up one retrieval."""
        return self.request("GET", "/import_token")

    def import_token(self, expiration: int = 900, retrievals: int = 10) -> Answer:
        """Create and retrieve an import token; the case is inconclusive when that fails."""
        self.create_import_token(expiration=expiration, maxAllowedRetrievals=retrievals).needed()
        return self.get_import_token().needed()

    def of_rsa_bits(self, bits: int, public_key: str) -> str:
        """Return a token's public key itself if it is an RSA key of so many bits as others read it, else words for that."""
        return public_key if rsa_bits(public_key) == bits else rsa_key_in_words(bits)

    def wrap_for_import(
        self, token: Answer | Mapping[str, Any], material: str, iv: bytes | None = None
    ) -> WrappedMaterial:
        """Pack key material for a retrieved import token."""
        key, nonce = token["payload"], token["nonce"]
        try:
            packed = pack(material, key, nonce, iv or self.case.random_bytes(IV_BYTES))
        except ValueError as error:
            raise Inconclusive(f"the import token cannot be used: {type(error).__name__}") from None
        remember = self.case.context.redactor.remember
        members = packed.members()
        made = {name: remember(members[name], name) for name in ("payload", "encryptedNonce", "iv")}
        # A script that sends the sequence again has to encrypt other material for another token.
        made |= {
            "material": remember(material, "payload"),
            "key": remember(key, "payload"),
            "nonce": remember(nonce, "nonce"),
            "form": form_of(material),
        }
        self.case.context.client.note("parcel", made)
        return packed
