"""The transport of the replay: what it makes of good and of broken answers."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kms_conformance.transport.pipeline import Outgoing, ParallelSender, SendResult, SerialSender

GET = Outgoing("GET", "/x", {})


@contextmanager
def answering(*answers: bytes, keep: bool = True) -> Iterator[str]:
    """Serve these bytes to the requests of one connection after the other, then close."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    left = list(answers)

    def serve() -> None:
        try:
            while left:
                line, _ = listener.accept()
                with line:
                    line.settimeout(5)
                    while left and line.recv(65536):
                        line.sendall(left.pop(0))
                        if not keep:
                            break
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)


def ask(url: str, *requests: Outgoing, timeout: float = 2.0) -> list[SendResult]:
    """Send requests over one connection."""
    sender = SerialSender(url, timeout)
    try:
        return [sender.ask(request) for request in requests]
    finally:
        sender.close()


def test_answers_over_one_connection() -> None:
    """Two answers come over one connection, with their headers in lower case."""
    with answering(
        b"HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 2\r\n\r\n{}", b"HTTP/1.1 204 No Content\r\n\r\n"
    ) as url:
        first, second = ask(url, GET, GET)
    assert (first.status, first.content, ("x-a", "b") in first.headers) == (200, b"{}", True)
    assert (second.status, second.trouble) == (204, "")


def test_head_has_no_body() -> None:
    """An answer to HEAD ends with its headers, whatever length it names."""
    with answering(
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
    ) as url:
        first, second = ask(url, Outgoing("HEAD", "/x", {}), GET)
    assert (first.status, second.content) == (200, b"x")


def test_answer_without_length_ends_with_the_connection() -> None:
    """An answer without length is complete when the connection closes."""
    with answering(b"HTTP/1.1 200 OK\r\n\r\nabc", keep=False) as url:
        (answer,) = ask(url, GET)
    assert (answer.content, answer.trouble) == (b"abc", "")


def test_packed_answer_is_unpacked() -> None:
    """A packed body is unpacked."""
    body = gzip.compress(b"{}")
    with answering(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    ) as url:
        (answer,) = ask(url, GET)
    assert answer.content == b"{}"


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            "a connection closed before the answer was complete",
        ),
        (b"SSH-2.0-x\r\n", "an answer that is not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "a body that is not gzip",
        ),
    ],
)
def test_broken_answers_are_told(content: bytes, trouble: str) -> None:
    """A broken answer is trouble in the words of the field."""
    with answering(content, keep=False) as url:
        (answer,) = ask(url, GET)
    assert answer.trouble.startswith(trouble)


def test_silence_ends_in_time() -> None:
    """An endpoint that says nothing costs the timeout and no more."""
    with answering(b"", b"never sent") as url:
        (answer,) = ask(url, GET, timeout=0.3)
    assert answer.trouble == "no complete answer within 0.3 s"
    assert answer.duration < 2


def test_nobody_there() -> None:
    """An address where nobody listens is trouble, not an exception."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (answer,) = ask(f"http://127.0.0.1:{port}", GET)
    assert answer.trouble.startswith("no connection")


def test_flight_sends_every_job_once_and_stops_when_told() -> None:
    """Each job leaves once; a sender that is told to stop sends no more."""
    answers = [b"HTTP/1.1 204 No Content\r\n\r\n"] * 5
    result: list[int] = []
    with answering(*answers) as url:
        sender: ParallelSender[int] = ParallelSender(url, 2.0, connections=1)
        sender.run(range(5), lambda _: GET, lambda job, _: result.append(job) is None and job < 3)
    assert result == [0, 1, 2, 3]


def test_too_many_is_waited_out() -> None:
    """A 429 with Retry-After is sent again; the last answer counts."""
    slow = b"HTTP/1.1 429 Slow\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
    with answering(slow, b"HTTP/1.1 204 No Content\r\n\r\n") as url:
        (answer,) = ask(url, GET)
    assert answer.status == 204
