"""Judging what several clients were answered at once, in a script: pasted into those that bring a model."""

from __future__ import annotations

import base64
import importlib
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kms_conformance.evidence.members import pick

ONE_ORDER = "one-order"
Timed = tuple[dict[str, Any], str, float, float, tuple[int, dict[str, str], Any, str]]
"""A step, the address that was asked, when that was and how long it took, in seconds, and the answer."""


class BroughtModules(MetaPathFinder, Loader):
    """Imports the modules of the model from their sources."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - as Python calls it
        """Return how a module is imported, ``None`` for those of others."""
        is_package = any(name.startswith(f"{fullname}.") for name in self.sources)
        if fullname not in self.sources and not is_package:
            return None
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source; a package without one is empty."""
        exec(compile(self.sources.get(module.__name__, ""), module.__name__, "exec"), module.__dict__)  # noqa: S102 - the suite's own


def brought(packed: Sequence[str]) -> Any:
    """Return what the packed modules are there for, after letting Python import them."""
    place, sources = json.loads(zlib.decompress(base64.b64decode("".join(packed))))
    if not any(isinstance(finder, BroughtModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, BroughtModules(sources))
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def history_complaint(
    model: Sequence[str], value: Mapping[str, Any], seen: Mapping[int, Timed], code_at: str
) -> str:
    """Return why answers fit no order of their requests, or ``""``; ``value`` names them by their steps."""
    explained = brought(model)
    evidence = importlib.import_module("kms_conformance.evidence.exchange")
    histories = importlib.import_module("kms_conformance.judging.histories")
    timed = [
        histories.TimedExchange(
            _exchange(evidence, place, seen[place], code_at), float(ahead), bool(answered)
        )
        for place, ahead, answered in value["requests"]
        if place in seen
    ]
    return explained(timed, value) or ""


def _exchange(evidence: Any, place: int, timed: Timed, code_at: str) -> Any:
    step, url, started, duration, (status, headers, body, text) = timed
    code = pick(body, code_at) if code_at else None
    answer = evidence.Received(
        status, headers, body, body is not None, len(text), "", code if isinstance(code, str) else None
    )
    sent = evidence.Sent(
        step["method"], url, url.partition("?")[0], step.get("sent", {}), step.get("sent_body"), None
    )
    return evidence.Exchange(
        str(place),
        "",
        step["step"],
        step["operation"],
        step["identity"],
        sent,
        answer if status else None,
        "" if status else text,
        started,
        duration,
    )
