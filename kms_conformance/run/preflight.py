"""Is this an endpoint that can be judged at all? Two harmless requests tell.

A broken KMS must be judged, not refused; so preflight refuses only what does not speak the API (no answer, an HTML
page, bodies without any envelope, a redirect) and an identity that is not let in.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kms_conformance.contract.contract import Contract
from kms_conformance.errors import PreflightRefusedError, UnreachableError
from kms_conformance.evidence.exchange import Exchange, reason_code
from kms_conformance.transport.client import Client, Request

CASE = "preflight"


def preflight(client: Client, contract: Contract, probe: Mapping[str, Any], instance: str) -> Exchange:
    """Check that the endpoint can be judged; return the first exchange.

    ``probe`` is the contract's: ``list`` and ``miss``, the paths of a list and of a thing in it. Without ``miss`` any
    answer but a page for browsers will do; ``barred`` has the codes that refuse whoever asks.

    Raises :class:`UnreachableError` or :class:`PreflightRefusedError`.
    """
    listing, thing = probe["list"].format(instance=instance), probe.get("miss")
    url = client.target.base_url
    headers = {"bluemix-instance": instance}
    _, first = client.send(Request("GET", listing, headers=headers, step="preflight list"), CASE)
    if first.answer is None:
        raise UnreachableError(url, f"{first.sent.method} {first.sent.path}: {first.trouble}")
    if first.answer.status == HTTPStatus.UNAUTHORIZED:
        raise _locked_out(url, first)
    if 300 <= first.answer.status < 400:  # noqa: PLR2004 - the class of redirects
        raise PreflightRefusedError(
            url,
            f"it redirects to {first.answer.headers.get('location', 'nowhere')}; the suite follows no redirect",
            "give the address of the KMS itself: a token must not travel to another host.",
        )
    if thing is None:
        if first.answer.kind.startswith("an HTML"):
            raise PreflightRefusedError(
                url,
                f"it does not speak the {contract.title} API: GET {first.sent.path} gave {_told(first)}",
                "check base_url; a proxy or another service may answer in its place.",
            )
        return first
    _, second = client.send(
        Request("GET", thing.format(uuid.uuid4()), headers=headers, step="preflight miss"), CASE
    )
    if second.answer is None:
        raise UnreachableError(url, f"{second.sent.method} {second.sent.path}: {second.trouble}")
    if not (_speaks(first) or _speaks(second)):
        raise PreflightRefusedError(
            url,
            f"it does not speak the {contract.title} API: GET {first.sent.path} gave {_told(first)}, "
            f"GET of an unknown key gave {_told(second)}",
            "check base_url; a proxy or another service may answer in its place.",
        )
    if _bars(first, probe) and _bars(second, probe):
        raise _locked_out(url, first)
    if _knows_no_path(first) and _knows_no_path(second):
        raise PreflightRefusedError(
            url,
            f"GET {first.sent.path} gave 404 without a reason code, and so did GET of an unknown key",
            f"check base_url: the suite itself adds {listing.partition('?')[0]} and the like.",
        )
    return first


def _locked_out(url: str, exchange: Exchange) -> PreflightRefusedError:
    return PreflightRefusedError(
        url,
        f"it refuses the identity 'manager' with {exchange.outcome}",
        "check the token or API key, the instance, and that the identity has the Manager role there.",
    )


def _bars(exchange: Exchange, probe: Mapping[str, Any]) -> bool:
    """Tell whether an answer is about the caller, whatever was asked."""
    answer = exchange.answer
    return answer is not None and (
        answer.status == HTTPStatus.FORBIDDEN or reason_code(answer.body) in probe.get("barred", ())
    )


def _knows_no_path(exchange: Exchange) -> bool:
    """Tell whether an answer says that nothing is there, and no more."""
    answer = exchange.answer
    return answer is not None and answer.status == HTTPStatus.NOT_FOUND and reason_code(answer.body) is None


def _speaks(exchange: Exchange) -> bool:
    """Tell whether an answer is a collection or an error envelope, however broken."""
    body = exchange.answer.body if exchange.answer else None
    return (
        isinstance(body, dict)
        and isinstance(body.get("metadata"), dict)
        and "collectionType" in body["metadata"]
    )


def _told(exchange: Exchange) -> str:
    answer = exchange.answer
    if answer is None:
        return exchange.trouble
    if answer.kind:
        return f"{answer.status} with {answer.kind}"
    return f"{answer.status} with " + ("a JSON body without metadata" if answer.size else "an empty body")
