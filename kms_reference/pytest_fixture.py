"""The pytest fixture ``key_protect_server``, for those who test programs that use Key Protect.

It is an entry point of its own, which adds this fixture and changes nothing else of anybody's pytest run.
``docs/emulator.md`` has examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kms_reference.server import Server


@pytest.fixture(scope="session")
def key_protect_server() -> Iterator[Server]:
    """Yield an emulator of Key Protect on a free loopback port: edition ``service``, in memory, with a virtual clock.

    An instance is made when it is first named, so a test that takes a new UUID has one of its own.
    """
    from kms_reference.server import Server  # noqa: PLC0415 - only for who asks for it

    with Server(edition="service") as server:
        yield server
