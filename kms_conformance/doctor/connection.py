"""Why nobody answers at an address: its name, the network, or TLS, tried one after the other."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from kms_conformance.doctor.findings import Finding, Level
from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport.dialing import DIRECT, ProxyError, dial
from kms_conformance.transport.tls import authorities

_EXPIRED, _NOT_YET, _WRONG_HOST, _WRONG_ADDRESS = 10, 9, 62, 64
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 27})
"""``X509_V_ERR_*`` of OpenSSL, as :attr:`ssl.SSLCertVerificationError.verify_code` has them."""
_LISTEN = 0.4
"""Seconds in which a server of TLS 1.3 says, after the handshake, that it wants a certificate."""
_OLD = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
_WANTS_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF")


@dataclass(frozen=True, slots=True)
class _Place:
    url: str
    host: str
    port: int
    until: float
    settings: ConnectionSettings

    @property
    def left(self) -> float:
        """The seconds that are left, of which there are always a few hundredths."""
        return max(self.until - time.monotonic(), 0.05)

    def problem(self, kind: str, cause: str, resolution: str) -> Finding:
        """Return a problem of this place."""
        symptom = f"The endpoint {self.url} cannot be judged"
        return Finding(kind, Level.PROBLEM, symptom, cause, resolution)


def diagnose(url: str, seconds: float, settings: ConnectionSettings = DIRECT) -> Finding | None:
    """Return why nobody answers at an address, ``None`` where a connection can be opened; nothing else is sent."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    place = _Place(url, parts.hostname or "", port, time.monotonic() + seconds, settings)
    proxy = settings.proxy_to(place.host)
    host, port = proxy or (place.host, place.port)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        name = f"the name of the proxy, {host}," if proxy else f"the name {host}"
        return place.problem(
            "name-resolution",
            f"no connection ({name} is not known here)",
            "check base_url for a mistyped name, and DNS, VPN or /etc/hosts of this machine",
        )
    try:
        connection = dial(place.host, place.port, settings, place.left, tls=tls)
    except ProxyError as error:
        return place.problem(
            "proxy",
            f"no connection ({error})",
            "check [proxy] url, user and password, and that the proxy lets this host through",
        )
    except OSError as error:
        return _of_network(place, f"{'proxy ' if proxy else ''}{host} port {port}", error)
    with connection:
        return _of_tls(place, connection) if tls else None


def _of_network(place: _Place, where: str, error: OSError) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        return place.problem(
            "tcp-refused",
            f"no connection (nothing listens at {where})",
            "check the port in base_url, and that the server is up",
        )
    if isinstance(error, TimeoutError):
        return place.problem(
            "tcp-timeout",
            f"no connection in time (nothing came back from {where})",
            "check firewall, VPN and allowed addresses between here and base_url",
        )
    return place.problem(
        "tcp",
        f"no connection ({(error.strerror or type(error).__name__).lower()}, {where})",
        "check the network between here and base_url",
    )


def _of_tls(place: _Place, connection: socket.socket) -> Finding | None:
    try:
        with authorities(place.settings).wrap_socket(connection, server_hostname=place.host) as secure:
            if secure.version() == "TLSv1.3":
                secure.settimeout(min(_LISTEN, place.left))
                with suppress(TimeoutError):
                    secure.recv(1)
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(place, error)
    except ssl.SSLError as error:
        return _of_handshake(place, error.reason or "")
    except TimeoutError:
        return place.problem(
            "tls-timeout",
            "TLS was not set up in time",
            "check that base_url names the port of the service, and that the server is not overloaded",
        )
    except OSError:
        return _of_handshake(place, "UNEXPECTED_EOF")
    return None


def _of_certificate(place: _Place, error: ssl.SSLCertVerificationError) -> Finding:
    code = error.verify_code
    if code == _EXPIRED:
        return place.problem(
            "tls-expired",
            "its certificate has expired",
            "have the certificate of the server renewed, and check the clock of this machine",
        )
    if code == _NOT_YET:
        return place.problem(
            "tls-not-yet-valid", "its certificate is not valid yet", "check the clock of this machine"
        )
    if code in {_WRONG_HOST, _WRONG_ADDRESS}:
        return place.problem(
            "tls-wrong-host",
            f"its certificate is for another host than {place.host}",
            "use the name that the certificate is for as base_url, or have this one added to it",
        )
    if code in _UNKNOWN_ISSUER:
        return place.problem(
            "tls-unknown-issuer",
            "its certificate is issued by an authority that is not known here",
            "name the certificate of that authority by --ca-file FILE ([tls] ca_file), or SSL_CERT_FILE",
        )
    return place.problem(
        "tls-certificate",
        f"its certificate is not accepted ({error.verify_message})",
        "have the certificate of the server replaced",
    )


def _of_handshake(place: _Place, reason: str) -> Finding:
    kinds: tuple[tuple[tuple[str, ...], Callable[[], Finding]], ...] = (
        (
            _OLD,
            lambda: place.problem(
                "tls-old-protocol",
                "it speaks only a version of TLS older than 1.2",
                "have TLS 1.2 or 1.3 switched on at the server; older ones are not safe",
            ),
        ),
        (
            _WANTS_CERTIFICATE,
            lambda: place.problem(
                "tls-client-certificate",
                "it wants a certificate of the client, and none is given",
                "name one by --client-cert and --client-key ([tls] cert_file, key_file)",
            ),
        ),
        (
            _NO_TLS,
            lambda: place.problem(
                "tls-none",
                f"port {place.port} speaks no TLS",
                "check scheme and port of base_url: https, or http where the service has no TLS",
            ),
        ),
    )
    for words, make in kinds:
        if any(word in reason for word in words):
            return make()
    shown = reason.replace("_", " ").lower() or "no reason given"
    return place.problem("tls", f"TLS failed ({shown})", "check scheme, host and port of base_url")
