"""What a crypto unit said, as a document that can be judged and shown.

The answer of the service is one member, ``response``, with everything inside. The document says at which level the
answer was decided (``ok``, ``inner``, ``outer``, ``cprb``, ``catcher``, ``unreadable``), the return and reason code,
and what a query asked for, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.forms import PATTERN_OCTETS
from kms_conformance.evidence.exchange import JSON

ATTRIBUTES = {
    1: "signature_threshold",
    2: "revocation_threshold",
    3: "permissions",
    4: "mode",
    5: "standards",
}
PERMISSIONS = {
    "import": 0x01,
    "export": 0x02,
    "single_part": 0x04,
    "random": 0x08,
    "single_signature": 0x10,
    "control_points_single_signature": 0x20,
    "zeroize_single_signature": 0x40,
}
CONTROL_BITS = {
    "import": 0x00010000,
    "export": 0x00020000,
    "single_part": 0x00040000,
    "random": 0x00080000,
    "signature_threshold": 0x00100000,
    "revocation_threshold": 0x00200000,
    "single_signature": 0x00400000,
    "control_points_single_signature": 0x00800000,
    "zeroize_single_signature": 0x01000000,
}
"""The bits that every edition of the public header has: others depend on the module's firmware."""
SKI_OCTETS = 32

Contents = Callable[[bytes], dict[str, Any]]
"""Turns the output of a command into named members; raises :class:`wire.WireError`."""


def attributes(output: bytes) -> dict[str, Any]:
    """Name the attributes, what the permissions allow, and what their control bits let change."""
    read = wire.read_attributes(output)
    named = {ATTRIBUTES.get(index, str(index)): value for index, value in sorted(read.items())}
    permissions = named.get("permissions", 0)
    allowed = {name: bool(permissions & bit) for name, bit in PERMISSIONS.items()}
    free = {name: bool(permissions & bit) for name, bit in CONTROL_BITS.items()}
    return {"attributes": named, "allowed": allowed, "may_change": free}


def administrators(output: bytes) -> dict[str, Any]:
    """List the identifiers of the administrators."""
    if len(output) % SKI_OCTETS:
        raise wire.WireError("a list of administrators that is not identifiers of 32 octets")
    listed = [output[start : start + SKI_OCTETS].hex() for start in range(0, len(output), SKI_OCTETS)]
    return {"administrators": sorted(listed)}


def registers(output: bytes) -> dict[str, Any]:
    """Show both master-key registers: the verification patterns (public hashes), and whether the new key is committed."""
    read = wire.read_registers(output)
    patterns = {
        name: None if pattern is None else pattern[:PATTERN_OCTETS].hex()
        for name, pattern in (("current", read.current), ("new", read.new))
    }
    return {"registers": {**patterns, "committed": read.committed}}


def octets(output: bytes) -> dict[str, Any]:
    """Show public octets: a certificate, a public key, control points, a number."""
    return {"output": output.hex()}


def withheld(output: bytes) -> dict[str, Any]:
    """Keep the output out of reports: no public member has this name, so a token stands in its place."""
    return {"withheld": output.hex()} if output else {}


def reading(contents: Contents, *, public: bool) -> Callable[[JSON], JSON]:
    """Return how to read an answer; the response string is kept as well, where it is not ``public`` without its output."""

    def read(document: JSON) -> JSON:
        if not isinstance(document, dict) or not isinstance(document.get("response"), str):
            return document
        try:
            answer = wire.read_response(_response_of(document))
            said = _members_of(answer) | (contents(answer.output) if answer.succeeded else {})
        except wire.WireError as error:
            said = {"level": "unreadable", "trouble": str(error)}
        return said | {
            "response": document["response"] if public else wire.without_output(document["response"])
        }

    return read


def _response_of(document: dict[str, JSON]) -> str:
    """Return the response string; raise :class:`wire.WireError` where a member is no text, which clients cannot read."""
    for name, value in document.items():
        if not isinstance(value, str):
            raise wire.WireError(f"a member {name} that is no text")
    return str(document["response"])


def heard(document: JSON) -> wire.Answer | None:
    """Return what a unit said, or ``None`` when it cannot be read."""
    text = document.get("response") if isinstance(document, dict) else None
    try:
        return wire.read_response(text) if isinstance(text, str) else None
    except wire.WireError:
        return None


def _members_of(answer: wire.Answer) -> dict[str, Any]:
    members: dict[str, Any] = {"level": answer.level}
    if not answer.succeeded:
        members |= {"code": answer.pair, "return": answer.code, "reason": answer.reason}
    for name, value in (("domain", answer.domain), ("module", answer.module), ("counter", answer.counter)):
        if value:
            members[name] = value.hex()
    if answer.signer_info:
        members["signed"] = True
    return members
