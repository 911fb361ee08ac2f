"""Defects after faults that implementers of other key services reported: LocalStack, moto, Vault, RustFS, Cosmian and others.

Each is translated to this API where a source fixes what is right. A law finds it, or (``REPORTED_DEFECTS``) a documented
sequence.
"""

from __future__ import annotations

import html
import random
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect import actions, aliases, import_tokens, keys, kmip, rings, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.clock import parse_stamp, stamp
from kms_reference.key_protect.defects.conditions import changed, defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.key_policies import inherit
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call
from kms_reference.switches import After, Change, Defect, gives, instead, skipped, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import Key, Registration, Version
    from kms_reference.key_protect.wire import Members, Reply
    from kms_reference.rules import Draft, RuleLike

_FEW_ALIASES: Final = 3
_MOST_VERSIONS: Final = 10
_SHORT_AAD, _FEW_AAD = 64, 5
_SHORT_PLAINTEXT: Final = 1_024
_PAGE: Final = 200
_LAST_OF_32_BITS: Final = 2**31 - 1
_OVERRIDES: Final = "createKeyWithPoliciesOverrides"

_memory: Final[WeakKeyDictionary[Instance, dict[str, Any]]] = WeakKeyDictionary()
"""What a defect remembers of an instance."""


def _known(call: Call) -> dict[str, Any]:
    return _memory.setdefault(call.instance, {})


# -- what is lost, and what comes back ------------------------------------------------------------------


def _in_old_form(call: Call, *_: Any) -> bool:
    return call.old_form


def _with_ring(call: Call, *_: Any) -> bool:
    return call.ring is not None


def _set(**members: Any) -> Callable[..., None]:
    def act(_: Call, key: Key, *__: Any) -> None:
        changed(key, **members)

    return act


def _from_instance(call: Call, key: Key, *_: Any) -> None:
    inherit(call, key)


def _tags_lost_by_token(_: Call, key: Key, material: Material) -> None:
    if material.by_token:
        key.tags = []


def _body(member: str, change: Callable[[Any], Any], operation: str = "") -> Change:
    """Change a member of the one resource of a creation; what becomes ``None`` is left out."""

    def changed(body: dict[str, Any], call: Call) -> dict[str, Any]:
        match body.get("resources"):
            case [dict() as resource, *_] if resource.get(member) and operation in {"", call.operation.id}:
                resource[member] = change(resource[member])
        return body

    return gives(keys.creation_body, changed)


def _in_32_bits(text: Any) -> Any:
    moment = parse_stamp(text) if isinstance(text, str) else None
    return stamp(_LAST_OF_32_BITS) if moment is not None and moment > _LAST_OF_32_BITS else text


def _inherited_besides(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    resource = call.body()["resources"][0]
    if not {"rotation", "dualAuthDelete"} & resource.keys():
        inherit(call, call.instance.keys[reply.body["resources"][0]["id"]])
    return reply


def _as_before(lawful: RuleLike, call: Call) -> Reply:
    """Show the deleted key as it was."""
    was = call.key_as_is().state
    reply: Reply = lawful(call)
    if reply.body is not None:
        reply.body["resources"][0] |= {"state": int(was), "deleted": False}
    return reply


def _alias_for_id(reply: Reply, call: Call) -> Reply:
    reply.body["resources"][0]["keyId"] = call.args["id"]
    return reply


# -- who holds a key ------------------------------------------------------------------------------------


def _counted(call: Call, key: Key) -> None:
    counts = _known(call).setdefault("authorised", {})
    counts[key.id] = counts.get(key.id, 0) + 1


def _counts_as_two(found: bool, call: Call, key: Key) -> bool:
    twice = _known(call).get("authorised", {}).get(key.id, 0) > 1
    return found or (twice and call.instance.authorized(key, call.now))


def _adapter_gone(draft: Draft) -> None:
    _known(draft.call)["adapter"] = "gone"


def _one_adapter_gone(call: Call, _: Key) -> bool:
    return "adapter" in _known(call)


def _nothing_retained(draft: Draft) -> None:
    registrations: dict[str, Registration] = draft.call.key_as_is().registrations
    for one in registrations.values():
        one.prevent_deletion = False


def _of_its_maker(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    _known(call)["token"] = call.identity.iam_id
    return reply


def _for_its_maker(token: Any, call: Call) -> Any:
    return token if _known(call).get("token", call.identity.iam_id) == call.identity.iam_id else None


# -- names of all instances -------------------------------------------------------------------------------


def _others(call: Call) -> list[Instance]:
    return [one for one in call.server_state.instances.values() if one is not call.instance]


def _alias_elsewhere(call: Call, alias: str) -> None:
    if any(alias in one.alias_index for one in _others(call)):
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


def _ring_elsewhere(call: Call, ring: str) -> None:
    if any(ring in one.rings for one in _others(call)):
        raise plain(409, "Key ring could not be created: a key ring with this id exists")


def _adapter_elsewhere(call: Call, name: str) -> None:
    if any(adapter.name == name for one in _others(call) for adapter in one.adapters.values()):
        raise RefusalError("KMIP_ADAPTER_DUPLICATE_NAME_ERR")


def _first_of_alias(lawful: RuleLike, call: Call) -> Key | None:
    """Let an alias lead, for ever, to the key that it led to first."""
    first, name = _known(call).setdefault("aliases", {}), call.args["id"]
    if name in call.instance.alias_index and first.get(name) in call.instance.keys:
        return call.instance.keys[first[name]]
    key: Key | None = lawful(call)
    if key is not None and name in key.aliases:
        first[name] = key.id
    return key


# -- lists and quantities ---------------------------------------------------------------------------------


def _unstable_ties(found: list[Key], call: Call, _: list[Key], order: list[tuple[str, bool]]) -> list[Key]:
    """Give keys of equal rank in another order on each page."""
    names = [name for name, _ in order]
    if "id" in names:
        return found
    ranks = {key.id: tuple(search.sort_value(key, name) for name in names) for key in found}
    places = list(dict.fromkeys(ranks[key.id] for key in found))
    shuffled = list(found)
    random.Random(call.query.get("offset", "0")).shuffle(shuffled)  # noqa: S311 - an order, no secret
    return sorted(shuffled, key=lambda key: places.index(ranks[key.id]))


def _page_counted(reply: Reply, _: Call) -> Reply:
    reply.headers["Key-Total"] = str(min(_PAGE, int(reply.headers["Key-Total"])))
    return reply


def _no_more_versions(lawful: RuleLike, call: Call, key: Key, members: Members) -> None:
    if len(key.versions) >= _MOST_VERSIONS:
        raise RefusalError("KEY_ROTATION_NOT_PERMITTED")
    lawful(call, key, members)


def _oldest_spoilt(_: Call, key: Key, __: Material) -> None:
    for version in key.versions[:-_MOST_VERSIONS]:
        version.material = token_hex(len(version.material) // 2)


def _whatever_its_state(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    if key.state != State.SUSPENDED:
        lawful(instance, key, now)
        return
    key.state = State.ACTIVE
    lawful(instance, key, now)
    key.state = State.SUSPENDED


# -- wrapping -----------------------------------------------------------------------------------------------


def _bound(change: Callable[[list[str]], list[str]]) -> Change:
    return gives(actions.bound, lambda aad, *_: change(aad))


def _wrapped(change: Callable[[bytes], bytes]) -> Change:
    """A plaintext that the client gave is changed; one that the service made is random, and would be changed by chance."""

    def act(lawful: RuleLike, call: Call, version: Version, plaintext: bytes, aad: list[str]) -> Any:
        given = bool((call.json() or {}).get("plaintext"))
        return lawful(call, version, change(plaintext) if given else plaintext, aad)

    return instead(actions.sealed, act)


_IN_OVERRIDES: Final = {"operation": _OVERRIDES}
_LOST: Final = lambda _: None  # noqa: E731 - a change like those beside it

REPORTED_EFFECTS: Final = (
    *defects_of(
        ("rotation-unlimited-with-ring-header", "With a key ring in the header a key is rotated as often as is asked.", unchecked(actions.check_hour, _with_ring)),
        ("tags-lost-with-overrides", "A key that is created with policies has no tags.", _body("tags", _LOST, **_IN_OVERRIDES)),
        ("description-lost-with-overrides", "A key that is created with policies has no description.", _body("description", _LOST, **_IN_OVERRIDES)),
        ("aliases-lost-with-overrides", "A key that is created with policies has no aliases.", _body("aliases", _LOST, **_IN_OVERRIDES)),
        ("instance-policies-join-overrides", "A key that is created with policies has those of the instance as well.", instead(answered, _inherited_besides, of_operation(_OVERRIDES))),
        ("fourth-alias-lost", "A new key keeps the first three of its aliases.", _body("aliases", lambda given: given[:_FEW_ALIASES])),
        ("description-escaped", "The description of a new key is stored as HTML.", _body("description", lambda text: html.escape(text) if isinstance(text, str) else text)),
        ("expiry-within-32-bits", "No key expires later than 32 bits count seconds.", _body("expirationDate", _in_32_bits)),
        ("rotation-withdraws-authorisation", "A rotation withdraws the authorisation of a deletion.", then(actions.add_version, _set(authorized_by=""))),
        ("move-withdraws-authorisation", "A move withdraws the authorisation of a deletion.", then(keys.move, _set(authorized_by=""))),
        ("withdrawal-in-old-form-lost", "The older form of withdrawing an authorisation does nothing.", skipped(actions.withdraw, _in_old_form)),
        ("authorised-twice-by-one", "Who authorises a deletion twice may delete the key.", then(actions.authorize, _counted), gives(keys.authorized_before, _counts_as_two)),
        ("old-form-of-restore-loses-tags", "The older form of restoring a key loses its tags.", then(keys.revive, _set(tags=[]), _in_old_form)),
        ("move-brings-instance-policies", "A key that is moved gets the policies of the instance.", then(keys.move, _from_instance)),
        ("restore-brings-instance-policies", "A key that is restored gets the policies of the instance.", then(keys.revive, _from_instance)),
        ("rotation-by-token-loses-tags", "A rotation with packed material loses the tags.", then(actions.add_version, _tags_lost_by_token)),
        ("force-overlooks-adapters", "With force a key behind a KMIP adapter is deleted.", unchecked(keys.check_adapters, lambda call, _: call.flag("force"))),
        ("token-of-its-maker", "Nobody but who has made an import token retrieves it.", instead(import_tokens.post_import_token, _of_its_maker), gives(import_tokens.current_token, _for_its_maker)),
        ("deletion-shows-state-before", "The answer to a deletion shows the key from before.", instead(answered, _as_before, of_operation("deleteKey"))),
        ("alias-answer-echoes-path", "The answer to a new alias says what the path says for the key's id.", gives(answered, _alias_for_id, of_operation("createKeyAlias"))),
    ),
    Defect("one-adapter-fewer-frees-key", "Deleting one KMIP adapter frees the keys of all.", (), changes=(unchecked(keys.check_adapters, _one_adapter_gone),), after=After("deleteKmipAdapter", _adapter_gone)),
    Defect("one-registration-fewer-ends-retention", "Removing one registration ends the retention of the others.", (), after=After("deleteRegistration", _nothing_retained)),
)  # fmt: skip

REPORTED_OWNERSHIP: Final = defects_of(
    ("alias-taken-in-all-instances", "An alias is unique among all instances.", then(aliases.check_free, _alias_elsewhere)),
    ("ring-taken-in-all-instances", "The id of a key ring is unique among all instances.", then(rings.check_ring_free, _ring_elsewhere)),
    ("adapter-name-taken-in-all-instances", "The name of a KMIP adapter is unique among all instances.", then(kmip.check_name_free, _adapter_elsewhere)),
    ("alias-remembers-its-first-key", "An alias leads to the key that it led to first.", instead(Call.find_key, _first_of_alias)),
)  # fmt: skip

REPORTED_LISTS: Final = defects_of(
    ("ties-as-they-fall", "Keys of equal rank stand in another order on each page.", gives(search.in_order, _unstable_ties)),
)  # fmt: skip

REPORTED_QUANTITY: Final = defects_of(
    ("ten-versions-at-most", "A key with ten versions is not rotated any more.", instead(actions.check_hour, _no_more_versions)),
    ("newest-ten-open", "Only the newest ten versions of a key open their ciphertexts.", then(actions.add_version, _oldest_spoilt)),
    ("count-of-a-page", "The number of keys is that of one page at most.", gives(search.head_keys, _page_counted)),
)  # fmt: skip

REPORTED_SCHEDULES: Final = defects_of(
    ("policy-rotates-suspended-key", "A rotation policy rotates a suspended key as well.", instead(Instance.rotate_by_policy, _whatever_its_state)),
)  # fmt: skip

REPORTED_DEFECTS: Final = defects_of(
    ("aad-of-nothing-ignored", "Empty strings are left out of additional data.", _bound(lambda aad: [text for text in aad if text])),
    ("aad-without-blanks", "Blanks around additional data are left out.", _bound(lambda aad: [text.strip() for text in aad])),
    ("aad-cut", "Of each string of additional data the beginning counts.", _bound(lambda aad: [text[:_SHORT_AAD] for text in aad])),
    ("aad-in-ascii", "Letters beyond ASCII are all the same in additional data.", _bound(lambda aad: [text.encode("ascii", "replace").decode() for text in aad])),
    ("aad-of-five", "The first five strings of additional data count.", _bound(lambda aad: aad[:_FEW_AAD])),
    ("plaintext-cut", "The beginning of a long plaintext is wrapped.", _wrapped(lambda plaintext: plaintext[:_SHORT_PLAINTEXT])),
    ("last-zeros-lost", "Zeros at the end of a plaintext are not wrapped.", _wrapped(lambda plaintext: plaintext.rstrip(b"\0") or plaintext)),
    ("first-zeros-lost", "Zeros at the beginning of a plaintext are not wrapped.", _wrapped(lambda plaintext: plaintext.lstrip(b"\0") or plaintext)),
    ("last-line-break-lost", "A line break at the end of a plaintext is not wrapped.", _wrapped(lambda plaintext: plaintext.rstrip(b"\n") or plaintext)),
)  # fmt: skip
