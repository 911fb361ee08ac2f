"""Connections do not wait for each other's acknowledgements."""

from __future__ import annotations

import socket

import pytest

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
