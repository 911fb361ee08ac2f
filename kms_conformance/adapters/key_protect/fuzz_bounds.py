"""Which generated requests stay with our own things on an instance that others use too.

A generated name such as ``00`` may be the alias of somebody's key, or somebody's key ring. On a shared instance a request
that changes something therefore goes only to what a placeholder names, and makes only what bears the run's own name: then
a key, ring or adapter that a killed run has left is told from others by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from kms_conformance.contract.corpus import OPEN, PLACEHOLDER, Entry

_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NAMING = frozenset({"{id}", "{alias}", "{key_ring_id}", "{adapter_id}"})
_NAMELESS = frozenset({"createKmipAdapter", "addKmipClientCertificate"})
_MAKES = frozenset({"createKey", "createKeyWithPoliciesOverrides", "createKeyRing"}) | _NAMELESS
_NAME = re.compile(r"[A-Za-z0-9_-]{2,100}")
_DIGITS = 5


def stays_with_ours(entry: Entry, template: str, prefix: str) -> bool:
    """Tell whether a request can change or make nothing but our own; ``template`` is its operation's path."""
    if entry.method in _READS:
        return True
    steps = entry.path.strip("/").split("/")
    named = template.strip("/").split("/")
    if len(steps) != len(named):
        return False
    for step, name in zip(steps, named, strict=True):
        if name in _NAMING and not _ours(step, prefix) and (_may_name(step) or entry.operation in _MAKES):
            return False
    return entry.operation not in _MAKES or _makes_ours(entry, prefix)


def _ours(text: str, prefix: str) -> bool:
    """Tell whether a placeholder names a thing of ours, or begins its name with our prefix and a number."""
    match = PLACEHOLDER.match(text)
    if match is None:
        return False
    head, _, room = match[1].partition(":")
    if head != "name":
        return True
    size, longest = map(int, room.split(":"))
    return longest - size >= len(prefix) + _DIGITS


def _may_name(step: str) -> bool:
    """Tell whether a step of a path can be the name of somebody's thing: no page allows other signs in one."""
    return OPEN in step or _NAME.fullmatch(unquote(step)) is not None


def _makes_ours(entry: Entry, prefix: str) -> bool:
    body = _document(entry.body)
    resources = body.get("resources") if isinstance(body, Mapping) else None
    for resource in resources if isinstance(resources, list) else ():
        if not isinstance(resource, Mapping):
            continue
        name, aliases = resource.get("name"), resource.get("aliases")
        if isinstance(name, str) and not _ours(name, prefix):
            return False
        if name is None and entry.operation in _NAMELESS:
            return False  # the endpoint chooses a name, which is lost with the answer
        for alias in aliases if isinstance(aliases, list) else ():
            if isinstance(alias, str) and not _ours(alias, prefix):
                return False
    return True


def _document(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
