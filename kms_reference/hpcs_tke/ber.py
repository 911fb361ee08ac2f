"""The little of BER that EP11 messages use: definite lengths, one-byte tags.

Lengths longer than necessary are accepted, because crypto modules send them (``30 82 00 66``). Everything else
that does not fit is a :class:`BerError`; no input makes this module read past its buffer, recurse or allocate
more than the input's own size.
"""

from collections.abc import Collection
from typing import NamedTuple

SEQUENCE = 0x30
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
CONTEXT_0 = 0x80
MAX_LENGTH_OCTETS = 4
MAX_ELEMENTS = 256
_LONG_FORM = 0x80
_TAG_NUMBER = 0x1F


class BerError(ValueError):
    """The bytes are not the structure that was expected."""


class Element(NamedTuple):
    """One tag-length-value: its tag, its value, and the whole encoding as it was sent."""

    tag: int
    body: bytes
    raw: bytes


def read_element(data: bytes, offset: int = 0) -> tuple[Element, int]:
    """Read one element at ``offset``; answer it and the offset behind it.

    Raises:
        BerError: truncated, indefinite length, multi-byte tag, or a length that leaves the buffer.
    """
    start = offset
    if offset + 2 > len(data):
        raise BerError("truncated before a length")
    tag, length = data[offset], data[offset + 1]
    if tag & _TAG_NUMBER == _TAG_NUMBER:
        raise BerError("tags of several octets are not used here")
    offset += 2
    if length & _LONG_FORM:
        octets = length & ~_LONG_FORM
        if not 1 <= octets <= MAX_LENGTH_OCTETS:
            raise BerError(f"a length in {octets} octets is not accepted")
        if offset + octets > len(data):
            raise BerError("truncated inside a length")
        length = int.from_bytes(data[offset : offset + octets], "big")
        offset += octets
    if offset + length > len(data):
        raise BerError("a length leaves the buffer")
    end = offset + length
    return Element(tag, data[offset:end], data[start:end]), end


def read_elements(data: bytes) -> list[Element]:
    """Read elements until the buffer ends.

    Raises:
        BerError: as :func:`read_element`, or more than ``MAX_ELEMENTS`` elements.
    """
    elements: list[Element] = []
    offset = 0
    while offset < len(data):
        if len(elements) == MAX_ELEMENTS:
            raise BerError("too many elements")
        element, offset = read_element(data, offset)
        elements.append(element)
    return elements


def read_sequence(data: bytes, tag: int = SEQUENCE) -> list[Element]:
    """Read a buffer that is exactly one constructed element; answer its members.

    Raises:
        BerError: another tag, bytes behind the element, or members that do not parse.
    """
    element, end = read_element(data)
    if element.tag != tag:
        raise BerError(f"tag {element.tag:#04x} where {tag:#04x} belongs")
    if end != len(data):
        raise BerError("bytes behind the element")
    return read_elements(element.body)


def read_octet_strings(data: bytes, counts: Collection[int]) -> list[bytes]:
    """Read a SEQUENCE of OCTET STRINGs with an allowed number of members; answer their values.

    Raises:
        BerError: not such a sequence.
    """
    members = read_sequence(data)
    if len(members) not in counts:
        raise BerError(f"{len(members)} members")
    if any(member.tag != OCTET_STRING for member in members):
        raise BerError("a member is not an OCTET STRING")
    return [member.body for member in members]


def read_integer(element: Element) -> int:
    """Read a non-negative INTEGER.

    Raises:
        BerError: another tag, no octets, or a negative value.
    """
    if element.tag != INTEGER or not element.body or element.body[0] & 0x80:
        raise BerError("not a non-negative INTEGER")
    return int.from_bytes(element.body, "big")


def encode(tag: int, body: bytes) -> bytes:
    """Encode one element with the shortest length."""
    length = len(body)
    if length < _LONG_FORM:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(octets))) + octets + body


def encode_octet_strings(*values: bytes) -> bytes:
    """Encode a SEQUENCE of OCTET STRINGs."""
    return encode(SEQUENCE, b"".join(encode(OCTET_STRING, value) for value in values))


def encode_integer(value: int) -> bytes:
    """Encode a non-negative INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
