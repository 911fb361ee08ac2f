"""What several defects have in common: when they show, and what they do then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from kms_reference.key_protect import actions, crypto
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.key_view import full
from kms_reference.key_protect.wire import KEY_TYPE, Call, Reply, collection
from kms_reference.switches import Change, Defect, Test, instead, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key, Version
    from kms_reference.rules import RefusedError, RuleLike


class Memory:
    """What the defects of a table remember of an instance or an issuer, each under a word of its own, as long as that lives."""

    def __init__(self) -> None:
        self._things: WeakKeyDictionary[Any, dict[str, dict[Any, Any]]] = WeakKeyDictionary()

    def __call__(self, owner: Any, what: str) -> dict[Any, Any]:
        """Return what is remembered of one of them."""
        return self._things.setdefault(owner, {}).setdefault(what, {})

    def keeping(self, what: str) -> RuleLike:
        """Return a deed that remembers the key of a call under a word."""

        def act(call: Call, key: Key, *_: Any, **__: Any) -> None:
            self(call.instance, what)[key.id] = key

        return act

    def holding(self, what: str) -> Test:
        """Return a test that holds for keys that are remembered under a word."""

        def test(call: Call, key: Key, *_: Any, **__: Any) -> bool:
            return key.id in self(call.instance, what)

        return test


def defects_of(*rows: tuple[Any, ...]) -> tuple[Defect, ...]:
    """Return defects from rows of name, sentence and changes."""
    return tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in rows)


def answering(operation: str, act: RuleLike) -> Change:
    """Answer one operation in another way."""
    return instead(answered, act, of_operation(operation))


def of_operation(operation: str) -> Test:
    """Hold for calls of one operation."""

    def test(call: Call, *_: Any, **__: Any) -> bool:
        return call.operation.id == operation

    return test


def of_member(member: str) -> Test:
    """Hold where `actions.decoded` reads one member."""

    def test(_: Call, __: str, name: str, *___: Any, **____: Any) -> bool:
        return name == member

    return test


def in_state(action: str, *states: int) -> Change:
    """Let an action pass in these states."""

    def test(_: Call, key: Key, __: tuple[int, ...], asked: str, ___: str | None = None, **____: Any) -> bool:
        return asked == action and key.state in states

    return unchecked(actions.check_state, test)


def corrupted(_: RefusedError, call: Call, __: str, ___: str, ____: str, subject: str, **_____: Any) -> bytes:
    """Say of a ciphertext that is not base64 that it is corrupted."""
    raise actions.unprocessable(call, subject)


def opened_by_any(
    refusal: RefusedError, call: Call, _: Key, raw: bytes, aad: list[str], __: str
) -> tuple[bytes, Version]:
    """Open a ciphertext with any key of the instance."""
    try:
        parsed = crypto.parse(raw)
    except crypto.CiphertextError:
        raise refusal from None
    for version in (version for key in call.instance.keys.values() for version in key.versions):
        try:
            return crypto.open_sealed(version.material, parsed, actions.bound(call, aad)), version
        except crypto.CiphertextError:
            continue
    raise refusal


def restored(call: Call, key: Key) -> Reply:
    """Answer as after a restore."""
    return Reply(201, collection("key+json", [full(call, key)]))


def with_frame(body: dict[str, Any], _: Call) -> dict[str, Any]:
    """Return the body with the metadata of one key."""
    return {**body, "metadata": {"collectionType": KEY_TYPE, "collectionTotal": 1}}


def without(reply: Reply, *names: str) -> Reply:
    """Return the reply without some members."""
    for name in names:
        reply.body.pop(name, None)
    return reply


def changed(thing: Any, **members: Any) -> bool:
    """Set members of a key or another thing; return true, so that a condition can stand before the call."""
    for name, value in members.items():
        setattr(thing, name, value)
    return True
