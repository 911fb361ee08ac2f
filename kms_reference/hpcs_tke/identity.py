"""What this endpoint needs to know about a caller; the identity service itself lives elsewhere."""

from collections.abc import Callable, Collection
from typing import Protocol


class Identity(Protocol):
    """A caller whose token was found valid."""

    @property
    def name(self) -> str:
        """Name of the identity in the target file, for example ``manager``."""

    @property
    def iam_id(self) -> str:
        """The ``iam_id`` claim of the token."""

    @property
    def roles(self) -> Collection[str]:
        """Service roles on the instance, for example ``Manager``; empty for a user without a role."""

    @property
    def kind(self) -> str:
        """``user`` or ``service``."""


Identify = Callable[[str | None], Identity | None]
"""Takes the ``Authorization`` header verbatim (or ``None``); answers ``None`` for a missing or unusable token."""


def is_manager(identity: Identity) -> bool:
    """Tell whether the identity holds the service role that the TKE service asks for."""
    return any(role.rsplit(":", 1)[-1].casefold() == "manager" for role in identity.roles)
