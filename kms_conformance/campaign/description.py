"""``campaign.toml``: which endpoints, seeds, contracts and cases, and where the results go (``schemas/campaign.schema.json``).

A campaign travels to other machines, so it holds no secret: an endpoint is a target file that lies where the worker
is, or a table whose identities name variables or files of the worker.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from kms_conformance.campaign.errors import CampaignFileError
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.target.schema import secret_members, target_schema
from kms_conformance.target.target import DEFAULT_RATE
from kms_conformance.target.urls import is_loopback
from kms_conformance.target.values import FRESH

AT_ONCE = 4
"""Shards under way at once against an endpoint that gives each case an instance of its own."""
SHARD_SECONDS = 300.0
ATTEMPTS = 3
SEED = 1
TIMEOUT = 6 * 3600.0
_OUTSIDE = ("results", "earlier", "attempts", "timeout")
"""What may change without making another campaign of it."""
_FLAGS = ("profile", "edition", "mode", "baseline", "example_database", "max_examples", "fuzz_time", "jobs")
_LITERALS = ("api_key", "token", "password")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of a campaign.

    ``target`` is the path of a target file or the document itself; ``at_once`` how many shards may be under way against it,
    ``rate`` how many requests a second all of them together may send, ``None`` for no limit; ``contracts`` may be empty:
    those that the target has tables for.
    """

    name: str
    target: str | Mapping[str, Any]
    base_url: str
    at_once: int
    rate: float | None
    contracts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign file says. ``groups`` are expressions as of ``run -k`` by name, none: all cases; times are seconds.

    ``flags`` are the options of ``run`` that every shard gets, ``digest`` tells two campaigns apart.
    """

    name: str
    results: str
    endpoints: tuple[Endpoint, ...]
    seeds: tuple[int, ...]
    groups: Mapping[str, str]
    flags: tuple[str, ...]
    earlier: tuple[Path, ...]
    shard_seconds: float
    attempts: int
    timeout: float
    load: Mapping[str, Any]
    digest: str


def read_campaign(path: Path) -> Campaign:
    """Read a campaign; paths in it count from its own folder. Raises :class:`CampaignFileError`."""
    document = _read(path, "campaign file")
    if (complaint := SCHEMA_FILES.complaint("campaign", document)) is not None:
        raise CampaignFileError(str(path), complaint, "docs/campaigns.md lists every key.")
    if len({entry["name"] for entry in document["endpoints"]}) < len(document["endpoints"]):
        raise CampaignFileError(str(path), "two endpoints have one name")
    if "@" in document.get("example_database", ""):
        why = "example_database holds a password"
        raise CampaignFileError(str(path), why, "set KMS_EXAMPLE_DATABASE where the workers are.")
    shared = tuple(document.get("contracts", ()))
    return Campaign(
        name=document["name"],
        results=_results(path.parent, document.get("results", "campaign-results")),
        endpoints=tuple(_endpoint(path, entry, shared) for entry in document["endpoints"]),
        seeds=tuple(document.get("seeds", (SEED,))),
        groups=document.get("groups", {}),
        flags=tuple(_flags(path.parent, document)),
        earlier=tuple(path.parent / place for place in document.get("earlier", ())),
        shard_seconds=float(document.get("shard_seconds", SHARD_SECONDS)),
        attempts=document.get("attempts", ATTEMPTS),
        timeout=float(document.get("timeout", TIMEOUT)),
        load=document.get("load", {}),
        digest=_digest(document),
    )


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        why = f"it is not TOML ({error})"
    raise CampaignFileError(str(path), f"{why} ({what})" if what != "campaign file" else why)


def _results(folder: Path, place: str) -> str:
    return place if "://" in place else str(folder / place)


def _flags(folder: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of ``run`` that are the same for every shard."""
    for name in _FLAGS:
        if name in document:
            value = folder / document[name] if name == "baseline" else document[name]
            yield from (f"--{name.replace('_', '-')}", str(value))
    if document.get("fuzz") is False:
        yield "--no-fuzz"


def _digest(document: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in document.items() if name not in _OUTSIDE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _endpoint(path: Path, entry: Mapping[str, Any], contracts: tuple[str, ...]) -> Endpoint:
    target = entry["target"]
    if isinstance(target, str):
        place = str(path.parent / target)
        document = _read(Path(place), f"target of {entry['name']}")
        target = place
    else:
        document = target
        _demand_no_secret(path, entry["name"], target)
    base_url = document.get("base_url")
    if not isinstance(base_url, str):
        raise CampaignFileError(str(path), f"the target of {entry['name']} has no base_url")
    limits = document.get("limits", {})
    rate = entry.get("requests_per_second", limits.get("requests_per_second"))
    if rate is None and not is_loopback(base_url):
        rate = DEFAULT_RATE
    usual = AT_ONCE if document.get("instance") == FRESH else 1
    return Endpoint(
        name=entry["name"],
        target=target,
        base_url=base_url.rstrip("/"),
        at_once=entry.get("at_once", usual),
        rate=rate,
        contracts=tuple(entry.get("contracts", contracts)),
    )


def _demand_no_secret(path: Path, name: str, target: Mapping[str, Any]) -> None:
    """Refuse a table that is no target, and one that holds a secret: it would stand in the plan."""
    validator = jsonschema_rs.validator_for(dict(target_schema()), validate_formats=False)
    if not validator.is_valid(dict(target)):
        error = next(iter(validator.iter_errors(dict(target))))
        place = ".".join(str(part) for part in error.instance_path) or "it"
        rule = "/".join(str(part) for part in error.schema_path)
        raise CampaignFileError(str(path), f"the target of {name}: {place} breaks {rule}")
    tables = [*target.get("identities", {}).values(), target.get("proxy", {})]
    for member in (*_LITERALS, *secret_members()):
        if any(member in table for table in tables):
            why = f"the target of {name} holds a secret itself ({member})"
            raise CampaignFileError(
                str(path), why, f"write {member}_env or {member}_file, which the worker reads."
            )
