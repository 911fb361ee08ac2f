"""A request as a line for the shell."""

from __future__ import annotations

import json
import re
import shlex

from kms_conformance.evidence.exchange import Exchange

# Characters of a URL that curl takes for patterns, and headers that it writes itself or that name one request only.
_GLOBS = frozenset("[]{}")
_CURLS_OWN = frozenset(
    {"user-agent", "accept-encoding", "connection", "host", "content-length", "correlation-id"}
)


# What stands for a token or a key of an identity in a redacted header.
_TOKEN = re.compile(r"<(?:token|apikey):[0-9a-f]{12}>")


def curl_line(exchange: Exchange) -> str:
    """Return a shell line that sends this request again, with ``$KMS_TOKEN`` for the token.

    A request that was signed is signed anew: by what the system says for curl, else by a header that the reader makes.
    """
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
    parts += _headers(exchange)
    if body:
        if "content-type" not in sent.headers:
            parts.append("-H content-type:")  # else curl calls it a form
        # --data-raw takes an @ at the start as it is; -d would read a file.
        parts.append(f"{'--data-raw' if body.startswith('@') else '-d'} {shlex.quote(body)}")
    return " ".join(parts)


def _headers(exchange: Exchange) -> list[str]:
    """Return the words for the headers, and for what signs the request."""
    signed = exchange.notes.get("signed", "").split(",")
    parts = []
    if any(signed):
        parts.append(exchange.notes.get("curl") or '-H "authorization: $KMS_SIGNATURE"')
    for name, value in exchange.sent.headers.items():
        if name in _CURLS_OWN or name in signed:
            continue
        if _TOKEN.search(value):
            parts.append(f'-H "{name}: {_with_variable(value)}"')
        else:
            parts.append(f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    return parts


def _with_variable(value: str) -> str:
    """Return a header's value for double quotes of the shell, with the variable in the token's place."""
    return "$KMS_TOKEN".join(re.sub(r'([\\"$`])', r"\\\1", part) for part in _TOKEN.split(value))
