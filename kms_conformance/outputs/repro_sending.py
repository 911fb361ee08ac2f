"""Sending one request of a reproduction, and times that need not be met to the second: pasted into each script."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import Any

from kms_conformance.outputs.repro_checks import Answer

BARE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?![\d:.Z+-])")
SLACK = timedelta(seconds=2)
"""How much later or earlier than in the record something may be done."""


class CouldNotRunError(Exception):
    """The sequence cannot be sent here; the text says why."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a token goes to no other host."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def any_time_about(then: datetime) -> str:
    """Return a pattern for the times that are nearly this one, without an offset."""
    slack = int(SLACK.total_seconds())
    near = [then + timedelta(seconds=seconds) for seconds in range(-slack, slack + 1)]
    return f"(?:{'|'.join(one.isoformat(timespec='seconds') for one in near)})"


def widened(bounds: list[Any], recorded: list[Any], refs: dict[str, Any]) -> list[Any]:
    """Return bounds with some slack where they are times of the record and no value of an answer."""
    first, last = (
        bound if bound is None or known in refs else (datetime.fromisoformat(bound) + slack).isoformat()
        for bound, known, slack in zip(bounds, recorded, (-SLACK, SLACK), strict=True)
    )
    return [first, last]


def send(request: urllib.request.Request) -> Answer:
    """Send a request; return status, headers, document and text of the answer, status 0 where none came."""
    try:
        with OPENER.open(request, timeout=60) as answer:
            return read(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refused:
        return read(refused.code, refused.headers, refused.read())
    except (OSError, ValueError, urllib.error.URLError) as error:
        return 0, {}, None, str(error)


def connected(request: urllib.request.Request) -> http.client.HTTPConnection | None:
    """Return a connection to the host of a request, so that opening one takes no time when moments count; ``None`` where that fails."""
    kind = http.client.HTTPSConnection if request.type == "https" else http.client.HTTPConnection
    connection = kind(str(request.host), timeout=60)
    try:
        connection.connect()
    except OSError:
        return None
    return connection


def send_over(connection: http.client.HTTPConnection | None, request: urllib.request.Request) -> Answer:
    """Send a request over a connection that is open; return the answer as :func:`send` does."""
    if connection is None:
        return send(request)
    try:
        connection.request(request.get_method(), request.selector, request.data, dict(request.header_items()))
        answer = connection.getresponse()
        return read(answer.status, answer.headers, answer.read())
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, None, str(error)
    finally:
        connection.close()


def ask(method: str, url: str, body: Any) -> Any:
    """Send a request of the control protocol and return its document."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with OPENER.open(request, timeout=60) as answer:
            content = answer.read()
            return json.loads(content) if content else None
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise CouldNotRunError(f"the control protocol at {url} answers {error}") from None


def read(status: int, headers: Any, content: bytes) -> Answer:
    """Return status, headers, document and text of an answer."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return status, {name.lower(): value for name, value in headers.items()}, body, text + str(headers)
