"""Requests that act on one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.operation import Operation
from kms_conformance.adapters.key_protect.model.state import Key
from kms_conformance.adapters.key_protect.walks.choices import Choices, on_key
from kms_conformance.adapters.key_protect.walks.keys import packed, restore


def wrap_body(choices: Choices, _: Key | None) -> Any:
    """Return a body of wrap, sometimes a wrong one."""
    body: dict[str, Any] = {}
    if choices.chance(0.6):
        body["plaintext"] = choices.one((choices.bytes(18), choices.bytes(32), choices.bytes(35)))
    if choices.chance(0.3):
        body["aad"] = choices.one((["a"], ["a", "b"], ["é", "鍵", ""], []))
    if choices.chance(0.06):
        body = choices.one(({"plaintext": "no!base64"}, {"aad": ["x" * 256]}, {"aad": "a"}))
    return body if body or choices.chance(0.5) else None


def opening(name: str) -> Callable[[Choices], Operation | None]:
    """Return a builder of unwrap or rewrap: mostly with the right key and data."""

    def build(choices: Choices) -> Operation | None:
        if not choices.walker.ciphertexts:
            return None
        text, ciphertext = choices.one(choices.walker.ciphertexts)
        key = next((one for one in choices.state.keys if one.id == ciphertext.key), None)
        if choices.chance(0.1):
            key = choices.key()
        aad = list(ciphertext.aad)
        if choices.chance(0.06):
            aad = choices.one((["z"], [*aad, "z"], list(reversed(aad)), []))
        body: Any = {"ciphertext": text, **({"aad": aad} if aad else {})}
        if choices.chance(0.08):
            return Operation(
                name, path={"id": choices.path(key)}, body=choices.one((None, {}, {"ciphertext": "no!"}))
            )
        return Operation(
            name, path={"id": choices.path(key)}, ring=choices.ring(key), body=body, ciphertext=ciphertext
        )

    return build


def rotate(choices: Choices) -> Operation:
    """Rotate: with material where the key was imported, now and then the other way round."""
    key = choices.key(wanted=lambda one: not one.standard)
    body: dict[str, Any] | None = None
    packing = None
    imported = key is not None and key.imported
    if imported != choices.chance(0.06):
        body = {}
        packing = packed(choices, body) if choices.chance(0.3) else None
        if packing is None:
            body = {"payload": choices.bytes(choices.one((16, 24, 32, 32, 32, 17)))}
    return Operation(
        "rotateKey",
        path={"id": choices.path(key)},
        ring=choices.ring(key),
        prefer=choices.one((None, "return=representation")),
        body=body,
        packing=packing,
    )


def old_form(choices: Choices) -> Operation | None:
    """Act in the older form of the path."""
    action = choices.one(("wrap", "unwrap", "rewrap", "rotate", "disable", "enable", "restore", "setKeyForDeletion",
                       "unsetKeyForDeletion", "sync", "Wrap"))  # fmt: skip
    builders: Mapping[str, Callable[[Choices], Operation | None]] = {
        "wrap": on_key("wrapKey", wrap_body, wanted=lambda one: not one.standard),
        "unwrap": opening("unwrapKey"),
        "rewrap": opening("rewrapKey"),
        "rotate": rotate,
        "restore": restore,
    }
    built = builders.get(action, on_key("disableKey"))(choices)
    return None if built is None else replace(built, name="actionOnKey", query={"action": action})
