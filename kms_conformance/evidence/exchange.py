"""One request and its answer, redacted: the unit of evidence.

An exchange is immutable and holds no secret: ``redaction`` has replaced each by a stable token
before the exchange exists. Everything the judge knows about the wire, it knows from here, so that
a stored transcript can be judged again by somebody who was not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kms_conformance.evidence.serialization import AS_TEXT_OR_NONE

JSON: TypeAlias = Any
GATEWAY, UNSURE = "gateway", "unsure"
"""A note of an exchange: ``unsure`` where a gateway may have answered in the service's place, else the statuses of the
earlier answers of that kind, after which the request was sent again."""
OF_GATEWAY = frozenset({502, 503, 504})
"""Statuses by which a gateway answers in the place of the service behind it."""
OUTAGE, AFTER = "outage", "after"
"""A note of an exchange: ``unsure`` where no answer came because of an outage, or may not have come for that reason;
``after`` where an outage passed since the case began, so that the endpoint may have lost what the case has made."""
CLIENT = "client"
"""A note of an exchange: the number of its client, from 1, where several ask at the same moment."""
NOW = "now"
"""What a case has done before a request: it has asked for the time of its instance, and was told this."""
CLOCK = "clock"
"""What a case has done before a request: it has asked how far the clock of its instance is ahead, and by how much that may be wrong."""
READS = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it left, redacted.

    ``body`` is the redacted JSON document, or ``None``; ``text`` holds a body that is not JSON.
    ``secrets`` are the tokens that stand for secrets of this request: an answer may not repeat them.
    """

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    body: JSON = field(default=None, metadata=AS_TEXT_OR_NONE)
    text: str | None = None
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came, redacted.

    ``is_json`` is true when the body parsed; ``size`` is the body's length in bytes on the wire;
    ``kind`` says in a few words what a body that is not JSON looks like ("an HTML page"). ``code`` is the reason code,
    from where the contract says that it stands.
    """

    status: int
    headers: Mapping[str, str]
    body: JSON = field(default=None, metadata=AS_TEXT_OR_NONE)
    is_json: bool = False
    size: int = 0
    kind: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what became of it.

    ``answer`` is ``None`` when no complete answer came; ``trouble`` then says why.
    ``started`` is seconds since the epoch, ``duration`` seconds.
    """

    id: str
    case: str
    step: str
    operation: str | None
    identity: str
    sent: Sent
    answer: Received | None
    trouble: str = ""
    started: float = 0.0
    duration: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """The reason code of the answer, ``None`` where it has none."""
        return self.answer.code if self.answer is not None else None

    @property
    def outcome(self) -> str:
        """The answer in a few words: status and reason code, or the trouble."""
        if self.answer is None:
            return self.trouble or "no answer"
        if self.code:
            return f"{self.answer.status} {self.code}"
        if not self.answer.is_json and self.answer.size:
            return f"{self.answer.status} with {self.answer.kind}"
        return str(self.answer.status)
