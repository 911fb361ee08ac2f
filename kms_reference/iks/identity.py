"""What this endpoint needs to know about a caller; the identity service itself lives elsewhere."""

from collections.abc import Callable, Collection
from enum import IntEnum
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
        """Role names; empty for a user without a role."""

    @property
    def kind(self) -> str:
        """``user`` or ``service``."""


Identify = Callable[[str | None], Identity | None]
"""Takes the ``Authorization`` header verbatim (or ``None``); answers ``None`` for a missing or unusable token."""


class Role(IntEnum):
    """Platform roles, the higher including the lower."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3


_ROLES = {
    "viewer": Role.VIEWER,
    "operator": Role.OPERATOR,
    "editor": Role.OPERATOR,
    "administrator": Role.ADMINISTRATOR,
    # The embedded identity service gives service roles; a reference that stands alone reads them as platform roles.
    "reader": Role.VIEWER,
    "writer": Role.OPERATOR,
    "manager": Role.ADMINISTRATOR,
}


def role_of(identity: Identity) -> Role:
    """Find the highest platform role of an identity."""
    named = (role.rsplit(":", 1)[-1].casefold() for role in identity.roles)
    return max((_ROLES.get(name, Role.NONE) for name in named), default=Role.NONE)
