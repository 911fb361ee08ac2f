"""The two envelopes around an EP11 message: the HTP string and the CPRB header.

HTPRequest: decimal length, then ``;PCI request;XPNUM   ;<module>;<8 blanks>;<hex>``; the length counts what
follows it. HTPResponse: decimal length, ``;``, 156 characters of information, ``;``, hex. The hex is a 32-byte
header and a payload, big-endian throughout.
"""

import struct
from typing import NamedTuple

SYNTAX = 9
INTERNAL = 11
MODULE_INDEX_NOT_NUMBER = (SYNTAX, 1)
MODULE_INDEX_RANGE = (SYNTAX, 2)
NOT_HEX = (SYNTAX, 12)
ODD_HEX = (SYNTAX, 13)
MESSAGE_LENGTH = (SYNTAX, 27)
USER_FIELD_NOT_BLANK = (SYNTAX, 54)
MESSAGE_TYPE = (INTERNAL, 3)

CPRB_FAILED = 8
"""Return half of a CPRB code; the reason half is the offset of the offending field (this reference's choice)."""

_HEADER = struct.Struct(">HB2xB2s4sII8xI")
_VERSION = 4
_FLAGS = 0x80
_SUBTYPE = b"T4"
_REQUEST_PARTS = 6
_MAX_DIGITS = 9
_BLANK = " " * 8


class CatcherError(ValueError):
    """The HTP string is not one: the answer carries an error type and a code, and no message."""

    def __init__(self, kind: tuple[int, int]) -> None:
        super().__init__(f"catcher error {kind[0]}-{kind[1]}")
        self.error_type, self.code = kind


class CprbError(ValueError):
    """The CPRB header is wrong: the answer is a header whose return code is not zero."""

    def __init__(self, offset: int, domain: int = 0) -> None:
        super().__init__(f"CPRB field at offset {offset}")
        self.offset = offset
        self.domain = domain


class Frame(NamedTuple):
    """What a request frame says: which module, which domain, and the message for it."""

    module_index: int
    domain_index: int
    payload: bytes


def parse_request(text: str) -> Frame:
    """Take an HTPRequest apart.

    Raises:
        CatcherError: the string around the header is malformed.
        CprbError: the header or its payload length is malformed.
    """
    parts = text.split(";")
    if len(parts) != _REQUEST_PARTS or parts[1:3] != ["PCI request", "XPNUM   "]:
        raise CatcherError(MESSAGE_TYPE)
    length, _, _, module, user, cprb = parts
    if not _decimal(length) or int(length) != len(text) - len(length):
        raise CatcherError(MESSAGE_LENGTH)
    if not _decimal(module):
        raise CatcherError(MODULE_INDEX_NOT_NUMBER)
    if user != _BLANK:
        raise CatcherError(USER_FIELD_NOT_BLANK)
    if len(cprb) % 2:
        raise CatcherError(ODD_HEX)
    if not set(cprb) <= set("0123456789ABCDEFabcdef"):
        raise CatcherError(NOT_HEX)
    domain, payload = _parse_cprb(bytes.fromhex(cprb))
    return Frame(int(module), domain, payload)


def _decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _parse_cprb(raw: bytes) -> tuple[int, bytes]:
    if len(raw) < _HEADER.size:
        raise CprbError(0)
    length, version, flags, subtype, _, domain, code, size = _HEADER.unpack_from(raw)
    faults = {
        0: length != _HEADER.size,
        2: version != _VERSION,
        5: flags != _FLAGS,
        6: subtype != _SUBTYPE,
        16: code != 0,
        28: size != len(raw) - _HEADER.size,
    }
    for offset, is_faulty in faults.items():
        if is_faulty:
            raise CprbError(offset, domain)
    return domain, raw[_HEADER.size :]


def build_response(domain: int, payload: bytes) -> str:
    """Answer with a message from the crypto module."""
    return _response("00" + "0" * 16 + " " * 138, _cprb(domain, 0, payload))


def build_error(error: CatcherError | CprbError) -> str:
    """Answer that the string did not reach a crypto module, or that its header was refused."""
    return _build_catcher_error(error) if isinstance(error, CatcherError) else _build_cprb_error(error)


def _build_catcher_error(error: CatcherError) -> str:
    info = f"{error.error_type:<2}{error.code:>8}{0:>8}{'KMSREF':<8}{'HTP request':<30}{'':<100}"
    return _response(info, b"")


def _build_cprb_error(error: CprbError) -> str:
    """Return and reason halves are not zero, there is no payload."""
    return _response(
        "00" + "0" * 16 + " " * 138, _cprb(error.domain, (CPRB_FAILED << 16) | error.offset, b"")
    )


def _cprb(domain: int, code: int, payload: bytes) -> bytes:
    header = _HEADER.pack(_HEADER.size, _VERSION, _FLAGS, _SUBTYPE, bytes(4), domain, code, len(payload))
    return header + payload


def _response(info: str, cprb: bytes) -> str:
    tail = f";{info};{cprb.hex().upper()}"
    return f"{len(tail)}{tail}"
