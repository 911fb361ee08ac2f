"""Races after faults that others reported: what one request has in hand reaches another, and what several write is lost.

Http-kit, OpenRIA, Infisical, OpenWhisk, floci, Vault and others; each is translated to this API where a source fixes what
is right. The pause is as long as that of most of the other races.
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.defects.laws_concurrency import WINDOW, _attribute, _key
from kms_reference.key_protect.errors import plain
from kms_reference.key_protect.instance import Instance, new_version
from kms_reference.key_protect.model import State
from kms_reference.switches import Change, Defect, instead

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

_memory: Final[WeakKeyDictionary[Instance, dict[str, Any]]] = WeakKeyDictionary()
"""What requests of an instance share that should not."""
_READING: Final = ("GET", "HEAD")


def _shared(instance: Instance) -> dict[str, Any]:
    return _memory.setdefault(instance, {})


async def _one_buffer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Answer with what the last request of the operation has been answered with."""
    shared = _shared(call.instance)
    shared[call.operation.id] = await lawful(exchange, call)
    await asyncio.sleep(WINDOW)
    reply: Reply = shared[call.operation.id]
    return reply


async def _one_caller(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Do what is asked in the name of who has asked last."""
    shared = _shared(call.instance)
    shared["caller"] = call.identity
    await asyncio.sleep(WINDOW)
    call.identity = shared["caller"]
    reply: Reply = await lawful(exchange, call)
    return reply


async def _one_path(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Address what the last request of the operation addresses."""
    shared = _shared(call.instance)
    shared[call.operation.id] = call.args
    await asyncio.sleep(WINDOW)
    call.args = shared[call.operation.id]
    reply: Reply = await lawful(exchange, call)
    return reply


async def _locked(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Fail with 500 where another request is writing."""
    shared = _shared(call.instance)
    if shared.get("writing"):
        raise plain(500, "The database is locked")
    shared["writing"] = True
    try:
        await asyncio.sleep(WINDOW)
        reply: Reply = await lawful(exchange, call)
    finally:
        shared["writing"] = False
    return reply


def _writes(exchange: Exchange, _: Call) -> bool:
    return exchange.scope["method"] not in _READING


def _slowly(rule: Any, due: Any, act: Any) -> tuple[Change, ...]:
    """Let whoever asks first do time's work, and write it after a pause over what came in between."""

    def note(_: RuleLike, instance: Instance, key: Key, now: float) -> None:
        if due(instance, key, now):
            _shared(instance).setdefault("due", {})[key.id] = now

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        pending = _shared(call.instance).get("due", {})
        key = call.instance.find(call.args["id"])
        now = None if key is None else pending.pop(key.id, None)
        if key is not None and now is not None:
            early = deepcopy(key)
            await asyncio.sleep(WINDOW)
            act(call.instance, early, now)
            call.instance.keys[key.id] = early
        reply: Reply = await lawful(exchange, call)
        return reply

    return instead(rule, note), instead(Exchange.answer, answer, lambda _, call: "id" in call.args)


def _is_due(instance: Instance, key: Key, now: float) -> bool:
    policy = key.rotation
    return (
        policy is not None
        and policy.enabled
        and key.state == State.ACTIVE
        and now >= instance.rotation_due(key)
    )


def _rotate(instance: Instance, key: Key, now: float) -> None:
    new_version(key, now, bytes.fromhex(key.newest.material)[::-1], by_token=False)
    instance.touch(key, now)


def _is_over(_: Instance, key: Key, now: float) -> bool:
    return key.expires is not None and now >= key.expires and key.state in (State.ACTIVE, State.SUSPENDED)


def _deactivate(instance: Instance, key: Key, _: float) -> None:
    key.state = State.DEACTIVATED
    instance.touch(key)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("answers-of-one-operation-mixed", "Of two requests of one operation at once both have the answer of the last.", instead(Exchange.answer, _one_buffer)),
    ("caller-of-the-last", "What is asked at once is done in the name of who has asked last.", instead(Exchange.answer, _one_caller)),
    ("path-of-the-last", "Of two requests of one operation at once both address what the last one does.", instead(Exchange.answer, _one_path)),
    ("writes-at-once-locked", "Of two requests that write at once one fails with 500.", instead(Exchange.answer, _locked, _writes)),
    ("enabling-loses-an-alias", "An enabling writes back the aliases that it had read.", _key("enableKey", members=("aliases",))),
    ("authorising-loses-a-policy", "Authorising a deletion writes back the policies that it had read.", _key("setKeyForDeletion", members=("rotation",))),
    ("withdrawing-undoes-rotation", "Withdrawing an authorisation writes back the versions that it had read.", _key("unsetKeyForDeletion", members=("versions", "rotated"))),
    ("unnaming-undoes-rotation", "Removing an alias writes back the versions that it had read.", _key("deleteKeyAlias", members=("versions", "rotated"))),
    ("sync-undoes-disabling", "A sync writes back the record that it had read.", _key("syncAssociatedResources")),
    ("registering-loses-an-alias", "Registering writes back the aliases that it had read.", _key("createRegistration", members=("aliases",))),
    ("moving-loses-registration", "A move to another key ring writes back the registrations that it had read.", _key("patchKey", members=("registrations",))),
    ("adapters-lost", "Making a KMIP adapter writes back the adapters that there were.", _attribute("adapters", "createKmipAdapter")),
    ("key-made-at-once-lost", "Making a key writes back the keys that there were.", _attribute("keys", "createKey")),
    ("due-rotation-undoes-disabling", "A rotation that is due writes back the record that it had read, and undoes a disabling in between.", *_slowly(Instance.rotate_by_policy, _is_due, _rotate)),
    ("expiry-undoes-deletion", "An expiry writes back the record that it had read, and undoes a deletion in between.", *_slowly(Instance.expire, _is_over, _deactivate)),
)  # fmt: skip

CROWD_DEFECTS: Final = tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS)
