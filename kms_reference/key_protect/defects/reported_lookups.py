"""Defects of how things are found, counted, named and allowed, after faults that others reported.

Moto, LocalStack, Keycloak, Nextcloud, mockoon, Elasticsearch, Gitea, MinIO and others; each is translated to this API where a
source fixes what is right.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import aliases, search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, plain, unauthorized
from kms_reference.key_protect.keys import creation_body
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import UUID, Call, Reply, collection
from kms_reference.switches import gives, instead, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.key_protect.wire import Operation
    from kms_reference.rules import RuleLike
    from kms_reference.switches import Change

_KEYS: Final = "getKeys"
_OF_A_KEY: Final = "getRegistrations"
_OF_ALL: Final = "getRegistrationsAllKeys"
_RESOURCE: Final = "urlEncodedResourceCRNQuery"
_PREVENTS: Final = "preventKeyDeletion"
_RING: Final = "x-kms-key-ring"
_ID: Final = 36
_WORDS: Final = {1: "active", 2: "suspended", 3: "deactivated", 5: "destroyed"}


# -- lists ---------------------------------------------------------------------------------------------------------------


def _destroyed_of_all(found: list[Key], call: Call, tests: list[Test]) -> list[Key]:
    """Add the destroyed keys of other key rings."""
    others = (key for key in call.instance.keys.values() if key not in found)
    return [*found, *(k for k in others if k.state == State.DESTROYED and all(t(k) for t in tests))]


def _names(asked: Search, key: Key) -> list[str]:
    names = [key.name] if "name" in asked.scopes else []
    return [*names, *(key.aliases if "alias" in asked.scopes else ())]


def _inverted_by_parts(found: bool, _: Call, asked: Search, key: Key) -> bool:
    """Find a key of which one name does not hold the text, whatever its others hold."""
    names = [name.lower() for name in _names(asked, key)]
    wanted = asked.text.lower()
    return found or any(wanted != name if asked.exact else wanted not in name for name in names)


def _as_expression(found: bool, _: Call, asked: Search, key: Key) -> bool:
    pattern = re.compile(re.escape(asked.text).replace(r"\.", "."), re.IGNORECASE)
    return found or any(pattern.search(name) for name in _names(asked, key))


def _by_word(_: RuleLike, __: Call, found: list[Key], order: list[tuple[str, bool]]) -> list[Key]:
    in_order = list(found)
    for name, descending in reversed(order):
        in_order.sort(
            key=lambda key: (False, _WORDS[key.state]) if name == "state" else search.sort_value(key, name),
            reverse=descending,
        )
    return in_order


def _none_behind(lawful: RuleLike, call: Call, kind: str, views: list[Any], *bounds: int) -> Reply:
    if kind == "key_ring+json" and call.number("offset", 0, None, 0) >= len(views):
        raise plain(404, "Key rings could not be retrieved: there is no such page")
    reply: Reply = lawful(call, kind, views, *bounds)
    return reply


def _false_count(call: Call, name: str, **_: Any) -> bool:
    return name == "totalCount" and call.query.get(name) == "false"


def _dropped(name: str, beside: str, *operations: str) -> Change:
    """Leave one parameter out where another one is given."""

    def answer(lawful: RuleLike, call: Call) -> Reply:
        query = {given: value for given, value in call.query.items() if given != name}
        reply: Reply = lawful(replace(call, query=query))
        return reply

    return instead(
        answered, answer, lambda call: call.operation.id in operations and bool(call.query.get(beside))
    )


def _none_of_destroyed(reply: Reply, call: Call) -> Reply:
    return reply if call.key().state != State.DESTROYED else Reply(200, collection("registration+json", []))


def _found_anywhere(found: list[Key], call: Call, tests: list[Test]) -> list[Key]:
    wanted = call.query.get("search", "")
    others = (
        one.keys.get(wanted) for one in call.server_state.instances.values() if one is not call.instance
    )
    return [*found, *(key for key in others if key is not None and all(test(key) for test in tests))]


# -- names ---------------------------------------------------------------------------------------------------------------


def _rewritten(member: str, text: str, by: str) -> Change:
    """Write a member of a new key in another way."""

    def make(body: dict[str, Any], _: Call) -> dict[str, Any]:
        for resource in body.get("resources") or ():
            if isinstance(resource, dict) and isinstance(resource.get(member), str):
                resource[member] = resource[member].replace(text, by)
        return body

    return gives(creation_body, make)


def _free_as_slug(lawful: RuleLike, call: Call, alias: str) -> None:
    lawful(call, alias)
    if alias.replace("-", "_") in {one.replace("-", "_") for one in call.instance.alias_index}:
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


def _by_length(lawful: RuleLike, call: Call) -> Key | None:
    """Take all that is as long as an id for one."""
    reference = call.args["id"]
    key: Key | None = call.instance.keys.get(reference) if len(reference) == _ID else lawful(call)
    return key


def _described_in_html(lawful: RuleLike, call: Call) -> Reply:
    body = call.json()
    for resource in (body.get("resources") or ()) if isinstance(body, dict) else ():
        if isinstance(resource, dict) and isinstance(resource.get("description"), str):
            resource["description"] = html.escape(resource["description"])
    reply: Reply = lawful(replace(call, raw=json.dumps(body).encode()) if isinstance(body, dict) else call)
    return reply


def _with_blanks(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(replace(call, args={**call.args, "crn": call.args["crn"].replace("+", " ")}))
    return reply


# -- HTTP ----------------------------------------------------------------------------------------------------------------


def _unrepresented(_: Reply, __: Call) -> Reply:
    return Reply(204)


def _forced_and_shown(call: Call) -> bool:
    return call.operation.id == "deleteKey" and call.representation and call.flag("force")


async def _without_chunks(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    if "chunked" in call.headers.get("transfer-encoding", ""):
        call.raw = b""
    reply: Reply = await lawful(exchange, call)
    return reply


async def _undecoded(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Know no key, alias or key ring whose name is escaped in the path."""
    if "%" in exchange.path.partition("/registrations/")[0]:
        raise RefusalError("KEY_NOT_FOUND_ERR")
    reply: Reply = await lawful(exchange, call)
    return reply


# -- roles, instances and key rings --------------------------------------------------------------------------------------


def _key_by_alias(exchange: Exchange, identity: Identity, operation: Operation) -> bool:
    return operation.id == "getKey" and bool(identity.roles) and not UUID.search(exchange.path)


def _own_purge(exchange: Exchange, identity: Identity, operation: Operation) -> bool:
    if operation.id != "purgeKey" or "Manager" not in identity.roles or exchange.instance is None:
        return False
    key = exchange.instance.find(exchange.path.split("/")[-2])
    return key is not None and key.created_by == identity.iam_id


def _named_ring(exchange: Exchange, identity: Identity, operation: Operation) -> bool:
    return bool(identity.roles) and bool(exchange.headers.get(_RING)) and "{id}" in operation.path


def _all_states_of_managers(lawful: RuleLike, call: Call) -> Reply:
    if call.query.get("allKeyStates") == "true" and "Manager" not in call.identity.roles:
        raise unauthorized()
    reply: Reply = lawful(call)
    return reply


def _adapted_anywhere(lawful: RuleLike, call: Call) -> Reply:
    """Find the root key of an adapter in any instance."""
    own = call.instance.keys
    others = [one.keys for one in call.server_state.instances.values() if one is not call.instance]
    call.instance.keys = {**{key.id: key for keys in others for key in keys.values()}, **own}
    try:
        reply: Reply = lawful(call)
    finally:
        call.instance.keys = own
    return reply


def _with_metadata(reply: Reply, call: Call) -> Reply:
    for entry in reply.body.get("resources", ()):
        registration = call.instance.keys[entry["keyId"]].registrations[entry["resourceCrn"]]
        if registration.metadata is not None:
            entry["registrationMetadata"] = registration.metadata
    return reply


def _destroyed(_: Call, key: Key) -> bool:
    return key.state == State.DESTROYED


def _asks_to_write_a_resource(call: Call) -> bool:
    return "crn" in call.args


LOOKUP_DEFECTS: Final = defects_of(
    ("kind-lists-destroyed", "A list of one kind of keys holds destroyed ones.", gives(search.tests_by_default, lambda *_: [], lambda call: bool(call.query.get("extractable")))),
    ("destroyed-listed-for-any-ring", "A list of destroyed keys holds those of every key ring.", gives(search.matching, _destroyed_of_all)),
    ("search-inverted-by-parts", "An inverted search finds keys of which one name does not hold the text.", gives(search.found_by, _inverted_by_parts, lambda _, asked, __: asked.inverted)),
    ("search-like-an-expression", "A point in a search stands for any character.", gives(search.found_by, _as_expression, lambda _, asked, __: not asked.inverted and not asked.exact)),
    ("states-sorted-by-word", "A list sorted by state is sorted by the words for states.", instead(search.in_order, _by_word)),
    ("rings-behind-end-unknown", "Behind the end of the list of key rings there is no page, but 404.", instead(search.paged, _none_behind)),
    ("counted-by-false", "The parameter totalCount counts as given, whatever its value.", gives(Call.flag, lambda *_, **__: True, _false_count)),
    ("prevention-lost-beside-resource", "A list of registrations that names a resource takes no notice of preventKeyDeletion.", _dropped(_PREVENTS, _RESOURCE, _OF_A_KEY, _OF_ALL)),
    ("kind-lost-beside-search", "A list that is searched takes no notice of the kind.", _dropped("extractable", "search", _KEYS)),
    ("destroyed-key-lists-no-registrations", "A destroyed key lists no registrations.", gives(answered, _none_of_destroyed, of_operation(_OF_A_KEY))),
    ("apostrophe-doubled", "An apostrophe in the name of a new key is doubled.", _rewritten("name", "'", "''")),
    ("line-breaks-folded", "Line breaks in the description of a new key become blanks.", _rewritten("description", "\n", " ")),
    ("alias-hyphen-is-underscore", "An alias is not free where another one differs in hyphens and underscores only.", instead(aliases.check_free, _free_as_slug)),
    ("alias-of-36-is-an-id", "An alias of 36 characters leads nowhere.", instead(Call.find_key, _by_length)),
    ("adapter-description-escaped", "The description of a KMIP adapter is stored as HTML.", instead(answered, _described_in_html, of_operation("createKmipAdapter"))),
    ("resource-plus-is-blank", "A plus sign in the name of a registered resource is a blank.", instead(answered, _with_blanks, _asks_to_write_a_resource)),
    ("forced-deletion-unrepresented", "A deletion by force does not show the key, whatever is preferred.", gives(answered, _unrepresented, _forced_and_shown)),
    ("chunked-body-is-none", "A body that comes in chunks counts as none.", instead(Exchange.answer, _without_chunks)),
    ("path-compared-undecoded", "What is escaped in a path without need is unknown.", instead(Exchange.answer, _undecoded)),
    ("payload-read-by-alias", "A reader reads the payload of a key that is named by an alias.", unchecked(Exchange.check_role, _key_by_alias)),
    ("all-states-need-manager", "Listing the versions of a key in all states needs the role of a manager.", instead(answered, _all_states_of_managers, of_operation("getKeyVersions"))),
    ("search-in-all-instances", "A search for an id finds the key in any instance.", gives(search.matching, _found_anywhere)),
    ("adapter-for-key-of-any-instance", "A KMIP adapter is made for a root key of another instance.", instead(answered, _adapted_anywhere, of_operation("createKmipAdapter"))),
    ("ring-ignored-for-destroyed", "A destroyed key is found whatever the key ring.", unchecked(Call.check_ring, _destroyed)),
    ("purged-by-its-maker", "A manager purges the keys that he has made.", unchecked(Exchange.check_role, _own_purge)),
    ("ring-header-grants", "Who names the key's ring needs no role for what is done to the key.", unchecked(Exchange.check_role, _named_ring)),
    ("registration-metadata-in-list-of-all", "The list over all keys shows users what services note of their registrations.", gives(answered, _with_metadata, of_operation(_OF_ALL))),
)  # fmt: skip
