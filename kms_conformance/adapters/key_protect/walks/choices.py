"""What a walk chooses with: the random source, the state, and what the walker has seen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.facts import lead
from kms_conformance.adapters.key_protect.model.operation import Answer, Ciphertext, Operation, Packing
from kms_conformance.adapters.key_protect.model.state import DESTROYED, Instance, Key

ALIASES = ("alpha", "beta", "Beta", "gamma_1", "gamma-1", "delta-2", "delta_2", "eta")
"""Names that differ in little: in their case, or in a hyphen and an underscore."""
RINGS = ("ring_b", "ring-B", "ring-b")
NAMES = ("first key", "second key", "Key three", "alpha", "notes")
CRNS = tuple(
    f"crn:v1:bluemix:public:cloud-object-storage:global:a/{'0123456789abcdef' * 2}:7f1d1c4e-0000-4000-8000-00000000000{n}:bucket:b{n}"
    for n in range(3)
)
NOBODY = "00000000-0000-4000-8000-000000000000"
SORTS = ("id", "-id", "creationDate", "-creationDate", "state,name", "state", "-deletionDate", "colour")
MOST_KEYS = 7
_MAKES_KEY = frozenset({"createKey", "createKeyWithPoliciesOverrides"})


@dataclass(frozen=True, slots=True)
class Token:
    """What a walker keeps of an import token that it retrieved."""

    serial: int
    payload: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Walker:
    """What a walker remembers beside the state: ciphertexts, tokens, and things to use.

    ``last`` is the id of the key that was asked about last, ``focus`` of the key that is to be asked about now.
    """

    ciphertexts: tuple[tuple[str, Ciphertext], ...] = ()
    tokens: tuple[Token, ...] = ()
    certificates: tuple[str, ...] = ()
    last: str = ""
    focus: str = ""
    pack: Callable[[str, Token, Token, bool], Mapping[str, str]] | None = field(default=None, compare=False)

    def saw(self, operation: Operation, state: Instance, answer: Answer) -> Walker:
        """Return what the walker knows after an answer: a new ciphertext, a retrieved token."""
        body = answer.body
        named = _named(operation, state)
        made_key = lead(body, "resources.0.id") if operation.name in _MAKES_KEY else None
        if isinstance(made_key, str) and not answer.refused:
            named = made_key
        return _learned(self if named is None else replace(self, last=named), operation, state, answer)


def _learned(walker: Walker, operation: Operation, state: Instance, answer: Answer) -> Walker:
    body = answer.body
    if answer.refused or not isinstance(body, dict):
        return walker
    if operation.name == "getImportToken" and state.token is not None:
        token = Token(state.token.serial, str(body.get("payload")), str(body.get("nonce")))
        others = (one for one in walker.tokens if one.serial != token.serial)
        return replace(walker, tokens=(*others, token)[-3:])
    ciphertext = made(operation, state, body)
    return (
        walker if ciphertext is None else replace(walker, ciphertexts=(*walker.ciphertexts, ciphertext)[-12:])
    )


def as_packed(operation: Operation, walker: Walker) -> Operation:
    """Return a request as an import by token that was packed for the token retrieved last, if it is one."""
    body = operation.body if isinstance(operation.body, dict) else {}
    parts = [body, *(one for one in body.get("resources") or () if isinstance(one, dict))]
    if not walker.tokens or not any(
        one.get("encryptedNonce") is not None and one.get("iv") is not None for one in parts
    ):
        return operation
    serial = walker.tokens[-1].serial
    return replace(operation, packing=Packing("", serial, serial))


def _named(operation: Operation, state: Instance) -> str | None:
    """Return the id of the key that a path names."""
    named = operation.path.get("id", "")
    return next((one.id for one in state.keys if named == one.id or named in one.aliases), None)


def made(operation: Operation, state: Instance, body: dict[str, Any]) -> tuple[str, Ciphertext] | None:
    """Return a new ciphertext that an answer holds, with what is known of it."""
    text = body.get("ciphertext")
    if not isinstance(text, str):
        return None
    asked = operation.body if isinstance(operation.body, dict) else {}
    ciphertext = operation.ciphertext
    named = operation.path["id"]
    key = next((one for one in state.keys if named == one.id or named in one.aliases), None)
    if key is None:
        return None
    version = body.get("rewrappedKeyVersion") or body.get("keyVersion") or {}
    plaintext = ciphertext.plaintext if ciphertext else asked.get("plaintext") or body.get("plaintext")
    aad = tuple(asked.get("aad") or ())
    return text, Ciphertext(key.id, str(version.get("id")), str(plaintext), aad)


@dataclass(frozen=True, slots=True)
class Choices:
    """The random source with the state and the moment: what builders choose from."""

    random: Random
    state: Instance
    walker: Walker
    now: float

    def chance(self, share: float) -> bool:
        """Whether something of a share of all cases happens."""
        return self.random.random() < share

    def one(self, options: Any) -> Any:
        """Return one of some options."""
        return self.random.choice(list(options))

    def key(self, *, wanted: Callable[[Key], bool] | None = None) -> Key | None:
        """Return a key of the state, mostly one that is wanted and mostly one that is not deleted."""
        focused = next((key for key in self.state.keys if key.id == self.walker.focus), None)
        if focused is not None:
            return focused
        fitting = [key for key in self.state.keys if (wanted or living)(key)]
        if fitting and self.chance(0.4):
            # What was just changed is asked again: what follows from a step is seen on its key.
            return max(fitting, key=lambda one: (one.touched, one.id))
        pool = fitting if fitting and self.chance(0.85) else list(self.state.keys)
        return self.one(pool) if pool else None

    def path(self, key: Key | None) -> str:
        """Return how a key is named: by id, by one of its aliases, or not at all."""
        if key is None or self.chance(0.02):
            return str(self.one((NOBODY, self.one(ALIASES), *sorted(self.state.gone))))
        return str(self.one(sorted(key.aliases))) if key.aliases and self.chance(0.3) else key.id

    def ring(self, key: Key | None) -> str | None:
        """Return a ring header: mostly none, sometimes the key's, sometimes another."""
        if self.chance(0.8):
            return None
        return key.ring if key is not None and self.chance(0.7) else self.one(("default", *RINGS))

    def bytes(self, length: int) -> str:
        """Return base64 of random bytes."""
        return base64.b64encode(self.random.randbytes(length)).decode()


def living(key: Key) -> bool:
    """Whether a key is not deleted."""
    return key.state != DESTROYED


def collection(kind: str, *resources: Mapping[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return a collection of resources."""
    count = len(resources) if total is None else total
    return {
        "metadata": {"collectionType": KIND + kind, "collectionTotal": count},
        "resources": [dict(resource) for resource in resources],
    }


def page(choices: Choices, beyond: int) -> dict[str, str]:
    """Return limit and offset, sometimes out of bounds."""
    query: dict[str, str] = {}
    if choices.chance(0.3):
        query["limit"] = choices.one(
            ("1", "2", "2", "3", "3", "4", "0", choices.one((str(beyond), "x", "-1")))
        )
    if choices.chance(0.3):
        query["offset"] = choices.one(("0", "1", "1", "2", "100", "-1"))
    return query


def total(choices: Choices) -> dict[str, str]:
    """Return totalCount, sometimes."""
    return {"totalCount": choices.one(("true", "true", "false"))} if choices.chance(0.4) else {}


def dead(key: Key) -> bool:
    """Whether a key is deleted."""
    return key.state == DESTROYED


def on_key(
    name: str,
    body: Callable[[Choices, Key | None], Any] | None = None,
    wanted: Callable[[Key], bool] | None = None,
) -> Callable[[Choices], Operation | None]:
    """Return a builder of a request on one key, mostly one that is wanted."""

    def build(choices: Choices) -> Operation | None:
        if wanted is not None and not any(map(wanted, choices.state.keys)) and choices.chance(0.8):
            return None  # what nothing fits is asked for now and then only
        key = choices.key(wanted=wanted)
        return Operation(
            name,
            path={"id": choices.path(key)},
            ring=choices.ring(key),
            body=body(choices, key) if body else None,
        )

    return build


def no_body(choices: Choices, _: Key | None) -> Any:
    """Return no body, or an empty object."""
    return None if choices.chance(0.8) else {}
