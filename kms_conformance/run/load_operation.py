"""What a load sends: requests that are written out, each with the answer that it has to get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class LoadOperation:
    """One request that may be sent any number of times and changes nothing.

    ``weight`` is how often it is sent beside the others; ``headers`` are without authorization. The answer has to have the
    ``status``; where it is a refusal, ``code`` somewhere in its body; where it is none, the members of ``equals``.
    """

    name: str
    weight: int
    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    code: str = ""
    equals: Mapping[str, Any] = field(default_factory=dict)
