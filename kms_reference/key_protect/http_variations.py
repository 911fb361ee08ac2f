"""Variations of what carries the replies: encodings, gateways, routers, forms of dates, ids and ciphertexts."""

from __future__ import annotations

import gzip
import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from kms_reference.key_protect import actions, crypto, kmip, search
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.clock import parse_stamp
from kms_reference.key_protect.errors import plain
from kms_reference.key_protect.wire import Call
from kms_reference.switches import Variation, gives, instead, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key, Version
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.key_protect.server_state import ServerState
    from kms_reference.rules import Draft, RuleLike

_ONE_IN: Final = 25
_AT_ONCE: Final = "0"
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")
_FRACTION: Final = 0.123456
_DIGITS: Final = 6
_OF_THE_CLIENT: Final = "expirationDate"
_BINARY: Final = b"\x04"
_CHECKED: Final = 8
_IDS: Final = ("adapter", "certificate", "object")
_FOR_GO: Final = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}

_asked: Final[WeakKeyDictionary[ServerState, int]] = WeakKeyDictionary()
"""How many requests each server has counted."""


# -- text and encoding ------------------------------------------------------------------------------------


def _compressed(draft: Draft) -> None:
    coding = draft.call.headers.get("accept-encoding", "gzip") if draft.call is not None else "gzip"
    if draft.body is None or "gzip" not in coding:
        return
    text = json.dumps(draft.body, ensure_ascii=False).encode()
    draft.raw, draft.headers["content-encoding"] = gzip.compress(text, mtime=0), "gzip"


def _as_go_writes(draft: Draft) -> None:
    """Write JSON as Go's encoder does: characters with a meaning in HTML are escaped, and there are no blanks."""
    if draft.body is not None:
        text = json.dumps(draft.body, ensure_ascii=False, separators=(",", ":"))
        draft.raw = "".join(_FOR_GO.get(character, character) for character in text).encode()


def _as_java_writes(draft: Draft) -> None:
    """Write JSON as some of Java's encoders do: in ASCII, and with escaped slashes."""
    if draft.body is not None:
        draft.raw = json.dumps(draft.body).replace("/", "\\/").encode()


# -- gateways and routers ---------------------------------------------------------------------------------


def _limited(exchange: Exchange, *_: Any) -> None:
    """Refuse one request of `_ONE_IN` with 429 before anything is done for it."""
    state = exchange.server_state
    _asked[state] = _asked.get(state, 0) + 1
    if _asked[state] % _ONE_IN == 0:
        raise plain(429, "The rate limit was exceeded", retry_after=_AT_ONCE)


def _head_is_get(method: str, exchange: Exchange) -> str:
    return "GET" if method == "HEAD" and not exchange.path.rstrip("/").endswith("/api/v2/keys") else method


# -- dates ------------------------------------------------------------------------------------------------


def _precise(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _precise(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [_precise(item, name) for item in value]
    return _DATE.sub(r"\1.123456000Z", value) if isinstance(value, str) else value


def _nanoseconds(draft: Draft) -> None:
    """Show the dates that the server sets with nine digits of a second; what a client sets stays as it is."""
    if draft.refused or not isinstance(draft.body, dict):
        return
    given = {entry["id"]: entry.get(_OF_THE_CLIENT) for entry in _entries(draft) if "extractable" in entry}
    draft.body = _precise(draft.body)
    for entry in _entries(draft):
        expires = given.get(entry.get("id"))
        if expires is not None:
            entry[_OF_THE_CLIENT] = expires
            # A key that expires cannot be restored later than that.
            if str(entry.get("restoreExpirationDate"))[:-11] == expires[:-1]:
                entry["restoreExpirationDate"] = expires


def _entries(draft: Draft) -> list[dict[str, Any]]:
    return [entry for entry in draft.body.get("resources") or () if isinstance(entry, dict)]


def _compared_precisely(lawful: RuleLike, call: Call, name: str, operator: str, value: str) -> Test:
    """Compare the dates as they are shown."""
    moment = parse_stamp(value)
    read = search.DATES.get(name)
    if moment is None or read is None or name == _OF_THE_CLIENT:
        test: Test = lawful(call, name, operator, value)
        return test
    compare, sought = search.COMPARE[operator], round(moment, _DIGITS)

    def passes(key: Key) -> bool:
        held = read(key)
        return held is not None and compare(round(int(held) + _FRACTION, _DIGITS), sought)

    return passes


# -- ids, searches and ciphertexts ------------------------------------------------------------------------


def _in_any_case(found: Key | None, call: Call) -> Key | None:
    return found or call.instance.keys.get(call.args["id"].lower())


def _lowered(lawful: RuleLike, call: Call) -> Any:
    """Read the ids of what belongs to KMIP in any case; names stay as they are."""
    for name in _IDS:
        text = call.args.get(name, "")
        if len(text) == len(str(UUID(int=0))):
            call.args[name] = text.lower()
    return lawful(call)


def _without_comma(lawful: RuleLike, call: Call, text: str) -> Search:
    parsed: Search = lawful(call, text.removesuffix(","))
    return parsed


def _binary(text: str, *_: Any) -> str:
    """Write a ciphertext in a binary form that ends with a checksum over all octets before it."""
    sealed = crypto.parse(crypto.decode_base64(text))
    packed = _BINARY + UUID(sealed.handle).bytes + sealed.iv + sealed.data
    return crypto.encode_base64(packed + sha256(packed).digest()[:_CHECKED])


def _from_binary(lawful: RuleLike, call: Call, key: Key, raw: bytes, *bound_to: Any) -> tuple[bytes, Version]:
    subject: str = bound_to[-1]
    packed, check = raw[:-_CHECKED], raw[-_CHECKED:]
    if sha256(packed).digest()[:_CHECKED] != check or packed[:1] != _BINARY:
        raise actions.unprocessable(call, subject)
    handle, iv, data = packed[1:17], packed[17 : 17 + crypto.NONCE_SIZE], packed[17 + crypto.NONCE_SIZE :]
    text = {
        "ciphertext": crypto.encode_base64(data),
        "iv": crypto.encode_base64(iv),
        "version": crypto.FORMAT,
        "handle": str(UUID(bytes=handle)),
    }
    opened: tuple[bytes, Version] = lawful(call, key, json.dumps(text).encode(), *bound_to)
    return opened


HTTP_VARIATIONS: Final = (
    Variation("replies-compressed", "Bodies are compressed by gzip where the client takes that.", (), _compressed),
    Variation("json-as-go-writes-it", "JSON escapes what HTML gives a meaning, as Go's encoder does.", (), _as_go_writes),
    Variation("json-as-java-writes-it", "JSON is written in ASCII and with escaped slashes, as some of Java's encoders do.", (), _as_java_writes),
    Variation("rate-limited-now-and-then", "Every twenty-fifth request is answered by 429, and may be sent again at once.", (), changes=(then(Exchange.check_caller, _limited),)),
    Variation("head-like-get", "HEAD is answered on every path that GET is.", (), changes=(gives(Exchange.asked_method, _head_is_get),)),
    Variation("router-before-authentication", "Unknown paths and methods are answered before it is asked who calls.", ()),
    Variation("dates-in-nanoseconds", "Dates that the server sets have nine digits of a second.", (), _nanoseconds, changes=(instead(search.filter_test, _compared_precisely),)),
    Variation("ids-in-any-case", "Ids in paths are read in any case.", (), changes=(gives(Call.find_key, _in_any_case), *(instead(rule, _lowered) for rule in (kmip.adapter_of, kmip.object_of, kmip.certificate_of)))),
    Variation("search-ends-with-comma", "A comma at the end of a search is left out.", (), changes=(instead(search.read_search, _without_comma),)),
    Variation("ciphertexts-binary", "Ciphertexts are octets of a form of their own.", (), changes=(gives(actions.sealed, _binary), instead(actions.decrypted, _from_binary))),
)  # fmt: skip
