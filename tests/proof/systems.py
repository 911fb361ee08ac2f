"""The systems whose suites are proved: their defects, their variations, and how a broken one is served."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from in_process import reference, without_sockets

from kms_conformance.target.target import Target, build_target
from kms_reference.defects import SYSTEM_DEFECTS
from kms_reference.server import Server
from kms_reference.target import target_text
from kms_reference.variations import SYSTEM_VARIATIONS

Kind = Literal["defect", "variation"]
AFTER_RESTART = "after-restart-"
_OF_THE_TRANSPORT = {"chunked", "connection-close"}


@dataclass(frozen=True)
class System:
    """A reference that can be broken. ``serve`` is given a kind and a name (``""``: unbroken)."""

    contract: str
    defects: Mapping[str, Any]
    variations: Mapping[str, Any]
    serve: Callable[[Kind, str], Any]

    @property
    def switches(self) -> Mapping[str, Any]:
        """Defects and variations by name; a name stands for one of them."""
        return {**self.defects, **self.variations}


@contextmanager
def _serve(kind: Kind, name: str) -> Iterator[Target]:
    if name in _OF_THE_TRANSPORT:
        # Only a socket has it.
        with Server(variations=(name,)) as server:
            yield replace(build_target(tomllib.loads(target_text(server)), {}), embedded=True)
    else:
        restarted = name.startswith(AFTER_RESTART)
        with without_sockets(), reference(**{kind: name}, restarted=restarted) as (target, _):
            yield target


SYSTEMS: Mapping[str, System] = {
    system.contract: system
    for system in (
        System(contract, defects, SYSTEM_VARIATIONS[contract], _serve)
        for contract, defects in SYSTEM_DEFECTS.items()
    )
}
