"""Defects of lists, names, texts, headers and roles, after faults that others reported.

Keycloak, GitLab, Vault, Barbican, moto, fastify, axum, Go's decoder and others; each is translated to this API where a source
fixes what is right.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kms_reference.key_protect import aliases, keys, search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import Memory, of_operation
from kms_reference.key_protect.errors import RefusalError, bad_body, bad_field, plain, unauthorized
from kms_reference.key_protect.iam import Issuer
from kms_reference.key_protect.names import RESERVED_ALIASES
from kms_reference.key_protect.wire import Call, Reply, decode_json
from kms_reference.switches import After, Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.key_protect.wire import Operation
    from kms_reference.rules import Draft, RefusedError, RuleLike

_KEYS, _HEAD = "getKeys", "getKeyCollectionMetadata"
_OVERRIDES: Final = "createKeyWithPoliciesOverrides"
_SHORT: Final = 80
Term = tuple[str, str, str]

_known: Final = Memory()


# -- lists ---------------------------------------------------------------------------------------------------------------


def _several_properties(_: Call, terms: list[Term]) -> bool:
    return len({term[0] for term in terms}) > 1


def _without_zone(lawful: RuleLike, call: Call, name: str, operator: str, value: str) -> Test:
    local, sign, _ = value.rpartition("+")
    test: Test = lawful(call, name, operator, f"{local}Z" if sign else value)
    return test


def _only_set(found: list[Key], _: Call, __: list[Key], order: list[tuple[str, bool]]) -> list[Key]:
    return [key for key in found if not search.sort_value(key, order[0][0])[0]]


def _after_ties(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    """Begin a page behind all that equals the last one before in what the list is sorted by."""
    name = call.query.get("sort", "id").partition(",")[0].removeprefix("-")
    if 0 < offset <= len(found) and limit < len(found):
        last = search.sort_value(found[offset - 1], name)
        while offset < len(found) and search.sort_value(found[offset], name) == last:
            offset += 1
    return lawful(call, found, offset, limit)


def _as_range(lawful: RuleLike, call: Call) -> Reply:
    first, comma, last = call.query.get("state", "").partition(",")
    if comma and first.isdigit() and last.isdigit():
        between = ",".join(state for state in "1235" if first <= state <= last)
        call = replace(call, query={**call.query, "state": between or call.query["state"]})
    reply: Reply = lawful(call)
    return reply


def _last_filled(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    over = offset < len(found) < offset + limit
    return lawful(call, found, max(0, len(found) - limit) if over else offset, limit)


def _in_all_rings(reply: Reply, call: Call) -> Reply:
    if "totalCount" in reply.body["metadata"] and call.ring is not None:
        every = answered(replace(call, headers={**call.headers, "x-kms-key-ring": ""}))
        reply.body["metadata"]["totalCount"] = every.body["metadata"]["totalCount"]
    return reply


def _uncounted_later(reply: Reply, call: Call) -> Reply:
    if call.query.get("offset", "0") != "0" and isinstance(reply.body, dict):
        reply.body.get("metadata", {}).pop("totalCount", None)
    return reply


def _once_per_alias(lawful: RuleLike, call: Call, found: list[Key], order: Any) -> Any:
    text = search.read_search(call, call.query["search"])
    repeated: list[Key] = []
    for key in lawful(call, found, order):
        fitting = [alias for alias in key.aliases if text.text.lower() in alias.lower()]
        repeated += [key] * max(1, 0 if text.inverted else len(fitting))
    return repeated


def _joined_rows(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    if offset:
        return lawful(call, found, offset, limit)
    rows = [key for key in found for _ in range(max(1, len(key.aliases)))]
    return [key for key in found if any(key is row for row in rows[:limit])]


def _tags_of_the_one_before(entries: list[dict[str, Any]], _: Call, __: list[Key]) -> list[dict[str, Any]]:
    tags: list[str] = []
    for entry in entries:
        tags = entry.get("tags") or tags
        if tags:
            entry["tags"] = tags
    return entries


def _entries(member: str, change: Callable[[Any], Any]) -> Change:
    def shown(entries: list[dict[str, Any]], _: Call, __: list[Key]) -> list[dict[str, Any]]:
        for entry in entries:
            if member in entry:
                entry[member] = change(entry[member])
        return entries

    return gives(search.shown_in_list, shown)


def _unindexed(what: str) -> Change:
    return gives(
        search.found_by,
        lambda found, call, text, key: found and (text.inverted or key.id not in _known(call.instance, what)),
    )


def _remembered_page(lawful: RuleLike, call: Call) -> Reply:
    asked = (tuple(sorted(call.query.items())), call.ring)
    if call.query.get("offset", "0") == "0":
        first: Reply = lawful(call)
        return first
    pages = _known(call.instance, "pages")
    if asked not in pages:
        pages[asked] = json.dumps(lawful(call).body)
    return Reply(200, json.loads(pages[asked]))


def _gone_with_ring(lawful: RuleLike, call: Call) -> Reply:
    inside = [key for key in call.instance.keys.values() if key.ring == call.args["ring"]]
    reply: Reply = lawful(call)
    for key in inside:
        call.instance.remove(key)
    return reply


def _no_ring(*operations: str) -> Change:
    return unchecked(Call.check_ring, lambda call, _: call.operation.id in operations)


# -- names and texts -----------------------------------------------------------------------------------------------------


def _new_alias(change: Callable[[str], str]) -> Change:
    def act(lawful: RuleLike, call: Call) -> Reply:
        reply: Reply = lawful(replace(call, args={**call.args, "alias": change(call.args["alias"])}))
        return reply

    return instead(answered, act, of_operation("createKeyAlias"))


def _alias_refused(test: Callable[[str], bool]) -> Change:
    def act(_: Call, alias: str) -> None:
        if test(alias):
            raise bad_field("alias", "2 to 90 letters, digits, hyphens or underscores, and not a UUID")

    return then(aliases.check_form, act)


def _text(member: str, change: Callable[[Any], Any]) -> Change:
    """Change a member of the one resource of a creation."""

    def changed(body: dict[str, Any], _: Call) -> dict[str, Any]:
        match body.get("resources"):
            case [dict() as resource, *_] if isinstance(resource.get(member), str | list):
                resource[member] = change(resource[member])
        return body

    return gives(keys.creation_body, changed)


def _tags(change: Callable[[list[str]], list[Any]]) -> Change:
    return _text("tags", lambda tags: change(tags) if all(isinstance(tag, str) for tag in tags) else tags)


def _numbers(draft: Draft) -> None:
    for entry in draft.body.get("resources", ()) if isinstance(draft.body, dict) else ():
        if isinstance(entry, dict) and "tags" in entry:
            entry["tags"] = [int(tag) if tag.isascii() and tag.isdigit() else tag for tag in entry["tags"]]


# -- bodies and headers --------------------------------------------------------------------------------------------------


def _metadata_first(body: dict[str, Any], _: Call) -> dict[str, Any]:
    names = list(body)
    if {"metadata", "resources"} <= body.keys() and names.index("resources") < names.index("metadata"):
        raise bad_body("CollectionMetadata is empty")
    return body


def _slashes_kept(_: RuleLike, call: Call) -> Any:
    return decode_json(call.raw.replace(b"\\/", b"\\\\/"))


def _blank_is_none(lawful: RuleLike, call: Call) -> Any:
    return None if call.raw[:1].isspace() else lawful(call)


def _typed_and_empty(lawful: RuleLike, call: Call) -> Any:
    if not call.raw and "json" in call.headers.get("content-type", ""):
        raise bad_body("unexpected end of JSON input")
    return lawful(call)


def _unacceptable(lawful: RuleLike, call: Call) -> Any:
    accepted = call.headers.get("accept", "*/*")
    if "application/json" not in accepted and "*/*" not in accepted:
        raise plain(406, "The media type is not supported")
    return lawful(call)


def _own_correlation(draft: Draft) -> None:
    if draft.body is None and not draft.refused and draft.operation != _HEAD:
        draft.headers["correlation-id"] = "00000000-0000-4000-8000-000000000000"


# -- who calls -----------------------------------------------------------------------------------------------------------


def _note_allowed(exchange: Exchange, _: Identity, operation: Operation) -> None:
    if exchange.instance is not None:
        _known(exchange.instance, "allowed")[operation.id] = True


def _allowed_before(exchange: Exchange, _: Identity, operation: Operation) -> bool:
    return exchange.instance is not None and operation.id in _known(exchange.instance, "allowed")


def _let(*operations: str) -> Change:
    return unchecked(Exchange.check_role, lambda _, __, operation: operation.id in operations)


def _needs(role: str, *operations: str) -> Change:
    def act(_: Exchange, identity: Identity, operation: Operation) -> None:
        if operation.id in operations and role not in identity.roles:
            raise unauthorized()

    return then(Exchange.check_role, act)


def _unsigned(found: bool, _: Issuer, token: str) -> bool:
    head = token.partition(".")[0].replace("-", "+").replace("_", "/")
    return found or b'"none"' in base64.b64decode(head + "=" * (-len(head) % 4)).lower()


def _known_signature(found: bool, issuer: Issuer, token: str) -> bool:
    signatures = _known(issuer, "signatures")
    signature = token.rpartition(".")[2]
    if found:
        signatures[signature] = True
    return found or signature in signatures


def _by_subject(draft: Draft) -> None:
    call = draft.call
    call.instance.keys[draft.resource["id"]].created_by = call.identity.subject


def _body_first(lawful: RuleLike, exchange: Exchange, identity: Identity, operation: Operation) -> None:
    if operation.id == "createKey":
        decode_json(exchange.raw)
        if not exchange.raw.strip():
            raise RefusalError("NO_BODY_ERR")
    lawful(exchange, identity, operation)


def _no_keys(_: RefusedError, __: Call) -> Reply:
    return Reply(200, None, {"Key-Total": "0"})


def _beginning(search_: Search, key: Key) -> bool:
    text = search_.text.lower()
    names = [key.name] if "name" in search_.scopes else []
    names += list(key.aliases) if "alias" in search_.scopes else []
    return search_.exact and not search_.inverted and any(name.lower().startswith(text) for name in names)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("sort-lost-beside-search", "A list that is searched is not sorted.", instead(search.in_order, lambda lawful, call, found, _: lawful(call, found, [("id", False)]), lambda call, *_: bool(call.query.get("search")))),
    ("filter-lost-beside-search", "A list that is searched is not filtered.", gives(search.terms_held, lambda *_: [], lambda call, _: bool(call.query.get("search")))),
    ("no-alias-is-never-another", "A search for keys whose aliases do not hold a text leaves out keys without alias.", gives(search.found_by, lambda found, _, text, key: found and not (text.inverted and text.scopes == ("alias",) and not key.aliases))),
    ("exact-search-finds-beginnings", "A search for a whole name finds names that begin so.", gives(search.found_by, lambda found, _, text, key: found or _beginning(text, key))),
    ("second-property-ignored", "Of several properties in a filter only the first one counts.", gives(search.terms_held, lambda terms, *_: [term for term in terms if term[0] == terms[0][0]], _several_properties)),
    ("none-ignored-beside-others", "A filter for keys without a date holds no more beside another term.", gives(search.terms_held, lambda terms, *_: [term for term in terms if term[2] != "none"], lambda _, terms: len(terms) > 1)),
    ("filter-date-without-zone", "The offset of a date in a filter is left out of account.", instead(search.filter_test, _without_zone)),
    ("sorted-list-leaves-out-unset", "A sorted list leaves out the keys that lack what it is sorted by.", gives(search.in_order, _only_set)),
    ("page-skips-equals", "A later page leaves out what equals the end of the page before.", instead(search.page_of, _after_ties)),
    ("two-states-are-a-range", "Two states of a list stand for all between them.", instead(answered, _as_range, of_operation(_KEYS)), instead(answered, _as_range, of_operation(_HEAD))),
    ("offset-rounded-to-pages", "An offset is rounded down to whole pages.", instead(search.page_of, lambda lawful, call, found, offset, limit: lawful(call, found, offset // limit * limit, limit))),
    ("last-page-filled", "The last page of a list is filled with entries of the page before.", instead(search.page_of, _last_filled)),
    ("registrations-counted-in-all-rings", "totalCount over all keys counts the registrations of every key ring.", gives(answered, _in_all_rings, of_operation("getRegistrationsAllKeys"))),
    ("later-pages-uncounted", "A later page of a list has no totalCount.", gives(answered, _uncounted_later)),
    ("search-repeats-key-per-alias", "A search lists a key as often as its aliases hold the text.", instead(search.in_order, _once_per_alias, lambda call, *_: bool(call.query.get("search")))),
    ("limit-counts-aliases", "A key with several aliases takes several places of a page.", instead(search.page_of, _joined_rows)),
    ("list-entry-keeps-tags-of-the-one-before", "A key without tags has those of the one before in a list.", gives(search.shown_in_list, _tags_of_the_one_before)),
    ("description-cut-in-lists", "Lists show 80 characters of a description.", _entries("description", lambda text: text[:_SHORT])),
    ("first-alias-only-in-lists", "Lists show one alias of a key.", _entries("aliases", lambda names: names[:1])),
    ("restored-key-not-searched", "A search does not find a restored key.", then(keys.revive, lambda call, key: _known(call.instance, "restored").update({key.id: True})), _unindexed("restored")),
    ("bad-filter-counts-none", "HEAD with a filter that cannot be read counts no key.", on_refusal(answered, _no_keys, of_operation(_HEAD), codes=("INVALID_QUERY_PARAM_ERR",))),
    ("later-page-remembered", "A later page of a list stays as it was when it was read first.", instead(answered, _remembered_page, of_operation(_KEYS))),
    ("ring-ignored-by-restore", "Restoring takes no notice of the key ring.", _no_ring("restoreKey")),
    ("ring-ignored-by-lists-of-a-key", "Versions and registrations of a key are listed whatever the key ring.", _no_ring("getKeyVersions", "getRegistrations")),
    ("forced-ring-deletion-purges", "The keys of a ring that is deleted by force are gone.", instead(answered, _gone_with_ring, of_operation("deleteKeyRing"))),
    ("alias-stored-in-lower-case", "A new alias is put in lower case.", _new_alias(str.lower)),
    ("alias-of-digits-loses-zeros", "A new alias of digits loses the zeros at its beginning.", _new_alias(lambda alias: alias.lstrip("0") if alias.isdigit() else alias)),
    ("alias-with-hyphen-at-edge-refused", "An alias does not begin or end with a hyphen.", _alias_refused(lambda alias: alias.strip("-") != alias)),
    ("alias-ends-with-reserved-word-refused", "An alias that ends with a reserved word is refused.", _alias_refused(lambda alias: alias not in RESERVED_ALIASES and alias.endswith(tuple(RESERVED_ALIASES)))),
    ("name-trimmed", "Blanks around the name of a new key are left out.", _text("name", str.strip)),
    ("name-composed", "The letters of a new key's name are composed.", _text("name", lambda name: unicodedata.normalize("NFC", name))),
    ("tags-in-lower-case", "Tags are put in lower case.", _tags(lambda tags: [tag.lower() for tag in tags])),
    ("tag-split-at-blanks", "A tag with a blank in it is two tags.", _tags(lambda tags: [part for tag in tags for part in tag.split(" ")])),
    ("name-percent-decoded", "Escapes of addresses are decoded in the name of a new key.", _text("name", unquote)),
    ("name-without-backslash", "The name of a new key loses its backslashes.", _text("name", lambda name: name.replace("\\", ""))),
    ("metadata-come-first", "The metadata of a new key have to stand before its resource.", gives(keys.creation_body, _metadata_first)),
    ("escaped-slash-kept", "An escaped slash in JSON keeps its backslash.", instead(Call.json, _slashes_kept, lambda call: b"\\/" in call.raw)),
    ("body-with-leading-blank-is-none", "A body that begins with a line break counts as none.", instead(Call.json, _blank_is_none)),
    ("typed-empty-body-refused", "An empty body that is called JSON is refused.", instead(answered, _typed_and_empty)),
    ("vendor-type-unacceptable", "Who accepts the vendor's media type only is refused.", instead(answered, _unacceptable)),
    ("allowed-operation-stays-allowed", "What one user was allowed to do others may do from then on.", then(Exchange.check_role, _note_allowed), unchecked(Exchange.check_role, _allowed_before)),
    ("patch-needs-no-role", "PATCH needs no role.", unchecked(Exchange.check_role, lambda _, __, operation: operation.method == "PATCH")),
    ("unwrap-needs-writer", "Unwrapping needs the role of a writer.", _needs("Writer", "unwrapKey")),
    ("count-needs-manager", "HEAD on the keys needs the role of a manager.", _needs("Manager", _HEAD)),
    ("reader-fetches-import-token", "A reader may fetch the import token.", _let("getImportToken")),
    ("reader-reads-instance-policies", "A reader may read the policies of the instance.", _let("getInstancePolicy")),
    ("bearer-of-no-algorithm", "A token that names no algorithm needs no signature.", gives(Issuer.signed, _unsigned)),
    ("signature-known-from-before", "A token is accepted whose signature another token had.", gives(Issuer.signed, _known_signature)),
    ("body-read-before-role", "The body of a creation is read before the role is looked at.", instead(Exchange.check_role, _body_first)),
)  # fmt: skip

QUERY_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("key-with-policies-not-searched", "A search does not find a key that was created with policies.", (), changes=(_unindexed("overrides"),), after=After(_OVERRIDES, lambda draft: _known(draft.call.instance, "overrides").update({draft.resource["id"]: True}))),
    Defect("tag-of-digits-is-a-number", "Tags of digits are shown as numbers.", (), _numbers),
    Defect("correlation-id-of-empty-replies", "A reply without a body has a correlation id of its own.", (), _own_correlation),
    Defect("made-by-the-subject", "A key says of its maker the subject, and not the IAM id.", (), after=After("createKey", _by_subject)),
)  # fmt: skip
