"""Races after faults that others reported: RustFS, Floci, Vault, Keycloak, quotas and caches of all kinds.

Each is translated to this API where a source fixes what is right; between reading and writing 50 milliseconds pass.
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import keys
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.defects.laws_concurrency import WINDOW, _attribute, _key, _merged, read_early
from kms_reference.key_protect.instance import Instance, new_version
from kms_reference.key_protect.key_view import full
from kms_reference.switches import Change, Defect, instead

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

_pending: dict[str, float] = {}
"""When a key's policy asks for its next rotation, which the first reader will make."""


def _of(*operations: str) -> Any:
    return lambda _, call: call.operation.id in operations


async def _wrapped_in_vain(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Wrap with a version that is lost where the key is rotated in between."""
    key = call.instance.find(call.args["id"])
    early = None if key is None else key.newest.id
    await asyncio.sleep(4 * WINDOW)
    if key is None or key.newest.id == early:
        reply: Reply = await lawful(exchange, call)
        return reply
    kept, key.newest.material = key.newest.material, token_bytes(32).hex()
    try:
        reply = await lawful(exchange, call)
    finally:
        key.newest.material = kept
    return reply


async def _freed_late(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Free an alias once more after a pause, whosever it is by then."""
    reply: Reply = await lawful(exchange, call)
    await asyncio.sleep(WINDOW)
    call.instance.alias_index.pop(call.args["alias"], None)
    return reply


def _is_unprevented(call: Call) -> bool:
    key = call.instance.find(call.args["id"])
    return key is not None and not any(one.prevent_deletion for one in key.registrations.values())


def _retention_is_old() -> tuple[Change, ...]:
    """Delete with force a key whose deletion nothing prevented before a pause."""
    early, reading = read_early("deleteKey", _is_unprevented)

    def check(lawful: RuleLike, call: Call, key: Key) -> None:
        if not early.get(id(call)):
            lawful(call, key)

    return reading, instead(keys.check_retention, check)


def _due_by_reading() -> tuple[Change, ...]:
    """Let whoever asks for a key rotate it where its policy is due: two who ask at once do it twice."""

    def note(_: RuleLike, instance: Instance, key: Key, now: float) -> None:
        policy = key.rotation
        if policy is not None and policy.enabled and key.state == 1 and now >= instance.rotation_due(key):
            _pending[key.id] = instance.rotation_due(key)

    async def answer(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
        key = call.instance.find(call.args["id"])
        if key is not None and key.id in _pending:
            due = _pending[key.id]
            await asyncio.sleep(WINDOW)
            new_version(key, due, token_bytes(32), by_token=False)
            call.instance.touch(key, due)
            _pending.pop(key.id, None)
        reply: Reply = await lawful(exchange, call)
        return reply

    return (
        instead(Instance.rotate_by_policy, note),
        instead(Exchange.answer, answer, lambda _, call: "id" in call.args),
    )


async def _torn(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Show a key with the date of its last rotation, and its state, as they were before a pause."""
    key = call.instance.find(call.args["id"])
    early = None if key is None else deepcopy(key)
    await asyncio.sleep(WINDOW)
    reply: Reply = await lawful(exchange, call)
    if early is not None and isinstance(reply.body, dict):
        entry, before = reply.body["resources"][0], full(call, early)
        for name in ("lastRotateDate", "state", "deleted"):
            entry.pop(name, None)
            entry |= {name: before[name]} if name in before else {}
    return reply


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("alias-of-two-new-keys", "Two keys that are created at once with an alias both get it.", _merged("alias_index", "createKey")),
    ("wrap-during-rotation-lost", "What is wrapped while the key is rotated does not open.", instead(Exchange.answer, _wrapped_in_vain, _of("wrapKey"))),
    ("instance-policies-lost", "Setting a policy of the instance writes back the others as they were.", _attribute("policies", "putInstancePolicy")),
    ("purged-twice-at-once", "Two purges at once both find the key.", _key("purgeKey", members=("name",))),
    ("forced-deletion-overlooks-retention", "A forced deletion does not see that a resource has come to prevent it.", *_retention_is_old()),
    ("key-moved-to-deleted-ring", "A key is moved to a key ring that was deleted in between.", _attribute("rings", "patchKey", keep=False)),
    ("unnaming-frees-the-next", "Removing an alias from one key removes it from the next one too.", instead(Exchange.answer, _freed_late, _of("deleteKeyAlias"))),
    ("deletion-overlooks-two-users", "A deletion does not see that the key has come to need two users.", _key("deleteKey", members=("dual_auth", "authorized_by", "authorized"))),
    ("metadata-torn", "A key that is changed while it is read shows some of before and some of after.", instead(Exchange.answer, _torn, _of("getKeyMetadata"))),
)  # fmt: skip

RACE_DEFECTS: Final = tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS)
DUE_DEFECTS: Final = (
    Defect("due-rotation-runs-twice", "A rotation that is due runs twice where two ask at once.", (), changes=_due_by_reading()),
)  # fmt: skip
