"""What went over the wire is counted, and what the servers showed of themselves is kept."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kms_conformance.redaction.redactor import Redactor
from kms_conformance.target.target import build_target
from kms_conformance.transport import deadline
from kms_conformance.transport.client import Client, Request
from kms_conformance.transport.pipeline import Outgoing, SerialSender
from kms_conformance.transport.tokens import roles_in
from kms_conformance.transport.traffic import Traffic

SLOW = b"HTTP/1.1 429 Slow\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(name="authority", scope="module")
def authority_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for this machine and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kms.example.test")])
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("authority") / "both.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    return path


@contextmanager
def answering(*answers: bytes, authority: Path | None = None) -> Iterator[str]:
    """Serve these bytes to the requests of one connection, over TLS where there is a certificate."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        try:
            line, _ = listener.accept()
            if authority is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(authority)
                line = context.wrap_socket(line, server_side=True)
            with line:
                line.settimeout(5)
                for answer in answers:
                    line.recv(65536)
                    line.sendall(answer)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        scheme = "http" if authority is None else "https"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)


def client(url: str) -> Client:
    """Return a client of an endpoint, with a token in hand."""
    document = {"base_url": url, "instance": "fresh", "identities": {"manager": {"token": "a.b.c" * 4}}}
    return Client(build_target(document, {}), Redactor())


def test_a_throttled_request_says_so() -> None:
    """Each 429 that is waited out is counted, and the exchange that counts notes how many came before it."""
    with answering(SLOW, SLOW, DONE) as url:
        asking = client(url)
        _, exchange = asking.send(Request("GET", "/x"), "a.case")
        asking.close()
    assert exchange.outcome == "204"
    assert exchange.notes == {"throttled": "2", "waited": "0.500"}
    document = asking.traffic.document()
    assert (document["sent"], document["throttled"], document["waited_s"]) == (3, 2, 0.5)


def test_an_answer_at_once_notes_nothing() -> None:
    """A request that was answered the first time has no such note."""
    with answering(DONE) as url:
        asking = client(url)
        _, exchange = asking.send(Request("GET", "/x"), "a.case")
        asking.close()
    assert exchange.notes == {}
    assert asking.traffic.document()["servers"] == [
        {"name": url.partition("//")[2], "addresses": [url.partition("//")[2]], "certificates": []}
    ]


def test_requests_in_flight_count_too() -> None:
    """The fuzzer's own transport tells of each turn and each wait."""
    traffic = Traffic()
    with answering(SLOW, DONE) as url:
        sender = SerialSender(url, 2.0, traffic.sends, traffic.waits)
        sender.ask(Outgoing("GET", "/x", {}))
        sender.close()
    document = traffic.document()
    assert (document["sent"], document["throttled"]) == (2, 1)


def test_certificate_is_kept(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digest, names and validity come from the connection that the requests went over."""
    trusting = ssl.create_default_context(cafile=str(authority))
    monkeypatch.setattr(deadline, "authorities", lambda _: trusting)
    with answering(DONE, authority=authority) as url:
        asking = client(url)
        _, exchange = asking.send(Request("GET", "/x"), "a.case")
        asking.close()
    assert exchange.outcome == "204"
    ((certificate,),) = (server["certificates"] for server in asking.traffic.document()["servers"])
    pem = authority.read_text()
    shown = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
    assert certificate["tls"] == "TLSv1.3"
    assert certificate["sha256"] == hashlib.sha256(shown).hexdigest()
    assert certificate["subject"] == certificate["issuer"] == "CN=kms.example.test"
    assert certificate["not_before"] == "2026-01-02T00:00:00Z"


def test_processes_add_up() -> None:
    """What workers have seen joins what their controller has seen, each server once."""
    one, other = Traffic(), Traffic()
    for traffic in (one, other):
        traffic.sends()
        traffic.waits(1.5)
        traffic.connected("kms.example.test:443", ("192.0.2.1", 443))
    other.connected("kms.example.test:443", ("192.0.2.2", 443))
    one.add(json.loads(json.dumps(other.document())))
    assert one.document() == {
        "sent": 2,
        "throttled": 2,
        "waited_s": 3.0,
        "servers": [
            {
                "name": "kms.example.test:443",
                "addresses": ["192.0.2.1:443", "192.0.2.2:443"],
                "certificates": [],
            }
        ],
    }


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"roles": ["Manager", "Reader"]}, ("Manager", "Reader")),
        (
            {"role": "crn:v1:bluemix:public:iam::::serviceRole:Manager"},
            ("crn:v1:bluemix:public:iam::::serviceRole:Manager",),
        ),
        ({"roles": ["a b\x1b[31m", "Manager", 7, None]}, ("Manager",)),
        ({"sub": "somebody@example.test", "scope": "ibm openid"}, ()),
        ({"roles": {"Manager": True}}, ("Manager",)),
        ({"roles": 7}, ()),
        (["roles"], ()),
    ],
)
def test_roles_are_all_that_a_token_tells(claims: object, roles: tuple[str, ...]) -> None:
    """Of a token nothing is told but the names of roles, and these only where they are plain names."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert roles_in(f"head.{payload}.signature") == roles


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.!.c", "a." + "A" * 9])
def test_other_tokens_tell_nothing(token: str) -> None:
    """What is no JSON Web Token has no roles."""
    assert roles_in(token) == ()
