"""The client's codec and the reference's, each against the other and against noise."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.wire import WireError
from kms_reference.hpcs_tke import ber, frames, messages
from kms_reference.hpcs_tke.codes import Pair

WORDS = st.integers(0, 0xFFFFFFFF)
VALUES = st.lists(st.binary(max_size=300), min_size=1, max_size=6)
INFO = "00" + "0" * 16 + " " * 138


@given(values=VALUES)
@settings(max_examples=100, deadline=None)
def test_both_encode_alike(values: list[bytes]) -> None:
    """Client and reference write the same octets and read each other's."""
    assert wire.octets(*values) == ber.encode_octet_strings(*values)
    assert wire.members_of(ber.encode_octet_strings(*values), (len(values),)) == values
    assert ber.read_octet_strings(wire.octets(*values), {len(values)}) == values


@given(value=st.binary(max_size=300), width=st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_long_lengths_are_read(value: bytes, width: int) -> None:
    """A length in any number of octets up to four reads the same."""
    encoded = wire.tlv(0x04, value, length_octets=width)
    assert [node.value for node in wire.nodes(encoded)] == [value]
    assert ber.read_element(encoded)[0].body == value


@given(number=st.integers(0, 2**200))
@settings(max_examples=50, deadline=None)
def test_integers(number: int) -> None:
    """Numbers survive."""
    assert ber.read_integer(ber.read_element(ber.encode_integer(number))[0]) == number


@given(
    code=WORDS,
    reason=st.none() | WORDS,
    domain=st.binary(min_size=8, max_size=8),
    counter=st.integers(0, 2**128 - 1),
    output=st.binary(max_size=200),
)
@settings(max_examples=100, deadline=None)
def test_answers_round_trip(
    code: int, reason: int | None, domain: bytes, counter: int, output: bytes
) -> None:
    """What the reference answers, the client reads."""
    block = messages.AdminBlock(0x08, domain, b"", b"", b"", b"")
    answer = Pair(code, reason) if code else output
    encoded = messages.response_block(block, domain, b"M" * 16, counter, answer)
    text = frames.build_response(3, messages.admin_response(3, encoded, b"signer"))
    read = wire.read_response(text)
    assert (read.domain, read.counter, read.signer_info) == (domain, counter.to_bytes(16, "big"), b"signer")
    if code:
        assert (read.level, read.code, read.reason) == ("inner", code, reason)
    else:
        assert (read.level, read.output) == ("ok", output)


@given(module=st.integers(0, 99), domain=WORDS, payload=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_requests_round_trip(module: int, domain: int, payload: bytes) -> None:
    """What the client frames, the reference reads."""
    frame = frames.parse_request(wire.htp_request(module, wire.Header(domain).encode(payload)))
    assert frame == frames.Frame(module, domain, payload)


@given(text=st.text(max_size=400) | st.binary(max_size=200).map(lambda raw: f"1;{INFO};{raw.hex()}"))
@settings(max_examples=300, deadline=None)
def test_client_survives_noise(text: str) -> None:
    """Noise is an answer or a WireError, nothing else."""
    with contextlib.suppress(WireError):
        wire.read_response(text)


@given(place=st.integers(0, 400), octet=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_client_survives_one_changed_octet(place: int, octet: int) -> None:
    """A right answer with an octet changed is an answer or a WireError."""
    block = messages.AdminBlock(0x08, bytes(8), b"", b"", b"", b"")
    payload = messages.admin_response(
        3, messages.response_block(block, bytes(8), bytes(16), 1, Pair(209, 71)), b""
    )
    raw = bytearray(bytes.fromhex(frames.build_response(3, payload).rsplit(";", 1)[1]))
    raw[place % len(raw)] = octet
    with contextlib.suppress(WireError):
        wire.read_response(f"1;{INFO};{raw.hex()}")


@given(data=st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_readers_survive_noise(data: bytes) -> None:
    """Each reader of contents answers or raises its own error."""
    for reader in (wire.read_attributes, wire.read_registers, wire.read_parameter_file):
        with contextlib.suppress(WireError):
            reader(data)
    for read in (ber.read_sequence, ber.read_elements):
        with contextlib.suppress(ber.BerError):
            read(data)


@pytest.mark.parametrize(
    "bomb", [b"\x30\x84\xff\xff\xff\xff" + bytes(1000), b"\x30\x82\x03\xe8" * 250, b"\x04\x00" * 50_000]
)
def test_bounded_memory(bomb: bytes) -> None:
    """Announced lengths and many elements cost no more than the input is worth."""
    tracemalloc.start()
    with contextlib.suppress(WireError):
        wire.members_of(bomb, (4,))
    with contextlib.suppress(ber.BerError):
        ber.read_sequence(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_huge_answer_is_refused() -> None:
    """An answer above the limit is not read."""
    with pytest.raises(WireError):
        wire.read_response("1;" + INFO + ";" + "0" * wire.MAX_RESPONSE)


@pytest.mark.parametrize(
    "text",
    ["", "1;short;", f"1;{INFO}", f"1;{INFO};zz", f"1;{INFO};0020", f"1;{INFO};;", f"1;{INFO};{'00' * 40}"],
)
def test_departures_are_named(text: str) -> None:
    """Each departure from the form is a WireError with a sentence."""
    with pytest.raises(WireError, match=r"\w+ \w+"):
        wire.read_response(text)


def test_catcher_errors_are_read() -> None:
    """An error type other than 00 wins over the message."""
    text = frames.build_error(frames.CatcherError(frames.NOT_HEX))
    answer = wire.read_response(text)
    assert (answer.level, answer.catcher.strip(), answer.code) == ("catcher", "9", 12)


@pytest.mark.parametrize(
    ("counter", "following"), [("0000", "0001"), ("00ff", "0100"), ("ffff", "0000"), ("", "")]
)
def test_counter_wraps(counter: str, following: str) -> None:
    """The transaction counter keeps its width and wraps."""
    assert wire.next_counter(bytes.fromhex(counter)).hex() == following
