"""The wire of Trusted Key Entry as a client sees it: BER, admin blocks, CPRB header, HTP strings.

Written independently of the reference's codec, so that each checks the other. Pure functions over bytes and
text; whatever a server sends, they answer a value or raise :class:`WireError`, in time and memory linear in the
input. Builders take every field as an argument, because cases also send wrong ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

FUNCTION_INFO = 0x00010026
FUNCTION_ADMIN = 0x00010029

ADD_ADMINISTRATOR = 0x02
REMOVE_ADMINISTRATOR = 0x04
SET_ATTRIBUTES = 0x08
GENERATE_IMPORTER = 0x09
RANDOM_KEY = 0x0A
EXPORT_CURRENT_KEY = 0x0B
IMPORT_KEY = 0x0C
COMMIT_KEY = 0x0D
FINALIZE_KEY = 0x0E
ZEROIZE = 0x10
ADD_CONTROL_POINTS = 0x12
REMOVE_CONTROL_POINTS = 0x13
CLEAR_CURRENT_KEY = 0x1B
CLEAR_NEW_KEY = 0x1C
EXPORT_NEW_KEY = 0x26
QUERY_ADMINISTRATORS = 0x00010002
QUERY_DEVICE_CERTIFICATE = 0x00010003
QUERY_CONTROL_POINTS = 0x00010006
QUERY_ATTRIBUTES = 0x0001000A

INFO_DOMAIN = 3

MAX_RESPONSE = 1 << 20
"""Characters of an HTPResponse that are read; a longer one is a :class:`WireError`."""

SEQUENCE = 0x30
OCTET_STRING = 0x04
ATTRIBUTE_OCTETS = 8
DOMAIN_INFO_OCTETS = 80

_SHORT_LENGTH = 0x7F
_WORD_OCTETS = 4
_ENTRY_HEAD = 6
_RESPONSE_FIELDS = 3
_CPRB = struct.Struct(">H B 2s B 2s 4s I HH 8s I")
_INFO_WIDTHS = (2, 8, 8, 8, 30, 100)


class WireError(ValueError):
    """What a server sent is not in the documented form; the sentence says where it departs."""


# --- BER ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """One element: ``tag`` (one octet) and ``value``."""

    tag: int
    value: bytes


def tlv(tag: int, value: bytes, *, length_octets: int = 0) -> bytes:
    """Encode an element; ``length_octets`` above 0 forces the long form with that many octets (longer than needed too)."""
    size = len(value)
    if size <= _SHORT_LENGTH and not length_octets:
        return struct.pack("BB", tag, size) + value
    octets = max(length_octets, -(-size.bit_length() // 8))
    return struct.pack("BB", tag, 0x80 + octets) + size.to_bytes(octets, "big") + value


def sequence(*members: bytes) -> bytes:
    """Encode a SEQUENCE of encoded members."""
    return tlv(SEQUENCE, b"".join(members))


def octets(*values: bytes) -> bytes:
    """Encode a SEQUENCE of OCTET STRINGs."""
    return sequence(*(tlv(OCTET_STRING, value) for value in values))


def word(value: int) -> bytes:
    """Encode an unsigned 32-bit number."""
    return struct.pack(">I", value)


def nodes(encoded: bytes) -> Iterator[Node]:
    """Walk over concatenated elements; lengths longer than necessary are fine.

    Raises:
        WireError: truncated, indefinite, or a length of more than four octets.
    """
    rest = memoryview(encoded)
    while rest:
        if len(rest) == 1:
            raise WireError("an element stops after its tag")
        tag, size = rest[0], rest[1]
        head = 2
        if size > _SHORT_LENGTH:
            count = size - 0x80
            if count not in range(1, 5) or len(rest) < 2 + count:
                raise WireError(f"a length of {count} octets")
            size = int.from_bytes(rest[2 : 2 + count], "big")
            head += count
        if len(rest) - head < size:
            raise WireError(f"an element of {size} octets in {len(rest) - head}")
        yield Node(tag, bytes(rest[head : head + size]))
        rest = rest[head + size :]


def members_of(encoded: bytes, counts: tuple[int, ...]) -> list[bytes]:
    """Decode one SEQUENCE of OCTET STRINGs with an allowed number of members.

    Raises:
        WireError: anything else.
    """
    outer = list(nodes(encoded))
    if len(outer) != 1 or outer[0].tag != SEQUENCE:
        raise WireError("not one SEQUENCE")
    inner = list(nodes(outer[0].value))
    if len(inner) not in counts or any(node.tag != OCTET_STRING for node in inner):
        raise WireError(f"not a SEQUENCE of {' or '.join(map(str, counts))} OCTET STRINGs")
    return [node.value for node in inner]


# --- messages -------------------------------------------------------------------------------------------------------


def admin_block(
    command: int, domain: bytes, module: bytes = b"", counter: bytes = b"", data: bytes = b""
) -> bytes:
    """Encode the part of a request that administrators sign; ``domain`` has 8 octets, ``module`` and ``counter`` 16."""
    return octets(word(command), domain, module, counter, data)


def admin_request(domain_index: int, block: bytes, signer_infos: bytes = b"") -> bytes:
    """Encode an administrative request around an encoded block."""
    return octets(word(FUNCTION_ADMIN), word(domain_index), block, signer_infos)


def query_request(command: int, domain_index: int, data: bytes = b"") -> bytes:
    """Encode an unsigned query: domain instance 0, no module, no counter."""
    return admin_request(domain_index, admin_block(command, word(domain_index) + bytes(4), data=data))


def info_request(domain_index: int, subtype: int = INFO_DOMAIN) -> bytes:
    """Encode an information query."""
    return octets(word(FUNCTION_INFO), word(domain_index), word(subtype), word(0))


def next_counter(counter: bytes) -> bytes:
    """Add one to a transaction counter; the width stays, the highest value wraps to zero."""
    width = len(counter)
    return (
        ((int.from_bytes(counter, "big") + 1) % (1 << (8 * width))).to_bytes(width, "big") if width else b""
    )


# --- frames ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """The CPRB header; the defaults are right, a case changes one at a time. ``size`` None is the payload's own."""

    domain_index: int = 0
    length: int = 32
    version: int = 4
    flags: int = 0x80
    subtype: bytes = b"T4"
    partition: bytes = bytes(4)
    code: tuple[int, int] = (0, 0)
    size: int | None = None

    def encode(self, payload: bytes) -> bytes:
        """Encode header and payload."""
        size = len(payload) if self.size is None else self.size
        fields = (self.length, self.version, b"", self.flags, self.subtype, self.partition, self.domain_index)
        return _CPRB.pack(*fields, *self.code, b"", size) + payload


def htp_request(module_index: int | str, cprb: bytes | str, *, length: int | str | None = None) -> str:
    """Write an HTPRequest around an encoded CPRB; ``length`` overrides the right one."""
    text = cprb if isinstance(cprb, str) else cprb.hex().upper()
    tail = f";PCI request;XPNUM   ;{module_index};        ;{text}"
    return f"{len(tail) if length is None else length}{tail}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTPResponse says, at the first level that reports something.

    ``level`` is ``catcher``, ``cprb``, ``outer``, ``inner`` or ``ok``. ``code`` and ``reason`` are that level's
    (0 and None when it is ``ok``); the rest is filled as far as the answer goes.
    """

    level: str
    code: int = 0
    reason: int | None = None
    catcher: str = "00"
    command: int = 0
    domain: bytes = b""
    module: bytes = b""
    counter: bytes = b""
    output: bytes = b""
    block: bytes = field(default=b"", repr=False)
    signer_info: bytes = field(default=b"", repr=False, compare=False)  # differs each time

    @property
    def pair(self) -> str:
        """The codes as the contract's catalogue writes them: ``209/71``, or ``257`` without a reason."""
        return str(self.code) if self.reason is None else f"{self.code}/{self.reason}"

    @property
    def succeeded(self) -> bool:
        """True when no level reports anything."""
        return self.level == "ok"


def read_response(text: str) -> Answer:
    """Read an HTPResponse down to the level that decides.

    Raises:
        WireError: the text departs from the documented form.
    """
    if len(text) > MAX_RESPONSE:
        raise WireError(f"an HTPResponse of {len(text)} characters")
    parts = text.split(";", 3)
    if len(parts) < _RESPONSE_FIELDS - 1 or len(parts[1]) < sum(_INFO_WIDTHS):
        raise WireError("an HTPResponse without its 156 characters of information")
    catcher = parts[1][:2]
    if catcher != "00":
        return Answer("catcher", _number(parts[1][2:10]), _number(parts[1][10:18]), catcher=catcher)
    if len(parts) != _RESPONSE_FIELDS:
        raise WireError(f"an HTPResponse of {len(parts)} fields")
    return _read_cprb(parts[2])


def without_output(text: str) -> str:
    """Return an HTPResponse with zeros in the place of its output; ``""`` where it cannot be read.

    What it says of success and refusal stays as it came, so that its verdict can be derived again.
    """
    try:
        output = read_response(text).output.hex()
    except WireError:
        return ""
    start = text.lower().find(output) if output else -1
    return text if start < 0 else f"{text[:start]}{'0' * len(output)}{text[start + len(output) :]}"


def without_parts(block: bytes) -> bytes:
    """Return the block of an import with zeros in the place of each encrypted key part.

    Raises:
        WireError: what it carries are no signed requests of key parts.
    """
    *head, data = members_of(block, (5,))
    requests = []
    for request in nodes(data):
        function, domain, inner, signers = members_of(tlv(request.tag, request.value), (4,))
        *inner_head, sealed = members_of(inner, (5,))
        info = list(nodes(sealed))
        if len(info) != 1 or info[0].tag != SEQUENCE:
            raise WireError("a key part that is not one SEQUENCE")
        hidden = sequence(
            *(
                tlv(node.tag, bytes(len(node.value)) if node.tag == OCTET_STRING else node.value)
                for node in nodes(info[0].value)
            )
        )
        requests.append(octets(function, domain, octets(*inner_head, hidden), signers))
    return octets(*head, b"".join(requests))


def _number(text: str) -> int:
    """Read a blank-padded number of the information field; what is none counts as 0, for nobody documents it."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _read_cprb(text: str) -> Answer:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise WireError("an HTPResponse whose message is not hexadecimal") from None
    if len(text) != 2 * len(raw) or len(raw) < _CPRB.size:
        raise WireError("a message shorter than its header")
    length, _, _, _, subtype, _, _, code, reason, _, size = _CPRB.unpack_from(raw)
    if length != _CPRB.size or subtype != b"T4":
        raise WireError("a header of another length or type")
    if code or reason:
        return Answer("cprb", code, reason)
    payload = raw[_CPRB.size :]
    if size > len(payload):
        raise WireError(f"a payload of {size} octets in {len(payload)}")
    return _read_admin(payload[:size])


def _read_admin(payload: bytes) -> Answer:
    function, domain, code, *rest = members_of(payload, (3, 4, 5))
    if function == word(FUNCTION_INFO):
        return _read_info(domain, code, rest)
    if function != word(FUNCTION_ADMIN) or len(rest) == 1:
        raise WireError(f"an answer for function {function.hex()}")
    outer = _word(code, "outer return code")
    if outer:
        return Answer("outer", outer, domain=domain)
    if not rest:
        raise WireError("an outer return code of 0 and nothing behind it")
    return _read_block(rest[0], rest[1])


def _read_info(domain: bytes, code: bytes, rest: list[bytes]) -> Answer:
    number = _word(code, "return code")
    if number:
        return Answer("outer", number, domain=domain)
    if len(rest) != 1:
        raise WireError("an information answer without its information")
    return Answer("ok", domain=domain, output=rest[0])


def _read_block(block: bytes, signer_info: bytes) -> Answer:
    command, domain, module, counter, code, output = members_of(block, (6,))
    number = _word(code, "inner return code")
    reason = int.from_bytes(output[:_WORD_OCTETS], "big") if number and len(output) >= _WORD_OCTETS else None
    return Answer(
        "inner" if number else "ok",
        number,
        reason,
        command=_word(command, "command"),
        domain=domain,
        module=module,
        counter=counter,
        output=b"" if number else output,
        block=block,
        signer_info=signer_info,
    )


def _word(value: bytes, what: str) -> int:
    if len(value) != _WORD_OCTETS:
        raise WireError(f"{what} of {len(value)} octets")
    return int.from_bytes(value, "big")


# --- contents -------------------------------------------------------------------------------------------------------


def attribute_list(values: dict[int, int]) -> bytes:
    """Encode attributes: 1 signature threshold, 2 revocation threshold, 3 permissions, 4 mode."""
    return b"".join(word(index) + word(value) for index, value in values.items())


def read_attributes(output: bytes) -> dict[int, int]:
    """Decode an attribute query's output.

    Raises:
        WireError: not a list of pairs.
    """
    if len(output) % ATTRIBUTE_OCTETS:
        raise WireError("an attribute list that is not pairs of numbers")
    pairs = struct.iter_unpack(">II", output)
    return {index: value for index, value in pairs}  # noqa: C416 - dict() of an iterator of bare tuples does not type


@dataclass(frozen=True, slots=True)
class Registers:
    """Both master-key registers: verification pattern (32 octets) or None, and whether the new key is committed."""

    current: bytes | None
    new: bytes | None
    committed: bool


def read_registers(output: bytes) -> Registers:
    """Decode the output of a domain information query.

    Raises:
        WireError: fewer than 80 octets.
    """
    if len(output) < DOMAIN_INFO_OCTETS:
        raise WireError(f"domain information of {len(output)} octets")
    flags = output[71]
    return Registers(
        output[4:36] if flags & 0x02 else None,
        output[36:68] if flags & 0x04 else None,
        bool(flags & 0x08),
    )


def parameter_file(*entries: tuple[int, int, bytes]) -> bytes:
    """Encode an export parameter file of (tag, index, data)."""
    return octets(*(struct.pack(">HI", tag, index) + data for tag, index, data in entries))


def read_parameter_file(encoded: bytes) -> list[tuple[int, int, bytes]]:
    """Decode a parameter file.

    Raises:
        WireError: not a SEQUENCE of OCTET STRINGs of at least six octets.
    """
    outer = list(nodes(encoded))
    if len(outer) != 1 or outer[0].tag != SEQUENCE:
        raise WireError("a parameter file that is not one SEQUENCE")
    entries = []
    for node in nodes(outer[0].value):
        if node.tag != OCTET_STRING or len(node.value) < _ENTRY_HEAD:
            raise WireError("a parameter entry without tag and index")
        tag, index = struct.unpack_from(">HI", node.value)
        entries.append((tag, index, node.value[_ENTRY_HEAD:]))
    return entries
