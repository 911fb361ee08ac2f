"""Whether an endpoint can be judged at all, by two harmless requests.

A broken KMS must be judged, not refused; so preflight refuses only what does not speak the API (no answer, an HTML
page, bodies without any envelope, a redirect) and an identity that is not let in.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from kms_conformance.contract.contract import Contract
from kms_conformance.errors import PreflightRefusedError, UnreachableError
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.system import named_object
from kms_conformance.transport.client import Client, Request

CASE = "preflight"


Preflight: TypeAlias = Callable[[Client, Contract, str], Exchange]
"""What a system may bring instead: called with the instance, it raises as :func:`preflight` does."""


def first_request(contract: Contract, instance: str) -> Request | None:
    """Return the harmless request that a preflight begins with; ``None`` where the system brings a preflight of its own."""
    if contract.system.preflight or not contract.preflight:
        return None
    return _request(contract.preflight, contract.preflight["list"], instance, "list")


def has_preflight(contract: Contract) -> bool:
    """Tell whether an endpoint can be checked before it is judged."""
    return bool(contract.system.preflight or contract.preflight)


def preflight(client: Client, contract: Contract, instance: str) -> Exchange:
    """Check that the endpoint can be judged; return the first exchange.

    The contract's ``preflight`` names the requests: ``list`` and ``miss``, the paths of a list and of a thing in it,
    ``method``, ``headers`` and ``body`` of both. Without ``miss`` any answer but a page for browsers will do; ``speaks``
    is a member that one of the two answers has, ``barred`` has the codes that refuse the caller.

    Raises :class:`UnreachableError` or :class:`PreflightRefusedError`.
    """
    if contract.system.preflight:
        own: Preflight = named_object(contract.system.preflight)
        return own(client, contract, instance)
    probe = contract.preflight
    listing, thing = probe["list"].format(instance=instance), probe.get("miss")
    url, method = client.target.base_url, str(probe.get("method", "GET"))
    first = client.send(_request(probe, probe["list"], instance, "list"), CASE)[1]
    _demand_usable(client, first)
    if thing is None:
        if first.answer is not None and first.answer.kind.startswith("an HTML"):
            raise PreflightRefusedError(
                url,
                f"it does not speak the {contract.title} API: {method} {first.sent.path} gave {_answer_text(first)}",
                "check base_url; a proxy or another service may answer in its place.",
            )
        return first
    miss = thing.replace("{}", str(uuid.uuid4()))
    second = client.send(_request(probe, miss, instance, "miss"), CASE)[1]
    if second.answer is None:
        raise UnreachableError(url, f"{second.sent.method} {second.sent.path}: {second.trouble}")
    if "speaks" in probe and not (_is_of_this_api(first, probe) or _is_of_this_api(second, probe)):
        raise PreflightRefusedError(
            url,
            f"it does not speak the {contract.title} API: {method} {first.sent.path} gave {_answer_text(first)}, "
            f"{method} of an unknown thing gave {_answer_text(second)}",
            "check base_url; a proxy or another service may answer in its place.",
        )
    if _refuses_caller(first, probe) and _refuses_caller(second, probe):
        raise _locked_out(client, first)
    if _is_bare_not_found(first) and _is_bare_not_found(second):
        raise PreflightRefusedError(
            url,
            f"{method} {first.sent.path} gave 404 without a reason code, and so did {method} of an unknown thing",
            f"check base_url: the suite itself adds {listing.partition('?')[0]} and the like.",
        )
    return first


def _request(probe: Mapping[str, Any], path: str, instance: str, step: str) -> Request:
    headers = {name: value.format(instance=instance) for name, value in probe.get("headers", {}).items()}
    return Request(
        str(probe.get("method", "GET")),
        path.format(instance=instance),
        headers=headers,
        body=probe.get("body"),
        step=f"preflight {step}",
    )


def _demand_usable(client: Client, first: Exchange) -> None:
    """Raise where the first answer already says that nothing can be judged."""
    url = client.target.base_url
    if first.answer is None:
        raise UnreachableError(url, f"{first.sent.method} {first.sent.path}: {first.trouble}")
    if first.answer.status == HTTPStatus.UNAUTHORIZED:
        raise _locked_out(client, first)
    if first.answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise PreflightRefusedError(
            url,
            "a proxy in front of it answers 407 and wants credentials",
            "name the proxy with its credentials ([proxy] url, user, password_env), or an address without it.",
        )
    if first.answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise PreflightRefusedError(
            url,
            "it limits the rate at the very first request (429), however long it is waited",
            "wait, lower [limits] requests_per_second, and see who else uses the instance at this time.",
        )
    if 300 <= first.answer.status < 400:  # noqa: PLR2004 - the class of redirects
        raise PreflightRefusedError(
            url,
            f"it redirects to {first.answer.headers.get('location', 'nowhere')}; the suite follows no redirect",
            "give the address of the KMS itself: a token must not travel to another host.",
        )


def _locked_out(client: Client, exchange: Exchange) -> PreflightRefusedError:
    return PreflightRefusedError(
        client.target.base_url,
        f"it refuses the identity {client.principal!r} with {exchange.outcome}",
        "check its token or key, the instance, that it may do everything there, and that the instance lets this network in.",
    )


def _refuses_caller(exchange: Exchange, probe: Mapping[str, Any]) -> bool:
    """Tell whether an answer is about the caller, whatever was asked."""
    answer = exchange.answer
    return answer is not None and (
        answer.status == HTTPStatus.FORBIDDEN or answer.code in probe.get("barred", ())
    )


def _is_bare_not_found(exchange: Exchange) -> bool:
    """Tell whether an answer says that nothing is there, and no more."""
    answer = exchange.answer
    return answer is not None and answer.status == HTTPStatus.NOT_FOUND and answer.code is None


def _is_of_this_api(exchange: Exchange, probe: Mapping[str, Any]) -> bool:
    """Tell whether an answer is of this API, however broken."""
    return exchange.answer is not None and pick(exchange.answer.body, str(probe["speaks"])) is not MISSING


def _answer_text(exchange: Exchange) -> str:
    answer = exchange.answer
    if answer is None:
        return exchange.trouble
    if answer.kind:
        return f"{answer.status} with {answer.kind}"
    return f"{answer.status} with " + ("a JSON body of another kind" if answer.size else "an empty body")
