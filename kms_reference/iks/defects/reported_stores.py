"""Defects after faults that others reported: stores of secrets, fallbacks, operations that stop half way, roles between.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse

from kms_reference.iks.app import DEFAULT_GROUP, IksService
from kms_reference.iks.messages import Refusal
from kms_reference.iks.state import Cluster, Effective, ManualCredential, Scope, State
from kms_reference.switches import Change, Defect, gives, instead, refused_but, then

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.caller import Identity
    from kms_reference.rules import RuleLike

_LISTED: Final = 4
_before: WeakKeyDictionary[State, dict[Scope, ManualCredential]] = WeakKeyDictionary()
_setters: WeakKeyDictionary[IksService, dict[Scope, str]] = WeakKeyDictionary()


async def _four_listed(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Any
) -> Any:
    """List the first four workers of a cluster."""
    answer = await lawful(service, request, handler, caller)
    if request.method == "GET" and request.url.path.endswith("/workers"):
        cluster = service.find_cluster(request)
        listed = [service.worker_view(cluster, worker) for worker in cluster.workers.values()]
        return JSONResponse(listed[:_LISTED])
    return answer


def _has_no_key(state: State, scope: Scope, *_: str) -> bool:
    return state.api_key(scope) is None


def _default_too(credential: ManualCredential | None, state: State, scope: Scope) -> ManualCredential | None:
    """Let the credentials of the default group count where a group has none."""
    return credential or state.credentials.get(scope._replace(group=DEFAULT_GROUP))


def _keep_before(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
    earlier = state.manual(scope)
    if earlier is not None:
        _before.setdefault(state, {})[scope] = earlier
    lawful(state, scope, credential)


def _back_to_before(state: State, scope: Scope) -> None:
    earlier = _before.setdefault(state, {}).pop(scope, None)
    if earlier is not None:
        state.credentials[scope] = earlier


async def _by_setter(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Any:
    """Let only who has set credentials unset them."""
    if not request.url.path.endswith("/credentials") or request.method not in {"POST", "DELETE"}:
        return await lawful(service, request, handler, caller)
    scope, known = service.scope(request), _setters.setdefault(service, {})
    kept = service.state.manual(scope)
    answer = await lawful(service, request, handler, caller)
    if request.method == "POST":
        known[scope] = caller.iam_id
    elif kept is not None and known.get(scope) != caller.iam_id:
        service.state.set_manual(scope, kept)
    return answer


def _kept_cluster(state: State, scope: Scope, name: str, *_: Any) -> None:
    cluster = Cluster(f"{name}-refused", name, scope)
    state.account(scope.account).clusters[cluster.id] = cluster


async def _half_deleted(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Any
) -> Any:
    """Remove the workers of a cluster although its deletion is refused."""
    try:
        return await lawful(service, request, handler, caller)
    except Refusal:
        if request.method == "DELETE" and request.url.path.rsplit("/", 2)[1] == "clusters":
            service.find_cluster(request).workers.clear()
        raise


def _of_key(effective: Effective | None, state: State, scope: Scope) -> Effective | None:
    """Take the key of a user for the infrastructure account."""
    credential = state.counting(scope)
    if effective is None or not effective.manual or credential is None:
        return effective
    return effective._replace(account=sha256(credential.key.encode()).hexdigest())


def _with_key(described: dict[str, Any], state: State, scope: Scope) -> dict[str, Any]:
    credential = state.manual(scope)
    return described if credential is None else {**described, "apiKey": credential.key}


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-four-workers-listed", ("iks-effects",), "At most four workers of a cluster are listed.", instead(IksService.answer, _four_listed)),
    ("iks-first-reset-lost", ("iks-reset-owner",), "A reset where there is no API key yet does nothing.", instead(State.reset_api_key, lambda *_: None, _has_no_key)),
    ("iks-default-group-counts", ("iks-04", "iks-sequences"), "Credentials of the default group count in groups that have none.", gives(State.counting, _default_too)),
    ("iks-unset-brings-back", ("iks-03",), "Unsetting brings back the credentials that were set before.", instead(State.set_manual, _keep_before), then(State.unset_manual, _back_to_before)),
    ("iks-unset-by-setter", ("iks-03", "iks-sequences"), "Credentials are unset by who has set them only.", instead(IksService.answer, _by_setter)),
    ("iks-refused-cluster-stays", ("iks-06", "iks-09", "iks-11"), "A cluster whose creation is refused is there.", refused_but(State.create_cluster, _kept_cluster)),
    ("iks-refused-deletion-half-done", ("iks-06",), "A deletion that is refused has removed the workers.", instead(IksService.answer, _half_deleted)),
    ("iks-new-key-orphans", ("iks-07", "iks-12"), "A new key of the same user makes orphans of the workers.", gives(State.effective, _of_key)),
    ("iks-key-in-listing", ("iks-no-secret",), "The listing of permissions shows the infrastructure key.", gives(State.infra_permissions, _with_key)),
)  # fmt: skip

STORE_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
