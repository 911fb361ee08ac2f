"""The further endpoints beside Key Protect, and how they hang together.

All share the token issuer. A Key Protect instance whose id has crypto units wraps only while each operational unit
holds a current master key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kms_reference.hpcs_tke import TkeService
from kms_reference.iks import IksService

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from kms_reference.key_protect.world import World


def attach(world: World) -> list[BaseRoute]:
    """Return the routes of the further endpoints, and let Key Protect ask the crypto units before it wraps."""
    tke = TkeService(world.issuer.identify, rules=world.rules)
    iks = IksService(world.issuer.identify, rules=world.rules)
    world.crypto_ready = tke.crypto_ready
    return [*tke.routes(), *iks.routes()]
