"""Why nobody answers at an address: each cause has its own sentence, tried on real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from null_servers import always, refused_address, serving
from tls_servers import authority, server_context, tls_serving

from kms_conformance.doctor.connection import diagnose
from kms_conformance.doctor.findings import Finding
from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.transport import tls
from kms_reference.server import Server


@pytest.fixture(autouse=True)
def known_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process trust the authority of the tests, and none else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority().write(tmp_path / "authority.pem")))
    tls.authorities.cache_clear()
    yield
    tls.authorities.cache_clear()


def problem_at(url: str, seconds: float = 2.0) -> Finding:
    """Return the one problem of an address."""
    finding = diagnose(url, seconds)
    assert finding is not None
    assert finding.sentence.startswith(f"The endpoint {url} cannot be judged: ")
    assert finding.resolution
    return finding


def test_name_that_nobody_knows() -> None:
    """A name that does not resolve is told as such."""
    finding = problem_at("https://nowhere.invalid")
    assert finding.id == "name-resolution"
    assert "the name nowhere.invalid is not known here" in finding.sentence


def test_nobody_listens() -> None:
    """A port at which nobody listens is told with address and port."""
    url = refused_address()
    finding = problem_at(url)
    assert finding.id == "tcp-refused"
    assert f"nothing listens at 127.0.0.1 port {url.rpartition(':')[2]}" in finding.sentence


def test_connection_that_hangs() -> None:
    """Where the queue of a listener is full, the connection does not come about in time."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.1)
        finding = problem_at(f"http://127.0.0.1:{address[1]}", 0.3)
        for one in waiting:
            one.close()
    assert finding.id == "tcp-timeout"


def test_plain_address_that_answers() -> None:
    """An address at which somebody listens has no problem of the network."""
    with serving(always(404)) as server:
        assert diagnose(server.url, 2.0) is None


def test_good_certificate(tmp_path: Path) -> None:
    """A certificate of a known authority for the right host has no problem."""
    with tls_serving(server_context(authority().issue(tmp_path))) as url:
        assert diagnose(url, 2.0) is None


def test_unknown_issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of an authority that is not known here is told, with the way to name the authority."""
    monkeypatch.delenv("SSL_CERT_FILE")
    tls.authorities.cache_clear()
    with tls_serving(server_context(authority().issue(tmp_path))) as url:
        finding = problem_at(url)
    assert finding.id == "tls-unknown-issuer"
    assert "an authority that is not known here" in finding.sentence
    assert "--ca-file" in finding.resolution


@pytest.mark.parametrize(
    ("name", "days", "kind", "says"),
    [
        ("127.0.0.1", (-9, -2), "tls-expired", "its certificate has expired"),
        ("127.0.0.1", (2, 9), "tls-not-yet-valid", "its certificate is not valid yet"),
        ("kms.example.test", (-1, 1), "tls-wrong-host", "its certificate is for another host than 127.0.0.1"),
    ],
)
def test_certificates(tmp_path: Path, name: str, days: tuple[int, int], kind: str, says: str) -> None:
    """An expired certificate, one that is not valid yet and one of another host have a sentence each."""
    pair = authority().issue(tmp_path, name, begins=days[0], ends=days[1])
    with tls_serving(server_context(pair)) as url:
        finding = problem_at(url)
    assert finding.id == kind
    assert says in finding.sentence


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocol(tmp_path: Path) -> None:
    """A server that has only TLS 1.1 is told as too old."""
    context = server_context(authority().issue(tmp_path))
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with tls_serving(context) as url:
        finding = problem_at(url)
    assert finding.id == "tls-old-protocol"
    assert "older than 1.2" in finding.sentence


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A server that wants a client certificate is told, before and after the handshake."""
    context = server_context(authority().issue(tmp_path))
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(tmp_path / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with tls_serving(context) as url:
        finding = problem_at(url)
    assert finding.id == "tls-client-certificate"
    assert "it wants a certificate of the client" in finding.sentence


def test_no_tls_at_all(reference: Server) -> None:
    """A port that speaks no TLS is told, with scheme and port to check."""
    finding = problem_at(reference.base_url.replace("http:", "https:"))
    assert finding.id == "tls-none"


def test_handshake_that_hangs() -> None:
    """A server that accepts and says nothing is told as TLS that was not set up in time."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: held.append(listener.accept()), daemon=True)
        thread.start()
        finding = problem_at(f"https://127.0.0.1:{listener.getsockname()[1]}", 0.3)
        thread.join(5)
    for connection, _ in held:
        connection.close()
    assert finding.id == "tls-timeout"


def test_proxy() -> None:
    """A proxy that wants credentials, and one that is not there, are told as the proxy's."""
    with serving(always(407)) as server:
        answers = diagnose("https://kms.example.test", 2.0, ConnectionSettings(proxy=server.url))
    refused = diagnose("https://kms.example.test", 2.0, ConnectionSettings(proxy=refused_address()))
    unknown = diagnose("https://kms.example.test", 2.0, ConnectionSettings(proxy="http://nowhere.invalid:1"))
    assert answers is not None
    assert refused is not None
    assert unknown is not None
    assert (answers.id, refused.id, unknown.id) == ("proxy", "tcp-refused", "name-resolution")
    assert "the proxy answered 407: it wants credentials" in answers.sentence
    assert "nothing listens at proxy 127.0.0.1" in refused.sentence
    assert "the name of the proxy, nowhere.invalid," in unknown.sentence
