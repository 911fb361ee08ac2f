"""The TLS contexts of the suite: whom they trust, and which certificate they show."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpx

from kms_conformance.errors import BadValueError
from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.dialing import DIRECT


@cache
def authorities(settings: ConnectionSettings = DIRECT) -> ssl.SSLContext:
    """Return the certificate authorities, read once: reading them takes longer than ten requests.

    ``ca_file`` adds to the usual ones; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name others than these. Raises
    :class:`BadValueError`.
    """
    context = _usual()
    advice = "give a file in PEM form."
    if settings.ca_file:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError):
            raise BadValueError("tls.ca_file", settings.ca_file, "it holds no certificate", advice) from None
    if settings.cert_file:
        try:
            # Without a password: else OpenSSL would ask for one on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file or None, password="")
        except (OSError, ssl.SSLError):
            why = "certificate and key do not go together, or cannot be read"
            raise BadValueError("tls.cert_file", settings.cert_file, why, advice) from None
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _usual() -> ssl.SSLContext:
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        name = "SSL_CERT_FILE" if "SSL_CERT_FILE" in os.environ else "SSL_CERT_DIR"
        why = error.strerror or "no certificate can be read there"
        advice = "give a file of certificates in PEM form, or unset the variable."
        raise BadValueError(name, os.environ.get(name, ""), why, advice) from None
    # Python 3.13 refuses certificates of authorities that leave out what RFC 5280 wants, as those of companies do: by which
    # Python the suite is run must not decide whether an endpoint can be judged.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
