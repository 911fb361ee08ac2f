"""Defects of what lists and answers tell, of kinds of values and of names that stay, after faults that others reported.

Keycloak, GitLab, Elasticsearch, Barbican, MinIO KES, Spring, Gin, Go's decoder and others; each is translated to this API
where a source fixes what is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import keys, kmip, rings, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import Memory, answering, of_operation
from kms_reference.key_protect.errors import RefusalError
from kms_reference.key_protect.key_view import brief
from kms_reference.key_protect.wire import Call, Members, Reply, collection
from kms_reference.switches import After, Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.search import Search
    from kms_reference.rules import Draft, Mutator, RuleLike

_KEYS, _HEAD = "getKeys", "getKeyCollectionMetadata"

_known: Final = Memory()


def _entries(operation: str, change: Callable[[dict[str, Any], Call], None]) -> Change:
    """Change each entry of an answer."""

    def made(reply: Reply, call: Call) -> Reply:
        for entry in reply.body.get("resources", ()) if isinstance(reply.body, dict) else ():
            change(entry, call)
        return reply

    return gives(answered, made, of_operation(operation))


def _metadata(operation: str, change: Callable[[dict[str, Any]], None]) -> Change:
    def made(reply: Reply, _: Call) -> Reply:
        change(reply.body["metadata"])
        return reply

    return gives(answered, made, of_operation(operation))


# -- lists of registrations, adapters and policies -----------------------------------------------------------------------


def _of_held_keys(lawful: RuleLike, call: Call) -> Reply:
    """Take a key's registrations all where one of them prevents its deletion."""
    if call.query.get("preventKeyDeletion") != "true":
        plain: Reply = lawful(call)
        return plain
    every: Reply = lawful(
        replace(call, query={n: v for n, v in call.query.items() if n != "preventKeyDeletion"})
    )
    held = {one["keyId"] for one in every.body.get("resources", ()) if one["preventKeyDeletion"]}
    entries = [one for one in every.body.get("resources", ()) if one["keyId"] in held]
    every.body["resources"] = entries
    every.body["metadata"]["collectionTotal"] = len(entries)
    return every


def _note_adapter(draft: Draft) -> None:
    gone = _known(draft.call.instance, "adapters")
    gone["number"] = gone.get("number", 0) + 1


def _with_gone(reply: Reply, call: Call) -> Reply:
    if "totalCount" in reply.body["metadata"]:
        reply.body["metadata"]["totalCount"] += _known(call.instance, "adapters").get("number", 0)
    return reply


def _all_where_none(reply: Reply, call: Call) -> Reply:
    if "policy" in call.query and not reply.body.get("resources"):
        return answered(replace(call, query={}))
    return reply


# -- lists of keys -------------------------------------------------------------------------------------------------------


def _as_extractable(lawful: RuleLike, call: Call, found: list[Key], order: list[tuple[str, bool]]) -> Any:
    return lawful(
        call, found, [("extractable" if name == "imported" else name, down) for name, down in order]
    )


def _upwards_later(lawful: RuleLike, call: Call, found: list[Key], order: list[tuple[str, bool]]) -> Any:
    later = call.query.get("offset", "0") != "0"
    return lawful(call, found, [(name, down and not later) for name, down in order])


def _searched_in_page(lawful: RuleLike, call: Call) -> Reply:
    """Take the page first, and search in it."""
    if not call.query.get("search") or not {"limit", "offset"} & call.query.keys():
        usual: Reply = lawful(call)
        return usual
    page: Reply = lawful(replace(call, query={n: v for n, v in call.query.items() if n != "search"}))
    every = {n: v for n, v in call.query.items() if n not in {"limit", "offset"}}
    whole: Reply = lawful(replace(call, query=every))
    found = {one["id"] for one in whole.body.get("resources", ())}
    entries = [one for one in page.body.get("resources", ()) if one["id"] in found]
    return Reply(200, collection("key+json", entries))


def _ring_in_page(lawful: RuleLike, call: Call) -> Reply:
    """Take the page first, and look at the key ring then."""
    if call.ring is None or not {"limit", "offset"} & call.query.keys():
        usual: Reply = lawful(call)
        return usual
    page: Reply = lawful(replace(call, headers={**call.headers, "x-kms-key-ring": ""}))
    entries = [one for one in page.body.get("resources", ()) if one["keyRingID"] == call.ring]
    return Reply(200, collection("key+json", entries))


def _ascii_folded(lawful: RuleLike, call: Call, text: Search, key: Key) -> Any:
    if text.text.isascii():
        return lawful(call, text, key)
    names = [key.name] if "name" in text.scopes else []
    return any(text.text in name for name in names) != text.inverted


def _cut_at_colon(lawful: RuleLike, call: Call, text: str) -> Any:
    read = lawful(call, text)
    return replace(read, text=read.text.rpartition(":")[2])


def _shown_query(member: str, change: Callable[[Any], Any]) -> Change:
    def made(metadata: dict[str, Any]) -> None:
        if "searchQuery" in metadata:
            metadata["searchQuery"][member] = change(metadata["searchQuery"][member])

    return _metadata(_KEYS, made)


def _limited_count(reply: Reply, call: Call) -> Reply:
    limit = call.query.get("limit", "")
    if limit.isdigit():
        reply.headers["Key-Total"] = str(min(int(limit), int(reply.headers["Key-Total"])))
    return reply


# -- kinds of values, headers, names that stay ---------------------------------------------------------------------------


def _minimal(reply: Reply, call: Call) -> Reply:
    if "return=minimal" in call.headers.get("prefer", ""):
        for name in ("id", "crn"):
            reply.body["resources"][0].pop(name, None)
    return reply


def _brief(reply: Reply, call: Call) -> Reply:
    if call.representation:
        key = call.instance.keys[reply.body["resources"][0]["id"]]
        reply.body["resources"] = [brief(call, key)]
    return reply


def _lax(lawful: RuleLike, call: Call) -> Any:
    body = lawful(call)
    match body:
        case {"resources": [dict() as resource, *_]} if isinstance(resource.get("extractable"), str):
            resource["extractable"] = resource["extractable"] == "yes"
    return body


def _moved_home(lawful: RuleLike, call: Call) -> Reply:
    value = call.json()
    if isinstance(value, dict) and not Members.of(value, "body").has("keyRingID"):
        key = call.key()
        keys.move(call, key, "default")
        return keys.get_key_metadata(call)
    reply: Reply = lawful(call)
    return reply


def _piled_up() -> Mutator:
    reasons: list[Any] = []

    def mutate(draft: Draft) -> None:
        if draft.refused and draft.reason:
            reasons.append(draft.reason)
            draft.resource["reasons"] = reasons[-2:]

    return mutate


def _force_needs_keys(lawful: RuleLike, call: Call, found: list[Key]) -> None:
    if not found and call.flag("force"):
        raise RefusalError("KEY_RING_NOT_EMPTY_ERR")
    lawful(call, found)


def _note_inside(lawful: RuleLike, call: Call) -> Reply:
    inside = [key.id for key in call.instance.keys.values() if key.ring == call.args["ring"]]
    reply: Reply = lawful(call)
    _known(call.instance, "inside")[call.args["ring"]] = inside
    return reply


def _inside_again(reply: Reply, call: Call) -> Reply:
    for key_id in _known(call.instance, "inside").get(call.args["ring"], ()):
        if key_id in call.instance.keys:
            call.instance.keys[key_id].ring = call.args["ring"]
    return reply


def _names_freed(call: Call, key: Key) -> None:
    for alias in key.aliases:
        call.instance.alias_index.pop(alias, None)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("all-of-a-held-key", "A list of registrations that prevent a deletion holds all of such a key.", answering("getRegistrations", _of_held_keys), answering("getRegistrationsAllKeys", _of_held_keys)),
    ("certificates-listed-with-text", "A list of client certificates holds their texts.", _entries("getKmipClientCertificates", lambda entry, call: entry.update(certificate=kmip.adapter_of(call).certificates[entry["id"]].pem))),
    ("adapters-listed-without-description", "A list of KMIP adapters leaves their descriptions out.", _entries("getKmipAdapters", lambda entry, _: entry.pop("description", None))),
    ("all-states-false-is-true", "allKeyStates=false counts as asked for.", gives(Call.flag, lambda flag, call, name, **_: flag or call.query.get(name) == "false", lambda _, name, **__: name == "allKeyStates")),
    ("other-policy-where-none", "A key that lacks the policy that is asked for shows the other one.", gives(answered, _all_where_none, of_operation("getPolicy"))),
    ("other-instance-policies-where-none", "An instance that lacks the policy that is asked for shows all others.", gives(answered, _all_where_none, of_operation("getInstancePolicy"))),
    ("imported-sorted-by-kind", "A list sorted by imported is sorted by extractable.", instead(search.in_order, _as_extractable)),
    ("later-pages-upwards", "The later pages of a list are sorted upwards.", instead(search.in_order, _upwards_later)),
    ("searched-after-paging", "The page is taken before it is searched.", answering(_KEYS, _searched_in_page)),
    ("ring-looked-at-after-paging", "The page is taken before the key ring is looked at.", answering(_KEYS, _ring_in_page)),
    ("search-folds-ascii-only", "A search beyond ASCII looks at the case, and at names only.", instead(search.found_by, _ascii_folded)),
    ("search-cut-at-colon", "What stands before a colon in a search has no effect.", instead(search.read_search, _cut_at_colon)),
    ("search-shown-in-lower-case", "A list shows the text of its search in lower case.", _shown_query("query", str.lower)),
    ("all-scopes-shown", "A list shows all scopes, whatever its search names.", _shown_query("scopes", lambda _: ["name", "alias"])),
    ("count-obeys-limit", "HEAD counts up to a limit.", gives(search.head_keys, _limited_count)),
    ("minimal-creation-names-nothing", "A minimal answer to a creation does not name the key.", gives(answered, _minimal, of_operation("createKey"))),
    ("creation-represented-briefly", "The representation of a new key is what is shown without.", gives(answered, _brief, of_operation("createKey"))),
    ("extractable-may-be-a-text", "A text for extractable makes a root key.", instead(keys.creation_body, _lax)),
    ("move-to-nowhere-is-home", "A move that names no key ring goes to the default one.", answering("patchKey", _moved_home)),
    ("empty-ring-not-deleted-by-force", "A key ring without keys is not deleted by force.", instead(rings.check_destroyed, _force_needs_keys)),
    ("ring-made-again-holds-its-keys", "A key ring that is made again holds the keys that it had when it was deleted.", answering("deleteKeyRing", _note_inside), gives(answered, _inside_again, of_operation("createKeyRing"))),
    ("deletion-frees-its-aliases", "The aliases of a deleted key lead nowhere.", then(keys.destroy, _names_freed)),
)  # fmt: skip

DETAIL_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("adapters-counted-with-deleted", "totalCount of KMIP adapters counts those that were deleted.", (), changes=(gives(answered, _with_gone, of_operation("getKmipAdapters")),), after=After("deleteKmipAdapter", _note_adapter)),
    Defect("reasons-pile-up", "A refusal holds the reason of the one before as well.", (), counting=_piled_up),
)  # fmt: skip
