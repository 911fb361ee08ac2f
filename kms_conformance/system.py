"""Systems: which contract, cases, schemas and adapter belong together, and what a target may say about each.

A system is a plug-in. A distribution names its :class:`System` object in its metadata, in the entry-point group
``kms_conformance.systems``, and the engine finds it there; those that come with the suite are registered the same way.
The object is data: it names modules and folders instead of importing them, so that looking it up stays cheap.
``docs/add-a-system.md`` tells how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from kms_conformance.errors import BrokenSystemError, DuplicateSystemError, UnknownSystemError, did_you_mean

GROUP = "kms_conformance.systems"
"""The entry-point group in which distributions register systems."""
UUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
"""A UUID in its usual form, as a pattern for :class:`InstanceForm`."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Impact:
    """What a case may touch beyond its own things, and what that means for the order of cases.

    ``switch`` is the name under ``[allow]`` that permits it on a shared instance. ``alone``: such a case has the instance
    to itself. ``takes_turns``: such cases run one after the other, beside all others. ``may_stay``: the change may stay
    for days between two runs, so a case that waits longer than a run may be finished by a later one. ``operations`` are
    those that do nothing else: in the mode ``safe`` no such request is sent to a shared instance, not even one that has to
    be refused.
    """

    switch: str
    alone: bool = False
    takes_turns: bool = False
    may_stay: bool = False
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceForm:
    """What keeps cases apart: an instance, an account, a namespace.

    ``key`` is its name in the system's own table of the target. ``pattern`` is a regular expression for the whole value,
    ``""`` for any; ``what`` says in a few words what to give. ``fresh``: whether the endpoint makes one per case when the
    target says ``"fresh"`` (which switches off every guard of a shared one). ``default`` is taken where the target names
    none; ``None``: it has to.
    """

    key: str = "instance"
    pattern: str = ""
    what: str = "the id of the instance"
    fresh: bool = True
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """How a request says who sends it.

    ``header`` carries the token, after ``scheme`` and a blank where there is a scheme. ``signer`` is
    ``module:function`` where requests are signed instead: see :data:`kms_conformance.transport.authorization.Signer`.
    ``curl`` is what a shell line says in place of a signature (``--aws-sigv4 ...``).
    """

    header: str = "authorization"
    scheme: str = "Bearer"
    signer: str = ""
    curl: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """How a token issuer is asked for a token: the OAuth grant type, and the form member that holds the API key."""

    type: str
    member: str


@dataclass(frozen=True)
class System:
    """A system that endpoints are judged as.

    ``id`` is the contract's id. ``contract`` is the folder with ``contract.yaml`` and the other files, and ``schemas`` are
    folders with JSON Schemas, each as ``package/folder``. ``scenarios`` are packages with cases, ``adapter`` is
    ``module:Class``. ``identities`` are who may ask, the one that may do everything first; ``secrets`` are members of an
    identity beside ``api_key`` and ``token``. ``capabilities`` are what an endpoint may lack, ``impacts`` what cases may
    touch. ``table`` are the properties (JSON Schema) of the system's table in the target file, ``shown`` those of them
    that reports show. ``shared`` are the kinds of things in the journal that concern everybody on an instance, ``lingers``
    those that stay for so many seconds after their removal, because the service keeps them.
    ``default``: a plain run without a target judges it. ``reference``: the embedded reference serves it. ``preflight`` is
    ``module:function``, instead of the requests that ``contract.yaml`` names. ``premises`` is ``module:name`` of what reads
    the settings of an instance's owner and tells which requests they change (:mod:`kms_conformance.run.premises`).
    ``apart`` are groups of identities that are different people, ``rights`` is ``module:name`` of what each has to be able
    to do (:mod:`kms_conformance.run.identities`), and the token of those in ``lapsed`` is meant to be expired.
    ``views`` is ``module:mapping`` from the
    views of ``views.yaml`` to the adapters that ask in that way. ``load`` is ``module:function`` that makes, with an adapter,
    what a load sends (:class:`kms_conformance.run.load_operation.LoadOperation`). ``reproduction`` is ``module:name`` of what makes
    requests anew that hold frames of the system's own (:mod:`kms_conformance.outputs.repro_frames`). ``certifiable``: a run with the profile ``certify`` may
    judge it; not so an experimental one. Systems are listed by ``order`` and id; the
    first is the one of a target that names none.
    """

    id: str
    contract: str
    scenarios: tuple[str, ...]
    adapter: str
    identities: tuple[str, ...]
    schemas: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    impacts: Mapping[str, Impact] = field(default_factory=dict)
    instance: InstanceForm = InstanceForm()
    authorization: Authorization = Authorization()
    grant: Grant | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ("base_url",)
    shared: frozenset[str] = frozenset()
    lingers: Mapping[str, float] = field(default_factory=dict)
    default: bool = False
    reference: bool = False
    preflight: str = ""
    premises: str = ""
    apart: tuple[tuple[str, ...], ...] = ()
    rights: str = ""
    quotas: str = ""
    lapsed: frozenset[str] = frozenset()
    views: str = ""
    load: str = ""
    reproduction: str = ""
    certifiable: bool = True
    order: int = 100

    @property
    def principal(self) -> str:
        """The identity that may do everything: who asks unless a case says otherwise."""
        return self.identities[0]

    def impacts_that(self, quality: str) -> frozenset[str]:
        """Return the names of the impacts that have a quality: ``alone``, ``takes_turns`` or ``may_stay``."""
        return frozenset(name for name, impact in self.impacts.items() if getattr(impact, quality))


@cache
def systems() -> Mapping[str, System]:
    """Return every registered system by id, in their order.

    Raises :class:`BrokenSystemError` where an entry point cannot be loaded or names no system, and
    :class:`DuplicateSystemError` where two distributions register the same id.
    """
    by_id: dict[str, tuple[System, str]] = {}
    for point in entry_points(group=GROUP):
        system, origin = _load(point), _origin(point)
        earlier = by_id.get(system.id)
        if earlier is not None and earlier[0] is not system:
            raise DuplicateSystemError(system.id, *sorted((earlier[1], origin)))
        by_id[system.id] = (system, origin)
    ordered = sorted((system for system, _ in by_id.values()), key=lambda system: (system.order, system.id))
    return MappingProxyType({system.id: system for system in ordered})


def system_of(system_id: str) -> System:
    """Return a system; raise :class:`UnknownSystemError`, with the nearest known id, where it is not registered."""
    by_id = systems()
    if system_id not in by_id:
        near = did_you_mean(system_id, by_id)
        advice = f"did you mean {near!r}?" if near else f"known: {', '.join(by_id)}."
        raise UnknownSystemError(system_id, advice)
    return by_id[system_id]


def first_system() -> System:
    """Return the system of a target that names none."""
    return next(iter(systems().values()))


def default_systems() -> tuple[str, ...]:
    """Return the ids of what a plain run judges: the systems that ask for it and have an embedded reference."""
    return tuple(system.id for system in systems().values() if system.default and system.reference)


def folder_of(place: str) -> Traversable:
    """Return a folder that is written as ``package/folder``."""
    package, _, rest = place.partition("/")
    root = files(package)
    return root.joinpath(*rest.split("/")) if rest else root


def named_object(place: str) -> Any:
    """Return what ``module:name`` names; raise :class:`ImportError` or :class:`AttributeError` where it is not there."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _load(point: EntryPoint) -> System:
    try:
        system = point.load()
    except Exception as error:
        why = f"loading {point.value} failed ({str(error) or type(error).__name__})"
        raise BrokenSystemError(point.name, _origin(point), why) from error
    if not isinstance(system, System):
        raise BrokenSystemError(point.name, _origin(point), f"{point.value} is no System object")
    if system.id != point.name:
        raise BrokenSystemError(point.name, _origin(point), f"its System object has the id {system.id!r}")
    if not system.identities:
        raise BrokenSystemError(point.name, _origin(point), "it names no identity")
    return system


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
