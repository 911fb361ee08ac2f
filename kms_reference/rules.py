"""What a reference endpoint was told to get wrong (defects) or to do differently (variations).

`Rules` is asked at the very line that a switch changes: ``rules.broken("rotation-unlimited")``.
A switch may also rewrite a finished reply (`Draft`) or replace one of the named time spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Draft:
    """A reply that is decided but not yet on the wire; switches may rewrite it.

    `operation` is the id of the operation (None when no path matched), `code` the reason code of a
    refusal, `body` the JSON value (None: no body), `call` the request it answers, if one was formed.
    """

    operation: str | None
    code: str | None
    status: int
    headers: dict[str, str]
    body: Any
    call: Any = None
    refused: bool = False
    raw: bytes | None = None
    """Set by a switch that spoils the text itself; wins over `body`."""
    chunked: bool = False
    """Set by a switch: send the body in chunks, without a content-length."""

    @property
    def resource(self) -> dict[str, Any]:
        """The first resource of the body, or an empty object."""
        if isinstance(self.body, dict):
            resources = self.body.get("resources")
            if isinstance(resources, list) and resources and isinstance(resources[0], dict):
                return resources[0]
        return {}

    @property
    def reason(self) -> dict[str, Any]:
        """The first reason of an error envelope, or an empty object."""
        reasons = self.resource.get("reasons")
        if isinstance(reasons, list) and reasons and isinstance(reasons[0], dict):
            return reasons[0]
        return {}


Mutator = Callable[[Draft], None]


@dataclass(frozen=True)
class Switch:
    """What can be switched on: `name`, one line of `doc`, the page's `sections` it touches (short anchors).

    `mutate` rewrites a finished reply, `times` replaces named spans (seconds); a switch with neither is a
    name that the code asks for.
    """

    name: str
    doc: str
    sections: tuple[str, ...] = ()
    mutate: Mutator | None = field(default=None, compare=False)
    times: Mapping[str, float] = field(default_factory=dict, compare=False)


class Defect(Switch):
    """Something wrong: a good suite notices."""


class Variation(Switch):
    """Something other: the page leaves it free, and a good suite does not mind."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The switches of one server: edition `page` or `service`, defects and variations by name."""

    edition: str = "page"
    defects: frozenset[str] = frozenset()
    variations: frozenset[str] = frozenset()
    mutators: tuple[Mutator, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, edition: str, defects: Iterable[Switch], variations: Iterable[Switch]) -> Rules:
        """Collect the switches; variations rewrite a reply first, so that a defect has the last word."""
        faulty, different = list(defects), list(variations)
        times: dict[str, float] = {}
        for switch in (*different, *faulty):
            times.update(switch.times)
        return cls(
            edition=edition,
            defects=frozenset(s.name for s in faulty),
            variations=frozenset(s.name for s in different),
            mutators=tuple(s.mutate for s in (*different, *faulty) if s.mutate is not None),
            times=times,
        )

    @property
    def page(self) -> bool:
        """Whether the server follows the page as documented rather than the service as observed."""
        return self.edition == "page"

    def broken(self, name: str) -> bool:
        """Whether the defect `name` is switched on."""
        return name in self.defects

    def varies(self, name: str) -> bool:
        """Whether the variation `name` is switched on."""
        return name in self.variations

    def seconds(self, name: str, default: float) -> float:
        """Return the span `name` in seconds, unless a switch replaced it."""
        return self.times.get(name, default)
