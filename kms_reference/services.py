"""The further endpoints beside Key Protect, and how they hang together.

All share the token issuer. A Key Protect instance whose id has crypto units wraps only while each operational unit
holds a current master key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kms_reference.hpcs_tke import TkeService
from kms_reference.hpcs_tke.defects import DEFECTS as TKE_DEFECTS
from kms_reference.iks import IksService
from kms_reference.iks.defects import DEFECTS as IKS_DEFECTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.routing import BaseRoute

    from kms_reference.key_protect.world import World


def attach(world: World, defects: Collection[str] = ()) -> list[BaseRoute]:
    """Return the routes of the further endpoints, and let Key Protect ask the crypto units before it wraps.

    ``defects`` are names from the registries of all systems; each endpoint takes its own.
    """
    tke = TkeService(world.issuer.identify, defects=[name for name in defects if name in TKE_DEFECTS])
    iks = IksService(world.issuer.identify, defects=[name for name in defects if name in IKS_DEFECTS])
    world.crypto_ready = tke.crypto_ready
    return [*tke.routes(), *iks.routes()]
