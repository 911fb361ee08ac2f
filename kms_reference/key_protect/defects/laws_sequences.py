"""Defects that need a key of a certain kind and a certain past: what nobody would ask for, and a drawn sequence comes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kms_reference.key_protect.model import State
from kms_reference.rules import Draft
from kms_reference.switches import After, Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import Key


def _on(
    name: str, doc: str, operation: str, fits: Callable[[Key], object], change: Callable[[Key], object]
) -> Defect:
    """Return a defect that changes the key of an operation that has succeeded, if it is of a kind."""

    def act(draft: Draft) -> None:
        key = draft.call.instance.find(draft.call.args.get("id", ""))
        if key is not None and fits(key):
            change(key)

    return Defect(name, doc, (), after=After(operation, act, ()))


def _without_description(key: Key) -> None:
    key.description = ""


def _without_tags(key: Key) -> None:
    key.tags = []


def _without_alias(key: Key) -> None:
    del key.aliases[next(iter(key.aliases))]


SEQUENCE_DEFECTS: Final = (
    _on("rotation-drops-lone-description", "Rotating a key with a description and no tags drops the description.", "rotateKey",
        lambda key: key.description and not key.tags, _without_description),
    _on("disabling-drops-lone-alias", "Disabling a key that has one alias and never expires drops the alias.", "disableKey",
        lambda key: len(key.aliases) == 1 and key.expires is None, _without_alias),
    _on("registering-drops-lone-tags", "Registering a key with tags and no description drops the tags.", "createRegistration",
        lambda key: key.tags and not key.description, _without_tags),
    _on("moving-drops-lone-alias", "Moving a key of one alias and no description drops the alias.", "patchKey",
        lambda key: len(key.aliases) == 1 and not key.description, _without_alias),
    _on("suspended-key-loses-description-by-policy", "A policy of a suspended key drops its description.", "putPolicy",
        lambda key: key.state == State.SUSPENDED and key.description, _without_description),
)  # fmt: skip
"""Each keeps the rich keys whole that the law of effects looks at, and the plain ones of the cases."""
