"""Races: a request reads, waits, and writes back what it had read; whatever came in between is lost or overlooked.

The lawful reference answers one request after the other, so a race needs a pause between reading and writing, which
these defects make. A suite has to send a second request within that pause: 50 milliseconds for most, one for one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kms_reference.key_protect import keys, rings
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.key_policies import get_policies
from kms_reference.key_protect.model import ImportToken, Key, KmipAdapter
from kms_reference.switches import Change, Defect, instead

if TYPE_CHECKING:
    from kms_reference.key_protect.instance import Instance
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

_Read = TypeVar("_Read")

WINDOW: Final = 0.050
BRIEF: Final = 0.001
"""Seconds from reading to writing."""
_STATE: Final = ("state", "state_before", "deleted", "deleted_by", "acted")
_ALL: Final = ("*",)

Read = Callable[["Call"], Any]
Write = Callable[["Call", Any, Any], Callable[[], None]]
"""Put back what was read early, given it and what is there now; returns what puts the latter back."""


def _race(read: Read, write: Write, *operations: str, window: float = WINDOW, keep: bool = True) -> Change:
    """Answer an operation by what was read before a pause; without `keep` only its checks see that."""

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        early = deepcopy(read(call))
        await asyncio.sleep(window)
        now = read(call)
        put_back = write(call, early, now) if early is not None else _nothing
        try:
            reply: Reply = await lawful(exchange, call)
        except RefusalError:
            put_back()
            raise
        if not keep:
            put_back()
        return reply

    return instead(Exchange.answer, answer, lambda _, call: call.operation.id in operations)


def _nothing() -> None:
    """Stand in for a write where nothing was read."""


def _names(record: Any, wanted: Iterable[str]) -> list[str]:
    return [field.name for field in fields(record)] if tuple(wanted) == _ALL else list(wanted)


def _mixed(early: Any, now: Any, wanted: Iterable[str]) -> Any:
    """Return what is there now with some members as they were."""
    if now is None:
        return early
    record = deepcopy(now)
    for name in _names(record, wanted):
        setattr(record, name, getattr(early, name))
    return record


def _named_key(call: Call) -> Key | None:
    return call.instance.find(call.args["id"])


def _key(*operations: str, members: tuple[str, ...] = _ALL, window: float = WINDOW) -> Change:
    """Write back members of the key that the path names."""

    def write(call: Call, early: Key, now: Key | None) -> Callable[[], None]:
        call.instance.keys[early.id] = _mixed(early, now, members)

        def put_back() -> None:
            if now is None:
                call.instance.keys.pop(early.id, None)
            else:
                call.instance.keys[early.id] = now

        return put_back

    return _race(_named_key, write, *operations, window=window)


def _attribute(name: str, *operations: str, keep: bool = True) -> Change:
    """Write back all of one kind that the instance holds; without `keep` only the checks see it."""

    def write(call: Call, early: Any, now: Any) -> Callable[[], None]:
        setattr(call.instance, name, early)
        return lambda: setattr(call.instance, name, now)

    return _race(lambda call: getattr(call.instance, name), write, *operations, keep=keep)


def _token(members: tuple[str, ...]) -> Change:
    """Write back members of the import token when it is retrieved."""

    def write(call: Call, early: ImportToken, now: ImportToken | None) -> Callable[[], None]:
        call.instance.import_token = _mixed(early, now, members)
        return lambda: setattr(call.instance, "import_token", now)

    return _race(lambda call: call.instance.import_token, write, "getImportToken")


def _adapter(call: Call) -> KmipAdapter | None:
    named = call.args["adapter"]
    return next((one for one in call.instance.adapters.values() if named in (one.id, one.name)), None)


def _certificates(*operations: str) -> Change:
    """Write back an adapter with the certificates that it had."""

    def write(call: Call, early: KmipAdapter, now: KmipAdapter | None) -> Callable[[], None]:
        call.instance.adapters[early.id] = early

        def put_back() -> None:
            call.instance.adapters.pop(early.id, None)
            if now is not None:
                call.instance.adapters[early.id] = now

        return put_back

    return _race(_adapter, write, *operations)


def _merged(name: str, operation: str, inner: str = "") -> Change:
    """Check what is made against what was there before a pause, and add it to what is there now."""

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        holder: Any = _adapter(call) if inner else call.instance
        early = dict(getattr(holder, inner or name)) if holder is not None else {}
        await asyncio.sleep(WINDOW)
        now = getattr(holder, inner or name, None)
        if now is not None:
            setattr(holder, inner or name, dict(early))
        try:
            reply: Reply = await lawful(exchange, call)
        finally:
            if now is not None:
                setattr(holder, inner or name, {**now, **getattr(holder, inner or name)})
        return reply

    return instead(Exchange.answer, answer, lambda _, call: call.operation.id == operation)


def _crash(read: Read, *operations: str) -> Change:
    """Answer with 500 where what was read has changed before it is written."""

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        early = deepcopy(read(call))
        await asyncio.sleep(WINDOW)
        if read(call) != early:
            raise plain(500, "The record was changed")
        reply: Reply = await lawful(exchange, call)
        return reply

    return instead(Exchange.answer, answer, lambda _, call: call.operation.id in operations)


async def _shown_late(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Set a policy, and show what is there after a pause."""
    reply: Reply = await lawful(exchange, call)
    await asyncio.sleep(WINDOW)
    shown = {view["id"]: view for view in get_policies(call).body.get("resources", [])}
    for place, view in enumerate(reply.body["resources"]):
        reply.body["resources"][place] = shown.get(view["id"], view)
    return reply


def _early_keys(instance: Instance, ring: str) -> list[Key]:
    return [key for key in instance.keys.values() if key.ring == ring]


def read_early(operation: str, read: Callable[[Call], _Read]) -> tuple[Mapping[int, _Read], Change]:
    """Return what ``read`` gave before a pause, by the ``id`` of the call while it is answered, and the change that reads it."""
    early: dict[int, _Read] = {}

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        early[id(call)] = read(call)
        await asyncio.sleep(WINDOW)
        try:
            reply: Reply = await lawful(exchange, call)
        finally:
            del early[id(call)]
        return reply

    return early, instead(Exchange.answer, answer, lambda _, call: call.operation.id == operation)


def _emptiness_is_old() -> tuple[Change, ...]:
    """Delete a ring that was empty before a pause."""
    early, reading = read_early("deleteKeyRing", lambda call: _early_keys(call.instance, call.args["ring"]))

    def check(lawful: RuleLike, call: Call, keys: list[Key]) -> None:
        lawful(call, early.get(id(call), keys))

    return reading, instead(rings.check_empty, check), instead(rings.check_destroyed, check)


def _is_unregistered(call: Call) -> bool:
    key = call.instance.find(call.args["id"])
    return key is not None and not key.registrations


def _registrations_are_old() -> tuple[Change, ...]:
    """Delete a key that had no registrations before a pause."""
    early, reading = read_early("deleteKey", _is_unregistered)

    def check(lawful: RuleLike, call: Call, *arguments: Any, **named: Any) -> None:
        if not early.get(id(call)):
            lawful(call, *arguments, **named)

    return reading, instead(keys.check_registrations, check)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    # A key
    ("rotation-undoes-disabling", "A rotation writes back the record that it had read, and undoes a disabling in between.", _key("rotateKey")),
    ("rotation-undoes-disabling-briefly", "The same, with a millisecond between reading and writing.", _key("rotateKey", window=BRIEF)),
    ("rotation-revives-a-key", "A rotation writes back the state that it had read, and undoes a deletion in between.", _key("rotateKey", members=_STATE)),
    ("two-rotations-within-the-hour", "Two rotations at once both find that the last one is long ago.", _key("rotateKey", members=("rotated",))),
    ("rotation-loses-an-alias", "A rotation writes back the aliases that it had read.", _key("rotateKey", members=("aliases",))),
    ("rotation-loses-a-policy", "A rotation writes back the policies that it had read.", _key("rotateKey", members=("rotation", "dual_auth"))),
    ("disabling-undoes-rotation", "A disabling writes back the versions that it had read.", _key("disableKey", members=("versions", "rotated"))),
    ("disabling-loses-a-policy", "A disabling writes back the policies that it had read.", _key("disableKey", members=("rotation",))),
    ("disabled-twice", "Two disablings at once both find the key active.", _key("disableKey", members=("state",))),
    ("deleted-twice-at-once", "Two deletions at once both find the key alive.", _key("deleteKey", members=_STATE)),
    ("policy-undoes-disabling", "Setting a policy writes back the record that it had read.", _key("putPolicy")),
    ("policy-revives-a-key", "Setting a policy writes back the state that it had read.", _key("putPolicy", members=_STATE)),
    ("move-undoes-rotation", "A move to another key ring writes back the record that it had read.", _key("patchKey")),
    ("move-undoes-disabling", "A move to another key ring writes back the state that it had read.", _key("patchKey", members=_STATE)),
    ("enabling-undoes-deletion", "An enabling writes back the record that it had read, and undoes a deletion in between.", _key("enableKey")),
    ("restored-twice", "Two restorings at once both find the key deleted.", _key("restoreKey")),
    ("restoring-undoes-purge", "A restoring writes back a key that was purged in between.", _key("restoreKey", members=("name",))),
    # Two users
    ("withdrawal-overlooked", "A deletion sees an authorisation that was withdrawn in between.", _key("deleteKey", members=("authorized_by", "authorized"))),
    ("authorising-undoes-disabling", "Authorising a deletion writes back the record that it had read.", _key("setKeyForDeletion")),
    ("authorisation-conflict-crashes", "Authorising fails with 500 where the key is changed in between.", _crash(_named_key, "setKeyForDeletion")),
    # Policies and aliases
    ("policy-conflict-crashes", "Setting a policy fails with 500 where the key is changed in between.", _crash(_named_key, "putPolicy")),
    ("naming-revives-a-key", "Giving an alias writes back the state that the key had.", _key("createKeyAlias", members=_STATE)),
    ("second-unnaming-crashes", "Removing an alias fails with 500 where it is removed in between.", _crash(_named_key, "deleteKeyAlias")),
    ("policies-lost", "Setting one policy writes back the other one as it was read.", _key("putPolicy", members=("rotation", "dual_auth"))),
    ("policy-answer-shows-another", "The answer to a policy shows the one that was set in between.", instead(Exchange.answer, _shown_late, lambda _, call: call.operation.id == "putPolicy")),
    ("alias-of-two-keys", "Two keys that are given an alias at once both get it.", _merged("alias_index", "createKeyAlias")),
    ("alias-lost", "Giving an alias writes back the aliases that the key had.", _key("createKeyAlias", members=("aliases",))),
    ("alias-index-lost", "Giving an alias writes back the instance's index of aliases.", _attribute("alias_index", "createKeyAlias")),
    # The import token
    ("token-retrieved-twice", "Two retrievals at once both find one left.", _token(("remaining",))),
    ("retrieval-brings-back-token", "A retrieval writes back the import token that it had read, and undoes a new one.", _token(_ALL)),
    ("token-conflict-crashes", "Making an import token fails with 500 where another one is made in between.", _crash(lambda call: call.instance.import_token, "postImportToken")),
    # Registrations
    ("registration-conflict-crashes", "Writing a registration fails with 500 where the key is changed in between.", _crash(_named_key, "createRegistration", "replaceRegistration", "updateRegistration", "deleteRegistration")),
    ("registration-lost", "Registering writes back the registrations that the key had.", _key("createRegistration", members=("registrations",))),
    ("registration-change-lost", "Updating a registration writes back all of its members.", _key("updateRegistration", members=("registrations",))),
    ("removal-loses-registrations", "Removing a registration writes back the others as they were.", _key("deleteRegistration", members=("registrations",))),
    ("registering-revives-a-key", "Registering writes back the record of a key that was deleted in between.", _key("createRegistration")),
    ("deletion-overlooks-registration", "A deletion does not see a registration that was made in between.", *_registrations_are_old()),
    # Key rings
    ("ring-conflict-crashes", "Making a key ring fails with 500 where another one is made in between.", _crash(lambda call: call.instance.rings, "createKeyRing")),
    ("ring-lost", "Making a key ring writes back the rings that there were.", _attribute("rings", "createKeyRing")),
    ("ring-comes-back", "Deleting a key ring writes back the others as they were.", _attribute("rings", "deleteKeyRing")),
    ("ring-deleted-with-a-key", "A key ring that was empty is deleted although a key was made in it in between.", *_emptiness_is_old()),
    ("key-made-in-deleted-ring", "A key is made in a key ring that was deleted in between.", _attribute("rings", "createKey", keep=False)),
    # KMIP adapters
    ("second-drop-crashes", "Deleting an adapter fails with 500 where it is deleted in between.", _crash(_adapter, "deleteKmipAdapter")),
    ("adapter-name-twice", "Two adapters that are made at once get the same name.", _merged("adapters", "createKmipAdapter")),
    ("adapter-conflict-crashes", "Making an adapter fails with 500 where a key is changed in between.", _crash(lambda call: call.instance.keys, "createKmipAdapter")),
    ("certificate-lost", "Adding a client certificate writes back the adapter that it had read.", _certificates("addKmipClientCertificate")),
    ("certificate-name-twice", "Two client certificates that are added at once get the same name.", _merged("", "addKmipClientCertificate", "certificates")),
    ("removal-loses-certificates", "Removing a client certificate writes back the adapter that it had read.", _certificates("deleteKmipClientCertificate")),
)  # fmt: skip

CONCURRENCY_DEFECTS: Final[tuple[Defect, ...]] = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
