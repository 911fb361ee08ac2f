"""Rules that hold for every exchange, whatever the case is about.

Each rule is a row of section ``wire`` in the contract; a rule without a row there is not judged. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from kms_conformance.contract.refusals import HTTP_LAYER, BareRefusal
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import (
    AFTER,
    GATEWAY,
    JSON,
    OF_GATEWAY,
    OUTAGE,
    READS,
    UNSURE,
    Exchange,
    Received,
)
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.judging.results import Finding

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.judging.judge import Schemas

_encode = json.JSONEncoder(ensure_ascii=False).encode
_TOKEN = re.compile(r"<[A-Za-z_]\w*:[0-9a-f]{12}>")
_NEW_STYLE = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*\.?\s*\Z")
TOLERANT = frozenset({"wire-known-code", "wire-success-schema"})
"""The rules of which a mild deviation only warns, whatever the severity of the row."""
_PHRASES = {status.phrase: int(status) for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
_OF_A_BAD_PATH = BareRefusal(frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}))
"""A gateway's refusal of a path with a control character, before any service reads the request."""
OF_FORM = frozenset({"wire-success-schema", "wire-error-envelope", "wire-collection-total"})
"""The rules about the form of an answer: where one is broken, a member may be of any type."""
_CONTROL = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])|[\x00-\x1f\x7f]")


class Complaint(NamedTuple):
    """A broken rule. ``mild`` is a deviation that the row tolerates with a warning."""

    row: str
    expected: str
    got: str
    mild: bool = False


def wire_findings(exchange: Exchange, contract: Contract, schemas: Schemas) -> list[Finding]:
    """Return every wire rule that an exchange breaks, at the severity of the rule's row."""
    if of_gateway(exchange) or of_outage(exchange):
        return []
    if exchange.answer is None:
        complaints = [Complaint("wire-complete-answer", "a complete answer", exchange.outcome)]
    else:
        complaints = [
            complaint for rule in _RULES for complaint in rule(exchange, exchange.answer, contract, schemas)
        ]
    findings = []
    for row_id, expected, got, mild in complaints:
        row = contract.requirements.get(row_id)
        if row is not None and not row.excluded:
            severity = Verdict.WARNED if mild and row.severity is Verdict.FAILED else row.severity
            findings.append(
                Finding(row_id, severity, expected, got, exchange.id, curl_line(exchange), exchange.step)
            )
    return findings


def needs_no_envelope(
    exchange: Exchange, contract: Contract, rules: tuple[BareRefusal, ...] | None = None
) -> BareRefusal | None:
    """Return the rule by which a refusal needs no envelope, ``None`` where it needs one.

    ``rules`` are the contract's unless others are given.
    """
    answer = exchange.answer
    if answer is None or answer.status < HTTPStatus.BAD_REQUEST:
        return None
    operation, raw = contract.operations.get(exchange.operation or ""), bool(exchange.notes.get("raw"))
    bare = contract.bare if rules is None else rules
    if _has_control_character(exchange):
        bare = (*bare, _OF_A_BAD_PATH)
    return next((rule for rule in bare if rule.covers(answer.status, operation, raw=raw)), None)


def _has_control_character(exchange: Exchange) -> bool:
    """Tell whether the path has a control character, plain or escaped once, and not as what an escape stands for."""
    as_sent = exchange.sent.url or exchange.sent.path
    return _CONTROL.search(as_sent.partition("?")[0]) is not None


def of_gateway(exchange: Exchange) -> bool:
    """Tell whether a gateway may have answered in the service's place, so that this answer is not the service's (E71).

    The client notes it where a request that changes something was not yet answered so three times in a row. One that only
    reads was sent again instead, and its last answer counts.
    """
    answer = exchange.answer
    return (
        exchange.notes.get(GATEWAY) == UNSURE
        and exchange.sent.method not in READS
        and answer is not None
        and answer.status in OF_GATEWAY
        and not isinstance(answer.body, dict)
    )


def of_outage(exchange: Exchange) -> bool:
    """Tell whether no answer came because of an outage, or may not have come for that reason: it says nothing."""
    answer = exchange.answer
    return exchange.notes.get(OUTAGE) == UNSURE and (answer is None or answer.status in OF_GATEWAY)


def after_outage(exchange: Exchange) -> bool:
    """Tell whether an outage passed since the case began: what the case has made may be lost, so nothing of it fails."""
    return exchange.notes.get(OUTAGE) == AFTER


def slowed_down(exchange: Exchange, contract: Contract) -> bool:
    """Tell whether no try got past a rate limit; a 429 with a code of the contract is a refusal like any other."""
    answer = exchange.answer
    if answer is None:
        return False
    return answer.code in contract.throttled or (
        answer.status == HTTPStatus.TOO_MANY_REQUESTS and answer.code not in contract.codes
    )


def _is_bare(exchange: Exchange, answer: Received, contract: Contract) -> bool:
    """Tell whether a refusal needs no envelope, and has none that means to be the service's own."""
    if needs_no_envelope(exchange, contract) is None:
        return False
    return all(pick(answer.body, mark) is MISSING for mark in contract.envelope_marks)


def respelled(code: str, contract: Contract) -> tuple[bool, str]:
    """Return which known code an unknown one is meant to be (``""``: none), and whether only letters' case differs."""
    reason = contract.code_named(code.strip())
    if reason is not None:
        return True, reason.code
    plain, endings = code.strip(), contract.code_endings
    stems = [plain, *(plain[: -len(end)] for end in endings if plain.casefold().endswith(end.casefold()))]
    for stem in reversed(stems):
        for ending in (*endings, ""):
            meant = contract.code_named(stem + ending)
            if meant is not None:
                return False, meant.code
    return False, ""


def _server_error(
    exchange: Exchange, answer: Received, contract: Contract, _: Schemas
) -> Iterator[Complaint]:
    if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or exchange.notes.get("system"):
        return
    if needs_no_envelope(exchange, contract, HTTP_LAYER) is not None:
        return
    reason = contract.codes.get(answer.code or "")
    if (reason is None or answer.status not in reason.statuses) and not _has_known_text(answer, contract):
        yield Complaint("wire-no-server-error", "an answer below 500, or a documented 500", exchange.outcome)


def _has_known_text(answer: Received, contract: Contract) -> bool:
    """Tell whether an answer has the text of a refusal whose status no source gives, and this one is possible."""
    text = pick(answer.body, contract.reason.text) if contract.reason.text else None
    return isinstance(text, str) and any(
        re.search(pattern, text)
        for reason in contract.codes.values()
        if not reason.status_judged and answer.status in reason.statuses
        for pattern in reason.patterns
    )


def _redirect(_: Exchange, answer: Received, __: Contract, ___: Schemas) -> Iterator[Complaint]:
    if 300 <= answer.status < HTTPStatus.BAD_REQUEST:  # noqa: PLR2004 - the class of redirects
        yield Complaint(
            "wire-no-redirect",
            "an answer from the endpoint itself",
            f"{answer.status} to {answer.headers.get('location', 'nowhere')}",
        )


def _envelope(
    exchange: Exchange, answer: Received, contract: Contract, schemas: Schemas
) -> Iterator[Complaint]:
    if answer.status < HTTPStatus.BAD_REQUEST or not contract.envelope or exchange.sent.method == "HEAD":
        return
    if _is_bare(exchange, answer, contract):
        return
    if not answer.is_json:
        yield Complaint(
            "wire-error-envelope",
            "the error envelope",
            f"{answer.status} with {answer.kind or 'an empty body'}",
        )
        return
    complaint = schemas.complaint(contract.envelope, answer.body)
    if complaint:
        yield Complaint(
            "wire-error-envelope", "the error envelope", f"{answer.status} with a body where {complaint}"
        )


def _media_type(exchange: Exchange, answer: Received, contract: Contract, _: Schemas) -> Iterator[Complaint]:
    if not answer.size or exchange.sent.method == "HEAD":
        return
    if _is_bare(exchange, answer, contract):
        return
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_types = contract.media_types
    if not any(media.endswith(name) if name.startswith("+") else media == name for name in media_types):
        expected = " or ".join(
            f"one that ends in {name}" if name.startswith("+") else f"content-type {name}"
            for name in media_types
        )
        yield Complaint("wire-media-type", expected, media or "none")


def _total(_: Exchange, answer: Received, contract: Contract, __: Schemas) -> Iterator[Complaint]:
    if contract.collection is None:
        return
    total_at, resources_at = contract.collection
    total, resources = pick(answer.body, total_at), pick(answer.body, resources_at)
    counted = 0 if resources is MISSING else len(resources) if isinstance(resources, list) else None
    if total is not MISSING and counted is not None and total != counted:
        yield Complaint("wire-collection-total", f"{total_at} = {counted}", f"{total!r}")


def _reason(exchange: Exchange, answer: Received, contract: Contract, _: Schemas) -> Iterator[Complaint]:
    places = contract.reason
    reason = pick(answer.body, places.code.rpartition(".")[0]) if places.code else MISSING
    if answer.status < HTTPStatus.BAD_REQUEST or not isinstance(reason, dict):
        return
    status = pick(answer.body, places.status) if places.status else answer.status
    code = pick(answer.body, places.code)
    if status != answer.status:
        got = "none" if status is MISSING or status is None else f"{status!r}"
        yield Complaint("wire-reason-status", f"{places.status} = {answer.status}", got)
    entry = contract.codes.get(code) if isinstance(code, str) else None
    if entry is not None and entry.documented and answer.status not in entry.statuses:
        statuses = " or ".join(map(str, entry.statuses))
        yield Complaint("wire-known-code", f"{code} with status {statuses}", exchange.outcome)
    if isinstance(code, str) and entry is None:
        # A page may say that its list is not complete (E42), so a new code is lawful wherever no row fixes one. A known
        # code in another spelling is no new code: other letters or blanks fail, another ending warns.
        exact, loose = respelled(code, contract)
        if loose:
            yield Complaint(
                "wire-known-code", f"{loose}, as the contract spells it", repr(code), mild=not exact
            )
    text = _summary(answer, contract)
    named = _NEW_STYLE.search(text)
    if named and named[1] != code:
        shown = None if code is MISSING else code
        yield Complaint("wire-new-style-code", f"{_last(places.summary)} that names {shown}", named[1])


def _phrase(_: Exchange, answer: Received, contract: Contract, __: Schemas) -> Iterator[Complaint]:
    text = _summary(answer, contract) if answer.status >= HTTPStatus.BAD_REQUEST else ""
    phrase = text.partition(":")[0].strip()
    if _PHRASES.get(phrase, answer.status) != answer.status:
        yield Complaint(
            "wire-status-phrase",
            f"{_last(contract.reason.summary)} that begins as status {answer.status} does",
            repr(phrase),
        )


def _summary(answer: Received, contract: Contract) -> str:
    text = pick(answer.body, contract.reason.summary) if contract.reason.summary else ""
    return text if isinstance(text, str) else ""


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _echo(exchange: Exchange, answer: Received, contract: Contract, _: Schemas) -> Iterator[Complaint]:
    if not exchange.sent.secrets:
        return
    body = answer.body
    operation = contract.operations.get(exchange.operation or "")
    if operation is not None and answer.status < HTTPStatus.BAD_REQUEST:
        for path in operation.secret_paths:
            body = _without(body, path.split("."))
    repeated = exchange.sent.secrets.intersection(
        _TOKEN.findall(_text(body) + _text(dict(answer.headers)) + answer.kind)
    )
    if repeated:
        yield Complaint(
            "wire-no-secret-echo", "no secret of the request in the answer", ", ".join(sorted(repeated))
        )


def _correlation(exchange: Exchange, answer: Received, contract: Contract, _: Schemas) -> Iterator[Complaint]:
    name = contract.correlation
    sent, back = exchange.sent.headers.get(name), answer.headers.get(name)
    if sent and back and sent != back:
        yield Complaint("wire-correlation-id", f"{name} {sent}", back)


def _success(
    exchange: Exchange, answer: Received, contract: Contract, schemas: Schemas
) -> Iterator[Complaint]:
    operation = contract.operations.get(exchange.operation or "")
    if operation is None or answer.status not in operation.schemas or answer.status >= HTTPStatus.BAD_REQUEST:
        return
    if exchange.sent.method == "HEAD" or (
        not answer.size and len(operation.statuses) > 1 and _may_be_empty(operation.statuses)
    ):
        return
    if not answer.is_json:
        yield Complaint(
            "wire-success-schema",
            f"a {operation.schemas[answer.status]}",
            f"{answer.status} with {answer.kind or 'an empty body'}",
        )
        return
    name = operation.schemas[answer.status]
    usual = contract.about.get("usual_schemas", {}).get(name)
    complaint = schemas.complaint(name, answer.body)
    if complaint:
        yield Complaint("wire-success-schema", f"a {name}", f"a body where {complaint}")
    elif usual and (complaint := schemas.complaint(usual, answer.body)):
        yield Complaint("wire-success-schema", f"a {usual}", f"a body where {complaint}", mild=True)


def _may_be_empty(statuses: tuple[int, ...]) -> bool:
    """Tell whether an operation may also succeed without a body, as minimal representations do."""
    return HTTPStatus.NO_CONTENT in statuses


def _without(body: JSON, path: list[str]) -> JSON:
    """Return the document without what stands at a path, where an operation may answer with secrets."""
    if not path:
        return None
    head, rest = path[0], path[1:]
    if isinstance(body, list):
        chosen = {str(place) for place in range(len(body))} if head in {"*", "[]"} else {head}
        return [_without(value, rest) if str(place) in chosen else value for place, value in enumerate(body)]
    if isinstance(body, dict):
        return {name: _without(value, rest) if name == head else value for name, value in body.items()}
    return body


def _text(document: JSON) -> str:
    return _encode(document)


_RULES: tuple[Callable[[Exchange, Received, Contract, Schemas], Iterator[Complaint]], ...] = (
    _server_error,
    _redirect,
    _envelope,
    _media_type,
    _total,
    _reason,
    _phrase,
    _echo,
    _correlation,
    _success,
)
