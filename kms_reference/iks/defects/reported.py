"""Defects after faults that others reported: Rancher, Gardener, services of cloud credentials.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.iks.app import DEFAULT_ACCOUNT, IksService
from kms_reference.iks.messages import Message, Refusal, refusal
from kms_reference.iks.permissions import Operation
from kms_reference.iks.state import ApiKey, Cluster, ManualCredential, Scope, State
from kms_reference.switches import Change, Defect, instead, on_refusal, skipped, then, unchecked

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.caller import Identity
    from kms_reference.rules import RefusedError, RuleLike

WINDOW: Final = 0.050
"""Seconds from reading to writing."""
_TOKEN_PARTS: Final = 3
_LONG: Final = 100
_first: WeakKeyDictionary[State, dict[Scope, ManualCredential | None]] = WeakKeyDictionary()
"""The credentials with which the first workers of a place were made."""


class SomebodyLate:
    """The caller whose token has expired."""

    name = iam_id = "late"
    roles = ("Administrator",)
    kind = "user"


def _as_at_first(lawful: RuleLike, state: State, scope: Scope, operation: Operation) -> None:
    """Change workers with the credentials with which the first ones of the place were made."""
    first = _first.setdefault(state, {})
    if operation is Operation.ADD:
        first.setdefault(scope, state.counting(scope))
    elif first.get(scope) in state.deleted:
        raise refusal(state, Message.INVALID_API_KEY)
    lawful(state, scope, operation)


def _plus_is_blank(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
    lawful(state, scope, credential._replace(user=credential.user.replace("+", " ")))


def _cleared(refused: RefusedError, service: IksService, request: Request) -> None:
    """Unset the credentials of a place where those that are set lack something."""
    service.state.unset_manual(service.scope(request))
    raise refused


def _taken_over(state: State, scope: Scope, _: str, __: int, owner: str, name: str) -> None:
    state.account(scope.account).api_keys[scope] = ApiKey(owner, name)


def _clusters(service: IksService, request: Request) -> list[Cluster]:
    account = request.headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT
    return list(service.state.account(account).clusters.values())


def _through_any_cluster(refused: RefusedError, service: IksService, request: Request) -> Any:
    wanted = request.path_params["worker"]
    for cluster in _clusters(service, request) if service.find_cluster(request) else ():
        if wanted in cluster.workers:
            return cluster, cluster.workers[wanted]
    raise refused


def _of_any_account(refused: RefusedError, service: IksService, request: Request) -> Cluster:
    wanted = request.path_params["cluster"]
    for account in service.state.accounts():
        for cluster in account.clusters.values():
            if wanted in (cluster.id, cluster.name):
                return cluster
    raise refused


def _beginning_like(refused: RefusedError, service: IksService, request: Request) -> Cluster:
    wanted = request.path_params["cluster"]
    for cluster in _clusters(service, request):
        if len(wanted) > 1 and cluster.id.startswith(wanted):
            return cluster
    raise refused


def is_token(_: IksService, request: Request) -> bool:
    """Whether a request carries a token, if not a valid one."""
    text = request.headers.get("authorization", "")
    return len(text) > _LONG and text.count(".") == _TOKEN_PARTS - 1


def _asked(method: str, *words: str) -> Any:
    def when(_: IksService, request: Request, *__: Any) -> bool:
        return request.method == method and request.url.path.rsplit("/", 1)[-1] in words

    return when


def _credentials_are_old(method: str, *words: str) -> Change:
    """Write back all credentials as they were before a pause, but for those of the place."""

    async def answer(
        lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
    ) -> Any:
        state, scope = service.state, service.scope(request)
        early = copy(state.credentials)
        await asyncio.sleep(WINDOW)
        state.credentials = early if words == ("credentials",) else {**state.credentials, **early}
        if words != ("credentials",) and scope not in early:
            state.credentials.pop(scope, None)
        return await lawful(service, request, handler, caller)

    return instead(IksService.answer, answer, _asked(method, *words))


async def _workers_are_old(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Any:
    """Write back the workers of a cluster as they were before a pause."""
    try:
        cluster = service.find_cluster(request)
    except Refusal:
        return await lawful(service, request, handler, caller)
    early = dict(cluster.workers)
    await asyncio.sleep(WINDOW)
    cluster.workers = early
    return await lawful(service, request, handler, caller)


def _removes(_: State, __: Cluster, ___: Any, operation: Operation) -> bool:
    return operation is Operation.REMOVE


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-workers-keep-first-key", ("iks-07",), "Workers are changed with the credentials that the first ones were made with.", instead(State.check_manual, _as_at_first)),
    ("iks-plus-is-blank", ("iks-02",), "A plus in the name of a user is a blank.", instead(State.set_manual, _plus_is_blank)),
    ("iks-refused-set-clears", ("iks-effects",), "Setting credentials without their key is refused and unsets those that are set.", on_refusal(IksService.store_credentials, _cleared)),
    ("iks-creator-takes-key", ("iks-effects",), "Whoever creates a cluster becomes the owner of the API key.", then(State.create_cluster, _taken_over)),
    ("iks-worker-through-any-cluster", ("iks-15",), "A worker is reached through another cluster.", on_refusal(IksService.find_worker, _through_any_cluster)),
    ("iks-cluster-of-any-account", ("iks-15",), "A cluster is reached from another account.", on_refusal(IksService.find_cluster, _of_any_account)),
    ("iks-cluster-by-its-beginning", ("iks-15",), "A cluster is found by the beginning of its id.", on_refusal(IksService.find_cluster, _beginning_like)),
    ("iks-expired-token-accepted", ("iks-14",), "An expired token is served.", unchecked(IksService.without_token, is_token, gives=SomebodyLate)),
    ("iks-deletion-does-nothing", ("iks-removed",), "A deleted cluster stays.", skipped(State.remove_cluster)),
    ("iks-removal-does-nothing", ("iks-removed",), "A removed worker stays.", skipped(State.change_worker, _removes)),
    ("iks-credentials-lost", ("iks-at-once",), "Setting credentials writes back those of other places as they were.", _credentials_are_old("POST", "credentials")),
    ("iks-reset-undoes-credentials", ("iks-at-once",), "Resetting the API key writes back the credentials of the place as they were.", _credentials_are_old("POST", "keys")),
    ("iks-workers-lost", ("iks-at-once",), "Adding a worker writes back the other ones as they were.", instead(IksService.answer, _workers_are_old, _asked("POST", "workers"))),
)  # fmt: skip

REPORTED_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
