"""Whether what the record says of one exchange, or of two in a row, fits what else it says of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from kms_conformance.contract.contract import Contract
from kms_conformance.evidence.exchange import JSON, Exchange
from kms_conformance.evidence.header_values import whole_number
from kms_conformance.outputs.repro_frames import frames_of

_BLURRED = 0.002
"""Seconds by which two clocks of one machine may be apart."""


def complaints(exchanges: Sequence[Exchange], contract: Contract) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit in the exchanges of a case, in their order.

    What a unit has said inside of a frame is a document that the suite has made of it, so that its form says nothing.
    """
    for exchange in exchanges if frames_of(contract.id) is None else ():
        for sentence in _alone(exchange, contract):
            yield f"transcript.har: exchange {exchange.id} {sentence}"
    yield from _in_a_row(exchanges)


def _alone(exchange: Exchange, contract: Contract) -> Iterator[str]:
    answer = exchange.answer
    if answer is None:
        return
    if exchange.trouble:
        yield f"was answered, and has a trouble: {exchange.trouble}"
    if answer.body is not None and not answer.is_json:
        yield "has a document, and is said to be no JSON"
    if answer.body is not None and answer.kind:
        yield f"has a document, and is said to be {answer.kind!r}"
    if answer.code != contract.code_of(answer.body):
        yield f"is said to have the code {answer.code}, and its document has {contract.code_of(answer.body)}"
    length = whole_number(answer.headers.get("content-length", ""))
    is_whole = (
        exchange.sent.method != "HEAD"
        and not {"content-encoding", "transfer-encoding"} & answer.headers.keys()
    )
    if length is not None and is_whole and length != answer.size:
        yield f"has {answer.size} octets, and its content-length is {length}"
    if answer.body is not None and answer.size < _least_octets(answer.body):
        yield f"has {answer.size} octets, which its document does not fit into"


def _least_octets(body: JSON) -> int:
    """Return how many octets a document has at least as JSON: its names and signs, as words may stand for what is secret."""
    if isinstance(body, dict):
        return 2 + sum(len(name) + 3 + _least_octets(value) for name, value in body.items())
    if isinstance(body, list):
        return 2 + sum(map(_least_octets, body))
    return 2 if isinstance(body, str) else 1


def _in_a_row(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Check that one client sends its requests in the order of their numbers, each after the answer to the one before."""
    lanes: dict[Any, list[Exchange]] = {}
    for exchange in exchanges:
        lanes.setdefault(exchange.notes.get("client", ""), []).append(exchange)
    for lane in lanes.values():
        for one, following in pairwise(sorted(lane, key=lambda exchange: exchange.id)):
            if following.started < one.started + one.duration - _BLURRED:
                yield (
                    f"transcript.har: exchange {following.id} was sent before {one.id} was answered, "
                    "and no note says that several clients asked"
                )
                return
