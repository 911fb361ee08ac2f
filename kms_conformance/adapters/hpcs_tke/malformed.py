"""Request strings with one thing wrong, by name. Each carries a query, so that a unit which accepts it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kms_conformance.adapters.hpcs_tke import wire

_BLANK = " " * 8
_LONG = 50_000

RequestMaker = Callable[[int, int], str]
"""Makes a request string for a module index and a domain index."""


def _query(domain: int) -> bytes:
    return wire.query_request(wire.QUERY_ATTRIBUTES, domain)


def _string(
    module: int,
    domain: int,
    *,
    length: str = "",
    words: str = "PCI request;XPNUM   ",
    index: str = "",
    user: str = _BLANK,
    tail: str = "",
    cprb: str | None = None,
) -> str:
    right = wire.Header(domain).encode(_query(domain)).hex().upper()
    rest = f";{words};{index or module};{user};{right if cprb is None else cprb}{tail}"
    return f"{length or len(rest)}{rest}"


STRINGS: Mapping[str, RequestMaker] = {
    "empty": lambda _, __: "",
    "no-fields": lambda _, __: "30",
    "length-too-small": lambda m, d: _string(m, d, length="1"),
    "length-too-large": lambda m, d: _string(m, d, length="999999"),
    "length-no-number": lambda m, d: _string(m, d, length="ten"),
    "length-negative": lambda m, d: _string(m, d, length="-1"),
    "length-endless": lambda m, d: _string(m, d, length="9" * 5000),
    "first-word": lambda m, d: _string(m, d, words="PCI answer;XPNUM   "),
    "second-word": lambda m, d: _string(m, d, words="PCI request;YPNUM   "),
    "module-no-number": lambda m, d: _string(m, d, index="x"),
    "module-of-another": lambda m, d: _string(m, d, index=str(m + 40)),
    "user-field": lambda m, d: _string(m, d, user="somebody"),
    "field-too-many": lambda m, d: _string(m, d, tail=";"),
    "digits-odd": lambda m, d: _string(m, d, tail="0"),
    "digits-none": lambda m, d: _string(m, d, cprb=""),
    "digits-other": lambda m, d: _string(m, d, tail="ZZ"),
    "not-ascii": lambda m, d: _string(m, d, user="\u00fc" * 8),
    "very-long": lambda m, d: _string(m, d, tail="00" * _LONG),
}
"""The string around the header."""


def _headed(payload: bytes = b"", **damage: int | bytes | tuple[int, int]) -> RequestMaker:
    def make(module: int, domain: int) -> str:
        fields = {"domain_index": domain, **damage}
        return wire.htp_request(module, wire.Header(**fields).encode(payload or _query(domain)))  # type: ignore[arg-type]  # fields of Header by name

    return make


def _cut(octets: int) -> RequestMaker:
    def make(module: int, domain: int) -> str:
        return wire.htp_request(module, wire.Header(domain).encode(_query(domain))[:octets])

    return make


HEADERS: Mapping[str, RequestMaker] = {
    "length-0": _headed(length=0),
    "length-31": _headed(length=31),
    "length-highest": _headed(length=0xFFFF),
    "version": _headed(version=2),
    "flags": _headed(flags=0),
    "type": _headed(subtype=b"T5"),
    "code": _headed(code=(1, 1)),
    "size-0": _headed(size=0),
    "size-too-small": _headed(size=8),
    "size-too-large": _headed(size=0x1000),
    "size-highest": _headed(size=0xFFFFFFFF),
    "cut-at-1": _cut(1),
    "cut-at-31": _cut(31),
    "no-message": _cut(32),
}
"""The header before the message."""

FIELDS = (
    "message",
    "function",
    "domain",
    "block",
    "signatures",
    "block-members",
    "command",
    "domain-id",
    "module",
    "counter",
    "input",
)
"""The elements of an encoded message, from outside to inside; each has a type and a length."""


def damaged_elements(module: int, domain: int, field: str) -> Iterator[tuple[str, str]]:
    """Yield request strings whose ``field`` has a wrong type or length, each after the words for its damage."""
    members = [wire.word(wire.QUERY_ATTRIBUTES), wire.word(domain) + bytes(4), b"", b"", b""]
    for damage in (
        "other type",
        "type 0",
        "length too small",
        "length too large",
        "no length",
        "length of 4 GiB",
    ):

        def coded(name: str, tag: int, value: bytes, damage: str = damage) -> bytes:
            return _element(tag, value, damage) if name == field else wire.tlv(tag, value)

        inner = b"".join(
            coded(name, wire.OCTET_STRING, value) for name, value in zip(FIELDS[6:], members, strict=True)
        )
        block = coded("block-members", wire.SEQUENCE, inner)
        outer = (wire.word(wire.FUNCTION_ADMIN), wire.word(domain), block, b"")
        body = b"".join(
            coded(name, wire.OCTET_STRING, value) for name, value in zip(FIELDS[1:5], outer, strict=True)
        )
        message = coded("message", wire.SEQUENCE, body)
        yield damage, wire.htp_request(module, wire.Header(domain).encode(message))


def _element(tag: int, value: bytes, damage: str) -> bytes:
    right = wire.tlv(tag, value)
    head = len(right) - len(value)
    match damage:
        case "other type":
            return bytes([tag ^ 0x02]) + right[1:]
        case "type 0":
            return b"\0" + right[1:]
        case "length too small":
            return right[: head - 1] + bytes([(right[head - 1] - 1) % 0x80]) + value
        case "length too large":
            return right[: head - 1] + bytes([(right[head - 1] + 1) % 0x100]) + value
        case "no length":
            return bytes([tag, 0x80]) + value
    return bytes([tag, 0x84]) + b"\xff" * 4 + value


def inputs(right: bytes) -> dict[str, bytes]:
    """Return damaged copies of ``right``, the input of a command, that no reader accepts; the keys say the damage."""
    return {
        "cut": right[: len(right) // 2],
        "of one octet": right[:1],
        "of zeros": bytes(len(right)),
        "without a length": b"\x30\x80" + right[2:],
        "of a length of 4 GiB": b"\x30\x84" + b"\xff" * 4 + right[2:],
    }


def longer_lengths(domain: int) -> bytes:
    """Encode a right message whose outer length takes more octets than it needs."""
    members = (wire.word(wire.FUNCTION_INFO), wire.word(domain), wire.word(wire.INFO_DOMAIN), wire.word(0))
    inner = b"".join(wire.tlv(wire.OCTET_STRING, value, length_octets=2) for value in members)
    return wire.tlv(wire.SEQUENCE, inner, length_octets=2)
