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

    from kms_reference.key_protect.server_state import ServerState


def attach(server_state: ServerState) -> list[BaseRoute]:
    """Return the routes of the further endpoints, and let Key Protect ask the crypto units before it wraps."""
    tke = TkeService(server_state.issuer.identify, rules=server_state.rules)
    iks = IksService(server_state.issuer.identify, rules=server_state.rules)
    server_state.crypto_ready = tke.crypto_ready
    return [*tke.routes(), *iks.routes()]
