"""Variations of what happens: times, waits, orders of checks, statuses and orders of lists that no source fixes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.key_protect import actions, aliases, import_tokens, keys, rings, search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.instance import HOUR, Instance
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import UUID, Call, decode_json
from kms_reference.switches import Variation, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.model import ImportToken, Key, Version
    from kms_reference.key_protect.server_state import ServerState
    from kms_reference.key_protect.wire import Reply
    from kms_reference.rules import Draft, RuleLike

_LATE_IN_THE_WINDOW: Final = 23 * HOUR
_ALIAS_LEADS: Final = 240.0
_MOVE_TAKES: Final = 540.0
_ONE_IN: Final = 200
_LATE: Final = 0.05
_RINGS: Final = 50
_RINGS_PAGE: Final = 51
_WRITING: Final = ("POST", "PUT", "PATCH")
_WITHOUT_STATUS: Final = frozenset(
    {
        "KEY_ALIAS_NOT_UNIQUE_ERR",
        "KEY_ALIAS_QUOTA_ERR",
        "KEY_RING_KEYS_NOT_DELETED_ERR",
        "KMIP_ADAPTER_DUPLICATE_NAME_ERR",
        "KMIP_CERT_DUPLICATE_ERR",
        "KMIP_CERT_DUPLICATE_NAME_ERR",
        "NATIVE_CRK_ID_NOT_FOUND_ERR",
    }
)
"""Codes that sources know without their status."""

_memory: Final[WeakKeyDictionary[Instance, dict[str, Any]]] = WeakKeyDictionary()
"""What a variation remembers of an instance."""
_answered: Final[WeakKeyDictionary[ServerState, int]] = WeakKeyDictionary()
"""How many requests each server has answered."""


def _known(instance: Instance, what: str) -> dict[Any, Any]:
    things: dict[Any, Any] = _memory.setdefault(instance, {}).setdefault(what, {})
    return things


# -- times and waits ----------------------------------------------------------------------------------------


def _settled_since_change(call: Call, key: Key, _: str) -> None:
    """Let the 30 seconds run from the last change of the key, whatever it was."""
    if call.now < key.updated + keys.SETTLE:
        raise RefusalError("REQ_TOO_EARLY_ERR")


def _note_rotation(call: Call, key: Key, _: Any) -> None:
    _known(call.instance, "rotated")[key.id] = call.now


def _last_by_hand(_: float | None, call: Call, key: Key) -> float | None:
    moment: float | None = _known(call.instance, "rotated").get(key.id)
    return moment


def _note_removed(call: Call, key: Key, alias: str) -> None:
    _known(call.instance, "removed")[alias] = (key.id, call.now)


def _by_removed_alias(found: Key | None, call: Call) -> Key | None:
    key_id, moment = _known(call.instance, "removed").get(call.args["id"], ("", 0.0))
    return call.instance.keys.get(key_id) if found is None and call.now < moment + _ALIAS_LEADS else found


def _note_moved(lawful: RuleLike, call: Call, key: Key, ring: str) -> None:
    _known(call.instance, "moved")[key.id] = (key.ring, call.now)
    lawful(call, key, ring)


def _was_there(call: Call, key: Key) -> bool:
    ring, moment = _known(call.instance, "moved").get(key.id, ("", 0.0))
    return bool(call.ring == ring and call.now < moment + _MOVE_TAKES)


async def _late(lawful: RuleLike, exchange: Exchange, call: Call) -> Any:
    """Answer one request of `_ONE_IN` late."""
    state = exchange.server_state
    _answered[state] = _answered.get(state, 0) + 1
    if _answered[state] % _ONE_IN == 0:
        await asyncio.sleep(_LATE)
    return await lawful(exchange, call)


# -- orders of checks ---------------------------------------------------------------------------------------


def _body_first(_: RuleLike, call: Call) -> Reply:
    decode_json(call.raw)
    raise AssertionError(call.raw)


def _is_no_json(call: Call) -> bool:
    try:
        decode_json(call.raw if call.operation.method in _WRITING else b"")
    except RefusalError:
        return True
    return False


def _uses_first(lawful: RuleLike, call: Call, key: Key) -> None:
    """Ask who uses a key before it is asked how many have authorised its deletion."""
    keys.check_adapters(call, key)
    if key.registrations and call.flag("force"):
        keys.check_retention(call, key)
    elif key.registrations:
        keys.check_registrations(call, key)
    lawful(call, key)


def _state_first(*_: Any) -> None:
    raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")


def _is_destroyed(_: Call, key: Key, action: str) -> bool:
    return key.state == State.DESTROYED and action != "sync"


def _ciphertext_first(
    lawful: RuleLike, call: Call, key: Key, action: str, subject: str
) -> tuple[bytes, Version, list[str]]:
    value = call.json()
    actions.require_body(call, value)
    text = value.get("ciphertext") if isinstance(value, dict) else None
    if isinstance(text, str) and text:
        words = "the original base64 encoded ciphertext from the wrap operation"
        actions.decoded(call, text, "ciphertext", words, subject, quote="'")
    opened: tuple[bytes, Version, list[str]] = lawful(call, key, action, subject)
    return opened


def _instance_first(lawful: RuleLike, exchange: Exchange) -> str:
    exchange.instance_id()
    method: str = lawful(exchange)
    return method


# -- statuses -----------------------------------------------------------------------------------------------


def _registered_with_200(draft: Draft) -> None:
    if draft.operation == "createRegistration" and not draft.refused:
        draft.status = 200


def _conflict_as_400(draft: Draft) -> None:
    if draft.refused and draft.code in _WITHOUT_STATUS:
        draft.status = draft.reason["status"] = 400
        _, _, rest = str(draft.resource["errorMsg"]).partition(": ")
        draft.resource["errorMsg"] = f"Bad Request: {rest}"


def _used_up(_: RefusalError, __: Call, ___: ImportToken) -> None:
    raise plain(410, "Import Token could not be retrieved: it has been retrieved as often as was asked for")


def _no_more_rings(*_: Any) -> None:
    raise plain(409, "Key ring could not be created: the instance has as many as it may have")


# -- orders of lists ----------------------------------------------------------------------------------------


def _backward(lawful: RuleLike, call: Call, kind: str, views: list[dict[str, Any]], *page: int) -> Reply:
    reply: Reply = lawful(call, kind, views[::-1], *page)
    return reply


def _rings_page(lawful: RuleLike, call: Call, kind: str, views: list[dict[str, Any]], *page: int) -> Reply:
    reply: Reply = lawful(call, kind, views, page[0], _RINGS_PAGE if kind == "key_ring+json" else page[1])
    return reply


def _policies_backward(draft: Draft) -> None:
    reads = draft.operation in ("getPolicy", "putPolicy", "getInstancePolicy")
    if reads and not draft.refused and "resources" in draft.body:
        draft.body["resources"].reverse()


FREE_VARIATIONS: Final = (
    Variation("policy-rotates-late", "A rotation policy runs 23 hours after the day begins on which it is due.", (), changes=(gives(Instance.rotation_due, lambda due, *_: due + _LATE_IN_THE_WINDOW),)),
    Variation("auto-purge-a-day-late", "A deleted key goes of itself a day after it may.", (), changes=(gives(Instance.purge_due, lambda due, *_: due + DAY, lambda _, key: key.deleted is not None),)),
    Variation("wait-from-last-change", "The 30 seconds before enabling and restoring run from the last change of the key.", ("req-too-early-err",), changes=(then(keys.check_settled, _settled_since_change),)),
    Variation("hour-of-manual-rotations", "The hour between rotations counts those by request only.", ("key-rotation-not-permitted",), changes=(then(actions.add_version, _note_rotation), gives(actions.last_rotation, _last_by_hand))),
    Variation("removed-aliases-lead-on", "An alias leads to its key for four minutes more after it was removed.", (), changes=(then(aliases.release, _note_removed), gives(Call.find_key, _by_removed_alias, lambda call: call.args["id"] not in call.instance.keys))),
    Variation("moved-keys-found-in-both-rings", "A moved key is found in its former key ring for nine minutes more.", (), changes=(instead(keys.move, _note_moved), unchecked(Call.check_ring, _was_there))),
    Variation("late-answers", "Every two-hundredth answer takes 50 milliseconds longer.", (), changes=(instead(Exchange.answer, _late),)),
    Variation("body-read-first", "A body that is not JSON is refused before anything else is looked at.", ("bad-body-err",), changes=(instead(answered, _body_first, _is_no_json),)),
    Variation("uses-before-authorisations", "A deletion is refused for what uses the key before authorisations are counted.", ("protected-resource-err",), changes=(instead(keys.check_authorizations, _uses_first),)),
    Variation("destroyed-before-kind", "An action on a destroyed standard key is refused for the state.", ("key-action-invalid-state-err",), changes=(instead(actions.require_root_key, _state_first, _is_destroyed),)),
    Variation("ciphertext-before-state", "A ciphertext is read before kind and state of the key are looked at.", ("invalid-field-err",), changes=(instead(actions.opened, _ciphertext_first, lambda _, key, *__: key.extractable or key.state not in actions.OPENING),)),
    Variation("state-before-dual-authorisation", "An authorisation is refused for the state of the key before its policy is looked at.", ("not-dual-auth-err",), changes=(instead(actions.check_dual_auth, _state_first, lambda _, key: key.state != State.ACTIVE),)),
    Variation("instance-before-token", "The instance header is looked at before the token.", (), changes=(instead(Exchange.asked_method, _instance_first, lambda exchange: not UUID.fullmatch(exchange.headers.get("bluemix-instance", ""))),)),
    Variation("registered-with-200", "A registration is made with 200.", (), _registered_with_200),
    Variation("conflicts-as-400", "Conflicts whose status no source knows are answered with 400.", (), _conflict_as_400),
    Variation("used-up-token-is-gone", "An import token that was retrieved as often as was asked for is gone.", (), changes=(on_refusal(import_tokens.check_retrievals, _used_up),)),
    Variation("fifty-rings-at-most", "An instance has 50 key rings besides the default one at most.", (), changes=(then(rings.check_ring_free, _no_more_rings, lambda call, _: len(call.instance.rings) >= _RINGS),)),
    Variation("lists-backward", "Lists whose order no source fixes are in backward order.", (), _policies_backward, changes=(instead(search.paged, _backward),)),
    Variation("rings-page-of-51", "Without a limit a page holds 51 key rings.", (), changes=(instead(search.paged, _rings_page),)),
)  # fmt: skip
