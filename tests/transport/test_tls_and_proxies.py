"""Certificates of authorities and of the client, addresses that go unchecked, and the way by a proxy."""

from __future__ import annotations

import base64
import datetime as dt
import http.server
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kms_conformance.cli.flags import flags_document
from kms_conformance.errors import BadValueError
from kms_conformance.redaction.redactor import Secret
from kms_conformance.target.connection import ConnectionSettings
from kms_conformance.target.target import Target, build_target, read_target
from kms_conformance.transport.deadline import DeadlineTransport
from kms_conformance.transport.pipeline import Outgoing, SerialSender
from kms_conformance.transport.raw_socket import exchange_bytes

HOST = "127.0.0.1"
PASSWORD = "a-password-of-the-proxy"


@dataclass(frozen=True)
class Files:
    """An authority, and certificates that it has signed: of a server and of a client."""

    authority: Path
    server: Path
    client: Path


def made(
    folder: Path, name: str, signer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
) -> tuple[Path, x509.Name, ec.EllipticCurvePrivateKey]:
    """Write a certificate and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = signer or (subject, key)
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signing, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path, subject, key


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Make the certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, name, key = made(folder, "authority", None)
    server, _, _ = made(folder, "server", (name, key))
    client, _, _ = made(folder, "client", (name, key))
    return Files(authority, server, client)


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers everything with a JSON object."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Quiet(http.server.ThreadingHTTPServer):
    """Says nothing of handshakes that fail."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def https(files: Files, *, mutual: bool = False) -> Iterator[str]:
    """Serve by TLS; ``mutual``: who shows no certificate is sent away."""
    server = Quiet((HOST, 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.authority)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass
class Proxy:
    """A proxy for CONNECT and plain requests; ``seen`` are the first lines of what came, with the credentials."""

    wants: str = ""
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        """Serve until the block ends."""
        with socket.create_server((HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield self

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += line.recv(1)
            lines = head.decode().split("\r\n")
            shown = next((entry[21:] for entry in lines if entry.startswith("proxy-authorization: ")), "")
            self.seen.append((lines[0], shown))
            if self.wants and shown != self.wants:
                line.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                return
            if not lines[0].startswith("CONNECT "):
                line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                return
            port = int(lines[0].split(" ")[1].rpartition(":")[2])
            with socket.create_connection((HOST, port)) as there:
                line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                while True:
                    for ready in select.select([line, there], [], [])[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        (there if ready is line else line).sendall(data)


def asked(url: str, settings: ConnectionSettings) -> tuple[int, int, bool]:
    """Ask by each of the three ways to send; return two statuses, and whether raw bytes were answered."""
    with httpx.Client(transport=DeadlineTransport(5.0, settings=settings)) as client:
        first = client.get(f"{url}/x").status_code
    sender = SerialSender(url, 5.0, settings=settings)
    try:
        result = sender.ask(Outgoing("GET", "/x", {}))
    finally:
        sender.close()
    place = httpx.URL(url)
    data, _ = exchange_bytes(
        place.host,
        place.port,
        b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        tls=place.scheme == "https",
        settings=settings,
    )
    return first, result.status, data.startswith(b"HTTP/1.1 200")


def test_an_authority_of_one_s_own(files: Files) -> None:
    """A server is trusted by the authority that the target names, and not without."""
    with https(files) as url:
        assert asked(url, ConnectionSettings(ca_file=str(files.authority))) == (200, 200, True)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            asked(url, ConnectionSettings())


def test_a_certificate_of_the_client(files: Files) -> None:
    """A server that wants one gets the one that the target names."""
    trusting = ConnectionSettings(ca_file=str(files.authority))
    with https(files, mutual=True) as url:
        assert asked(url, replace(trusting, cert_file=str(files.client))) == (200, 200, True)
        with pytest.raises(httpx.HTTPError):
            asked(url, trusting)


def test_unchecked(files: Files) -> None:
    """On this machine a certificate may go unchecked."""
    with https(files) as url:
        assert asked(url, ConnectionSettings(insecure=True)) == (200, 200, True)


@pytest.fixture
def by_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the proxy be used for this machine too: tests have no other."""
    monkeypatch.setattr("kms_conformance.target.connection.is_loopback", lambda _: False)


@pytest.mark.usefixtures("by_proxy")
@pytest.mark.parametrize("user", ["", "somebody"])
def test_by_a_proxy(files: Files, user: str) -> None:
    """TLS goes through a tunnel, with credentials where the proxy wants them; the server's certificate is checked."""
    wants = f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}" if user else ""
    with Proxy(wants).serving() as proxy, https(files) as url:
        settings = ConnectionSettings(
            ca_file=str(files.authority),
            proxy=f"http://{HOST}:{proxy.port}",
            proxy_user=user,
            proxy_password=Secret(PASSWORD if user else ""),
        )
        assert asked(url, settings) == (200, 200, True)
        assert proxy.seen == [(f"CONNECT {url.removeprefix('https://')} HTTP/1.1", wants)] * 3


@pytest.mark.usefixtures("by_proxy")
def test_a_plain_request_by_a_proxy() -> None:
    """Without TLS the request itself names the server."""
    with Proxy().serving() as proxy:
        settings = ConnectionSettings(proxy=f"http://{HOST}:{proxy.port}")
        with httpx.Client(transport=DeadlineTransport(5.0, settings=settings)) as client:
            assert client.get("http://kms.example.test/x").status_code == 200
        assert proxy.seen == [("GET http://kms.example.test/x HTTP/1.1", "")]


@pytest.mark.usefixtures("by_proxy")
def test_a_proxy_that_wants_credentials(files: Files) -> None:
    """It is told so in one sentence."""
    with Proxy("Basic x").serving() as proxy, https(files) as url:
        settings = ConnectionSettings(proxy=f"http://{HOST}:{proxy.port}")
        with pytest.raises(httpx.ConnectError, match="the proxy answered 407: it wants credentials"):
            asked(url, settings)


def target_of(**tables: object) -> Target:
    """Return a target with these tables."""
    document = {"base_url": "https://kms.example.test", "instance": "7f1d1c4e-0000-4000-8000-000000000000"}
    return build_target({**document, **tables}, {"PROXY_PASSWORD": PASSWORD})


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"tls": {"insecure": True}}, "only loopback addresses may go unchecked"),
        ({"tls": {"ca_file": "/nowhere.pem"}}, "there is no such file"),
        ({"tls": {"key_file": __file__}}, "it belongs to no certificate"),
        ({"proxy": {"url": "https://proxy.example.test"}}, "the way to a proxy is plain HTTP"),
        ({"proxy": {"url": f"http://u:{PASSWORD}@proxy.example.test"}}, "a URL may not carry a secret"),
        (
            {"proxy": {"url": "http://proxy.example.test", "user": "u", "password": PASSWORD}},
            "loopback proxies only",
        ),
        ({"proxy": {"url": "http://proxy.example.test", "user": "u"}}, "user and password go together"),
        ({"proxy": "http://proxy.example.test"}, "it must be a table"),
    ],
)
def test_settings_that_are_refused(tables: dict[str, object], says: str) -> None:
    """What cannot be meant is told in one sentence, and no password is repeated."""
    with pytest.raises(BadValueError) as refused:
        target_of(**tables)
    assert says in refused.value.sentence
    assert PASSWORD not in str(refused.value)


def test_credentials_of_a_proxy_are_secrets() -> None:
    """They reach a worker's pipe and no report."""
    table = {"url": "http://proxy.example.test:3128", "user": "u", "password_env": "PROXY_PASSWORD"}
    target = target_of(proxy=table)
    assert set(target.secrets()) == {PASSWORD, base64.b64encode(f"u:{PASSWORD}".encode()).decode()}
    assert PASSWORD not in str(target.public())
    assert target.public()["proxy"] == "http://proxy.example.test:3128"
    assert build_target(target.document(), {}).connection == target.connection


def test_no_proxy_for_this_machine() -> None:
    """Loopback addresses are reached directly, whatever the proxy."""
    settings = ConnectionSettings(proxy="http://proxy.example.test:3128")
    assert settings.proxy_to("127.0.0.1") is None
    assert settings.proxy_to("::1") is None
    assert settings.proxy_to("kms.example.test") == ("proxy.example.test", 3128)


def test_file_environment_and_flags_say_the_same(files: Files, tmp_path: Path) -> None:
    """What the tables hold is set by variables and by flags just so; credentials of a proxy by the tables alone."""
    own, key, proxy = str(files.authority), str(files.client), "http://127.0.0.1:3128"
    wanted = ConnectionSettings(ca_file=own, cert_file=key, key_file=key, insecure=True, proxy=proxy)
    plain = 'base_url = "https://127.0.0.1:9"\ninstance = "fresh"\n'
    file = tmp_path / "target.toml"
    file.write_text(
        f'{plain}[tls]\nca_file = "{own}"\ncert_file = "{key}"\nkey_file = "{key}"\ninsecure = true\n[proxy]\nurl = "{proxy}"\n'
    )
    assert read_target(str(file), {}, {}).connection == wanted
    file.write_text(plain)
    environ = {"KMS_CA_FILE": own, "KMS_CLIENT_CERT": key, "KMS_CLIENT_KEY": key, "KMS_PROXY": proxy}
    assert read_target(str(file), {"tls": {"insecure": True}}, environ).connection == wanted
    flags = {"ca_file": own, "client_cert": key, "client_key": key, "proxy": proxy, "insecure": True}
    assert read_target(str(file), flags_document(flags), {}).connection == wanted
