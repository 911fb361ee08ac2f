"""Defects after faults that implementers of other key services reported: of names, of unknown things, of what comes again.

Moto, local-kms, LocalStack, fakecloud, Cosmian, RustFS, Infisical and others; each is translated to this API where a
source fixes what is right.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, aliases, import_tokens, keys, kmip, registrations, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import Memory, defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, plain, unknown_key
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call, Reply, collection
from kms_reference.switches import After, Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key, Registration, Version
    from kms_reference.rules import Draft, RefusedError, RuleLike

_CACHED: Final = 300.0
"""Seconds that a cache keeps what it has read."""
_SEVERAL: Final = 2

_known: Final = Memory()


# -- aliases ----------------------------------------------------------------------------------------------


def _named(call: Call, *_: Any) -> bool:
    return call.args.get("id") in call.instance.alias_index


def _by_id_only(*operations: str) -> Change:
    """Find the key of an operation by its id only."""
    return gives(
        Call.find_key, lambda *_: None, lambda call: call.operation.id in operations and _named(call)
    )


def _bound_to_name(aad: list[str], call: Call, _: list[str]) -> list[str]:
    return [*aad, call.args["id"]]


def _of_this_key(call: Call, alias: str) -> bool:
    return call.operation.id == "createKeyAlias" and call.instance.find(alias) is call.instance.find(
        call.args["id"]
    )


def _crash_of_several(key: Key, _: Call) -> Key:
    if len(key.aliases) > _SEVERAL:
        raise plain(500, "Alias could not be deleted")
    return key


def _cached_reading(lawful: RuleLike, call: Call) -> Reply:
    read = _known(call.instance, "read")
    moment, reply = read.get(call.args["id"], (0.0, None))
    if reply is None or call.now >= moment + _CACHED:
        reply = lawful(call)
        read[call.args["id"]] = call.now, deepcopy(reply)
    copied: Reply = deepcopy(reply)
    return copied


def _cached_version(version: Version, call: Call, _: Key) -> Version:
    moment, cached = _known(call.instance, "version").setdefault(call.args["id"], (call.now, version))
    return cached if call.now < moment + _CACHED else version


def _used(reply: Reply, call: Call) -> Reply:
    _known(call.instance, "used")[call.key().id] = call.now
    return reply


def _still_cached(
    call: Call, key: Key, _: tuple[int, ...], action: str, __: str | None = None, **___: Any
) -> bool:
    return (
        action in {"wrap", "unwrap"} and call.now < _known(call.instance, "used").get(key.id, 0.0) + _CACHED
    )


# -- what is unknown ----------------------------------------------------------------------------------------


def _unknown_is(operation: str, reply: Callable[[], Reply]) -> Change:
    """Answer for a key that is nowhere as for one without anything."""

    def nowhere(call: Call) -> bool:
        instances = call.server_state.instances.values()
        return call.operation.id == operation and all(one.find(call.args["id"]) is None for one in instances)

    return on_refusal(answered, lambda _, __: reply(), nowhere)


def _unknown_if_destroyed(_: RefusedError, __: Call, ___: Key, ____: Any, *_____: Any, **______: Any) -> None:
    raise unknown_key()


def _disabling_destroyed(_: Call, key: Key, __: Any, action: str, *___: Any, **____: Any) -> bool:
    return action == "disable" and key.state == State.DESTROYED


# -- what comes again ---------------------------------------------------------------------------------------


def _note_registration(lawful: RuleLike, call: Call) -> Reply:
    key = call.key()
    gone = key.registrations.get(call.args["crn"])
    reply: Reply = lawful(call)
    _known(call.instance, "registrations")[key.id, call.args["crn"]] = gone
    return reply


def _old_registration(kept: Registration | None, call: Call, _: Any, **__: Any) -> Registration | None:
    if kept is not None or call.operation.id != "createRegistration":
        return kept
    gone: Registration | None = _known(call.instance, "registrations").get((call.key().id, call.args["crn"]))
    return gone


def _note_ring(lawful: RuleLike, call: Call) -> Reply:
    ring = call.instance.rings.get(call.args["ring"])
    reply: Reply = lawful(call)
    _known(call.instance, "rings")[call.args["ring"]] = ring
    return reply


def _old_ring(call: Call) -> None:
    old = _known(call.instance, "rings").get(call.args["ring"])
    if old is not None:
        call.instance.rings[call.args["ring"]] = old


def _retrieved_as_before(lawful: RuleLike, call: Call) -> Reply:
    old = call.instance.import_token
    reply: Reply = lawful(call)
    token = call.instance.import_token
    if old is not None and token is not None:
        token.remaining = max(0, token.allowed - (old.allowed - old.remaining))
        reply.body["remainingRetrievals"] = token.remaining
    return reply


def _note_certificate(lawful: RuleLike, call: Call) -> Reply:
    one = kmip.certificate_of(call)
    reply: Reply = lawful(call)
    _known(call.instance, "certificates")[kmip.adapter_of(call).id, one.name] = one.pem
    return reply


def _old_certificate(reply: Reply, call: Call) -> Reply:
    adapter = kmip.adapter_of(call)
    made = adapter.certificates[reply.body["resources"][0]["id"]]
    made.pem = _known(call.instance, "certificates").get((adapter.id, made.name), made.pem)
    reply.body["resources"][0]["certificate"] = made.pem
    return reply


def _imported_once(lawful: RuleLike, call: Call) -> Reply:
    match call.body():
        case {"resources": [{"payload": str(payload)}]} if payload:
            if payload in _known(call.instance, "material"):
                raise plain(409, "Key could not be created: its material exists")
            reply: Reply = lawful(call)
            _known(call.instance, "material")[payload] = True
            return reply
    unlike: Reply = lawful(call)
    return unlike


# -- lists ----------------------------------------------------------------------------------------------------


def _remembered_count(lawful: RuleLike, call: Call) -> Reply:
    asked = (tuple(sorted(call.query.items())), call.ring, len(call.instance.keys))
    counts = _known(call.instance, "counts")
    if asked not in counts:
        counts[asked] = lawful(call).headers["Key-Total"]
    return Reply(200, None, {"Key-Total": counts[asked]})


def _none_of_ring(reply: Reply, _: Call) -> Reply:
    reply.headers["Key-Total"] = "0"
    return reply


def _first_page_again(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    if reply.body.get("resources") or "offset" not in call.query:
        return reply
    first = {name: value for name, value in call.query.items() if name != "offset"}
    again: Reply = lawful(replace(call, query=first))
    return again


def _as_usual(call: Call, *_: Any) -> bool:
    return (
        call.operation.id == "getKeys"
        and not call.query.get("state")
        and "state" not in call.query.get("filter", "")
    )


def _places_of_deleted(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> list[Key]:
    return [key for key in lawful(call, found, offset, limit) if key.state != State.DESTROYED]


def _mispaired(reply: Reply, _: Call) -> Reply:
    entries = reply.body.get("resources", [])
    names = {entry["keyId"]: entry["keyName"] for entry in entries}
    ids = sorted(names)
    for entry in entries:
        other = ids[(ids.index(entry["keyId"]) + 1) % len(ids)]
        entry |= {"keyId": other, "keyName": names[other]}
    return reply


# -- what fails -----------------------------------------------------------------------------------------------


def _fails(lawful: RuleLike, call: Call) -> Any:
    key = call.instance.find(call.args["id"])
    if key is not None and len(key.versions) > 1:
        raise plain(500, "Key could not be purged")
    return lawful(call)


def _aliases_hold(call: Call) -> None:
    key = call.instance.find(call.args["id"])
    if key is not None and key.aliases and key.state != State.DESTROYED:
        raise plain(500, "Key could not be deleted")


def _policy_holds(call: Call) -> None:
    key = call.instance.find(call.args["id"])
    if key is not None and key.rotation is not None and key.rotation.enabled and key.state != State.DESTROYED:
        raise RefusalError("PROTECTED_RESOURCE_ERR")


def _policy_holds_enabling(_: Call, key: Key, *__: Any, **___: Any) -> None:
    if key.rotation is not None and key.rotation.enabled:
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")


def _without_rotation_date(draft: Draft) -> None:
    draft.call.key_as_is().rotated = None


NAME_EFFECTS: Final = (
    *defects_of(
        ("one-of-several-aliases-crashes", "Removing one of more than two aliases fails with 500.", gives(aliases.key_of_deletion, _crash_of_several)),
        ("alias-shows-what-was-read", "Metadata that are read by an alias are those of five minutes before.", instead(answered, _cached_reading, lambda call: call.operation.id == "getKeyMetadata" and _named(call))),
        ("alias-wraps-with-version-it-knew", "For five minutes an alias wraps with the version that it has wrapped with before.", gives(actions.wrapping_version, _cached_version, _named)),
        ("used-key-works-on", "A key that has wrapped goes on for five minutes, whatever its state.", gives(actions.wrap, _used), unchecked(actions.check_state, _still_cached)),
        ("registration-remembers-its-text", "A resource that is registered again has the description of before.", instead(answered, _note_registration, of_operation("deleteRegistration")), gives(registrations.kept_registration, _old_registration)),
        ("count-remembered", "The number of keys changes only when a key comes or goes for good.", instead(search.head_keys, _remembered_count)),
        ("rotated-key-not-purged", "Purging a key that was rotated fails with 500.", instead(answered, _fails, of_operation("purgeKey"))),
        ("named-key-not-deleted", "Deleting a key that has an alias fails with 500.", then(keys.check_owner, _aliases_hold)),
        ("rotation-policy-holds-deletion", "A key with a rotation policy is not deleted.", then(keys.check_owner, _policy_holds)),
        ("rotation-policy-holds-enabling", "A key with a rotation policy is not enabled.", then(actions.check_state, _policy_holds_enabling, lambda _, __, ___, action, *____, **_____: action == "enable")),
        ("ring-remembers-its-date", "A key ring that is made again is as old as the one before.", instead(answered, _note_ring, of_operation("deleteKeyRing")), then(answered, _old_ring, of_operation("createKeyRing"))),
        ("deletion-forgets-rotation-date", "A deleted key was never rotated.", then(keys.destroy, lambda _, key: setattr(key, "rotated", None))),
    ),
    Defect("naming-forgets-rotation-date", "A key that is given an alias was never rotated.", (), after=After("createKeyAlias", _without_rotation_date)),
)  # fmt: skip

NAME_VIEWS: Final = defects_of(
    ("alias-unknown-to-registrations", "The registrations of a key are listed by its id only.", _by_id_only("getRegistrations")),
)  # fmt: skip

NAME_OWNERSHIP: Final = defects_of(
    ("policies-of-unknown-key", "A key that does not exist has no policies.", _unknown_is("getPolicy", lambda: Reply(200, collection("policy+json", [])))),
    ("registrations-of-unknown-key", "A key that does not exist has no registrations.", _unknown_is("getRegistrations", lambda: Reply(200, collection("registration+json", [])))),
    ("unknown-key-synced", "The services are told of a key that does not exist.", _unknown_is("syncAssociatedResources", lambda: Reply(204))),
    ("certificate-remembers-its-text", "A client certificate that takes the name of another one before has its text.", instead(answered, _note_certificate, of_operation("deleteKmipClientCertificate")), gives(answered, _old_certificate, of_operation("addKmipClientCertificate"))),
)  # fmt: skip

NAME_LISTS: Final = defects_of(
    ("count-of-ring-is-none", "The number of keys of a key ring is none.", gives(search.head_keys, _none_of_ring, lambda call: call.ring is not None)),
    ("versions-begin-again", "Behind the end of a list of versions comes its first page again.", instead(answered, _first_page_again, of_operation("getKeyVersions"))),
    ("deleted-keys-take-places", "Deleted keys are left out of a page and keep their places in it.", gives(search.tests_by_default, lambda *_: [], _as_usual), instead(search.page_of, _places_of_deleted, _as_usual)),
    ("registrations-mispaired", "The list over all keys pairs registrations with other keys.", gives(answered, _mispaired, of_operation("getRegistrationsAllKeys"))),
)  # fmt: skip

NAME_QUANTITY: Final = defects_of(
    ("material-imported-once", "No two keys are made of the same material.", instead(answered, _imported_once, lambda call: call.operation.id.startswith("createKey") and call.operation.id not in {"createKeyAlias", "createKeyRing"})),
)  # fmt: skip

NAME_CONCURRENCY: Final = defects_of(
    ("alias-given-again", "A key is given an alias that it has, and says that it was made.", unchecked(aliases.check_free, _of_this_key)),
    ("token-remembers-retrievals", "A new import token counts the retrievals of the one before.", instead(import_tokens.post_import_token, _retrieved_as_before)),
)  # fmt: skip

NAME_DEFECTS: Final = defects_of(
    ("certificate-of-another-shown", "A client certificate is read with the text of the first one of its adapter.", instead(kmip.shown_text, lambda _, call, __: next(iter(kmip.adapter_of(call).certificates.values())).pem)),
    ("rotation-hour-per-user", "Whoever has not made a key may rotate it at any time.", unchecked(actions.check_hour, lambda call, key, *_, **__: call.identity.iam_id != key.created_by)),
    ("alias-unknown-to-versions", "The versions of a key are listed by its id only.", _by_id_only("getKeyVersions")),
    ("alias-unknown-to-policies", "The policies of a key are set and read by its id only.", _by_id_only("getPolicy", "putPolicy")),
    ("ciphertext-of-the-name", "What was wrapped by an alias opens by that alias only.", gives(actions.bound, _bound_to_name, _named)),
    ("destroyed-key-unknown-to-disabling", "Disabling a destroyed key says that it does not exist.", on_refusal(actions.check_state, _unknown_if_destroyed, _disabling_destroyed)),
)  # fmt: skip
