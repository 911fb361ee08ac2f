"""Is this an endpoint that can be judged at all? Two harmless requests tell.

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


def has_preflight(contract: Contract) -> bool:
    """Tell whether an endpoint can be checked before it is judged."""
    return bool(contract.system.preflight or contract.preflight)


def preflight(client: Client, contract: Contract, instance: str) -> Exchange:
    """Check that the endpoint can be judged; return the first exchange.

    The contract's ``preflight`` names the requests: ``list`` and ``miss``, the paths of a list and of a thing in it,
    ``method``, ``headers`` and ``body`` of both. Without ``miss`` any answer but a page for browsers will do; ``speaks``
    is a member that one of the two answers has, ``barred`` has the codes that refuse whoever asks.

    Raises :class:`UnreachableError` or :class:`PreflightRefusedError`.
    """
    if contract.system.preflight:
        own: Preflight = named_object(contract.system.preflight)
        return own(client, contract, instance)
    probe = contract.preflight
    listing, thing = probe["list"].format(instance=instance), probe.get("miss")
    url, method = client.target.base_url, str(probe.get("method", "GET"))
    headers = {name: value.format(instance=instance) for name, value in probe.get("headers", {}).items()}

    def ask(path: str, step: str) -> Exchange:
        request = Request(method, path, headers=headers, body=probe.get("body"), step=f"preflight {step}")
        return client.send(request, CASE)[1]

    first = ask(listing, "list")
    _demand_way_in(client, first)
    if thing is None:
        if first.answer is not None and first.answer.kind.startswith("an HTML"):
            raise PreflightRefusedError(
                url,
                f"it does not speak the {contract.title} API: {method} {first.sent.path} gave {_answer_text(first)}",
                "check base_url; a proxy or another service may answer in its place.",
            )
        return first
    second = ask(thing.format(uuid.uuid4(), instance=instance), "miss")
    if second.answer is None:
        raise UnreachableError(url, f"{second.sent.method} {second.sent.path}: {second.trouble}")
    if "speaks" in probe and not (_speaks(first, probe) or _speaks(second, probe)):
        raise PreflightRefusedError(
            url,
            f"it does not speak the {contract.title} API: {method} {first.sent.path} gave {_answer_text(first)}, "
            f"{method} of an unknown thing gave {_answer_text(second)}",
            "check base_url; a proxy or another service may answer in its place.",
        )
    if _bars(first, probe) and _bars(second, probe):
        raise _locked_out(client, first)
    if _knows_no_path(first) and _knows_no_path(second):
        raise PreflightRefusedError(
            url,
            f"{method} {first.sent.path} gave 404 without a reason code, and so did {method} of an unknown thing",
            f"check base_url: the suite itself adds {listing.partition('?')[0]} and the like.",
        )
    return first


def _demand_way_in(client: Client, first: Exchange) -> None:
    """Raise where the first answer already says that nothing can be judged."""
    url = client.target.base_url
    if first.answer is None:
        raise UnreachableError(url, f"{first.sent.method} {first.sent.path}: {first.trouble}")
    if first.answer.status == HTTPStatus.UNAUTHORIZED:
        raise _locked_out(client, first)
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
        "check its token or key, the instance, and that it may do everything there.",
    )


def _bars(exchange: Exchange, probe: Mapping[str, Any]) -> bool:
    """Tell whether an answer is about the caller, whatever was asked."""
    answer = exchange.answer
    return answer is not None and (
        answer.status == HTTPStatus.FORBIDDEN or answer.code in probe.get("barred", ())
    )


def _knows_no_path(exchange: Exchange) -> bool:
    """Tell whether an answer says that nothing is there, and no more."""
    answer = exchange.answer
    return answer is not None and answer.status == HTTPStatus.NOT_FOUND and answer.code is None


def _speaks(exchange: Exchange, probe: Mapping[str, Any]) -> bool:
    """Tell whether an answer is of this API, however broken."""
    return exchange.answer is not None and pick(exchange.answer.body, str(probe["speaks"])) is not MISSING


def _answer_text(exchange: Exchange) -> str:
    answer = exchange.answer
    if answer is None:
        return exchange.trouble
    if answer.kind:
        return f"{answer.status} with {answer.kind}"
    return f"{answer.status} with " + ("a JSON body of another kind" if answer.size else "an empty body")
