"""Which features of an endpoint a fuzzed request needs: what the target declares it lacks is not asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kms_conformance.contract.corpus import Entry

_OPERATIONS: Mapping[str, re.Pattern[str]] = {
    "registrations": re.compile(r"Registration|eventAcknowledge"),
    "import_tokens": re.compile(r"ImportToken"),
    "kmip": re.compile(r"Kmip"),
    "key_rings": re.compile(r"KeyRing|patchKey"),
    "aliases": re.compile(r"KeyAlias"),
    "instance_policies": re.compile(r"InstancePolicy"),
    "allowed_ip": re.compile(r"AllowedIPPort"),
}
_PLACEHOLDERS: Mapping[str, re.Pattern[str]] = {
    "registrations": re.compile(r"crn\Z|.*:registered\Z"),
    "import_tokens": re.compile(r"parcel-"),
    "kmip": re.compile(r"(adapter|certificate)\Z"),
    "key_rings": re.compile(r"ring\Z|.*:ringed\Z"),
    "aliases": re.compile(r"alias\Z|.*:alias\Z"),
    "dual_auth": re.compile(r".*:dual\Z"),
}


def feature_of(operation: str) -> str:
    """Return the capability that an operation is part of; ``""`` for what every endpoint has."""
    return next((name for name, pattern in _OPERATIONS.items() if pattern.search(operation)), "")


def features_of(entry: Entry) -> set[str]:
    """Return the capabilities without which a request makes no sense."""
    names = set(entry.placeholders())
    features = {name for name, pattern in _PLACEHOLDERS.items() if any(map(pattern.match, names))}
    if "dualAuthDelete" in (entry.body or ""):
        features.add("dual_auth")
    return (features | {feature_of(entry.operation)}) - {""}


def without(names: Iterable[str], lacking: Iterable[str]) -> set[str]:
    """Return the placeholders that can be filled on an endpoint that lacks some features."""
    patterns = [_PLACEHOLDERS[feature] for feature in lacking if feature in _PLACEHOLDERS]
    return {name for name in names if not any(pattern.match(name) for pattern in patterns)}
