"""Where a refusal says why it refuses, and which refusals need not."""

from __future__ import annotations

from dataclasses import dataclass

from kms_conformance.contract.operations import Operation


@dataclass(frozen=True, slots=True)
class ReasonPlaces:
    """Where an answer says why it refuses, as dotted paths; ``""`` where it does not say that.

    ``status`` repeats the HTTP status, ``target`` names the member or header that was refused. ``summary`` is a text for people: it begins with
    the status's phrase, and a refusal that has no code has its text there.
    """

    code: str = ""
    text: str = ""
    status: str = ""
    target: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class BareRefusal:
    """Refusals that need no envelope, as nobody knows that the service itself gave them; all conditions must hold.

    ``statuses``: the answer has one of these. ``raw``: the request had a form that no client library sends.
    ``operation``: ``unknown`` where no operation has the request's method and path, ``absent`` also where the endpoint
    may lack the operation, ``any``. ``named``: also where a case names the status that it expects.
    """

    statuses: frozenset[int]
    raw: bool = False
    operation: str = "any"
    named: bool = False

    def covers(self, status: int, operation: Operation | None, *, raw: bool) -> bool:
        """Tell whether a refusal is one of these."""
        if status not in self.statuses or (self.raw and not raw):
            return False
        unknown = operation is None
        absent = operation is None or operation.hidden
        return {"unknown": unknown, "absent": absent}.get(self.operation, True)


# Statuses by which a web server or a gateway answers itself, before any service reads the request: no source shows an
# envelope with them, and every stock web server has a page or a line of its own.
_WEB_SERVER = frozenset({405, 406, 408, 411, 413, 414, 417, 421, 429, 431})


_WEB_SERVER_FAULTS = frozenset({501, 505})


HTTP_LAYER = (
    BareRefusal(_WEB_SERVER),
    BareRefusal(frozenset(range(400, 500)), raw=True),
    BareRefusal(frozenset({404}), operation="absent"),
    # A web server may refuse a method or a coding that it does not know, but not one that an operation has.
    BareRefusal(_WEB_SERVER_FAULTS, raw=True),
    BareRefusal(_WEB_SERVER_FAULTS, operation="unknown"),
)
"""What holds for every endpoint that is reached by HTTP; a contract adds its own."""


STATUSES_OF_HTTP = _WEB_SERVER | _WEB_SERVER_FAULTS
