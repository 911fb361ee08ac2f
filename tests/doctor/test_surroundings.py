"""What tokens, instances and networks tell of themselves, finding by finding."""

from __future__ import annotations

import base64
import errno
import json
import socket
import threading
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.rights import quotas
from kms_conformance.doctor import connection
from kms_conformance.doctor.connection import diagnose
from kms_conformance.doctor.credentials import of_accounts
from kms_conformance.doctor.surroundings import in_use
from kms_conformance.errors import ExitCode
from kms_conformance.transport.request import Reply

# A fatal alert of a server: no parameters of ours were acceptable (RFC 5246, section 7.2).
_ILLEGAL_PARAMETER = b"\x15\x03\x03\x00\x02\x02\x2f"


def token(account: str) -> str:
    """Return a token of an account that nobody has signed."""
    claims = base64.urlsafe_b64encode(json.dumps({"account": {"bss": account}}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2lnbmF0dXJl"


def test_identities_of_two_accounts() -> None:
    """The identity whose token names another account than all others is told by its name."""
    ours, theirs = token("0" * 32), token("1" * 32)
    (finding,) = of_accounts({"manager": ours, "reader": ours, "outsider": theirs})
    assert finding.id == "account"
    assert finding.symptom == "outsider and the other identities belong to different accounts"
    assert list(of_accounts({"manager": ours, "reader": ours, "service": "opaque"})) == []


class Listing:
    """A client whose every answer lists so many key rings."""

    def __init__(self, number: int) -> None:
        self._body = {"resources": [{"id": f"ring-{one}"} for one in range(number)]}

    def send(self, *_: object) -> tuple[Any, None]:
        """Answer."""
        reply = Reply.__new__(Reply)
        object.__setattr__(reply, "body", self._body)
        return reply, None


@pytest.mark.parametrize(("number", "told"), [(44, False), (45, True), (50, True)])
def test_key_rings_that_are_nearly_used_up(number: int, told: bool) -> None:
    """From nine tenths of the key rings of an instance on, a warning says how many there are, and the exit code does too."""
    from kms_conformance.contract.contract import load_contract  # noqa: PLC0415 - reads its files

    found = list(in_use(quotas(Listing(number), load_contract("key_protect"), "i")))  # type: ignore[arg-type]
    assert [(one.id, one.exit_code) for one in found] == [("quota", ExitCode.NOT_VERIFIED)] * told
    assert all(f"has {number} key rings of at most 50" in one.symptom for one in found)


def test_network_that_fails_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the network says another thing than refused or late, its own words are told."""

    def dial(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(connection, "dial", dial)
    finding = diagnose("http://127.0.0.1:9", 1.0)
    assert finding is not None
    assert finding.id == "tcp"
    assert "no connection (no route to host, 127.0.0.1 port 9)" in finding.sentence


def test_tls_that_fails_otherwise() -> None:
    """A handshake that the server breaks off for another reason is told with that reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(_ILLEGAL_PARAMETER)
                line.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        finding = diagnose(f"https://127.0.0.1:{listener.getsockname()[1]}", 5.0)
        thread.join(5)
    assert finding is not None
    assert finding.id == "tls"
    assert "TLS failed (" in finding.sentence
    assert "illegal parameter" in finding.sentence
