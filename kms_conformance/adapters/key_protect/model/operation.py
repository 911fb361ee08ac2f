"""What is asked and what is answered, as data: the model's two inputs from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REFUSED = 400
"""From this status on an answer is a refusal."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a name that tells identities apart, the IAM service roles, and whether it is another service."""

    name: str
    roles: frozenset[str]
    service: bool = False


MANAGER = Caller("manager", frozenset({"Reader", "ReaderPlus", "Writer", "Manager"}))
APPROVER = Caller("approver", MANAGER.roles)
PURGER = Caller("purger", MANAGER.roles | {"KeyPurge"})
READER = Caller("reader", frozenset({"Reader"}))
OUTSIDER = Caller("outsider", frozenset())
SERVICE = Caller("service", frozenset({"Reader"}), service=True)


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """What a caller knows of a ciphertext: which key and version made it, from what, bound to which data.

    ``key`` is the key's id; ``version`` the id that the answer named; ``intact`` is false where the text was altered.
    """

    key: str
    version: str
    plaintext: str
    aad: tuple[str, ...] = ()
    intact: bool = True


@dataclass(frozen=True, slots=True)
class Packing:
    """How key material was packed for an import token: what nobody can read off the request.

    ``key_of`` and ``nonce_of`` are the serial numbers of the tokens (``ImportToken.serial``) whose public key and nonce
    were used; ``opens`` is false where nonce, vector and material do not belong together.
    """

    material: str
    key_of: int
    nonce_of: int
    opens: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. ``name`` is an operationId of openapi.yaml; ``path`` and ``query`` its decoded parameters.

    ``body`` is the JSON value, ``None`` where there is no body (or ``null``). ``ciphertext`` and ``packing`` say what
    the caller knows of opaque members.
    """

    name: str
    caller: Caller = MANAGER
    path: Mapping[str, str] = field(default_factory=dict, hash=False)
    query: Mapping[str, str] = field(default_factory=dict, hash=False)
    ring: str | None = None
    prefer: str | None = None
    body: Any = field(default=None, hash=False)
    ciphertext: Ciphertext | None = None
    packing: Packing | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``code`` is the reason code of a refusal, ``""`` where there is none; header names lower case.

    ``odd`` says what a refusal tells that does not go with its code, ``""`` where nothing does.
    """

    status: int
    code: str = ""
    body: Any = field(default=None, hash=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    odd: str = ""

    @property
    def refused(self) -> bool:
        """Whether it is a refusal."""
        return self.status >= REFUSED
