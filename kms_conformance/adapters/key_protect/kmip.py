"""KMIP adapters, their client certificates and objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kms_conformance.adapters.key_protect.base import TYPE, Base, chosen, collection, step
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.run.answer import Answer

ADAPTER, CERTIFICATE = f"{TYPE}kmip_adapter+json", f"{TYPE}kmip_client_certificate+json"
PROFILE = "native_1.0"
_LIFE = timedelta(days=1)


class Kmip(Base):
    """Requests on KMIP adapters; an adapter is addressed by its name or its id."""

    def create_adapter(self, key: Key | str, name: str, **params: Any) -> Answer:
        """Create a KMIP adapter in front of a root key."""
        path = f"/kmip_adapters/{step(name)}"
        resource = {"profile": PROFILE, "profile_data": {"crk_id": str(key)}, "name": name}
        request = {
            "method": "POST",
            "path": "/kmip_adapters",
            "body": collection(ADAPTER, resource),
            "params": chosen(**params),
        }
        return self._create("kmip_adapter", name, path, request)

    def new_adapter(self, key: Key | str) -> str:
        """Create a KMIP adapter and return its name; the case is inconclusive when that fails."""
        name = self.short_name("adapter")
        self.create_adapter(key, name).needed()
        return name

    def get_adapter(self, adapter: str) -> Answer:
        """Read an adapter."""
        return self.request("GET", f"/kmip_adapters/{step(adapter)}")

    def list_adapters(self, **params: Any) -> Answer:
        """List adapters."""
        return self.request("GET", "/kmip_adapters", params=chosen(**params))

    def delete_adapter(self, adapter: str) -> Answer:
        """Delete an adapter."""
        return self._delete(f"/kmip_adapters/{step(adapter)}")

    def client_certificate(self) -> str:
        """Return a new self-signed certificate in PEM, valid for a day."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.short_name("client"))])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        built = builder.not_valid_before(now - _LIFE).not_valid_after(now + _LIFE).sign(key, hashes.SHA256())
        return built.public_bytes(serialization.Encoding.PEM).decode()

    def as_shown(self, pem: str, shown: str) -> str:
        """Return a certificate with the blanks at its ends that an answer shows: the last line break is nobody's promise."""
        whole = pem.strip()
        first = shown[: len(shown) - len(shown.lstrip())]
        last = shown[len(shown.rstrip()) :] if shown.strip() else ""
        return f"{first}{whole}{last}"

    def add_certificate(self, adapter: str, name: str, pem: str) -> Answer:
        """Add a client certificate to an adapter."""
        everything = f"/kmip_adapters/{step(adapter)}/certificates"
        body = collection(CERTIFICATE, {"certificate": pem, "name": name})
        request = {"method": "POST", "path": everything, "body": body}
        return self._create("kmip_certificate", name, f"{everything}/{step(name)}", request)

    def get_certificate(self, adapter: str, name: str) -> Answer:
        """Read a client certificate."""
        return self.request("GET", f"/kmip_adapters/{step(adapter)}/certificates/{step(name)}")

    def list_certificates(self, adapter: str, **params: Any) -> Answer:
        """List an adapter's client certificates."""
        return self.request("GET", f"/kmip_adapters/{step(adapter)}/certificates", params=chosen(**params))

    def delete_certificate(self, adapter: str, name: str) -> Answer:
        """Remove a client certificate."""
        return self._delete(f"/kmip_adapters/{step(adapter)}/certificates/{step(name)}")

    def list_kmip_objects(self, adapter: str, **params: Any) -> Answer:
        """List the objects that KMIP clients made through an adapter."""
        return self.request("GET", f"/kmip_adapters/{step(adapter)}/kmip_objects", params=chosen(**params))

    def get_kmip_object(self, adapter: str, thing: str) -> Answer:
        """Read a KMIP object."""
        return self.request("GET", f"/kmip_adapters/{step(adapter)}/kmip_objects/{step(thing)}")

    def delete_kmip_object(self, adapter: str, thing: str, *, force: bool | None = None) -> Answer:
        """Destroy a KMIP object; with `force` whatever its state."""
        path = f"/kmip_adapters/{step(adapter)}/kmip_objects/{step(thing)}"
        return self.request("DELETE", path, params=chosen(force=force))
