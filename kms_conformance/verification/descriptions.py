"""Whether what a record says of suite, contracts, servers, identities and limits fits what else it says of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.contract.contract import load_contract
from kms_conformance.judging.verdict import Run

_SUITE = "kms-conformance"
_REDIRECT = 300
_FRESH, _UNKNOWN, _SOME = "fresh", "unknown", 20
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COMMIT = re.compile(rf"[0-9a-f]{{40,64}}|{_UNKNOWN}")
_PYTHON, _OLDEST_PYTHON = re.compile(r" (\d+)\.(\d+)"), (3, 11)
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


def complaints(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each thing that does not fit."""
    yield from _software(record)
    yield from _instances(run, record)
    yield from _contracts(record)
    yield from _servers(record)
    yield from _identities(run, record)
    wait, limit = record["options"].get("max_wait"), record["target"].get("limits", {}).get("max_wait")
    if wait is not None and wait != limit and not record["shards"]:
        yield f"results.json: options.max_wait is {wait}, and the target's limit {limit}"


def _software(record: Mapping[str, Any]) -> Iterator[str]:
    """Check suite and Python: their names, and that this Python can have run the suite."""
    suite, python = record["suite"], str(record["environment"].get("python", ""))
    if suite["name"] != _SUITE:
        yield f"results.json: suite.name is {suite['name']!r}"
    if not _COMMIT.fullmatch(str(suite.get("commit", _UNKNOWN))):
        yield f"results.json: suite.commit is {suite['commit']!r}, which is no commit"
    version = _PYTHON.search(python)
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST_PYTHON:
        yield f"results.json: environment.python is {python}, on which the suite does not run"


def _instances(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Check that some request names the instance or account that the target has, where it is one of its own."""
    for block in () if record["shards"] else record["contracts"]:
        table = record["target"].get(block["id"])
        places = table if isinstance(table, Mapping) else record["target"]
        named = [str(places[name]) for name in ("instance", "account") if places.get(name)]
        own = [name for name in named if name != _FRESH and _UUID.fullmatch(name)]
        # One of the first few cases that asked anything is enough.
        asked = [case for case in run.cases if case.contract == block["id"] and case.exchanges][:_SOME]
        texts = (str((one.sent.url, dict(one.sent.headers))) for case in asked for one in case.exchanges)
        if asked and own and not any(own[0].casefold() in text.casefold() for text in texts):
            yield f"results.json: the target of {block['id']} has the instance {own[0]}, which no request names"


def _contracts(record: Mapping[str, Any]) -> Iterator[str]:
    for block in record["contracts"]:
        contract = load_contract(block["id"])
        for name, wanted in (("title", contract.title), ("edition", contract.edition)):
            if block.get(name) != wanted:
                yield f"results.json: {name} of contract {contract.id} is {block.get(name)!r} instead of {wanted!r}"


def _servers(record: Mapping[str, Any]) -> Iterator[str]:
    """Check that the record names the servers that were asked, what these can have shown, and where they can be."""
    tables = _tables(record["target"])
    asked = {urlsplit(str(table.get("base_url"))).hostname for table in tables} - {None}
    told = {str(server["name"]).rpartition(":")[0].strip("[]").lower() for server in record["servers"]}
    is_direct = not (record["shards"] or "proxy" in record["target"])
    if told and told.isdisjoint(asked) and is_direct:
        yield f"results.json: servers are {', '.join(sorted(told))}, and its target names another"
    plain = {
        urlsplit(url).netloc for table in tables if (url := str(table.get("base_url"))).startswith("http://")
    }
    for server in record["servers"]:
        name, addresses = str(server["name"]), [str(address) for address in server["addresses"]]
        if server["certificates"] and name in plain:
            yield f"results.json: server {name} has a certificate, and is asked without TLS"
        host = name.rpartition(":")[0]
        is_there = not addresses or any(address.partition(":")[0] == host for address in addresses)
        if _ADDRESS.fullmatch(host) and not is_there and is_direct:
            yield f"results.json: server {name} is said to be at {', '.join(addresses)}"


def _identities(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Check that the record names the identities that were let in, and none that the target does not have."""
    known = set(record["target"].get("identities", ()))
    let_in = {one.identity for one in run.outlines if one.status is not None and one.status < _REDIRECT}
    missing = sorted((let_in & known) - record["identities"].keys()) if record["identities"] else []
    if missing:
        yield f"results.json: identities lack {', '.join(missing)}, as whom requests succeeded"
    strange = sorted(record["identities"].keys() - known)
    if strange and not record["shards"]:
        yield f"results.json: identities has {', '.join(strange)}, which the target does not name"


def _tables(target: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [target, *(table for table in target.values() if isinstance(table, Mapping))]
