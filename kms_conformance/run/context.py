"""What a case declares, and what all cases of a run share."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kms_conformance.run.options import USUAL, FuzzOptions
from kms_conformance.run.premises import NO_PREMISES, Premises

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.contract.schemas import SchemaFiles
    from kms_conformance.redaction.redactor import Redactor
    from kms_conformance.run.clock import Clock
    from kms_conformance.run.journal import Journal
    from kms_conformance.target.target import Target
    from kms_conformance.transport.client import Client


@dataclass(frozen=True, slots=True)
class CaseInfo:
    """What a case declares about itself. ``waits`` is the sum of its waits in seconds, ``rule`` its docstring.

    ``file`` and ``line`` (from 1) are where it is written. ``view`` is another way of asking in which the case is run, ``""``
    for the usual one. ``perhaps`` is impact that the case has only where the target allows it; elsewhere it does without.
    ``slack`` is how many seconds more than it waits may pass meanwhile, so that what it judges then still holds.
    """

    id: str
    title: str
    contract: str
    covers: tuple[str, ...]
    rule: str = ""
    identities: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    control: bool = False
    impact: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    waits: float = 0.0
    slack: float = math.inf
    nodeid: str = ""
    file: str = ""
    line: int = 0
    view: str = ""


@dataclass(frozen=True, repr=False)
class Context:
    """What all cases of a run share."""

    contract: Contract
    target: Target
    client: Client
    clock: Clock
    journal: Journal
    redactor: Redactor
    schemas: SchemaFiles
    run: str
    edition: str = "page"
    thorough: bool = False
    """Whether the profile asks for more tries than a gate does."""
    fuzz: FuzzOptions = USUAL
    premises: Premises = NO_PREMISES
    """What the owner of the instance has set there."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the run is being stopped: cases under way clean up and send nothing else."""
