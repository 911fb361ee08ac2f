"""Rules that hold for every exchange, whatever the case is about.

Each rule is a row of section ``wire`` in the contract; a rule without a row there is not judged. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import (
    GATEWAY,
    JSON,
    OF_GATEWAY,
    READS,
    UNSURE,
    Exchange,
    Received,
    error_message,
    first_reason,
    reason_code,
)
from kms_conformance.judging.judge import pick
from kms_conformance.judging.results import Finding

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.judging.judge import Schemas

_TOKEN = re.compile(r"<[A-Za-z_]\w*:[0-9a-f]{12}>")
_NEW_STYLE = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*\.?\s*\Z")
_PHRASES = {status.phrase: int(status) for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
_OF_A_BAD_PATH = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
# A control character in a path, as it is sent: gateways refuse it before any service reads the request (E70).
_CONTROL = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])|[\x00-\x1f\x7f]")
# Statuses by which the HTTP layer answers of itself (a web server, a gateway), before any service reads the request: no
# source shows an envelope with them, and every stock web server has a page or a line of its own.
OF_HTTP_LAYER = frozenset({405, 406, 408, 411, 413, 414, 417, 421, 429, 431, HTTPStatus.NOT_IMPLEMENTED, 505})


class Complaint(NamedTuple):
    """A broken rule. ``mild`` is a deviation that the row tolerates with a warning."""

    row: str
    expected: str
    got: str
    mild: bool = False


def wire_findings(exchange: Exchange, contract: Contract, schemas: Schemas) -> list[Finding]:
    """Return every wire rule that an exchange breaks, at the severity of the rule's row."""
    if of_gateway(exchange):
        return []
    if exchange.answer is None:
        complaints = [Complaint("wire-complete-answer", "a complete answer", exchange.outcome)]
    else:
        complaints = [
            complaint for rule in _RULES for complaint in rule(exchange, exchange.answer, contract, schemas)
        ]
    found = []
    for row_id, expected, got, mild in complaints:
        row = contract.requirements.get(row_id)
        if row is not None and not row.excluded:
            severity = Verdict.WARNED if mild and row.severity is Verdict.FAILED else row.severity
            found.append(
                Finding(row_id, severity, expected, got, exchange.id, curl_line(exchange), exchange.step)
            )
    return found


def of_http_layer(exchange: Exchange, contract: Contract) -> bool:
    """Tell whether the refusal may come from the HTTP layer: no service was asked, or its status is about HTTP itself.

    No service was asked where no operation has the method and the path, where the endpoint may lack the operation, where
    the request came in a form that no client library sends, and where a gateway may stop its path for a control character.
    """
    answer = exchange.answer
    if answer is None or answer.status < HTTPStatus.BAD_REQUEST:
        return False
    raw, operation = bool(exchange.notes.get("raw")), contract.operations.get(exchange.operation or "")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A method or a coding that a web server does not know is its own affair; what an operation has is not.
        return answer.status in OF_HTTP_LAYER and (raw or operation is None)
    absent = operation is None or operation.hidden
    if answer.status in _OF_A_BAD_PATH and _has_control_character(exchange):
        return True
    return raw or answer.status in OF_HTTP_LAYER or (answer.status == HTTPStatus.NOT_FOUND and absent)


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


def slowed_down(exchange: Exchange, contract: Contract) -> bool:
    """Tell whether no try got past a rate limit; a 429 with a code of the contract is a refusal like any other."""
    answer = exchange.answer
    return (
        answer is not None
        and answer.status == HTTPStatus.TOO_MANY_REQUESTS
        and reason_code(answer.body) not in contract.codes
    )


def _enveloped(answer: Received) -> bool:
    """Tell whether a refusal means to be the service's own."""
    match answer.body:
        case {"resources": _} | {"metadata": {"collectionType": _}}:
            return True
    return False


def respelled(code: str, contract: Contract) -> tuple[bool, str]:
    """Return which known code an unknown one is meant to be (``""``: none), and whether only letters' case differs."""
    plain = code.strip().upper()
    if plain in contract.codes:
        return True, plain
    stem = re.sub(r"_ERR(OR)?\Z", "", plain)
    return False, next((stem + ending for ending in ("_ERR", "") if stem + ending in contract.codes), "")


def _server_error(
    exchange: Exchange, answer: Received, contract: Contract, _: Schemas
) -> Iterator[Complaint]:
    if (
        answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        or exchange.notes.get("system")
        or of_http_layer(exchange, contract)
    ):
        return
    reason = first_reason(answer.body)
    known = contract.codes.get(str(reason.get("code"))) if reason else None
    if (known is None or answer.status not in known.statuses) and not _told_by_text(answer, contract):
        yield Complaint("wire-no-server-error", "an answer below 500, or a documented 500", exchange.outcome)


def _told_by_text(answer: Received, contract: Contract) -> bool:
    """Tell whether an answer has the text of a refusal whose status no source gives, and this one is possible."""
    text = pick(answer.body, contract.reason_at[1]) if contract.reason_at[1] else None
    return isinstance(text, str) and any(
        re.search(pattern, text)
        for known in contract.codes.values()
        if not known.status_judged and answer.status in known.statuses
        for pattern in known.patterns
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
    if answer.status in contract.opaque:
        return
    if of_http_layer(exchange, contract) and not _enveloped(answer):
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
    if of_http_layer(exchange, contract) and not _enveloped(answer):
        return
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        yield Complaint(
            "wire-media-type", "content-type application/json or one that ends in +json", media or "none"
        )


def _total(_: Exchange, answer: Received, __: Contract, ___: Schemas) -> Iterator[Complaint]:
    match answer.body:
        case {"metadata": {"collectionTotal": total}}:
            resources = answer.body.get("resources", [])
            if isinstance(resources, list) and total != len(resources):
                yield Complaint(
                    "wire-collection-total", f"metadata.collectionTotal = {len(resources)}", f"{total!r}"
                )


def _reason(exchange: Exchange, answer: Received, contract: Contract, _: Schemas) -> Iterator[Complaint]:
    reason = first_reason(answer.body)
    if answer.status < HTTPStatus.BAD_REQUEST or reason is None:
        return
    status, code = reason.get("status"), reason.get("code")
    if status != answer.status:
        got = "none" if status is None else f"{status!r}"
        yield Complaint("wire-reason-status", f"reasons[0].status = {answer.status}", got)
    known = contract.codes.get(code) if isinstance(code, str) else None
    if known is not None and known.documented and answer.status not in known.statuses:
        told = " or ".join(map(str, known.statuses))
        yield Complaint("wire-known-code", f"{code} with status {told}", exchange.outcome)
    if isinstance(code, str) and known is None:
        # The page says that its list is not complete (E42), so a new code is lawful wherever no row fixes one. A known
        # code in another spelling is no new code: other letters or blanks fail, another ending warns.
        exact, loose = respelled(code, contract)
        if loose:
            yield Complaint(
                "wire-known-code", f"{loose}, as the contract spells it", repr(code), mild=not exact
            )
    text = error_message(answer.body)
    named = _NEW_STYLE.search(text) if text else None
    if named and named[1] != code:
        yield Complaint("wire-new-style-code", f"errorMsg that names {code}", named[1])


def _phrase(_: Exchange, answer: Received, __: Contract, ___: Schemas) -> Iterator[Complaint]:
    text = error_message(answer.body) if answer.status >= HTTPStatus.BAD_REQUEST else None
    phrase = text.partition(":")[0].strip() if text else ""
    if _PHRASES.get(phrase, answer.status) != answer.status:
        yield Complaint(
            "wire-status-phrase", f"errorMsg that begins as status {answer.status} does", repr(phrase)
        )


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


def _correlation(exchange: Exchange, answer: Received, _: Contract, __: Schemas) -> Iterator[Complaint]:
    sent, back = exchange.sent.headers.get("correlation-id"), answer.headers.get("correlation-id")
    if sent and back and sent != back:
        yield Complaint("wire-correlation-id", f"correlation-id {sent}", back)


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
    return json.dumps(document, ensure_ascii=False)


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
