"""More defects after faults that implementers of other key services reported: who, when, what a name names, what is refused.

RustFS, LocalStack, Barbican, Vault, Azure's and AWS's emulators, Infisical and the Terraform provider had them; each is
translated to this API where a source fixes what is right, and was found by no law when it was written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect import (
    actions,
    aliases,
    import_tokens,
    instance_policies,
    keys,
    registrations,
    rings,
    search,
)
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import DAY, parse_stamp, stamp
from kms_reference.key_protect.defects.conditions import defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.wire import KEY_TYPE, Call
from kms_reference.switches import After, Defect, gives, instead, refused_but, skipped, then

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kms_reference.key_protect.model import Key, KeyPolicy
    from kms_reference.key_protect.search import Search
    from kms_reference.key_protect.wire import Members, Reply
    from kms_reference.rules import Draft, Mutator, RuleLike

_PAGE: Final = 200
_OVERRIDES: Final = "createKeyWithPoliciesOverrides"
_LAST_OF_THE_FIRST_PLANE: Final = "\uffff"

_memory: Final[WeakKeyDictionary[Instance, dict[str, Any]]] = WeakKeyDictionary()
"""What a defect remembers of an instance."""


def _known(call: Call) -> dict[str, Any]:
    return _memory.setdefault(call.instance, {})


# -- policies -------------------------------------------------------------------------------------------


def _rotations(draft: Draft) -> Iterator[dict[str, Any]]:
    for resource in draft.call.body().get("resources", ()):
        if isinstance(resource.get("rotation"), dict):
            yield resource["rotation"]


def _monthly(draft: Draft) -> None:
    key = draft.call.key_as_is()
    if any(given.get("enabled") and "interval_month" not in given for given in _rotations(draft)):
        key.rotation.interval = 1


def _by_its_maker(draft: Draft) -> None:
    key = draft.call.key_as_is()
    for policy in (key.rotation, key.dual_auth):
        if policy is not None:
            policy.updated_by = policy.created_by


def _second_lost(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    if {"rotation", "dualAuthDelete"} <= call.body()["resources"][0].keys():
        call.instance.keys[reply.body["resources"][0]["id"]].dual_auth = None
    return reply


def _shared(lawful: RuleLike, call: Call, name: str, **members: Any) -> None:
    lawful(call, name, **members)
    for one in call.server_state.instances.values():
        one.policies = dict(call.instance.policies)


def _lifted(lawful: RuleLike, call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]) -> None:
    lawful(call, name, enabled=enabled, attributes=attributes)
    for key in call.instance.keys.values() if name == "dualAuthDelete" and not enabled else ():
        if key.dual_auth is not None:
            key.dual_auth.enabled = False


def _authorised_by_another(call: Call, key: Key) -> bool:
    return key.authorized_by not in {"", call.identity.iam_id}


def _note_update(lawful: RuleLike, call: Call, key: Key, *material: Any) -> None:
    _known(call)["updated"] = key.updated
    lawful(call, key, *material)


def _updated_as_before(draft: Draft) -> None:
    draft.call.key_as_is().updated = _known(draft.call)["updated"]


def _by_first_interval(lawful: RuleLike, instance: Instance, key: Key) -> float:
    assert key.rotation is not None
    first = _memory.setdefault(instance, {}).setdefault("intervals", {})
    now = key.rotation.interval
    key.rotation.interval = first.setdefault(key.rotation.id, now)
    try:
        due: float = lawful(instance, key)
    finally:
        key.rotation.interval = now
    return due


def _note_off(draft: Draft) -> None:
    policy = draft.call.key_as_is().rotation
    if policy is not None and not policy.enabled:
        _known(draft.call).setdefault("off", set()).add(policy.id)


def _never_off(runs: bool, instance: Instance, policy: KeyPolicy) -> bool:
    return runs and policy.id not in _memory.get(instance, {}).get("off", ())


# -- what keys say of themselves --------------------------------------------------------------------------


def _shown(change: Callable[[dict[str, Any], Call], None]) -> Mutator:
    """Change each key of a reply."""

    def mutate(draft: Draft) -> None:
        resources = draft.body.get("resources") if isinstance(draft.body, dict) else None
        for entry in resources or () if not draft.refused else ():
            if entry.get("type") == KEY_TYPE and "extractable" in entry:
                change(entry, draft.call)

    return mutate


def _made_by_reader(entry: dict[str, Any], call: Call) -> None:
    entry["createdBy"] = call.identity.iam_id


def _thirty_days(entry: dict[str, Any], _: Call) -> None:
    if "restoreExpirationDate" in entry:
        entry["restoreExpirationDate"] = stamp((parse_stamp(entry["deletionDate"]) or 0.0) + 30 * DAY)


def _says(member: str, *, always: bool) -> Mutator:
    def change(entry: dict[str, Any], _: Call) -> None:
        if member in entry:
            entry[member] = always

    return _shown(change)


def _authorised_for_ever(entry: dict[str, Any], call: Call) -> None:
    key = call.instance.keys.get(entry["id"])
    if key is not None and key.authorized_by and entry.get("dualAuthDelete", {}).get("enabled"):
        entry["dualAuthDelete"]["keySetForDeletion"] = True


def _deleted_by_its_maker(_: Call, key: Key) -> None:
    key.deleted_by = key.created_by


def _first_plane(member: str) -> RuleLike:
    """Lose the characters of a member that three octets of UTF-8 do not hold."""

    def changed(body: dict[str, Any], _: Call) -> dict[str, Any]:
        match body.get("resources"):
            case [dict() as resource, *_] if isinstance(resource.get(member), str):
                text = resource[member]
                resource[member] = "".join(c if c <= _LAST_OF_THE_FIRST_PLANE else "?" for c in text)
        return body

    return changed


# -- names ------------------------------------------------------------------------------------------------


def _note_parent(draft: Draft) -> None:
    call = draft.call
    if call.args["id"] in call.instance.alias_index:
        _known(call).setdefault("of", {}).setdefault(call.args["id"], []).append(call.args["alias"])


def _with_its_children(call: Call, _: Key, alias: str) -> None:
    for name in _known(call).get("of", {}).pop(alias, ()):
        call.instance.alias_index.pop(name, None)


def _first_alias_leads(call: Call, key: Key) -> None:
    for name in list(key.aliases)[1:]:
        call.instance.alias_index.pop(name, None)


def _ring_in_any_case(call: Call, ring: str) -> None:
    if ring.lower() in {one.lower() for one in call.instance.rings}:
        raise plain(409, "Key ring could not be created: a key ring with this id exists")


def _alias_in_any_case(call: Call, alias: str) -> None:
    if alias.lower() in {one.lower() for one in call.instance.alias_index}:
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


def _alias_like_a_name(call: Call, alias: str) -> None:
    if any(key.name == alias for key in call.instance.keys.values()):
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


def _by_name(found: Key | None, call: Call) -> Key | None:
    named = (key for key in call.instance.keys.values() if key.name == call.args["id"])
    return found or next(named, None)


def _note_purged(lawful: RuleLike, call: Call, key: Key) -> None:
    gone = [(key, registration) for registration in key.registrations.values()]
    _known(call).setdefault("registered", []).extend(gone)
    lawful(call, key)


def _with_purged(reply: Reply, call: Call) -> Reply:
    gone = _known(call).get("registered", ())
    if gone and "urlEncodedResourceCRNQuery" not in call.query:
        views = [registrations.view_of(call, key, registration) for key, registration in gone]
        reply.body.setdefault("resources", []).extend(views)
        reply.body["metadata"]["collectionTotal"] += len(views)
    return reply


def _take_aliases(call: Call) -> None:
    match call.json():
        case {"resources": [{"aliases": [*names]}]}:
            for name in names:
                call.instance.alias_index.setdefault(name, "")


def _end_token(call: Call) -> None:
    call.instance.import_token = None


# -- lists ------------------------------------------------------------------------------------------------


def _total_of_the_rest(reply: Reply, call: Call, *_: Any) -> Reply:
    metadata = reply.body["metadata"]
    if "totalCount" in metadata:
        metadata["totalCount"] = max(0, metadata["totalCount"] - int(call.query.get("offset", 0)))
    return reply


def _like(_: RuleLike, __: Call, sought: Search, key: Key) -> bool:
    """Find names as a database does: an underscore is any character, a percent sign any text."""
    names = [key.name] if "name" in sought.scopes else []
    names += list(key.aliases) if "alias" in sought.scopes else []
    pattern = re.escape(sought.text.lower()).replace("_", ".").replace("%", ".*")
    find = re.fullmatch if sought.exact else re.search
    return any(find(pattern, name.lower()) for name in names) != sought.inverted


def _among_first(found: bool, call: Call, _: Search, key: Key) -> bool:
    return found and list(call.instance.keys).index(key.id) < _PAGE


def _first_star(_: RuleLike, __: Call, text: str, pattern: str) -> bool:
    first, star, last = pattern.partition("*")
    if not star:
        return text == pattern
    return len(text) >= len(first) + len(last) and text.startswith(first) and text.endswith(last)


def _of_known_ring(ring: str | None, call: Call) -> str | None:
    return ring if ring in {None, "default", *call.instance.rings} else None


def _counted_everywhere(reply: Reply, call: Call) -> Reply:
    others = [one for one in call.server_state.instances.values() if one is not call.instance]
    more = sum(key.ring == call.ring for one in others for key in one.keys.values())
    if call.ring:
        reply.headers["Key-Total"] = str(int(reply.headers["Key-Total"]) + more)
    return reply


def _bound_to_nothing(aad: list[str], _: Call, __: Key, members: Members, ___: str) -> list[str]:
    return [""] if members.has("aad") and not aad else aad


RECORD_EFFECTS: Final = (
    *defects_of(
        ("deleted-by-its-maker", "A deleted key says that who has made it has deleted it.", then(keys.destroy, _deleted_by_its_maker)),
        ("description-in-the-first-plane", "The description of a new key loses characters of four octets.", gives(keys.creation_body, _first_plane("description"))),
        ("second-policy-lost-with-overrides", "Of two policies that a key is created with, one is lost.", instead(answered, _second_lost, of_operation(_OVERRIDES))),
    ),
    *defects_of(
        ("instance-policy-lifts-dual-auth", "Without dual authorisation for new keys the keys that have it lose it.", instead(instance_policies.set_policy, _lifted)),
        ("enabling-leaves-first-alias", "Only the first alias of a key that was enabled leads to it.", then(actions.resume, _first_alias_leads)),
        ("withdrawal-by-another-lost", "Only who has authorised a deletion withdraws that.", skipped(actions.withdraw, _authorised_by_another)),
    ),
    Defect("rotation-is-no-update", "A rotation leaves the date of the last update.", (), changes=(instead(actions.add_version, _note_update),), after=After("rotateKey", _updated_as_before)),
    Defect("rotation-on-again-is-monthly", "A rotation policy that is switched on again has an interval of one month.", (), after=After("putPolicy", _monthly)),
    Defect("policy-changed-by-its-maker", "A changed policy says that who has made it has changed it.", (), after=After("putPolicy", _by_its_maker)),
    Defect("made-by-who-reads", "A key says that who reads it has made it.", (), _shown(_made_by_reader)),
    Defect("restored-until-after-expiry", "A deleted key says that it can be restored after it has expired.", (), _shown(_thirty_days)),
)  # fmt: skip

RECORD_OWNERSHIP: Final = (
    *defects_of(
        ("name-in-the-first-plane", "The name of a new key loses characters of four octets.", gives(keys.creation_body, _first_plane("name"))),
        ("unknown-ring-lists-all", "A list of a key ring that does not exist holds all keys.", gives(search.ring_of_list, _of_known_ring)),
        ("ring-count-of-all-instances", "The number of keys of a key ring counts those of other instances.", gives(search.head_keys, _counted_everywhere)),
        ("instance-policies-of-all-instances", "A policy of one instance is set for all.", instead(instance_policies.set_policy, _shared)),
        ("ring-taken-in-any-case", "The id of a key ring is unique without regard to case.", then(rings.check_ring_free, _ring_in_any_case)),
        ("alias-taken-in-any-case", "An alias is unique without regard to case.", then(aliases.check_free, _alias_in_any_case)),
        ("alias-like-a-name-refused", "An alias that is the name of a key is refused.", then(aliases.check_free, _alias_like_a_name)),
        ("name-is-an-alias", "A key is found by its name.", gives(Call.find_key, _by_name)),
        ("purged-registrations-listed", "The list over all keys holds registrations of purged keys.", instead(keys.forget, _note_purged), gives(answered, _with_purged, of_operation("getRegistrationsAllKeys"))),
        ("refused-creation-takes-aliases", "A refused creation takes its aliases.", refused_but(answered, _take_aliases, of_operation("createKey"))),
        ("refused-token-ends-the-other", "A refused import token ends the one that there is.", refused_but(import_tokens.post_import_token, _end_token)),
    ),
    Defect("alias-dies-with-its-alias", "An alias that was given by way of another one ends with it.", (), changes=(then(aliases.release, _with_its_children),), after=After("createKeyAlias", _note_parent)),
)  # fmt: skip

RECORD_LISTS: Final = defects_of(
    ("total-of-the-rest", "totalCount counts from the offset on.", gives(search.paged, _total_of_the_rest)),
    ("search-like-a-database", "An underscore in a search stands for any character.", instead(search.found_by, _like)),
    ("second-star-is-a-star", "Only the first star in a resource name stands for any text.", instead(registrations.fits, _first_star)),
)  # fmt: skip

RECORD_QUANTITY: Final = defects_of(
    ("empty-aad-bound", "An empty list of additional data is other additional data than none.", gives(actions.read_aad, _bound_to_nothing)),
    ("search-in-first-page", "A search looks at the first 200 keys of the instance.", gives(search.found_by, _among_first)),
)  # fmt: skip

RECORD_SCHEDULES: Final = (
    *defects_of(
        ("first-interval-holds", "A rotation policy keeps the interval that it had first.", instead(Instance.rotation_due, _by_first_interval)),
    ),
    Defect("switched-on-again-sleeps", "A rotation policy that was switched off once does not run again.", (), changes=(gives(Instance.runs, _never_off),), after=After("putPolicy", _note_off)),
    Defect("purge-never-allowed", "A deleted key never says that it may be purged.", (), _says("purgeAllowed", always=False)),
    Defect("restore-always-allowed", "A deleted key always says that it may be restored.", (), _says("restoreAllowed", always=True)),
    Defect("lapsed-authorisation-shown", "A key shows an authorisation that has lapsed.", (), _shown(_authorised_for_ever)),
)  # fmt: skip
