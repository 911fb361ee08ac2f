"""Connections do not wait for each other's acknowledgements."""

from __future__ import annotations

import socket

import httpx
import pytest

from kms_conformance.transport.body import LARGEST_BODY, bounded, json_document
from kms_conformance.transport.deadline import acknowledge_at_once
from kms_reference.server import Server

QUICK = getattr(socket, "TCP_QUICKACK", None)


@pytest.mark.skipif(QUICK is None, reason="only Linux lets a client choose")
def test_answers_are_acknowledged_at_once() -> None:
    """A connection whose acknowledgements the system delays is told not to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
        with ours, theirs:
            assert QUICK is not None
            ours.setsockopt(socket.IPPROTO_TCP, QUICK, 0)

            acknowledge_at_once(ours)

            assert ours.getsockopt(socket.IPPROTO_TCP, QUICK) == 1


def test_a_closed_connection_is_no_trouble() -> None:
    """What can no longer be told is left untold."""
    gone = socket.socket()
    gone.close()

    acknowledge_at_once(gone)
    acknowledge_at_once(None)


def test_the_reference_sends_its_answers_undelayed() -> None:
    """Asyncio turns Nagle's algorithm off only on sockets that name their protocol."""
    with Server() as server:
        assert server._socket is not None
        assert server._socket.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(("depth", "is_document"), [(90, True), (200, False)])
def test_one_limit_of_nesting(depth: int, is_document: bool) -> None:
    """How deep a document may be nested is one number, whoever reads it."""
    content = b"[" * depth + b"1" + b"]" * depth

    assert (json_document(content) is not None) is is_document


def test_bodies_end_at_the_limit() -> None:
    """A body of the largest size is read whole, one byte more is none."""
    half = bytes(LARGEST_BODY // 2)

    assert len(bounded([half, half])) == LARGEST_BODY
    with pytest.raises(httpx.ReadError, match=str(LARGEST_BODY)):
        bounded([half, half, b"x"])


def test_numbers_that_json_does_not_have() -> None:
    """``NaN`` is no JSON to the judge; a token issuer, which is not judged, may send it."""
    assert json_document(b'{"expires_in": NaN}') is None
    assert isinstance(json_document(b'{"expires_in": NaN}', lenient=True), dict)
