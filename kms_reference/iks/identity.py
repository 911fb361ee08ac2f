"""Platform roles, and which of them a caller has."""

from enum import IntEnum

from kms_reference.caller import Identity


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
