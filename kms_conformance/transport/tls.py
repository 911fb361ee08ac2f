"""The one TLS context of the suite: every client trusts the same certificate authorities."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpx

from kms_conformance.errors import BadValueError


@cache
def authorities() -> ssl.SSLContext:
    """Return the certificate authorities, read once: reading them takes longer than ten requests.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name others than the usual ones. Raises :class:`BadValueError`.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        name = "SSL_CERT_FILE" if "SSL_CERT_FILE" in os.environ else "SSL_CERT_DIR"
        why = error.strerror or "no certificate can be read there"
        advice = "give a file of certificates in PEM form, or unset the variable."
        raise BadValueError(name, os.environ.get(name, ""), why, advice) from None
