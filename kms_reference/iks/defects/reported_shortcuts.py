"""Defects after faults that others reported: lists that are kept, and whose things these are.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse, Response

from kms_reference.iks.app import IksService
from kms_reference.iks.state import LINKED, Effective, Scope, State
from kms_reference.switches import Change, Defect, gives, instead, on_refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.caller import Identity
    from kms_reference.iks.state import Cluster
    from kms_reference.rules import RefusedError, RuleLike

_lists: WeakKeyDictionary[IksService, dict[str, tuple[list[str], bytes]]] = WeakKeyDictionary()


async def _as_listed_before(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Response:
    """Give the same list of workers again while the same workers are there."""
    answer: Response = await lawful(service, request, handler, caller)
    if request.method != "GET" or not request.url.path.endswith("/workers"):
        return answer
    cluster = service.find_cluster(request)
    known, ids = _lists.setdefault(service, {}), list(cluster.workers)
    before = known.get(cluster.id)
    if before is None or before[0] != ids:
        before = known[cluster.id] = (ids, bytes(answer.body))
    return JSONResponse(json.loads(before[1]))


def _in_any_account(refused: RefusedError, service: IksService, request: Request) -> Cluster:
    """Find the cluster that is to be deleted in any account."""
    for account in service.state.accounts():
        cluster: Cluster | None = account.clusters.get(request.path_params["cluster"])
        if cluster is not None:
            return cluster
    raise refused


def _is_deletion(_: IksService, request: Request) -> bool:
    return request.method == "DELETE" and request.url.path.rsplit("/", 2)[1] == "clusters"


async def _address_of_manual(
    lawful: RuleLike, service: IksService, request: Request, caller: Identity
) -> Response:
    """Tell the address of the user whose credentials are set."""
    answer: Response = await lawful(service, request, caller)
    credential = service.state.manual(service.find_cluster(request).scope)
    if credential is None:
        return answer
    return JSONResponse({**json.loads(bytes(answer.body)), "email": credential.user})


def _lack_stays(lawful: RuleLike, state: State, scope: Scope, owner: str, name: str) -> None:
    """Let a new owner of an API key lack what the one before lacked."""
    before = state.api_key(scope)
    lawful(state, scope, owner, name)
    missing = state.account(scope.account).missing
    if before is not None and missing.get(before.owner):
        missing.setdefault(owner, set()).update(missing[before.owner])


def _of_owner(effective: Effective | None, _: State, __: Scope) -> Effective | None:
    """Take the owner of the API key for the infrastructure account."""
    if effective is None or effective.account != LINKED:
        return effective
    return effective._replace(account=hashlib.sha256(effective.owner.encode()).hexdigest())


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-worker-list-kept", ("iks-12",), "The list of a cluster's workers is given again while the same ones are there.", instead(IksService.answer, _as_listed_before)),
    ("iks-deletion-from-any-account", ("iks-ownership",), "A cluster is deleted from another account.", on_refusal(IksService.find_cluster, _in_any_account, _is_deletion)),
    ("iks-address-of-manual", ("iks-reset-owner", "iks-sequences"), "While manual credentials are set their user is told as the key owner's address.", instead(IksService.key_owner, _address_of_manual)),
    ("iks-lack-stays-with-key", ("iks-08",), "After a reset the new owner lacks the permissions of the one before.", instead(State.reset_api_key, _lack_stays)),
    ("iks-reset-orphans", ("iks-effects", "iks-sequences"), "A reset by another user makes orphans of the workers of the linked account.", gives(State.effective, _of_owner)),
)  # fmt: skip

SHORTCUT_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
