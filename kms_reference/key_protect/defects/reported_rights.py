"""Defects of who may ask, and of what lists and texts are for some who ask, after faults that others reported.

Grafana, Vault, NTLM behind a proxy, Hibernate's joins, Express, Spring and others; each is translated to this API where a
source fixes what is right.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import Memory, defects_of, of_operation
from kms_reference.key_protect.errors import bad_body, plain, unauthorized
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import UUID, Call
from kms_reference.switches import Defect, gives, instead, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.key_protect.wire import Operation, Reply
    from kms_reference.rules import Draft, RuleLike

_HEAD: Final = "getKeyCollectionMetadata"
_WORDS: Final = frozenset({"null", "none", "nil", "undefined", "true", "false"})
_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

_known: Final = Memory()


# -- lists and texts -----------------------------------------------------------------------------------------------------


def _sorted_by_deletion(call: Call) -> bool:
    return "deletionDate" in call.query.get("sort", "")


def _without_aliases(entries: list[dict[str, Any]], _: Call, __: list[Key]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "aliases"} for entry in entries]


def _all_destroyed(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    """Show all of a list that holds destroyed keys only."""
    if found and all(key.state == State.DESTROYED for key in found):
        return found[offset:]
    return lawful(call, found, offset, limit)


def _once_per_alias(found: list[Key], _: Call, __: list[Test]) -> list[Key]:
    return [key for key in found for _ in range(max(1, len(key.aliases)))]


def _first_state(lawful: RuleLike, call: Call) -> Reply:
    first = call.query.get("state", "").partition(",")[0]
    reply: Reply = lawful(replace(call, query={**call.query, "state": first}))
    return reply


def _inverted(call: Call) -> bool:
    return call.query.get("search", "").startswith("not:")


def _hyphen_of_the_first(
    lawful: RuleLike, call: Call, found: list[Key], order: list[tuple[str, bool]]
) -> list[Key]:
    kept: list[Key] = lawful(call, found, [order[0], *((name, False) for name, _ in order[1:])])
    return kept


def _as_in_turkish(found: bool, _: Call, asked: Search, __: Key) -> bool:
    """Find nothing by a text with an I, which becomes another letter than i."""
    return found and "I" not in asked.text


def _in_ascii(registration: Any) -> Any:
    registration.description = registration.description.encode("ascii", "replace").decode()
    return registration


def _described_in_ascii(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    for one in call.key().registrations.values():
        _in_ascii(one)
    return reply


def _nothing_named_so(lawful: RuleLike, call: Call) -> Key | None:
    key: Key | None = None if call.args["id"].lower() in _WORDS else lawful(call)
    return key


def _without_pairs(lawful: RuleLike, call: Call) -> Any:
    return lawful(replace(call, raw=_PAIR.sub(rb"\\ufffd\\ufffd", call.raw)))


# -- who may ask ---------------------------------------------------------------------------------------------------------


def _first_of(exchange: Exchange, identity: Identity) -> Identity:
    """Return who has asked first over the connection."""
    callers = _known(exchange.server_state.issuer, "callers")
    first: Identity = callers.setdefault(exchange.scope.get("client"), identity)
    return first


def _role_of_first(lawful: RuleLike, exchange: Exchange, identity: Identity, operation: Operation) -> None:
    lawful(exchange, _first_of(exchange, identity), operation)


async def _as_first(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    call.identity = _first_of(exchange, call.identity)
    reply: Reply = await lawful(exchange, call)
    return reply


def _older_form_for_writers(lawful: RuleLike, call: Call) -> Reply:
    if call.old_form and "Writer" not in call.identity.roles:
        raise unauthorized()
    reply: Reply = lawful(call)
    return reply


def _unnamed_for_readers(lawful: RuleLike, call: Call) -> Key | None:
    """Find a key by its alias for writers only."""
    if "Writer" not in call.identity.roles and not UUID.fullmatch(call.args["id"]):
        return None
    key: Key | None = lawful(call)
    return key


def _lists_rings(lawful: RuleLike, call: Call) -> Reply:
    if "Writer" not in call.identity.roles:
        raise unauthorized()
    reply: Reply = lawful(call)
    return reply


def _null_in_older_form(lawful: RuleLike, call: Call) -> Any:
    if call.old_form and call.raw.strip() == b"null":
        raise bad_body("json: cannot unmarshal null into body of type object")
    return lawful(call)


def _as_text(draft: Draft) -> None:
    """Refuse in plain text where any media type is accepted."""
    if draft.refused and draft.call is not None and draft.call.headers.get("accept", "*/*") == "*/*":
        draft.headers["content-type"] = "text/plain"
        draft.raw = str(draft.resource.get("errorMsg")).encode()


def _in_a_ring(exchange: Exchange, *_: Any) -> bool:
    return bool(exchange.headers.get("x-kms-key-ring"))


def _reads_in_a_ring(exchange: Exchange, _: Identity, operation: Operation) -> bool:
    return _in_a_ring(exchange) and not operation.writes


async def _of_one_media_type(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    if "," in exchange.headers.get("accept", ""):
        raise plain(406, "None of the accepted media types is known")
    reply: Reply = await lawful(exchange, call)
    return reply


_ROWS: Final[tuple[tuple[Any, ...], ...]] = (
    ("sorted-by-deletion-lists-destroyed", "A list sorted by deletion dates holds destroyed keys.", gives(search.tests_by_default, lambda *_: [], _sorted_by_deletion)),
    ("alias-null-leads-nowhere", "An alias of a word for nothing or for a truth value leads nowhere.", instead(Call.find_key, _nothing_named_so)),
    ("searched-entries-without-aliases", "Entries of a list that is searched lack the aliases.", gives(search.shown_in_list, _without_aliases, lambda call, _: bool(call.query.get("search")))),
    ("destroyed-unpaged", "A list of destroyed keys takes no notice of the limit.", instead(search.page_of, _all_destroyed)),
    ("count-once-per-alias", "HEAD counts a key as often as it has aliases.", gives(search.matching, _once_per_alias, lambda call, _: call.operation.id == _HEAD)),
    ("escaped-pairs-broken", "A letter of four octets that is escaped in JSON is lost.", instead(Call.json, _without_pairs)),
    ("caller-of-the-connection", "Who asks first over a connection is who asks over it from then on.", instead(Exchange.check_role, _role_of_first), instead(Exchange.answer, _as_first)),
    ("older-form-needs-writer", "The older form of an action needs the role of a writer.", instead(answered, _older_form_for_writers)),
    ("alias-unknown-to-readers", "A reader does not find a key by its alias.", instead(Call.find_key, _unnamed_for_readers)),
    ("ring-header-makes-member", "Who names a key ring reads without any role.", unchecked(Exchange.check_member, _in_a_ring), unchecked(Exchange.check_role, _reads_in_a_ring)),
    ("several-media-types-unacceptable", "Who accepts several media types is refused.", instead(Exchange.answer, _of_one_media_type)),
    ("count-of-first-state", "HEAD counts the keys of the first of several states.", instead(search.head_keys, _first_state, lambda call: "," in call.query.get("state", ""))),
    ("inverted-search-finds-destroyed", "An inverted search finds destroyed keys.", gives(search.tests_by_default, lambda *_: [], _inverted)),
    ("hyphen-of-the-first-only", "Of several members to sort by only the first one is sorted downwards.", instead(search.in_order, _hyphen_of_the_first)),
    ("search-folds-as-in-turkish", "A search with a capital I finds no i.", gives(search.found_by, _as_in_turkish, lambda _, asked, __: not asked.inverted)),
    ("registration-described-in-ascii", "The description of a registration loses letters beyond ASCII.", instead(answered, _described_in_ascii, lambda call: "crn" in call.args)),
    ("rings-need-writer", "Listing key rings needs the role of a writer.", instead(answered, _lists_rings, of_operation("listKeyRings"))),
    ("null-body-refused-in-older-form", "The older form of an action refuses null as its body.", instead(Call.json, _null_in_older_form)),
)  # fmt: skip

RIGHT_DEFECTS: Final = (
    *defects_of(*_ROWS),
    Defect("refusal-as-text", "Refusals are plain text where any media type is accepted.", (), _as_text),
)
