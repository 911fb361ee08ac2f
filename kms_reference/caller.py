"""What an endpoint beside Key Protect needs to know about a caller; Key Protect's token issuer finds out who it is."""

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
        """Names of roles on the instance, for example ``Manager``; empty for a user without a role."""

    @property
    def kind(self) -> str:
        """``user`` or ``service``."""


Identify = Callable[[str | None], Identity | None]
"""Takes the ``Authorization`` header verbatim (or ``None``); answers ``None`` for a missing or unusable token."""
