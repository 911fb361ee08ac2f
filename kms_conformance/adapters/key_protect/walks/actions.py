"""Requests that act on one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.model.state import Key
from kms_conformance.adapters.key_protect.walks.dice import Dice, on_key
from kms_conformance.adapters.key_protect.walks.keys import packed, restore


def wrap_body(dice: Dice, _: Key | None) -> Any:
    """Return a body of wrap, sometimes a wrong one."""
    body: dict[str, Any] = {}
    if dice.chance(0.6):
        body["plaintext"] = dice.one((dice.bytes(18), dice.bytes(32), dice.bytes(35)))
    if dice.chance(0.3):
        body["aad"] = dice.one((["a"], ["a", "b"], []))
    if dice.chance(0.06):
        body = dice.one(({"plaintext": "no!base64"}, {"aad": ["x" * 256]}, {"aad": "a"}))
    return body if body or dice.chance(0.5) else None


def opening(name: str) -> Callable[[Dice], Operation | None]:
    """Return a builder of unwrap or rewrap: mostly with the right key and data."""

    def build(dice: Dice) -> Operation | None:
        if not dice.walker.ciphertexts:
            return None
        text, known = dice.one(dice.walker.ciphertexts)
        key = next((one for one in dice.state.keys if one.id == known.key), None)
        if dice.chance(0.1):
            key = dice.key()
        aad = list(known.aad)
        if dice.chance(0.06):
            aad = dice.one((["z"], [*aad, "z"], list(reversed(aad)), []))
        body: Any = {"ciphertext": text, **({"aad": aad} if aad else {})}
        if dice.chance(0.08):
            return Operation(
                name, path={"id": dice.path(key)}, body=dice.one((None, {}, {"ciphertext": "no!"}))
            )
        return Operation(name, path={"id": dice.path(key)}, ring=dice.ring(key), body=body, ciphertext=known)

    return build


def rotate(dice: Dice) -> Operation:
    """Rotate: with material where the key was imported, now and then the other way round."""
    key = dice.key(wanted=lambda one: not one.standard)
    body: dict[str, Any] | None = None
    packing = None
    imported = key is not None and key.imported
    if imported != dice.chance(0.06):
        body = {}
        packing = packed(dice, body) if dice.chance(0.3) else None
        if packing is None:
            body = {"payload": dice.bytes(dice.one((16, 24, 32, 32, 32, 17)))}
    return Operation(
        "rotateKey",
        path={"id": dice.path(key)},
        ring=dice.ring(key),
        prefer=dice.one((None, "return=representation")),
        body=body,
        packing=packing,
    )


def old_form(dice: Dice) -> Operation | None:
    """Act in the older form of the path."""
    action = dice.one(("wrap", "unwrap", "rewrap", "rotate", "disable", "enable", "restore", "setKeyForDeletion",
                       "unsetKeyForDeletion", "sync", "Wrap"))  # fmt: skip
    builders: Mapping[str, Callable[[Dice], Operation | None]] = {
        "wrap": on_key("wrapKey", wrap_body, wanted=lambda one: not one.standard),
        "unwrap": opening("unwrapKey"),
        "rewrap": opening("rewrapKey"),
        "rotate": rotate,
        "restore": restore,
    }
    built = builders.get(action, on_key("disableKey"))(dice)
    return None if built is None else replace(built, name="actionOnKey", query={"action": action})
