"""Certificates for a scheduler's TLS: an authority of the campaign's own, and one for scheduler, workers and client each.

Who has a certificate of this authority may give the workers work, and work is any Python: the keys are as good as a
login on each of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kms_conformance.errors import BadValueError, ReportDirError

ROLES = ("scheduler", "worker", "client")
DAYS = 30
_BACK = timedelta(minutes=5)
"""Clocks of other machines may be late."""


def make_certificates(folder: Path, hosts: Sequence[str], days: int = DAYS) -> list[Path]:
    """Write ``ca.pem``, and certificate and key for each role; the authority's own key is not kept.

    ``hosts`` are the names and addresses of the scheduler and the workers. Raises :class:`ReportDirError` where the folder
    cannot be written to, :class:`BadValueError` where it has certificates already.
    """
    if (folder / "ca.pem").exists():
        raise BadValueError(
            "DIR", str(folder), "it has certificates already", "remove them, or name another folder."
        )
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(
        "kms-conformance campaign", None, authority_key, authority_key, days=days, hosts=()
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = [_write(folder / "ca.pem", authority.public_bytes(serialization.Encoding.PEM))]
        for role in ROLES:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _certificate(role, authority, authority_key, key, days=days, hosts=hosts)
            written.append(
                _write(folder / f"{role}.pem", certificate.public_bytes(serialization.Encoding.PEM))
            )
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            written.append(_write(folder / f"{role}.key", pem))
    except OSError as error:
        raise ReportDirError(str(folder), error.strerror or str(error)) from None
    return written


def _certificate(
    name: str,
    authority: x509.Certificate | None,
    signer: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    days: int,
    hosts: Sequence[str],
) -> x509.Certificate:
    """Return a certificate; without an ``authority`` it is one itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.BasicConstraints(ca=authority is None, path_length=0 if authority is None else None),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=authority is not None,
                key_cert_sign=authority is None,
                crl_sign=authority is None,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if authority is not None:
        # Each of them opens and takes connections.
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
        )
    return builder.sign(signer, hashes.SHA256())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> Path:
    """Write a file that nobody else can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path
