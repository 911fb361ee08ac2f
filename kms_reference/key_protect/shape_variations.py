"""Variations of how replies look: headers, JSON's spellings, dates, ids and members that no source fixes."""

from __future__ import annotations

import json
import re
import time
from secrets import randbits
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from kms_reference.key_protect import instance
from kms_reference.key_protect.wire import keys_shown
from kms_reference.switches import Variation, gives

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.rules import Draft, Mutator

_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")
_OF_A_GATEWAY: Final = {
    "server": "gateway/2.11",
    "via": "1.1 gateway",
    "vary": "Accept-Encoding, Authorization",
    "cache-control": "no-store, max-age=0",
    "pragma": "no-cache",
    "etag": 'W/"5f-1"',
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "correlation-id, key-total",
    "x-request-id": "5a1e7c9e4c2f",
    "preference-applied": "return=representation",
    # A balancer that wants the next request at the same place.
    "set-cookie": "route=a1; Path=/; HttpOnly; Secure",
}
_DEPRECATED: Final = (
    "algorithmType",
    "algorithmMetadata",
    "algorithmBitSize",
    "algorithmMode",
    "nonactiveStateReason",
)
_IDENTIFYING: Final = ("type", "id", "name", "state", "extractable", "crn")
_CREATIONS: Final = ("createKey", "createKeyWithPoliciesOverrides")
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def _of_a_gateway(draft: Draft) -> None:
    draft.headers.update(_OF_A_GATEWAY)


def _written(write: Callable[[Any], str]) -> Mutator:
    """Write bodies in another spelling of the same JSON."""

    def mutate(draft: Draft) -> None:
        if draft.body is not None and draft.raw is None:
            draft.raw = write(draft.body).encode()

    return mutate


def _by_numbers(body: Any) -> str:
    """Write each letter within a text by its number, and whole numbers with a fraction of zero."""
    return _TEXT.sub(lambda found: _by_number(found[0]), json.dumps(_fractional(body)))


def _by_number(text: str) -> str:
    return text if "\\" in text else "".join(f"\\u{ord(one):04x}" if one.isalpha() else one for one in text)


def _fractional(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _fractional(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_fractional(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _zero_offset(draft: Draft) -> None:
    if not draft.refused:
        draft.body = _replaced(draft.body, r"\1.000000+00:00")


def _replaced(value: Any, by: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(member, by) for name, member in value.items()}
    if isinstance(value, list):
        return [_replaced(item, by) for item in value]
    return _DATE.sub(by, value) if isinstance(value, str) else value


def _id_of_time(*_: Any) -> str:
    """Return a UUID of version 7: milliseconds since 1970, and a random rest."""
    number = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | randbits(12) << 64 | 2 << 62 | randbits(62)
    return str(UUID(int=number))


def _chosen_otherwise(draft: Draft) -> None:
    for key in keys_shown(draft):
        for name in _DEPRECATED:
            key.pop(name, None)
        flags = key.get("dualAuthDelete")
        if flags is not None and flags.get("keySetForDeletion") is False:
            flags.pop("keySetForDeletion")
        key.setdefault("description", "")
        for name in ("aliases", "tags"):
            if name in key:
                key[name] = sorted(key[name])


def _minimal(draft: Draft) -> None:
    prefers = draft.call.headers.get("prefer", "") if draft.call is not None else ""
    if draft.operation in _CREATIONS and "minimal" in prefers:
        for key in keys_shown(draft):
            for name in set(key) - set(_IDENTIFYING):
                del key[name]


def _more(draft: Draft) -> None:
    """Add a second reason, and what frameworks for lists say of a page."""
    if draft.reason:
        more = {
            "code": "MORE_INFORMATION",
            "message": "The documentation says more",
            "status": draft.status,
            "moreInfo": "https://cloud.ibm.com/docs/key-protect",
        }
        draft.resource["reasons"].append(more)
    call = draft.call
    lists = call is not None and call.operation.method == "GET" and isinstance(draft.body, dict)
    if lists and not draft.refused and "metadata" in draft.body:
        offset, limit = call.query.get("offset", "0"), call.query.get("limit", "200")
        draft.body["metadata"].update(offset=int(offset), limit=int(limit), first="?offset=0", next=None)


def _with_blanks(body: Any) -> str:
    return "\r\n" + json.dumps(body, indent="\t", ensure_ascii=False) + "\n"


def _in_capitals(draft: Draft) -> None:
    draft.capitals = True


SHAPE_VARIATIONS: Final = (
    Variation("header-names-in-capitals", "The names of headers are in capitals.", (), _in_capitals),
    Variation("headers-of-a-gateway", "Replies have the headers and the cookie that gateways add.", (), _of_a_gateway),
    Variation("json-with-blanks", "JSON is indented, and has blanks and line ends around it.", (), _written(_with_blanks)),
    Variation("json-by-numbers", "JSON writes letters by their numbers, and whole numbers with a fraction of zero.", (), _written(_by_numbers)),
    Variation("dates-with-zero-offset", "Dates have six digits of a second and end with +00:00.", (), _zero_offset),
    Variation("ids-of-time", "Ids are UUIDs of version 7.", (), changes=(gives(instance.new_id, _id_of_time),)),
    Variation("members-chosen-otherwise", "Keys lack members that are deprecated or unexplained, show an empty description, and names in alphabetical order.", (), _chosen_otherwise),
    Variation("minimal-creation", "A creation with return=minimal shows what identifies the key.", (), _minimal),
    Variation("more-in-envelopes", "Refusals have a second reason that points at the documentation, and lists say their page.", (), _more),
)  # fmt: skip
