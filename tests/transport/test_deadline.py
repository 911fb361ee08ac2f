"""Connections do not wait for each other's acknowledgements."""

from __future__ import annotations

import socket

import httpx
import pytest

from kms_conformance.transport.body import LARGEST_BODY, MOST_VALUES, bounded, json_document
from kms_conformance.transport.deadline import acknowledge_at_once, bare_client
from kms_conformance.transport.parsing import ParsedAnswer
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_one_limit_of_values(encoding: str) -> None:
    """How many values a document may have does not depend on how it is encoded."""
    few, many = (("[" + "0," * number + "0]").encode(encoding) for number in (9, MOST_VALUES))

    assert json_document(few) == [0] * 10
    assert json_document(many) is None


def test_an_answer_behind_the_answer_is_none() -> None:
    """What follows a complete answer unasked changes nothing of it, and ends the connection."""
    parsed = ParsedAnswer(head=False)
    parsed.feed(
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 1\r\n\r\n7"
    )

    assert (parsed.status, parsed.content, parsed.headers) == (404, b"{}", [("content-length", "2")])
    assert not parsed.reusable


def test_no_cookie_comes_back() -> None:
    """A service that marks its clients does not know us again."""
    asked: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        return httpx.Response(200, headers={"set-cookie": "mark=1; Path=/"})

    with bare_client(httpx.MockTransport(answer)) as client:
        client.get("http://127.0.0.1/token")
        client.get("http://127.0.0.1/token")

    assert [headers.get("cookie") for headers in asked] == [None, None]


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
