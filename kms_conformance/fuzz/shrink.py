"""Smaller versions of a request, for finding the least that still shows a fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from kms_conformance.fuzz.requests import CaseFuzzer, FilledRequest

_NEEDED = frozenset({"accept", "user-agent", "content-type"})


def smallest(
    fuzzer: CaseFuzzer, request: FilledRequest, shows: Callable[[FilledRequest], bool], tries: int
) -> FilledRequest:
    """Return the smallest version found with ``tries`` sendings that still ``shows`` the fault."""
    for _ in range(tries):
        better = None
        for candidate in _smaller(fuzzer, request):
            tries -= 1
            if tries < 0:
                return request
            if shows(candidate):
                better = candidate
                break
        if better is None:
            return request
        request = better
    return request


def _smaller(fuzzer: CaseFuzzer, request: FilledRequest) -> Iterator[FilledRequest]:
    outgoing = request.outgoing
    path, _, query = outgoing.target.partition("?")
    own = fuzzer.header in request.entry.headers
    headers = {name: value for name, value in outgoing.headers.items() if own or name != fuzzer.header}
    needed = _NEEDED | fuzzer.context.contract.needed_headers | {fuzzer.header}
    if query:
        yield fuzzer.filled(request.entry, path, "", headers, outgoing.content)
    for name in [name for name in headers if name not in needed]:
        yield fuzzer.filled(
            request.entry,
            path,
            query,
            {key: value for key, value in headers.items() if key != name},
            outgoing.content,
        )
    if outgoing.content is not None:
        bare = {key: value for key, value in headers.items() if key != "content-type"}
        yield fuzzer.filled(request.entry, path, query, bare, None)
    for body in _bodies(request.body):
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        yield fuzzer.filled(request.entry, path, query, headers, content)


def _bodies(body: Any) -> Iterator[Any]:
    """Yield versions of a document with one member or entry less, the largest pieces first."""
    for place in sorted(_places(body), key=len):
        changed = copy.deepcopy(body)
        holder = changed
        for step in place[:-1]:
            holder = holder[step]
        del holder[place[-1]]
        yield changed


def _places(body: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    places = []
    pairs = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for step, value in pairs:
        places.append((*here, step))
        places += _places(value, (*here, step))
    return places
