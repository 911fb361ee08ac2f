"""From a request with placeholders to bytes, and from an answer to findings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

import httpx

from kms_conformance import __version__
from kms_conformance.contract.corpus import Entry, fill
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Received, Sent
from kms_conformance.fuzz.checks import cause_of, fuzz_findings
from kms_conformance.judging.results import Finding
from kms_conformance.transport.authorization import FinalRequest
from kms_conformance.transport.body import json_document
from kms_conformance.transport.client import Recorded, Reply, Request
from kms_conformance.transport.pipeline import Landed, Outgoing

if TYPE_CHECKING:
    from kms_conformance.run.case import CaseRun

Key = tuple[str, str, str]
"""Operation, row and cause: what makes two findings one."""

_ECHO = "wire-no-secret-echo"
_SECRET = 12


@dataclass(frozen=True, slots=True)
class Shot:
    """A request with its placeholders filled. ``body`` is its JSON document, where it has one that says it all."""

    number: int
    entry: Entry
    outgoing: Outgoing
    operation: str | None
    path: str
    identity: str | None
    body: JSON = None
    secrets: tuple[bytes, ...] = ()


class Supply(Protocol):
    """What a system's adapter gives to the fuzzer."""

    hidden: set[str]

    def barred(self, entry: Entry) -> str:
        """Return why a request may not go to this target, as what would have to be added; ``""``: it may."""

    def lacks(self, operation: str) -> str:
        """Return the capability of an operation that the target declares it lacks, or ``""``."""

    def identity(self, entry: Entry) -> str | None:
        """Return who sends a request; ``None`` for nobody."""

    def stock(self, names: Iterable[str]) -> None:
        """Make what the placeholders name."""

    def value(self, name: str) -> str:
        """Return what stands for a placeholder."""

    def leaving(self, shot: Shot) -> None:
        """Write down what a request may create, before it leaves."""

    def landed(self, shot: Shot, status: int, body: JSON, *, again: bool = False) -> None:
        """Take in an answer; ``again``: the request left twice."""


class Aim:
    """Fills requests for one case, and judges what comes back."""

    def __init__(self, case: CaseRun, supply: Supply) -> None:
        self.case, self.supply, self.context = case, supply, case.context
        self._numbers = 0
        self.header = case.context.client.authorizer.header
        self._material = str(self.context.contract.about.get("fuzz", {}).get("material_row", ""))
        self._agent = f"kms-conformance/{__version__} ({case.info.id})"

    def fill(self, entry: Entry) -> Shot:
        """Return a request as it leaves for this endpoint."""
        value = self.supply.value
        body = None if entry.body is None else fill(entry.body, lambda name: json.dumps(value(name))[1:-1])
        headers = {name: fill(text, value) for name, text in entry.headers.items()}
        content = entry.raw if body is None else body.encode("utf-8", "surrogatepass")
        path, query = (
            fill(text, lambda name: quote(value(name), safe="")) for text in (entry.path, entry.query)
        )
        return self.shot(entry, path, query, headers, content)

    def shot(
        self, entry: Entry, path: str, query: str, headers: dict[str, str], content: bytes | None
    ) -> Shot:
        """Return a request of filled parts, with the token of whoever sends it."""
        self._numbers += 1
        contract = self.context.contract
        identity = self.supply.identity(entry)
        body = json_document(content, as_it_is=True)
        told = {"accept": "application/json", "user-agent": self._agent, **headers}
        secrets = self.context.redactor.guarded(body)
        target = f"{path}?{query}" if query else path
        if self.header not in told and identity is not None:
            url = self.context.target.base_url
            whole = {"host": urlsplit(url).netloc, **told}
            final = FinalRequest(entry.method, f"{url}{target}", whole, content or b"")
            added = self.context.client.authorizer.headers(identity, final)
            told |= added
            secrets = [*secrets, *(value.rpartition(" ")[2] for value in added.values())]
        return Shot(
            number=self._numbers,
            entry=entry,
            outgoing=Outgoing(entry.method, target, told, content),
            operation=contract.operation_of(entry.method, path, told, body),
            path=path,
            identity=identity,
            body=body,
            secrets=tuple(text.encode("utf-8", "surrogatepass") for text in secrets if len(text) >= _SECRET),
        )

    def judge(self, shot: Shot, landed: Landed) -> dict[Key, Finding]:
        """Return what is wrong with an answer; the findings may hold secrets and are not for the report."""
        exchange = self._light(shot, landed)
        for seen in (shot.body, exchange.answer and exchange.answer.body):
            # Whatever is reported later, of this request or of another one, may repeat them.
            self.context.redactor.learn(seen)
        name = shot.operation or f"{shot.entry.method} {shot.entry.operation}"
        found = {
            (name, finding.requirement, cause_of(finding)): finding
            for finding in fuzz_findings(exchange, self.context.contract, self.context.schemas)
        }
        content = landed.content
        if any(secret in content for secret in shot.secrets):
            for finding in self.evidence(shot, landed, "")[1]:
                if finding.requirement == _ECHO:
                    found[name, _ECHO, ""] = finding
        row = self.context.contract.requirements.get(self._material)
        if row is not None and any(text.encode() in content for text in self.supply.hidden):
            got = "the material of a key that was imported"
            found[name, row.id, ""] = Finding(
                row.id, row.severity, "no material of a root key", got, "", step=""
            )
        return found

    def tidy(self) -> None:
        """Keep, of what stocking took, the first exchange and those that something was found in."""
        broken = {finding.exchange for finding in self.case.findings}
        kept = [
            exchange
            for place, exchange in enumerate(self.case.exchanges)
            if not place or exchange.id in broken
        ]
        self.case.checks_not_kept += len(self.case.exchanges) - len(kept)
        self.case.exchanges = kept

    def body_of(self, landed: Landed) -> JSON:
        """Return the document of an answer, ``None`` where it has none."""
        return json_document(landed.content)

    def evidence(self, shot: Shot, landed: Landed, step: str) -> tuple[Exchange, list[Finding]]:
        """Return the exchange, redacted, and what is wrong with it, fit for the report."""
        headers = {name: value for name, value in shot.outgoing.headers.items() if name != self.header}
        own = shot.outgoing.headers.get(self.header)
        token = (
            ""
            if own is not None and shot.identity is not None and self.header not in shot.entry.headers
            else own
        )
        request = Request(
            method=shot.entry.method,
            path=shot.outgoing.target,
            headers=headers,
            body=shot.body,
            raw=shot.outgoing.content if shot.body is None else None,
            identity=shot.identity or "nobody",
            token=token,
            operation=shot.operation,
            step=step,
        )
        reply = Reply(
            landed.status, httpx.Headers(landed.headers), json_document(landed.content), landed.content
        )
        correlation = shot.outgoing.headers.get(self.context.contract.correlation, "")
        recorded = Recorded(reply, self.case.started, landed.duration, correlation)
        _, exchange = self.context.client.recorded(request, self.case.info.id, recorded)
        if landed.trouble:
            exchange = replace(exchange, answer=None, trouble=landed.trouble)
        return exchange, fuzz_findings(exchange, self.context.contract, self.context.schemas)

    def report(self, shot: Shot, landed: Landed, key: Key, told: str) -> Finding:
        """Hand a finding and its exchange to the case."""
        try:
            exchange, findings = self.evidence(
                shot, landed, f"{shot.operation or shot.entry.operation}, {told}"
            )
        except httpx.InvalidURL:
            # No client would write such an address; the finding stands, its curl line needs the plain path.
            plain = replace(shot, outgoing=replace(shot.outgoing, target=shot.entry.operation))
            exchange, findings = self.evidence(plain, landed, told)
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

    def _light(self, shot: Shot, landed: Landed) -> Exchange:
        """Return the exchange as the rules need it, not redacted and never stored."""
        headers = shot.outgoing.headers
        name = self.context.contract.correlation
        sent = Sent(shot.entry.method, "", shot.path, {name: headers.get(name, "")})
        answer = None
        if not landed.trouble:
            body = json_document(landed.content)
            is_json = bool(landed.content) and (body is not None or landed.content.strip() == b"null")
            kind = "" if is_json or not landed.content else "a body that is not JSON"
            code = self.context.contract.code_of(body)
            answer = Received(
                landed.status, dict(landed.headers), body, is_json, len(landed.content), kind, code
            )
        return Exchange("", "", "", shot.operation, "", sent, answer, landed.trouble, 0.0, landed.duration)
