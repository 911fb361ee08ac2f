"""``transcript.har``: every exchange as HAR 1.2, with what it takes to judge it again.

Any HAR viewer reads the file. The member ``_kms`` of an entry holds what HAR has no place for; :func:`read` gives
back objects that equal those of the run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from harfile import HAR_VERSION, Content, PostData, Record, Request, Response, Timings

from kms_conformance import __version__
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import TranscriptError
from kms_conformance.evidence.exchange import JSON, Exchange, Received, Sent
from kms_conformance.evidence.outline import KeptExchanges
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.about import facts_by_name
from kms_conformance.outputs.files import put, read_file
from kms_conformance.outputs.text import rfc3339

NAME = "transcript.har"
_HTTP = "HTTP/1.1"
_JSON = "application/json"
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_encode = json.JSONEncoder().encode
ENTRIES, NEXT, END = '"entries":[\n', ",\n", "\n]}}\n"


def write(run: Run, directory: Path) -> Path:
    """Write ``transcript.har`` and return its path."""
    return put(directory / NAME, pieces(run))


def render(run: Run) -> str:
    """Return the HAR document as text: a page per case, an entry per exchange in the order of time, one of them a line."""
    return "".join(pieces(run))


def pieces(run: Run) -> Iterator[str]:
    """Yield the text of :func:`render` piece by piece: it may be larger than everything else that a run holds."""
    cases = sorted((case for case in run.cases if case.exchanges), key=_began)
    head = {
        "version": HAR_VERSION,
        "creator": {"name": "kms-conformance", "version": __version__},
        "_kms": {
            "run_id": str(run.meta.get("run_id", "")),
            "contracts": [
                {name: block[name] for name in ("id", "title", "edition", "sha256") if name in block}
                for block in run.meta.get("contracts", ())
            ],
            "about": facts_by_name(run),
        },
    }
    pages = ",\n".join(_encode(_page(case)) for case in cases)
    yield f'{{"log":{_encode(head)[:-1]},\n"pages":[\n{pages}\n],\n{ENTRIES}'
    # By a number each: a case that is on disk is read when its exchange is written.
    exchanges = [
        (outline.started, number, place)
        for number, case in enumerate(cases)
        for place, outline in enumerate(case.outlines)
    ]
    exchanges.sort()
    between, expected = "", _Expected(cases)
    for _, number, place in exchanges:
        kept = cases[number].exchanges
        yield between
        yield (
            kept.entry(place)
            if isinstance(kept, KeptExchanges)
            else _text_of(cases[number].id, kept[place], expected.of(number, kept[place].id))
        )
        between = NEXT
    yield END


def entry_text(exchange: Exchange, expectations: Iterable[Expectation]) -> str:
    """Return an exchange with what was expected of it as a transcript has it: JSON in one line."""
    return _text_of(exchange.case, exchange, expectations)


def _text_of(page: str, exchange: Exchange, expectations: Iterable[Expectation]) -> str:
    return _encode(_entry(page, exchange, [_expectation(one) for one in expectations]))


def line_of(entry: Any) -> str:
    """Return an entry that somebody has written in several lines as one."""
    return _encode(entry)


def judged_of(line: str) -> tuple[Exchange, list[Expectation]]:
    """Return the exchange of a line, with what was expected of it."""
    return _read_entry(json.loads(line))


def read(path: Path) -> list[tuple[Exchange, list[Expectation]]]:
    """Return each exchange of a transcript with what was expected of it, in the order of time.

    Raises :class:`TranscriptError` when the file is no transcript of this suite.
    """
    try:
        return [_read_entry(entry) for entry in json.loads(read_file(path).decode("utf-8"))["log"]["entries"]]
    except OSError as error:
        raise TranscriptError(str(path), error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise TranscriptError(str(path), f"it is not JSON of the right form ({error})") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise TranscriptError(str(path), f"a member is missing or of the wrong kind ({error!r})") from error


def _began(case: CaseResult) -> float:
    return min(outline.started for outline in case.outlines)


def _page(case: CaseResult) -> dict[str, Any]:
    return {
        "startedDateTime": rfc3339(_began(case)),
        "id": case.id,
        "title": f"{case.id}: {case.title}",
        "pageTimings": {},
    }


class _Expected:
    """What was expected of the exchanges of cases that are in memory."""

    def __init__(self, cases: Sequence[CaseResult]) -> None:
        self._cases = cases
        self._by_case: dict[int, dict[str, list[Expectation]]] = {}

    def of(self, number: int, exchange_id: str) -> list[Expectation]:
        """Return what was expected of an exchange of the case with a number."""
        if number not in self._by_case:
            expected = self._by_case[number] = {}
            for expectation in self._cases[number].expectations:
                expected.setdefault(expectation.exchange, []).append(expectation)
        return self._by_case[number].get(exchange_id, [])


def _expectation(expectation: Expectation) -> dict[str, Any]:
    members = to_document(expectation.members)
    return {
        "exchange": expectation.exchange,
        "requirement": expectation.requirement,
        "severity": expectation.severity.value,
        "outcomes": _outcomes(expectation.outcomes),
        "members": members,
    }


@lru_cache(maxsize=1024)
def _outcomes(outcomes: tuple[Outcome, ...]) -> list[dict[str, Any]]:
    """Return what a requirement allows as a document; a run has some hundred of these, written thousands of times."""
    document: list[dict[str, Any]] = to_document(outcomes)
    return document


def _entry(page: str, exchange: Exchange, expected: list[dict[str, Any]]) -> dict[str, Any]:
    sent, answer = exchange.sent, exchange.answer
    return {
        "pageref": page,
        "startedDateTime": rfc3339(exchange.started),
        "time": round(exchange.duration * 1000, 3),
        "request": _request(sent),
        "response": _response(answer, exchange.trouble),
        "cache": {},
        "timings": Timings(send=0, wait=round(exchange.duration * 1000, 3), receive=0).asdict(),
        "_kms": {
            "case": exchange.case,
            "step": exchange.step,
            "operation": exchange.operation,
            "identity": exchange.identity,
            "id": exchange.id,
            "trouble": exchange.trouble,
            "started": exchange.started,
            "duration": exchange.duration,
            "notes": dict(exchange.notes),
            "path": sent.path,
            # HAR has one text for both; the document is in the post data unless the request sent another text.
            "document": _encode(sent.body) if sent.body is not None and sent.text is not None else None,
            "text": sent.text is not None,
            "secrets": sorted(sent.secrets),
            "answered": answer is not None,
            "is_json": answer is not None and answer.is_json,
            "kind": "" if answer is None else answer.kind,
            "code": None if answer is None else answer.code,
            "expectations": expected,
        },
    }


def _request(sent: Sent) -> dict[str, Any]:
    text = sent.text if sent.text is not None else None if sent.body is None else _encode(sent.body)
    query = sent.url.partition("?")[2]
    return Request(
        method=sent.method,
        url=sent.url,
        httpVersion=_HTTP,
        headers=[Record(name=name, value=value) for name, value in sent.headers.items()],
        queryString=[
            Record(name=name, value=value) for name, value in parse_qsl(query, keep_blank_values=True)
        ],
        postData=None
        if text is None
        else PostData(mimeType=sent.headers.get("content-type", _JSON), text=text),
        bodySize=0 if text is None else -1,
    ).asdict()


def _response(answer: Received | None, trouble: str) -> dict[str, Any]:
    if answer is None:
        content = Content(size=0, mimeType="x-unknown")
        nothing = Response(
            status=0, statusText="", httpVersion=_HTTP, content=content, redirectURL=""
        ).asdict()
        return {**nothing, "_error": trouble}
    return Response(
        status=answer.status,
        statusText=_PHRASES.get(answer.status, ""),
        httpVersion=_HTTP,
        headers=[Record(name=name, value=value) for name, value in answer.headers.items()],
        content=Content(
            size=answer.size,
            mimeType=answer.headers.get("content-type", "x-unknown"),
            text=_encode(answer.body) if answer.is_json or answer.body is not None else None,
            comment=answer.kind or None,
        ),
        redirectURL=answer.headers.get("location", ""),
        bodySize=answer.size,
    ).asdict()


def _read_entry(entry: dict[str, Any]) -> tuple[Exchange, list[Expectation]]:
    kms, request, response = entry["_kms"], entry["request"], entry["response"]
    posted = request.get("postData", {}).get("text")
    sent = Sent(
        method=request["method"],
        url=request["url"],
        path=kms["path"],
        headers=_headers(request["headers"]),
        body=_value(kms["document"] if kms["text"] else posted),
        text=posted if kms["text"] else None,
        secrets=frozenset(kms["secrets"]),
    )
    answer = None
    if kms["answered"]:
        answer = Received(
            status=response["status"],
            headers=_headers(response["headers"]),
            body=_value(response["content"].get("text")),
            is_json=kms["is_json"],
            size=response["content"]["size"],
            kind=kms["kind"],
            code=kms["code"],
        )
    exchange = Exchange(
        id=kms["id"],
        case=kms["case"],
        step=kms["step"],
        operation=kms["operation"],
        identity=kms["identity"],
        sent=sent,
        answer=answer,
        trouble=kms["trouble"],
        started=kms["started"],
        duration=kms["duration"],
        notes=kms["notes"],
    )
    return exchange, [_read_expectation(document) for document in kms["expectations"]]


def _read_expectation(document: dict[str, Any]) -> Expectation:
    return Expectation(
        exchange=document["exchange"],
        requirement=document["requirement"],
        severity=Verdict(document["severity"]),
        outcomes=_read_outcomes(_encode(document["outcomes"])),
        members=tuple(from_document(Member, member) for member in document["members"]),
    )


@lru_cache(maxsize=1024)
def _read_outcomes(text: str) -> tuple[Outcome, ...]:
    """Return what a requirement allows; see :func:`_outcomes`."""
    return tuple(from_document(Outcome, document) for document in json.loads(text))


def _headers(records: list[dict[str, str]]) -> dict[str, str]:
    return {sys.intern(record["name"]): _once(record["value"]) for record in records}


@lru_cache(maxsize=4096, typed=True)
def _once(text: str) -> str:
    """Return always the same object for equal texts, so that each is in memory once."""
    return text


def _value(text: str | None) -> JSON:
    return None if text is None else json.loads(text)
