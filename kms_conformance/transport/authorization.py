"""Who sends a request, as its headers say it: a token in a header, or a signature over the whole request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kms_conformance.errors import MissingSecretError
from kms_conformance.system import named_object

if TYPE_CHECKING:
    from kms_conformance.target.identity import Identity
    from kms_conformance.target.target import Target
    from kms_conformance.transport.tokens import Tokens


@dataclass(frozen=True, slots=True)
class FinalRequest:
    """A request with the bytes that will leave; header names are in small letters, ``host`` is among them."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Signer: TypeAlias = Callable[[FinalRequest, "Identity", "Target"], Mapping[str, str]]
"""Returns the headers that a signature adds; ``target`` has the system's table, for a region and the like."""


class Authorizer:
    """Adds to a request what says who sends it, in the way of the target's system."""

    def __init__(self, target: Target, tokens: Tokens) -> None:
        self._target, self._tokens = target, tokens
        self._way = target.system.authorization

    @property
    def header(self) -> str:
        """The header, in small letters, that says who sends a request."""
        return self._way.header.lower()

    @property
    def signs(self) -> bool:
        """Whether the headers depend on the whole request."""
        return bool(self._way.signer)

    def token_header(self, name: str) -> dict[str, str]:
        """Return the header with the token of an identity, where requests are not signed; raises as :meth:`headers`."""
        return {self.header: f"{self._way.scheme} {self._tokens.of(name)}".lstrip()}

    def headers(self, name: str, request: FinalRequest) -> dict[str, str]:
        """Return the headers for an identity.

        Raises :class:`MissingSecretError` where the target does not name it, and what fetching a token raises.
        """
        if not self._way.signer:
            return self.token_header(name)
        identity = self._target.identities.get(name)
        if identity is None:
            raise MissingSecretError(name, "the target does not name this identity")
        signer: Signer = named_object(self._way.signer)
        return {key.lower(): value for key, value in signer(request, identity, self._target).items()}

    def notes(self, added: Mapping[str, str]) -> dict[str, str]:
        """Return what a shell line must know of headers that :meth:`headers` gave: which a signature has made, and how."""
        return {"signed": ",".join(added), "curl": self._way.curl} if self._way.signer and added else {}
