"""Makes a corpus: Schemathesis generates, the system's recipe inserts placeholders.

Schemathesis is bound to one processor (some hundred requests a second), so this is done once, and the file is shipped.
The same seed, size and versions of Schemathesis and Hypothesis give the same bytes.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.resources import as_file
from typing import Any, Protocol
from urllib.parse import quote

import hypothesis
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET, NotSet
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.overrides import Override

from kms_conformance.contract.contract import Contract, contract_folder, load_contract
from kms_conformance.contract.corpus import CLOSE, OPEN, PLACEHOLDER, Entry, pack
from kms_conformance.fuzz.mutations import twisted

SAMPLE = 2000
_ROUNDS = 6
_UNSAFE_HEADER = frozenset(map(chr, (*range(9), *range(10, 32), 127)))


@dataclass(slots=True)
class Parts:
    """A generated request before it is written down. ``valid`` names the components that keep the schema."""

    operation: str
    method: str
    path_parameters: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    has_body: bool = False
    raw: bytes | None = None
    who: str = ""
    valid: frozenset[str] = frozenset()


class Recipe(Protocol):
    """What a system's adapter knows about its requests."""

    def insert_placeholders(self, parts: Parts, rng: random.Random) -> None:
        """Replace values by placeholders, where an endpoint would refuse anything else before looking further."""

    def names(self, operation: str, path: str) -> set[str]:
        """Return the placeholders that requests of an operation may get."""


def build(
    contract_id: str,
    seed: int,
    size: int,
    progress: Callable[[str], None] = lambda _: None,
    only: Collection[str] = (),
) -> bytes:
    """Return the bytes of a new corpus; ``progress`` is called with a line for each operation that is done.

    Every operation gets an equal share of ``size``; one whose requests hardly differ may have fewer. ``only`` names the operations, where not all are wanted.
    """
    contract = load_contract(contract_id)
    recipe = recipe_of(contract)
    by_name = dict(schemathesis_operations(contract_id))
    operations = {name: operation for name, operation in by_name.items() if not only or name in only}
    share = -(-size // len(operations))
    made: dict[str, list[Entry]] = {}
    for name, operation in operations.items():
        made[name] = list(_entries(name, operation, contract, recipe, seed, share))
        progress(f"{name}: {len(made[name])}")
    about = {
        "contract": contract_id,
        "seed": seed,
        "openapi": _digest(contract_id),
        "groups": _groups(operations),
        "made_with": {package: version(package) for package in ("schemathesis", "hypothesis")},
    }
    return pack(about, *_in_order(made, size))


def _groups(operations: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the operations by the tag that the OpenAPI document gives them."""
    groups: dict[str, list[str]] = {}
    for name, operation in operations.items():
        tag = str(next(iter(operation.tags or ["others"]))).lower().replace(" ", "-")
        groups.setdefault(tag, []).append(name)
    return groups


def recipe_of(contract: Contract) -> Recipe:
    """Return the recipe that the contract names."""
    module, _, name = str(contract.about["fuzz"]["recipe"]).partition(":")
    recipe: Recipe = getattr(import_module(module), name)()
    return recipe


def _in_order(made: Mapping[str, list[Entry]], size: int) -> tuple[list[Entry], list[Entry]]:
    """Return sample and rest, operation by operation; the sample takes every n-th request of each operation."""
    total = sum(len(entries) for entries in made.values())
    stride = max(round(total / SAMPLE), 1)
    sample = [entry for entries in made.values() for entry in entries[::stride]]
    rest = [entry for entries in made.values() for place, entry in enumerate(entries) if place % stride]
    return sample, rest[: max(size - len(sample), 0)]


def schema_of(contract_id: str) -> Any:
    """Return a contract's OpenAPI document as Schemathesis's schema."""
    # A configuration of our own: the user's schemathesis.toml is ignored, and so are earlier runs.
    config = SchemathesisConfig.from_dict({"cache": {"enabled": False}})
    with as_file(contract_folder(contract_id)) as folder:
        return schemathesis.openapi.from_path(str(folder / "openapi.yaml"), config=config)


def schemathesis_operations(contract_id: str) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a contract, by id, as Schemathesis knows them."""
    for result in schema_of(contract_id).get_all_operations():
        operation = result.ok()
        yield operation.definition.raw["operationId"], operation


def _entries(  # noqa: PLR0917 - what the corpus is about, from the whole to the part
    name: str, operation: Any, contract: Contract, recipe: Recipe, seed: int, wanted: int
) -> Iterator[Entry]:
    """Yield distinct requests of one operation: boundary cases first, then valid, invalid and twisted ones in turn."""
    described = contract.operations[name]
    seen: set[str] = set()
    number = 0
    for kind, parts, rng in _generated(name, operation, seed, wanted):
        recipe.insert_placeholders(parts, rng)
        entry = written(kind, described.path, parts, rng)
        if entry is None or entry.line() in seen:
            continue
        seen.add(entry.line())
        yield entry
        number += 1
        if number >= wanted:
            return


def _generated(
    name: str, operation: Any, seed: int, wanted: int
) -> Iterator[tuple[str, Parts, random.Random]]:

    own = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:6], "big")
    rng = random.Random(own)  # noqa: S311 - fuzzing wants the same numbers again
    boundary = [parts_of(name, case) for case in _coverage(operation)]
    rng.shuffle(boundary)
    for parts in boundary[: wanted * 2 // 5]:
        yield "coverage", parts, rng
    for around in range(_ROUNDS):
        need = max(wanted // 2, 8)
        valid = _drawn(name, operation, GenerationMode.POSITIVE, own + around, need)
        invalid = _drawn(name, operation, GenerationMode.NEGATIVE, own + around, need)
        for place in range(max(len(valid), len(invalid))):
            if place < len(valid):
                # The same valid request gets placeholders twice: different ones.
                yield "valid", copy.deepcopy(valid[place]), rng
                if valid[place].has_body:
                    yield "twisted", valid[place], rng
            if place < len(invalid):
                yield "invalid", invalid[place], rng


def _drawn(name: str, operation: Any, mode: Any, seed: int, number: int) -> list[Parts]:

    drawn: list[Parts] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def draw(case: Any) -> None:
        drawn.append(parts_of(name, case))

    draw()
    return drawn


def _coverage(operation: Any) -> list[Any]:
    """Return what Schemathesis's coverage phase would send: boundary values, missing members, odd methods."""
    generator = CoverageGenerator(
        operation=operation,
        generation_modes=list(GenerationMode),
        generation_config=operation.schema.config.generation_for(operation=operation, phase="coverage"),
        auth_storage=None,
        override=Override(query={}, headers={}, cookies={}, path_parameters={}, body={}),
        feedback=FeedbackSources(),
    )
    return list(generator)


def parts_of(name: str, case: Any) -> Parts:
    """Return what Schemathesis generated for an operation."""
    headers = {str(key).lower(): str(value) for key, value in dict(case.headers or {}).items()}
    valid = {
        component.name.lower()
        for component, info in (case.meta.components if case.meta else {}).items()
        if info.mode.is_positive
    }
    parts = Parts(
        operation=name,
        method=str(case.method).upper(),
        path_parameters=_plain(case.path_parameters or {}),
        query=_plain(case.query or {}),
        headers=headers,
        valid=frozenset(valid),
    )
    if isinstance(case.body, bytes):
        parts.raw = case.body
    elif case.body is not NOT_SET and not isinstance(case.body, NotSet):
        parts.body, parts.has_body = _plain(case.body), True
    if case.media_type and (parts.has_body or parts.raw is not None):
        parts.headers.setdefault("content-type", case.media_type)
    return parts


def _plain(value: Any) -> Any:
    """Return a generated value without Schemathesis's own subclasses of the simple types."""
    match value:
        case Mapping():
            return {str(name): _plain(entry) for name, entry in value.items()}
        case list() | tuple():
            return [_plain(entry) for entry in value]
        case str():
            return str.__str__(value).replace(OPEN, "").replace(CLOSE, "")
    return value


def written(kind: str, template: str, parts: Parts, rng: random.Random) -> Entry | None:
    """Return a request as a corpus keeps it, ``None`` where HTTP itself cannot carry it."""
    path = template
    for name, value in parts.path_parameters.items():
        path = path.replace(f"{{{name}}}", _quoted(_text(value), "%"))
    if "{" in path:
        return None
    headers = {name: value for name, value in parts.headers.items() if _sendable(name, value)}
    body = None
    if parts.has_body:
        try:
            body = (
                twisted(parts.body, rng) if kind == "twisted" else json.dumps(parts.body, ensure_ascii=False)
            )
        except (TypeError, ValueError):
            return None
    return Entry(
        number=0,
        operation=parts.operation,
        kind=kind,
        method=parts.method,
        path=path,
        query=_query(parts.query),
        headers=headers,
        body=body,
        raw=parts.raw,
        who=parts.who,
    )


def _query(query: Mapping[str, Any]) -> str:
    pairs = []
    for name, value in query.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(_text(name), _text(entry)) for entry in values]
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str, safe: str = "") -> str:
    """Percent-encode a text but for its placeholders."""
    pieces = re.split(f"({PLACEHOLDER.pattern.replace('(', '(?:', 1)})", text)
    return "".join(
        piece if piece.startswith(OPEN) else quote(piece, safe=safe, errors="replace") for piece in pieces
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str)


def _sendable(name: str, value: str) -> bool:
    """Tell whether HTTP/1.1 carries a header; the raw probes send what it cannot carry."""
    token = (
        name.isascii() and name.isprintable() and name != "" and not set('"(),/:;<=>?@[\\]{} ') & set(name)
    )
    if (
        not token
        or _UNSAFE_HEADER & set(value)
        or name in {"content-length", "transfer-encoding", "host", "connection"}
    ):
        return False
    plain = value.replace(OPEN, "").replace(CLOSE, "")
    try:
        plain.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return value == value.strip()


def _digest(contract_id: str) -> str:
    return sha256((contract_folder(contract_id) / "openapi.yaml").read_bytes()).hexdigest()
