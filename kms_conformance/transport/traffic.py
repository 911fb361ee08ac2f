"""What went over the wire: how many requests, how many of them twice because of a rate limit, and to which servers."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from cryptography import x509


class Traffic:
    """Counts the requests of a process, and keeps what its connections showed of the servers; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = self._throttled = 0
        self._waited = 0.0
        self._awaited = 0.0
        self._addresses: dict[str, dict[str, None]] = {}
        self._certificates: dict[str, dict[str, dict[str, str]]] = {}

    def sends(self) -> None:
        """Count a request that leaves now."""
        with self._lock:
            self._sent += 1

    @property
    def sent(self) -> int:
        """How many requests have left."""
        return self._sent

    def answered(self, seconds: float) -> None:
        """Add the time that somebody has awaited an answer."""
        with self._lock:
            self._awaited += seconds

    @property
    def awaited(self) -> float:
        """How many seconds answers have been awaited, by all who ask together."""
        return self._awaited

    def waits(self, seconds: float) -> None:
        """Count an answer of 429, after which the request is sent again in so many seconds."""
        with self._lock:
            self._throttled += 1
            self._waited += seconds

    def connected(self, name: str, address: Any) -> None:
        """Note where a connection to a server, named as host and port, has led: an address of the socket module."""
        shown = ":".join(map(str, address[:2])) if isinstance(address, tuple) else str(address)
        with self._lock:
            self._addresses.setdefault(name, {})[shown] = None

    def secured(self, name: str, connection: ssl.SSLObject | ssl.SSLSocket | None) -> None:
        """Note the certificate that a server has shown; the handshake is done."""
        if connection is None:
            return
        shown = connection.getpeercert(True)  # httpcore gives an object that takes it by place only
        if not shown:
            return
        digest = hashlib.sha256(shown).hexdigest()
        with self._lock:
            certificates = self._certificates.setdefault(name, {})
            if digest not in certificates:
                cipher = connection.cipher()
                certificates[digest] = {
                    "tls": connection.version() or "",
                    "cipher": cipher[0] if cipher else "",
                    "sha256": digest,
                    **_read(shown),
                }

    def document(self) -> dict[str, Any]:
        """Return everything as simple values."""
        with self._lock:
            return {
                "sent": self._sent,
                "throttled": self._throttled,
                "waited_s": self._waited,
                "servers": [
                    {
                        "name": name,
                        "addresses": sorted(addresses),
                        "certificates": list(self._certificates.get(name, {}).values()),
                    }
                    for name, addresses in sorted(self._addresses.items())
                ],
            }

    def add(self, document: Mapping[str, Any]) -> None:
        """Take in what :meth:`document` of another process has returned."""
        with self._lock:
            self._sent += document["sent"]
            self._throttled += document["throttled"]
            self._waited += document["waited_s"]
            for server in document["servers"]:
                self._addresses.setdefault(server["name"], {}).update(dict.fromkeys(server["addresses"]))
                for certificate in server["certificates"]:
                    self._certificates.setdefault(server["name"], {})[certificate["sha256"]] = certificate


def _read(shown: bytes) -> dict[str, str]:
    """Return subject, issuer and validity of a certificate in DER form; empty texts where it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(shown)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "not_before": _utc(certificate.not_valid_before_utc),
            "not_after": _utc(certificate.not_valid_after_utc),
        }
    except (ValueError, x509.InvalidVersion):
        return dict.fromkeys(("subject", "issuer", "not_before", "not_after"), "")


def _utc(time: Any) -> str:
    return str(time.isoformat().replace("+00:00", "Z"))
