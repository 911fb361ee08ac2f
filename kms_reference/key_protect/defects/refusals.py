"""Defects that change a finished refusal: families over all reason codes, and over the envelope."""

from __future__ import annotations

import json
from http import HTTPStatus
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.errors import CODES
from kms_reference.key_protect.sections import SECTION_OF, UNAUTHORIZED
from kms_reference.switches import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.rules import Draft, Mutator

# For each documented status one that a client would treat otherwise.
_OTHER_STATUS: Final = {400: 422, 401: 403, 403: 401, 409: 400, 410: 404, 422: 400, 500: 503}
_DOCUMENTED: Final = tuple(SECTION_OF)
_NEXT: Final = dict(zip(_DOCUMENTED, islice(cycle(_DOCUMENTED), 7, None), strict=False))


def _set_status(draft: Draft, status: int) -> None:
    draft.status = status
    if "status" in draft.reason:
        draft.reason["status"] = status


def _for_code(code: str, change: Callable[[Draft], object]) -> Mutator:
    def mutate(draft: Draft) -> None:
        if draft.refused and draft.code == code:
            change(draft)

    return mutate


def _families() -> list[Defect]:
    defects: list[Defect] = []
    for code, section in SECTION_OF.items():
        other_status = _OTHER_STATUS[CODES[code].status]
        other = _NEXT[code]
        message = CODES[other].message or "A field has a wrong value"
        defects += [
            Defect(
                f"status-{section}",
                f"{code} comes with status {other_status}.",
                (section,),
                _for_code(code, lambda draft, status=other_status: _set_status(draft, status)),  # type: ignore[misc]  # the default binds the loop's value
            ),
            Defect(
                f"code-{section}",
                f"{code} is replaced by {other}; status and text stay.",
                (section,),
                _for_code(code, lambda draft, other=other: draft.reason.update(code=other)),  # type: ignore[misc]  # as above
            ),
            Defect(
                f"message-{section}",
                f"{code} carries the message of {other}.",
                (section,),
                _for_code(code, lambda draft, message=message: draft.reason.update(message=message)),  # type: ignore[misc]  # as above
            ),
        ]
    return defects


def _unauthorized(change: Callable[[Draft], object]) -> Mutator:
    def mutate(draft: Draft) -> None:
        if draft.refused and draft.status == HTTPStatus.UNAUTHORIZED:
            change(draft)

    return mutate


def _refusal(change: Callable[[Draft], object], *, reasoned: bool = True) -> Mutator:
    def mutate(draft: Draft) -> None:
        if draft.refused and isinstance(draft.body, dict) and (draft.code is not None or not reasoned):
            change(draft)

    return mutate


def _metadata(change: Callable[[dict[str, Any]], object]) -> Mutator:
    return _refusal(lambda draft: change(draft.body["metadata"]), reasoned=False)


def _body(change: Callable[[dict[str, Any]], object]) -> Mutator:
    return _refusal(lambda draft: change(draft.body), reasoned=False)


def _resource(change: Callable[[dict[str, Any]], object]) -> Mutator:
    return _refusal(lambda draft: change(draft.resource), reasoned=False)


def _reasons(change: Callable[[dict[str, Any]], object]) -> Mutator:
    return _refusal(lambda draft: change(draft.resource))


def _reason(change: Callable[[dict[str, Any]], object]) -> Mutator:
    return _refusal(lambda draft: change(draft.reason))


def _target(change: Callable[[dict[str, Any]], object]) -> Mutator:
    def apply(draft: Draft) -> None:
        if "target" in draft.reason:
            change(draft.reason)

    return _refusal(apply)


def _raw(make: Callable[[bytes], bytes]) -> Mutator:
    def apply(draft: Draft) -> None:
        draft.raw = make(json.dumps(draft.body).encode())

    return _refusal(apply, reasoned=False)


def _header(**headers: str) -> Mutator:
    return _refusal(
        lambda draft: draft.headers.update({k.replace("_", "-"): v for k, v in headers.items()}),
        reasoned=False,
    )


def _other_phrase(resource: dict[str, Any]) -> None:
    phrase, colon, rest = str(resource.get("errorMsg", "")).partition(": ")
    if colon:
        other = "Conflict" if phrase == "Bad Request" else "Bad Request"
        resource["errorMsg"] = f"{other}: {rest}"


def bearer(draft: Draft) -> str:
    """Return the authorization header of the request that is answered."""
    return str(draft.call.headers.get("authorization", "")) if draft.call is not None else ""


def _echo_token(draft: Draft) -> None:
    if bearer(draft):
        draft.resource["errorMsg"] = f"{draft.resource.get('errorMsg')} [{bearer(draft)}]"


def _echo_body(draft: Draft) -> None:
    if draft.call is not None and draft.call.raw:
        draft.reason["message"] = f"{draft.reason.get('message')}: {draft.call.raw.decode(errors='replace')}"


_ENVELOPE: Final = (
    Defect("metadata-missing", "Error bodies have no metadata.", (), _body(lambda b: b.pop("metadata"))),
    Defect(
        "collection-type-missing",
        "Error metadata do not say their type.",
        (),
        _metadata(lambda m: m.pop("collectionType")),
    ),
    Defect(
        "collection-type-of-keys",
        "Error metadata claim to be a collection of keys.",
        (),
        _metadata(lambda m: m.update(collectionType="application/vnd.ibm.kms.key+json")),
    ),
    Defect(
        "collection-type-null",
        "Error metadata have a null type.",
        (),
        _metadata(lambda m: m.update(collectionType=None)),
    ),
    Defect(
        "collection-total-missing",
        "Error metadata have no total.",
        (),
        _metadata(lambda m: m.pop("collectionTotal")),
    ),
    Defect(
        "collection-total-text",
        "The total of an error is a string.",
        (),
        _metadata(lambda m: m.update(collectionTotal="1")),
    ),
    Defect(
        "collection-total-zero",
        "The total of an error is 0.",
        (),
        _metadata(lambda m: m.update(collectionTotal=0)),
    ),
    Defect("resources-missing", "Error bodies have no resources.", (), _body(lambda b: b.pop("resources"))),
    Defect(
        "resources-empty",
        "Error bodies have an empty list of resources.",
        (),
        _body(lambda b: b["resources"].clear()),
    ),
    Defect(
        "resources-object",
        "The resources of an error are an object.",
        (),
        _body(lambda b: b.update(resources=b["resources"][0])),
    ),
    Defect(
        "resources-twice",
        "An error holds its resource twice while its total says 1.",
        (),
        _body(lambda b: b["resources"].append(dict(b["resources"][0]))),
    ),
    Defect(
        "error-msg-missing", "Error resources have no errorMsg.", (), _resource(lambda r: r.pop("errorMsg"))
    ),
    Defect("error-msg-empty", "errorMsg is empty.", (), _resource(lambda r: r.update(errorMsg=""))),
    Defect("error-msg-number", "errorMsg is a number.", (), _resource(lambda r: r.update(errorMsg=42))),
    Defect(
        "error-msg-misspelt",
        "errorMsg is called errorMessage.",
        (),
        _resource(lambda r: r.update(errorMessage=r.pop("errorMsg"))),
    ),
    Defect(
        "error-msg-of-other-status",
        "errorMsg starts with the words of another status.",
        (),
        _resource(_other_phrase),
    ),
    Defect("reasons-missing", "Refusals carry no reasons.", (), _reasons(lambda r: r.pop("reasons"))),
    Defect("reasons-empty", "The list of reasons is empty.", (), _reasons(lambda r: r.update(reasons=[]))),
    Defect(
        "reasons-object",
        "The reasons are an object.",
        (),
        _reasons(lambda r: r.update(reasons=r["reasons"][0])),
    ),
    Defect(
        "reasons-texts",
        "The reasons are a list of codes.",
        (),
        _reasons(lambda r: r.update(reasons=[r["reasons"][0]["code"]])),
    ),
    Defect("code-missing", "Reasons have no code.", (), _reason(lambda r: r.pop("code"))),
    Defect(
        "code-lower-case", "Codes are in lower case.", (), _reason(lambda r: r.update(code=r["code"].lower()))
    ),
    Defect(
        "code-leading-blank",
        "Codes start with a blank.",
        (),
        _reason(lambda r: r.update(code=" " + r["code"])),
    ),
    Defect(
        "code-misspelt", "Codes miss their last letter.", (), _reason(lambda r: r.update(code=r["code"][:-1]))
    ),
    Defect("code-number", "Codes are numbers.", (), _reason(lambda r: r.update(code=17))),
    Defect(
        "code-unknown",
        "Every refusal has the code UNDEFINED_ERR.",
        (),
        _reason(lambda r: r.update(code="UNDEFINED_ERR")),
    ),
    Defect("reason-message-missing", "Reasons have no message.", (), _reason(lambda r: r.pop("message"))),
    Defect(
        "reason-message-empty", "Messages of reasons are empty.", (), _reason(lambda r: r.update(message=""))
    ),
    Defect(
        "reason-message-list",
        "Messages of reasons are lists.",
        (),
        _reason(lambda r: r.update(message=[r["message"]])),
    ),
    Defect(
        "reason-message-translated",
        "Messages of reasons are in another language.",
        (),
        _reason(lambda r: r.update(message="Die Anforderung ist fehlgeschlagen")),
    ),
    Defect(
        "reason-status-missing", "Reasons do not repeat the status.", (), _reason(lambda r: r.pop("status"))
    ),
    Defect(
        "reason-status-text",
        "The status in a reason is a string.",
        (),
        _reason(lambda r: r.update(status=str(r["status"]))),
    ),
    Defect(
        "reason-status-differs",
        "The status in a reason is not the reply's.",
        (),
        _reason(lambda r: r.update(status=r["status"] + 1)),
    ),
    Defect(
        "more-info-no-url",
        "moreInfo is not a URL.",
        (),
        _reason(lambda r: r.update(moreInfo="ask your administrator")),
    ),
    Defect(
        "more-info-list", "moreInfo is a list.", (), _reason(lambda r: r.update(moreInfo=[r["moreInfo"]]))
    ),
    Defect(
        "target-missing",
        "Reasons never name their target.",
        ("invalid-field-err", "key-payload-req-err"),
        _target(lambda r: r.pop("target")),
    ),
    Defect(
        "target-of-other-member",
        "The target names another member.",
        ("invalid-field-err", "key-payload-req-err"),
        _target(lambda r: r["target"].update(name="description")),
    ),
    Defect(
        "target-type-header",
        "The target's type is `header`.",
        ("invalid-field-err", "key-payload-req-err"),
        _target(lambda r: r["target"].update(type="header")),
    ),
    Defect(
        "target-text",
        "The target is a string.",
        ("invalid-field-err", "key-payload-req-err"),
        _target(lambda r: r.update(target=r["target"]["name"])),
    ),
    Defect(
        "target-name-missing",
        "The target has no name.",
        ("invalid-field-err", "key-payload-req-err"),
        _target(lambda r: r["target"].pop("name")),
    ),
    Defect("error-body-missing", "Refusals have no body.", (), _raw(lambda _: b"")),
    Defect(
        "error-body-html", "Refusals are HTML pages.", (), _raw(lambda _: b"<html><body>Error</body></html>")
    ),
    Defect("error-body-cut", "The JSON of a refusal is cut off.", (), _raw(lambda b: b[:-9])),
    Defect("error-body-list", "The body of a refusal is a JSON array.", (), _raw(lambda b: b"[" + b + b"]")),
    Defect(
        "error-body-flat",
        "Refusals have a flat shape of their own.",
        (),
        _raw(lambda _: b'{"error":"refused"}'),
    ),
    Defect("error-media-type-html", "Refusals claim to be text/html.", (), _header(content_type="text/html")),
    Defect("error-media-type-missing", "Refusals do not say their media type.", (), _header(content_type="")),
    Defect(
        "correlation-id-changed",
        "Refusals carry a correlation-id that is not the request's.",
        (),
        _header(correlation_id="00000000-0000-4000-8000-000000000000"),
    ),
    Defect(
        "refusal-as-200", "Refusals come with status 200.", (), _refusal(lambda d: setattr(d, "status", 200))
    ),
    Defect("refusal-as-500", "Refusals come with status 500.", (), _refusal(lambda d: _set_status(d, 500))),
    Defect("bearer-in-refusal", "Refusals echo the bearer token.", (), _refusal(_echo_token, reasoned=False)),
    Defect(
        "request-body-in-refusal",
        "Messages of refusals echo the whole request body.",
        (),
        _refusal(_echo_body),
    ),
    Defect(
        "stack-in-refusal",
        "errorMsg holds a stack trace with paths.",
        (),
        _resource(lambda r: r.update(errorMsg=f"{r['errorMsg']}\ngoroutine 1 [running]:\nmain.go:17")),
    ),
    Defect(
        "status-unauthorized-err",
        "Missing access is answered with status 403.",
        (UNAUTHORIZED,),
        _unauthorized(lambda d: _set_status(d, 403)),
    ),
    Defect(
        "not-found-unauthorized-err",
        "Missing access is answered with status 404.",
        (UNAUTHORIZED,),
        _unauthorized(lambda d: _set_status(d, 404)),
    ),
    Defect(
        "message-unauthorized-err",
        "Missing access is answered with another sentence.",
        (UNAUTHORIZED,),
        _unauthorized(lambda d: d.resource.update(errorMsg="Unauthorized: Try again later")),
    ),
    Defect(
        "code-unauthorized-err",
        "Missing access comes with the code of another refusal.",
        (UNAUTHORIZED,),
        _unauthorized(
            lambda d: d.resource.update(
                reasons=[
                    {
                        "code": "SERVICE_ONLY_ERR",
                        "message": CODES["SERVICE_ONLY_ERR"].message,
                        "status": 401,
                        "moreInfo": "https://cloud.ibm.com/apidocs/key-protect",
                    }
                ]
            )
        ),
    ),
)


REFUSAL_DEFECTS: Final = (*_families(), *_ENVELOPE)
