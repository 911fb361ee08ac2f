"""Requests that no client library would send, byte by byte: for loopback targets, or where ``[allow] raw`` says so."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.curl import curl_line
from kms_conformance.judging.every_exchange import wire_findings
from kms_conformance.judging.results import Finding
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import NotTested
from kms_conformance.target.target import FULL, READ_ONLY
from kms_conformance.transport.body import json_document
from kms_conformance.transport.client import Recorded, Reply, Request
from kms_conformance.transport.raw_socket import RawAnswers

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun


def send_raw(  # noqa: PLR0917 - the parts of a request, in their order
    system: Any, method: str, target: str, headers: list[str], content: bytes, step: str
) -> tuple[Answer, int]:
    """Send a request as it is given and return the first answer and how many came.

    More than one is a finding of the case's first row: the server has read a second request out of the first. ``target`` and ``headers`` leave as they are; ``{host}``, ``{token}`` and ``{instance}`` in a header are filled.
    Raises :class:`NotTested` for targets that are neither loopback nor allow it.
    """
    case: CaseRun = system.case
    client, where = case.context.client, case.context.target
    if where.mode == READ_ONLY:
        raise NotTested(f"--mode {READ_ONLY} sends no bytes that may be taken for another request")
    if not (where.loopback or where.allow.get("raw")):
        raise NotTested(
            f"--mode {FULL} lets it run" if "raw" in where.unused else "add [allow] raw = true to the target"
        )
    url = urlsplit(where.base_url)
    token = str(client.tokens.of(client.principal))
    values = {"host": url.netloc, "token": token, "instance": case.instance}
    lines = [f"{method} {url.path}{target} HTTP/1.1", *(line.format(**values) for line in headers)]
    begun, started = time.perf_counter(), steady_clock.now()
    data, trouble = client.exchange_raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)
    answers = RawAnswers(data)
    shown = dict(line.partition(":")[::2] for line in headers if ":" in line)
    request = Request(
        method=method,
        path=target,
        headers={
            name.strip().lower(): value.strip().format(**values)
            for name, value in shown.items()
            if name.strip()
            and name.strip().lower() not in {client.authorizer.header, "authorization"}
            and name == name.strip()
        },
        raw=content or None,
        operation=case.context.contract.operation_of(method, target.partition("?")[0]),
        step=step,
    )
    reply = Reply(
        answers.status, httpx.Headers(answers.headers), json_document(answers.content), answers.content
    )
    seconds = time.perf_counter() - begun
    _, exchange = client.recorded(request, case.info.id, Recorded(reply, started, seconds, ""))
    exchange = replace(exchange, notes={**exchange.notes, "raw": "the HTTP layer may have answered"})
    if not answers.count:
        exchange = replace(exchange, answer=None, trouble=trouble or "a connection closed without an answer")
    case.exchanges.append(exchange)
    if answers.count > 1:
        row = case.row()
        got = f"{answers.count} answers"
        case.findings.append(
            Finding(
                row.id, row.severity, "one answer to one request", got, exchange.id, curl_line(exchange), step
            )
        )
    if answers.count:
        # Closing the connection is a lawful answer to a request that is no HTTP; an answer must keep the rules.
        case.findings += wire_findings(exchange, case.context.contract, case.context.schemas)
    return Answer(case, reply if answers.count else None, exchange), answers.count
