"""Certificates of a scheduler: both sides know each other, others are refused, keys are their owner's alone."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from kms_conformance.campaign.certificates import make_certificates
from kms_conformance.errors import BadValueError


def context(purpose: ssl.Purpose, trusted: Path, own: Path, role: str) -> ssl.SSLContext:
    """Return a context that trusts an authority and shows a role's certificate."""
    made = ssl.create_default_context(purpose, cafile=trusted / "ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(own / f"{role}.pem", own / f"{role}.key")
    return made


def talks(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Tell whether a client and a server accept each other."""
    ours, theirs = socket.socketpair()
    seen: list[bytes] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                seen.append(connection.recv(5))
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname="localhost") as connection:
            connection.sendall(b"hello")
    except OSError:
        ours.close()
    thread.join(10)
    return seen == [b"hello"]


def test_roles_know_each_other(tmp_path: Path) -> None:
    """Certificates of one authority open a connection, those of another one do not."""
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    make_certificates(own, ["localhost", "127.0.0.1"])
    make_certificates(foreign, ["localhost"])
    scheduler = context(ssl.Purpose.CLIENT_AUTH, own, own, "scheduler")
    assert talks(scheduler, context(ssl.Purpose.SERVER_AUTH, own, own, "worker"))
    assert not talks(scheduler, context(ssl.Purpose.SERVER_AUTH, own, foreign, "worker"))
    assert not talks(scheduler, context(ssl.Purpose.SERVER_AUTH, foreign, own, "client"))


def test_keys_are_private_and_not_overwritten(tmp_path: Path) -> None:
    """Nobody else can read a key; a second call does not lock out those who have the first ones."""
    written = make_certificates(tmp_path / "own", ["localhost"])
    assert len(written) == 7
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert not (tmp_path / "own" / "ca.key").exists()
    with pytest.raises(BadValueError):
        make_certificates(tmp_path / "own", ["localhost"])
