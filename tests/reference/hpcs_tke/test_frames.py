"""Malformed frames: each length and type field wrong in turn is answered cleanly and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.wire import Header, octets, sequence, tlv, word

if TYPE_CHECKING:
    from tests.reference.hpcs_tke.conftest import Context, Unit

QUERY = wire.query_request(wire.QUERY_ATTRIBUTES, 3)
BLOCK = wire.admin_block(wire.QUERY_ATTRIBUTES, word(3) + bytes(4))
GOOD = wire.htp_request(2, Header(3).encode(QUERY))


def mutated_headers() -> list[Header]:
    """One wrong field each."""
    size = len(QUERY)
    return [
        Header(3, length=31),
        Header(3, length=0),
        Header(3, version=3),
        Header(3, flags=0),
        Header(3, subtype=b"T5"),
        Header(3, code=(1, 0)),
        Header(3, size=size - 1),
        Header(3, size=size + 1),
        Header(3, size=0xFFFFFFFF),
        Header(3, size=0),
    ]


@pytest.mark.parametrize("header", mutated_headers(), ids=repr)
def test_wrong_header_fields(unit: Unit, header: Header) -> None:
    """A wrong CPRB header is answered by one whose return code is not zero."""
    assert unit.raw(wire.htp_request(2, header.encode(QUERY))).level == "cprb"


@pytest.mark.parametrize(
    "frame",
    [
        wire.htp_request(2, Header(3).encode(QUERY), length=180),
        wire.htp_request(2, Header(3).encode(QUERY), length=182),
        wire.htp_request(2, Header(3).encode(QUERY), length=""),
        wire.htp_request(2, Header(3).encode(QUERY), length="-181"),
        wire.htp_request(2, Header(3).encode(QUERY), length="9" * 5000),
        wire.htp_request("", Header(3).encode(QUERY)),
        wire.htp_request("x", Header(3).encode(QUERY)),
        wire.htp_request(3, Header(3).encode(QUERY)),
        wire.htp_request("9" * 5000, Header(3).encode(QUERY)),
        wire.htp_request(2, "00200"),
        wire.htp_request(2, "0020zz"),
        wire.htp_request(2, "00 20 "),
        GOOD.replace("PCI request", "PCI replies"),
        GOOD.replace("XPNUM   ", "XPNUM"),
        GOOD.replace(";        ;", ";       x;"),
        GOOD + ";",
        "",
        ";" * 5,
        ";" * 100_000,
    ],
)
def test_wrong_strings(unit: Unit, frame: str) -> None:
    """What is no HTPRequest for this module is a catcher error."""
    assert unit.raw(frame).level == "catcher"


@pytest.mark.parametrize("cprb", ["", "00200400"])
def test_short_header(unit: Unit, cprb: str) -> None:
    """A header that stops early is a header error."""
    assert unit.raw(wire.htp_request(2, cprb)).level == "cprb"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 7),
        (b"\x30", 7),
        (tlv(0x31, QUERY[2:]), 7),
        (QUERY + b"\0", 7),
        (QUERY[:-1], 7),
        (b"\x30\x80" + QUERY[2:] + b"\0\0", 7),
        (b"\x30\x85\0\0\0\0\x2a" + QUERY[2:], 7),
        (b"\x3f" + QUERY[1:], 7),
        (octets(word(wire.FUNCTION_ADMIN), word(3), BLOCK), 7),
        (octets(word(wire.FUNCTION_ADMIN), word(3), BLOCK, b"", b""), 7),
        (sequence(*(tlv(0x0C, b"") for _ in range(4))), 7),
        (octets(word(0x00010099), word(3), BLOCK, b""), 84),
        (octets(b"", word(3), BLOCK, b""), 84),
        (octets(word(wire.FUNCTION_ADMIN), b"\3", BLOCK, b""), 7),
        (octets(word(wire.FUNCTION_ADMIN), word(4), BLOCK, b""), 3),
        (octets(word(wire.FUNCTION_ADMIN), word(3), b"", b""), 7),
        (octets(word(wire.FUNCTION_ADMIN), word(3), BLOCK[:-1], b""), 7),
        (octets(word(wire.FUNCTION_ADMIN), word(3), octets(word(1), word(3)), b""), 7),
        (wire.admin_request(3, octets(b"\1", word(3) + bytes(4), b"", b"", b"")), 7),
        (wire.admin_request(3, wire.admin_block(wire.QUERY_ATTRIBUTES, word(3))), 7),
        (wire.admin_request(3, wire.admin_block(wire.QUERY_ATTRIBUTES, word(9) + bytes(4))), 3),
        (wire.info_request(4), 3),
        (wire.info_request(3, 2), 7),
    ],
)
def test_wrong_messages(unit: Unit, payload: bytes, code: int) -> None:
    """A message that names no command is refused in the outer return code."""
    before = unit.state()
    answer = unit.send(payload)
    assert (answer.level, answer.code) == ("outer", code)
    assert unit.state() == before


def test_wrong_domain_in_the_header(unit: Unit) -> None:
    """A header for another domain is refused."""
    answer = unit.raw(wire.htp_request(2, Header(4).encode(QUERY)))
    assert (answer.level, answer.code) == ("outer", 3)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_longer_lengths_than_necessary(unit: Unit, width: int) -> None:
    """Lengths in more octets than needed are accepted at every level."""

    def long(tag: int, value: bytes) -> bytes:
        return tlv(tag, value, length_octets=width)

    block = long(
        0x30, b"".join(long(4, value) for value in (word(0x0001000A), word(3) + bytes(4), b"", b"", b""))
    )
    payload = long(
        0x30, b"".join(long(4, value) for value in (word(wire.FUNCTION_ADMIN), word(3), block, b""))
    )
    assert unit.send(payload).succeeded


@given(text=st.text(max_size=300) | st.binary(max_size=200).map(lambda raw: wire.htp_request(2, raw)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_answered(unit: Unit, text: str) -> None:
    """Whatever the request says, the answer is a readable response or a client error."""
    reply = unit.post(text)
    assert reply.status_code in {200, 400}
    if reply.status_code == 200:
        wire.read_response(reply.json()["response"])


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_octet_is_answered(unit: Unit, data: st.DataObject) -> None:
    """A right message with one octet changed is answered, and the unit still works."""
    payload = bytearray(
        data.draw(st.sampled_from([QUERY, wire.info_request(3), wire.admin_request(3, BLOCK, b"\x30\0")]))
    )
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    unit.send(bytes(payload))
    assert unit.query().succeeded


def test_each_unit_has_its_place(context: Context) -> None:
    """Units of one instance do not answer for each other."""
    first, other = context.units()[0], context.units("source_hsms")[0]
    module, domain = other.place
    frame = wire.htp_request(module, Header(domain).encode(wire.query_request(wire.QUERY_ATTRIBUTES, domain)))
    assert other.raw(frame).succeeded
    assert not first.raw(frame).succeeded
