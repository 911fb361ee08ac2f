"""From a request with placeholders to bytes, and from an answer to findings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

import httpx

from kms_conformance.contract.corpus import Entry, fill
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Received, Sent
from kms_conformance.fuzz.checks import cause_of, fuzz_findings
from kms_conformance.judging.results import Finding
from kms_conformance.transport.authorization import FinalRequest
from kms_conformance.transport.body import json_document
from kms_conformance.transport.client import Recorded, Reply, Request
from kms_conformance.transport.pipeline import Outgoing, SendResult

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun

Key = tuple[str, str, str]
"""Operation, row and cause: what makes two findings one."""

_ECHO = "wire-no-secret-echo"
_SECRET = 12


@dataclass(frozen=True, slots=True)
class FilledRequest:
    """A request with its placeholders filled. ``body`` is its JSON document, where it has one that says it all."""

    number: int
    entry: Entry
    outgoing: Outgoing
    operation: str | None
    path: str
    identity: str | None
    body: JSON = None
    secrets: tuple[bytes, ...] = ()


class FuzzFixtures(Protocol):
    """The things that fuzzed requests name, made by a system's adapter; and the records of what requests create."""

    hidden: set[str]

    def missing_permission(self, entry: Entry) -> str:
        """Return the line of the target file that a request lacks, or ``""`` where it may be sent."""

    def missing_capability(self, operation: str) -> str:
        """Return the capability that an operation needs and the target declares as absent, or ``""``."""

    def identity(self, entry: Entry) -> str | None:
        """Return who sends a request; ``None`` for nobody."""

    def prepare(self, names: Iterable[str]) -> None:
        """Make what the placeholders name."""

    def value(self, name: str) -> str:
        """Return what stands for a placeholder."""

    def before_sending(self, request: FilledRequest) -> None:
        """Record in the journal what a request may create, before it is sent."""

    def after_answer(self, request: FilledRequest, status: int, body: JSON, *, again: bool = False) -> None:
        """Record what an answer created or removed; ``again``: the request was sent twice."""


class CaseFuzzer:
    """Fills requests for one case, and judges what comes back."""

    def __init__(self, case: CaseRun, fixtures: FuzzFixtures) -> None:
        self.case, self.fixtures, self.context = case, fixtures, case.context
        self._numbers = 0
        self.header = case.context.client.authorizer.header
        self._material = str(self.context.contract.about.get("fuzz", {}).get("material_row", ""))
        self._agent = case.context.client.user_agent(case.info.id)

    def fill(self, entry: Entry) -> FilledRequest:
        """Return a request as it leaves for this endpoint."""
        value = self.fixtures.value
        body = None if entry.body is None else fill(entry.body, lambda name: json.dumps(value(name))[1:-1])
        headers = {name: fill(text, value) for name, text in entry.headers.items()}
        content = entry.raw if body is None else body.encode("utf-8", "surrogatepass")
        path, query = (
            fill(text, lambda name: quote(value(name), safe="")) for text in (entry.path, entry.query)
        )
        return self.filled(entry, path, query, headers, content)

    def filled(
        self, entry: Entry, path: str, query: str, headers: dict[str, str], content: bytes | None
    ) -> FilledRequest:
        """Return a request of filled parts, with the token of the identity that sends it."""
        self._numbers += 1
        contract = self.context.contract
        identity = self.fixtures.identity(entry)
        body = json_document(content, as_it_is=True)
        sent_headers = {"accept": "application/json", "user-agent": self._agent, **headers}
        secrets = self.context.redactor.guarded(body)
        target = f"{path}?{query}" if query else path
        if self.header not in sent_headers and identity is not None:
            url = self.context.target.base_url
            whole = {"host": urlsplit(url).netloc, **sent_headers}
            final = FinalRequest(entry.method, f"{url}{target}", whole, content or b"")
            added = self.context.client.authorizer.headers(identity, final)
            sent_headers |= added
            secrets = [*secrets, *(value.rpartition(" ")[2] for value in added.values())]
        return FilledRequest(
            number=self._numbers,
            entry=entry,
            outgoing=Outgoing(entry.method, target, sent_headers, content),
            operation=contract.operation_of(entry.method, path, sent_headers, body),
            path=path,
            identity=identity,
            body=body,
            secrets=tuple(text.encode("utf-8", "surrogatepass") for text in secrets if len(text) >= _SECRET),
        )

    def judge(self, request: FilledRequest, result: SendResult) -> dict[Key, Finding]:
        """Return what is wrong with an answer; the findings may hold secrets and are not for the report."""
        exchange = self._light(request, result)
        for seen in (request.body, exchange.answer and exchange.answer.body):
            # Whatever is reported later, of this request or of another one, may repeat them.
            self.context.redactor.learn(seen)
        name = request.operation or f"{request.entry.method} {request.entry.operation}"
        findings = {
            (name, finding.requirement, cause_of(finding)): finding
            for finding in fuzz_findings(exchange, self.context.contract, self.context.schemas)
        }
        content = result.content
        if any(secret in content for secret in request.secrets):
            for finding in self.evidence(request, result, "")[1]:
                if finding.requirement == _ECHO:
                    findings[name, _ECHO, ""] = finding
        row = self.context.contract.requirements.get(self._material)
        if row is not None and any(text.encode() in content for text in self.fixtures.hidden):
            got = "the material of a key that was imported"
            findings[name, row.id, ""] = Finding(
                row.id, row.severity, "no material of a root key", got, "", step=""
            )
        return findings

    def tidy(self) -> None:
        """Keep, of the exchanges that preparing made, the first one and those with findings."""
        broken = {finding.exchange for finding in self.case.findings}
        kept = [
            exchange
            for place, exchange in enumerate(self.case.exchanges)
            if not place or exchange.id in broken
        ]
        self.case.checks_not_kept += len(self.case.exchanges) - len(kept)
        self.case.exchanges = kept

    def body_of(self, result: SendResult) -> JSON:
        """Return the document of an answer, ``None`` where it has none."""
        return json_document(result.content)

    def evidence(
        self, request: FilledRequest, result: SendResult, step: str
    ) -> tuple[Exchange, list[Finding]]:
        """Return the exchange, redacted, and what is wrong with it, fit for the report."""
        headers = {name: value for name, value in request.outgoing.headers.items() if name != self.header}
        own = request.outgoing.headers.get(self.header)
        token = (
            ""
            if own is not None and request.identity is not None and self.header not in request.entry.headers
            else own
        )
        client_request = Request(
            method=request.entry.method,
            path=request.outgoing.target,
            headers=headers,
            body=request.body,
            raw=request.outgoing.content if request.body is None else None,
            identity=request.identity or "nobody",
            token=token,
            operation=request.operation,
            step=step,
        )
        reply = Reply(
            result.status, httpx.Headers(result.headers), json_document(result.content), result.content
        )
        correlation = request.outgoing.headers.get(self.context.contract.correlation, "")
        recorded = Recorded(reply, self.case.started, result.duration, correlation)
        _, exchange = self.context.client.recorded(client_request, self.case.info.id, recorded)
        if result.trouble:
            exchange = replace(exchange, answer=None, trouble=result.trouble)
        return exchange, fuzz_findings(exchange, self.context.contract, self.context.schemas)

    def report(self, request: FilledRequest, result: SendResult, key: Key, step: str) -> Finding:
        """Hand a finding and its exchange to the case."""
        try:
            exchange, findings = self.evidence(
                request, result, f"{request.operation or request.entry.operation}, {step}"
            )
        except httpx.InvalidURL:
            # No client would write such an address; the finding stands, its curl line needs the plain path.
            plain = replace(request, outgoing=replace(request.outgoing, target=request.entry.operation))
            exchange, findings = self.evidence(plain, result, step)
        finding = next((entry for entry in findings if entry.requirement == key[1]), None)
        if finding is None:
            row = self.context.contract.requirements[key[1]]
            got = "the material of a key that was imported" if key[1] == self._material else exchange.outcome
            finding = Finding(
                row.id,
                row.severity,
                row.title or row.text,
                got,
                exchange.id,
                curl_line(exchange),
                exchange.step,
            )
        self.case.exchanges.append(exchange)
        self.case.findings.append(finding)
        return finding

    def _light(self, request: FilledRequest, result: SendResult) -> Exchange:
        """Return the exchange as the rules need it, not redacted and never stored."""
        headers = request.outgoing.headers
        name = self.context.contract.correlation
        sent = Sent(request.entry.method, "", request.path, {name: headers.get(name, "")})
        answer = None
        if not result.trouble:
            body = json_document(result.content)
            is_json = bool(result.content) and (body is not None or result.content.strip() == b"null")
            kind = "" if is_json or not result.content else "a body that is not JSON"
            code = self.context.contract.code_of(body)
            answer = Received(
                result.status, dict(result.headers), body, is_json, len(result.content), kind, code
            )
        return Exchange("", "", "", request.operation, "", sent, answer, result.trouble, 0.0, result.duration)
