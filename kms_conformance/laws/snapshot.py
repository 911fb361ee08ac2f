"""Snapshots: everything that an API shows of some things at one moment.

``effects.yaml`` says under ``resources`` by which requests a thing is read. A snapshot sends each of these requests once,
keeps the answers, and says where in each of them a thing stands. Values are taken from the evidence, so that a secret
is its token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.laws.request import OperationRequest, System

if TYPE_CHECKING:
    from kms_conformance.run.answer import Answer

_SUBJECT = "$subject."


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """A thing that snapshots read: the name of its resource in ``effects.yaml``, and its id.

    ``owners`` are the names by which the path of a request may address it or what it belongs to; none: it belongs to the
    instance. ``marks`` fill ``$subject.NAME``. A probe sends ``body`` and, where it succeeds, gets ``value``.
    Of other things ``value`` are members that it must show at first; ``closed``: at first a probe is refused.
    ``seldom``: looked at in the first and the last snapshot of a case only.
    """

    resource: str
    id: str
    marks: Mapping[str, Any] = field(default_factory=dict, hash=False)
    owners: frozenset[str] = frozenset()
    bystander: bool = False
    seldom: bool = False
    body: Any = field(default=None, hash=False)
    value: Any = field(default=None, hash=False)
    closed: bool = False


@dataclass(slots=True)
class PreparedCase:
    """What the adapter has prepared for a case: the things to read, and the values of ``{name}`` in the data."""

    things: list[ObservedResource] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)

    def keep_own(self) -> None:
        """Leave out totals and lists of the instance: where others come and go, they are theirs too."""
        self.things = [thing for thing in self.things if thing.owners or not thing.seldom]


@dataclass(frozen=True, slots=True)
class ObservedValue:
    """One thing in one answer: its place (a dotted path, or the name of a header) and its value.

    ``whole`` is the path of the list that holds it, where it is an entry. An answer that is a refusal has no value.
    """

    answer: Answer
    at: str
    value: Any
    whole: str = ""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.answer.ok


Snapshot = dict[tuple[ObservedResource, int], ObservedValue]
"""Each thing in the answer to each of its reads, by their number."""


@dataclass(frozen=True, slots=True)
class Look:
    """How much is looked at: the ``whole``; or else what is not ``seldom``, or in a ``brief`` look what is ``named``.

    A brief look passes over lists, counts and probes but those of the resources that the operations before it name: what
    they do not name is compared at the next whole look with how it was seen last.
    """

    whole: bool
    brief: bool = False
    named: frozenset[str] = frozenset()

    def passes_over(self, thing: ObservedResource, kind: str) -> bool:
        """Tell whether a thing, of a resource of this kind, is not looked at."""
        if self.whole:
            return False
        if kind == "one":
            return thing.seldom
        if thing.resource in self.named and not thing.bystander:
            return False
        return thing.seldom or (self.brief and thing.resource not in self.named)


def taken(
    system: System,
    resources: Mapping[str, Any],
    things: Iterable[ObservedResource],
    look: Look,
    after: Callable[[ObservedResource], str],
) -> Snapshot:
    """Read things. ``after`` says in reports which operations came since a thing was last read.

    Nothing is judged here, not even whether a request succeeds.
    """
    requests: dict[Any, OperationRequest] = {}
    seen: list[tuple[ObservedResource, int, Mapping[str, Any], Any]] = []
    for thing in things:
        if look.passes_over(thing, resources[thing.resource]["kind"]):
            continue
        for number, read in enumerate(resources[thing.resource]["reads"]):
            if thing.bystander and read.get("seldom"):
                continue
            if not look.whole and _is_seldom(read, thing, alone=system.alone):
                continue
            request = _request(system, read, thing, after(thing))
            name = (
                request.operation,
                *sorted(request.path.items()),
                *sorted(request.query.items()),
                request.identity,
            )
            # A probe sends a body of its own, so it is never shared.
            key = (name, thing.id) if thing.body is not None else name
            requests.setdefault(key, request)
            seen.append((thing, number, read, key))
    sent = system.case.read([partial(_answer, system, request) for request in requests.values()])
    answers = dict(zip(requests, sent, strict=True))
    return {
        (thing, number): _observed_value(answers[key], read, thing, resources[thing.resource]["kind"])
        for thing, number, read, key in seen
    }


def _answer(system: System, request: OperationRequest) -> Answer:
    return system.send_request(request).not_judged()


def _is_seldom(read: Mapping[str, Any], thing: ObservedResource, *, alone: bool) -> bool:
    """Tell whether a request is sent for the first and the last snapshot only."""
    if "entry" in read and not alone:
        # Of an instance that others use as well, a list of everything is long.
        return True
    # Other things are read in lists only.
    return bool(read.get("seldom")) or (thing.bystander and "entry" not in read)


def _request(
    system: System, read: Mapping[str, Any], thing: ObservedResource, after: str
) -> OperationRequest:
    """Return the request by which a thing is read; of an instance that others use, a list of own things only."""
    search = {read["search"]: system.name_mark} if "search" in read and not system.alone else {}
    path = {name: _filled(value, thing) for name, value in read.get("path", {}).items()}
    return OperationRequest(
        operation=read["operation"],
        path=path,
        query={**read.get("query", {}), **search},
        body=thing.body,
        identity=_reader(read, frozenset(system.case.context.target.identities)),
        step=f"{read['operation']} {after}",
    )


def _reader(read: Mapping[str, Any], identities: frozenset[str]) -> str:
    """Return who reads: of several the first that the target has, the usual identity where it has none."""
    reader = read.get("identity", "")
    return reader if isinstance(reader, str) else next((one for one in reader if one in identities), "")


def _filled(value: str, thing: ObservedResource) -> str:
    return str(thing.marks[value.removeprefix(_SUBJECT)]) if value.startswith(_SUBJECT) else value


def _observed_value(
    answer: Answer, read: Mapping[str, Any], thing: ObservedResource, kind: str
) -> ObservedValue:
    received = answer.exchange.answer
    if received is None:
        return ObservedValue(answer, "", MISSING)
    if kind == "number":
        return ObservedValue(
            answer, read["at"], received.headers.get(read["at"], MISSING) if answer.ok else MISSING
        )
    at = read["at"].strip("/").replace("/", ".")
    value = pick(received.body, at) if answer.ok else MISSING
    if "entry" not in read:
        return ObservedValue(answer, at, value)
    entries = value if isinstance(value, list) else []
    member = read["entry"]
    if kind == "list":
        # A list of everything: ours are those whose member says so; their places do not matter.
        ours = [one for one in entries if isinstance(one, dict) and str(one.get(member)) in thing.owners]
        return ObservedValue(answer, at, ours, whole=at)
    for place, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get(member) == thing.id:
            return ObservedValue(answer, f"{at}.{place}", entry, whole=at)
    return ObservedValue(answer, "", MISSING, whole=at)


def flat(value: Any, start: str = "") -> dict[str, Any]:
    """Return the members of an object by their dotted paths; lists are values, and what is null is not there."""
    members: dict[str, Any] = {}
    if not isinstance(value, dict):
        return members
    for name, inner in value.items():
        path = f"{start}{name}"
        if isinstance(inner, dict):
            members |= flat(inner, f"{path}.")
        elif inner is not None:
            members[path] = inner
    return members
