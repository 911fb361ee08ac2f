"""Defects after faults that implementers of other key services reported: of aliases, rings, registrations, adapters, searches.

Moto, LocalStack, floci, Vault, PyKMIP, Cosmian and others; each is translated to this API where a source fixes what is
right.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from kms_reference.key_protect import aliases, instance_policies, kmip, registrations, rings, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.defects.conditions import Memory, answering, defects_of, of_operation
from kms_reference.key_protect.errors import bad_field, plain, unauthorized
from kms_reference.key_protect.instance import DEFAULT_RING, Instance
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call
from kms_reference.switches import Change, gives, instead, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kms_reference.key_protect.model import Key, KmipAdapter, Registration
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.key_protect.wire import Reply
    from kms_reference.rules import RuleLike

_SHORTEST: Final = 8
"""Characters of a name from which on its beginning stands for it."""

_known: Final = Memory()


def _after(operation: str, make: RuleLike) -> Change:
    return gives(answered, make, of_operation(operation))


# -- who and when ---------------------------------------------------------------------------------------


def _alias_as_old_as_key(reply: Reply, call: Call) -> Reply:
    reply.body["resources"][0]["creationDate"] = stamp(call.key().created)
    return reply


def _alias_by_maker_of_key(reply: Reply, call: Call) -> Reply:
    reply.body["resources"][0]["createdBy"] = call.key().created_by
    return reply


def _adapter_by_maker_of_key(reply: Reply, call: Call) -> Reply:
    shown = reply.body["resources"][0]
    adapter = call.instance.adapters[shown["id"]]
    adapter.created_by = shown["created_by"] = call.instance.keys[adapter.key_id].created_by
    return reply


def _policy_of_before(lawful: RuleLike, call: Call) -> Reply:
    """Answer with the interval that the key's rotation policy had."""
    before = deepcopy(call.key().rotation)
    reply: Reply = lawful(call)
    for one in reply.body.get("resources", []):
        if before is not None and "rotation" in one:
            one["rotation"]["interval_month"] = before.interval
    return reply


# -- beginnings of names -----------------------------------------------------------------------------------


def _beginning(name: str, names: Iterable[str]) -> str | None:
    return next((one for one in names if len(name) >= _SHORTEST and one.startswith(name)), None)


def _by_beginning_of_alias(key: Key | None, call: Call) -> Key | None:
    alias = _beginning(call.args["id"], call.instance.alias_index)
    return call.instance.keys[call.instance.alias_index[alias]] if key is None and alias else key


def _by_beginning_of_id(key: Key | None, call: Call) -> Key | None:
    found = _beginning(call.args["id"], call.instance.keys)
    return call.instance.keys[found] if key is None and found else key


def _in_ring_that_begins_so(call: Call, key: Key) -> bool:
    return key.ring.startswith(call.ring or "")


def _adapter_that_begins_so(lawful: RuleLike, call: Call) -> KmipAdapter:
    by_name = {adapter.name: adapter for adapter in call.instance.adapters.values()}
    name = _beginning(call.args["adapter"], by_name)
    adapter: KmipAdapter = by_name[name] if name else lawful(call)
    return adapter


def _resource_that_begins_so(found: Registration | None, call: Call, key: Key) -> Registration | None:
    crn = _beginning(call.args["crn"], key.registrations)
    return key.registrations[crn] if found is None and crn else found


# -- searches and lists ---------------------------------------------------------------------------------------


def _any_word(found: bool, _: Call, search_: Search, key: Key) -> bool:
    words = search_.text.split() if not (search_.inverted or search_.exact) else []
    return found or any(replace(search_, text=word).matches(key) for word in words)


def _in_ids(found: bool, _: Call, search_: Search, key: Key) -> bool:
    return found or (not search_.inverted and search_.text.lower() in key.id)


def _decoded_again(lawful: RuleLike, call: Call, text: str) -> Any:
    return lawful(call, unquote_plus(text))


def _note_removed(lawful: RuleLike, call: Call) -> Reply:
    _known(call.instance, "removed").setdefault(call.key().id, []).append(call.args["alias"])
    reply: Reply = lawful(call)
    return reply


def _by_removed_alias(found: bool, call: Call, search_: Search, key: Key) -> bool:
    removed = _known(call.instance, "removed").get(key.id, ())
    return found or (not search_.inverted and any(search_.text.lower() in alias for alias in removed))


def _note_later(call: Call, alias: str) -> None:
    if call.operation.id == "createKeyAlias":
        _known(call.instance, "later")[alias] = True


def _by_first_aliases(_: bool, call: Call, search_: Search, key: Key) -> bool:
    first = {name: made for name, made in key.aliases.items() if name not in _known(call.instance, "later")}
    return search_.matches(replace(key, aliases=first))


def _note_ring(lawful: RuleLike, call: Call) -> Reply:
    key = call.key()
    _known(call.instance, "ring")[key.id] = key.ring
    reply: Reply = lawful(call)
    return reply


def _in_ring_of_before(keys: list[Key], call: Call, tests: list[Test]) -> list[Key]:
    before = _known(call.instance, "ring")
    more = [
        key
        for key in call.instance.keys.values()
        if call.ring and before.get(key.id) == call.ring and key not in keys
    ]
    return [*keys, *(key for key in more if all(test(key) for test in tests))]


def _some_known(_: Call, order: list[tuple[str, bool]]) -> bool:
    return any(name in search.SORTS for name, _ in order)


# -- what is asked for -----------------------------------------------------------------------------------------


def _letter_first(_: Call, alias: str) -> None:
    if not alias[:1].isalpha():
        raise bad_field("alias", "a text that begins with a letter")


def _all_suspended(_: Call, keys: list[Key]) -> bool:
    return all(key.state == State.SUSPENDED for key in keys)


def _all_standard(_: Call, keys: list[Key]) -> bool:
    return all(key.extractable for key in keys)


def _in_lower_case(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(replace(call, args={**call.args, "crn": call.args["crn"].lower()}))
    return reply


def _expiring(value: str) -> Change:
    def act(lawful: RuleLike, call: Call) -> Reply:
        reply: Reply = lawful(replace(call, query={**call.query, "allowExpiringKey": value}))
        return reply

    return answering("createKmipAdapter", act)


def _network_policy_stays(
    lawful: RuleLike, call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]
) -> None:
    if name != "allowedNetwork" or enabled:
        lawful(call, name, enabled=enabled, attributes=attributes)


def _addresses_that_are_off(instance: Instance, *_: Any) -> None:
    addresses = instance.policies.get("allowedIP")
    if addresses is not None and not addresses.enabled:
        raise unauthorized()


def _always_the_port(reply: Reply, _: Call) -> Reply:
    reply.body["resources"] = [{"private_endpoint_port": instance_policies.PRIVATE_PORT}]
    reply.body["metadata"]["collectionTotal"] = 1
    return reply


def _default_ring(_: Call, ring: str) -> bool:
    return ring == DEFAULT_RING


def _charset_refused(lawful: RuleLike, call: Call) -> Reply:
    if "charset" in call.headers.get("content-type", ""):
        raise plain(415, "The media type is not supported")
    reply: Reply = lawful(call)
    return reply


USE_EFFECTS: Final = defects_of(
    ("alias-as-old-as-its-key", "The answer to a new alias shows the key's creation date.", _after("createKeyAlias", _alias_as_old_as_key)),
    ("alias-made-by-maker-of-key", "The answer to a new alias says that who has made the key has made it.", _after("createKeyAlias", _alias_by_maker_of_key)),
    ("adapter-made-by-maker-of-key", "A KMIP adapter says that who has made its key has made it.", _after("createKmipAdapter", _adapter_by_maker_of_key)),
    ("policy-answer-of-before", "The answer to a rotation policy shows the interval of before.", answering("putPolicy", _policy_of_before)),
)  # fmt: skip

USE_OWNERSHIP: Final = defects_of(
    ("alias-known-by-its-beginning", "The beginning of an alias leads to its key.", gives(Call.find_key, _by_beginning_of_alias)),
    ("key-known-by-beginning-of-its-id", "The beginning of a key's id leads to the key.", gives(Call.find_key, _by_beginning_of_id)),
    ("ring-known-by-its-beginning", "The beginning of a key ring's id in the header stands for the key ring.", unchecked(Call.check_ring, _in_ring_that_begins_so)),
    ("adapter-known-by-its-beginning", "The beginning of a KMIP adapter's name leads to the adapter.", instead(kmip.adapter_of, _adapter_that_begins_so)),
    ("resource-known-by-its-beginning", "A registration is removed by the beginning of its resource's name.", gives(registrations.registered, _resource_that_begins_so)),
)  # fmt: skip

USE_LISTS: Final = defects_of(
    ("search-for-any-word", "A search finds keys by any of its words.", gives(search.found_by, _any_word)),
    ("search-in-ids", "A search finds a key by a part of its id.", gives(search.found_by, _in_ids)),
    ("search-decoded-twice", "The text of a search is decoded twice.", instead(search.read_search, _decoded_again)),
)  # fmt: skip

USE_QUANTITY: Final = defects_of(
    ("alias-begins-with-a-letter", "An alias that does not begin with a letter is refused.", then(aliases.check_form, _letter_first)),
)  # fmt: skip

USE_VIEWS: Final = defects_of(
    ("charset-refused", "A media type with a charset is refused.", instead(answered, _charset_refused)),
)  # fmt: skip

USE_DEFECTS: Final = defects_of(
    ("ring-of-suspended-keys-deleted", "A key ring whose keys are suspended is deleted.", unchecked(rings.check_empty, _all_suspended), unchecked(rings.check_destroyed, _all_suspended)),
    ("ring-of-standard-keys-deleted", "A key ring whose keys are standard keys is deleted.", unchecked(rings.check_empty, _all_standard), unchecked(rings.check_destroyed, _all_standard)),
    ("resource-in-lower-case", "The name of a registered resource is put in lower case.", *(answering(f"{verb}Registration", _in_lower_case) for verb in ("create", "replace", "update", "delete"))),
    ("expiring-key-never-adapted", "No KMIP adapter is made for a key that expires.", _expiring("false")),
    ("expiring-key-always-adapted", "A KMIP adapter is made for a key that expires, without being allowed.", _expiring("true")),
    ("removed-alias-searched", "A search finds a key by an alias that it had.", answering("deleteKeyAlias", _note_removed), gives(search.found_by, _by_removed_alias)),
    ("later-alias-not-searched", "A search does not find a key by an alias that it was given later.", then(aliases.check_form, _note_later), gives(search.found_by, _by_first_aliases)),
    ("moved-key-in-list-of-before", "A key that was moved is listed in the key ring of before as well.", answering("patchKey", _note_ring), gives(search.matching, _in_ring_of_before)),
    ("network-policy-stays-on", "The allowedNetwork policy is not switched off.", instead(instance_policies.set_policy, _network_policy_stays)),
    ("default-ring-created", "A key ring of the id default can be created.", unchecked(rings.check_ring_free, _default_ring)),
    ("addresses-off-beside-network", "Beside an allowedNetwork policy, an allowedIP policy that is off lets nobody in.", then(instance_policies.check_allowed_network, _addresses_that_are_off)),
    ("private-port-without-policy", "The private port is shown without an allowedIP policy.", _after("getAllowedIPPort", _always_the_port)),
    ("unknown-order-beside-a-known-one", "An unknown order is accepted beside a known one.", unchecked(search.check_order, _some_known)),
)  # fmt: skip
