"""A request before it is sent, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from kms_conformance.evidence.exchange import JSON


@dataclass(frozen=True, slots=True)
class Request:
    """A request before it is sent. No ``identity``: the one that may do everything.

    ``token`` is a literal value of the header that says who asks, in place of the identity's; ``None`` means no header.

    ``shown`` is the evidence in the body's place, where the body itself is not fit to be shown; ``reading`` turns the
    answer's document into what is judged and kept, where the document is only an envelope around something else.
    ``view`` names the other way of asking in which the request is made, where it is not the usual one.
    ``system`` names another system than the contract's own that is asked, as its KMS is for a crypto unit.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    body: JSON = None
    raw: bytes | None = None
    identity: str = ""
    token: str | None = ""
    operation: str | None = None
    step: str = ""
    base_url: str = ""
    system: str = ""
    view: str = ""
    shown: JSON = None
    reading: Callable[[JSON], JSON] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The live answer: what a case needs to go on. Never stored."""

    status: int
    headers: httpx.Headers
    body: JSON
    content: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer of an earlier run: when it was asked for (seconds since the epoch), how long it took, its id."""

    reply: Reply
    started: float
    duration: float
    correlation: str
