"""A request as a line for the shell."""

from __future__ import annotations

import json
import shlex

from kms_conformance.evidence.exchange import Exchange

# Characters of a URL that curl takes for patterns, and headers that it writes itself or that name one request only.
_GLOBS = frozenset("[]{}")
_CURLS_OWN = frozenset(
    {"user-agent", "accept-encoding", "connection", "host", "content-length", "correlation-id"}
)


def curl_line(exchange: Exchange) -> str:
    """Return a shell line that sends this request again, with ``$KMS_TOKEN`` for the token."""
    sent = exchange.sent
    body = sent.text or "" if sent.body is None else json.dumps(sent.body, ensure_ascii=False)
    parts = ["curl -sS -i"]
    if _GLOBS.intersection(sent.url):
        parts.append("-g")
    if "/." in sent.url:
        parts.append("--path-as-is")
    if sent.method == "HEAD":
        parts.append("--head")
    elif sent.method != "GET" or body:
        parts.append(f"-X {sent.method}")
    parts.append(shlex.quote(sent.url))
    for name, value in sent.headers.items():
        if name in _CURLS_OWN:
            continue
        if name == "authorization" and "<" in value:
            parts.append('-H "authorization: Bearer $KMS_TOKEN"')
        else:
            parts.append(f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if body:
        if "content-type" not in sent.headers:
            parts.append("-H content-type:")  # else curl calls it a form
        # --data-raw takes an @ at the start as it is; -d would read a file.
        parts.append(f"{'--data-raw' if body.startswith('@') else '-d'} {shlex.quote(body)}")
    return " ".join(parts)
