"""Rules of a reference endpoint that one server can break while another one keeps them.

A rule is a function or method marked with `rule`. Its first argument says whose rules are asked (`owner.rules`), so
that servers with different defects live side by side in one process. What is changed in a server, and how, stands in
its `Rules`; the changes themselves are made in `kms_reference.switches`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from kms_reference.switches import After, Switch


class RefusedError(Exception):
    """A request is refused as the rules say; each system has its own kind."""


class Ruled(Protocol):
    """Whatever knows the rules of its server: a call, an instance, a crypto unit."""

    @property
    def rules(self) -> Rules:
        """The rules of the server."""


Owner = TypeVar("Owner", bound=Ruled)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
RuleLike = Callable[..., Any]


def rule(
    function: Callable[Concatenate[Owner, Parameters], Result],
) -> Callable[Concatenate[Owner, Parameters], Result]:
    """Mark a function or method as a rule: a server may have another one in its place."""

    @wraps(function)
    def asked(owner: Owner, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        other = owner.rules.replaced.get(asked)
        if other is None:
            return function(owner, *args, **kwargs)
        result: Result = other(owner, *args, **kwargs)
        return result

    return asked


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
    """Set by a switch that changes the text itself; sent instead of `body`."""
    chunked: bool = False
    """Set by a switch: send the body in chunks, without a content-length."""
    capitals: bool = False
    """Set by a switch: write the names of headers in capitals."""

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


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one server: its edition (`page` or `service`), and what its switches change.

    `replaced` holds what stands in the place of a rule, `after` what is done to the instance once a reply is
    decided, `mutators` what rewrites the reply, `times` the spans in seconds that are not the documented ones.
    """

    edition: str = "page"
    variations: frozenset[str] = frozenset()
    replaced: Mapping[RuleLike, RuleLike] = field(default_factory=dict)
    after: tuple[After, ...] = ()
    mutators: tuple[Mutator, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, edition: str, defects: Iterable[Switch], variations: Iterable[Switch]) -> Rules:
        """Collect what the switches change; variations are applied first, so that a defect overrides them."""
        faulty, different = list(defects), list(variations)
        switches = [*different, *faulty]
        times: dict[str, float] = {}
        replaced: dict[RuleLike, RuleLike] = {}
        for switch in switches:
            times.update(switch.times)
            for change in switch.changes:
                replaced[change.rule] = change.over(replaced.get(change.rule, as_stated(change.rule)))
        return cls(
            edition=edition,
            variations=frozenset(s.name for s in different),
            replaced=replaced,
            after=tuple(s.after for s in switches if s.after is not None),
            mutators=tuple(m for s in switches for m in s.mutators()),
            times=times,
        )

    @property
    def page(self) -> bool:
        """Whether the server follows the page as documented rather than the service as observed."""
        return self.edition == "page"

    def varies(self, name: str) -> bool:
        """Whether the variation `name` is switched on."""
        return name in self.variations

    def seconds(self, name: str, default: float) -> float:
        """Return the span `name` in seconds, unless a switch replaced it."""
        return self.times.get(name, default)


def as_stated(ruled: RuleLike) -> RuleLike:
    """Return the rule itself, as the lawful module states it."""
    function: RuleLike = ruled.__wrapped__  # type: ignore[attr-defined]  # functools.wraps sets it
    return function
