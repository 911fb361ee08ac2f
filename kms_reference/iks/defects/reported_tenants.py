"""Defects after faults that others reported: credentials of many tenants, caches of permissions, managed clusters.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse

from kms_reference.iks.app import IksService
from kms_reference.iks.permissions import GROUP_OF, STORAGE, Operation
from kms_reference.iks.state import Cluster, Effective, ManualCredential, Scope, State, Worker
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kms_reference.caller import Identity
    from kms_reference.iks.identity import Role
    from kms_reference.rules import RefusedError, RuleLike

_LONGEST: Final = 24
_listings: WeakKeyDictionary[State, dict[Scope, dict[str, Any]]] = WeakKeyDictionary()
_owners: WeakKeyDictionary[IksService, dict[str, tuple[str, str]]] = WeakKeyDictionary()
_creators: WeakKeyDictionary[State, dict[str, tuple[str, str]]] = WeakKeyDictionary()
_permitted: WeakKeyDictionary[IksService, set[tuple[str, ...]]] = WeakKeyDictionary()
_gone: WeakKeyDictionary[State, dict[str, Cluster]] = WeakKeyDictionary()
_connected: WeakKeyDictionary[State, set[Scope]] = WeakKeyDictionary()
_stored: WeakKeyDictionary[IksService, set[Scope]] = WeakKeyDictionary()


# -- credentials -------------------------------------------------------------------------------------------------------


def _of_first_listing(described: dict[str, Any], state: State, scope: Scope) -> dict[str, Any]:
    """Give the first listing of a place again."""
    return _listings.setdefault(state, {}).setdefault(scope, described)


def _with_last_cluster(state: State, cluster: Cluster) -> None:
    """Unset the credentials of a place with its last cluster."""
    if all(other.scope != cluster.scope for other in state.account(cluster.scope.account).clusters.values()):
        state.unset_manual(cluster.scope)


def _stores(change: Any) -> Change:
    """Store another name than the user's."""

    def stored(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
        lawful(state, scope, credential._replace(user=change(credential.user)))

    return instead(State.set_manual, stored)


def _blocked_by_dead_key(lawful: RuleLike, state: State, scope: Scope, operation: Operation) -> None:
    lawful(state, scope, operation)
    state.check_api_key(scope, operation)


def _once_connected(refused: RefusedError, state: State, scope: Scope) -> Effective:
    """Take a place that was once connected by its credentials as connected."""
    effective = state.effective(scope)
    if effective is None or scope not in _connected.get(state, ()):
        raise refused
    return effective


def _connects(effective: Effective, state: State, scope: Scope) -> Effective:
    if effective.manual:
        _connected.setdefault(state, set()).add(scope)
    return effective


def _stays_stored(stored: bool, service: IksService, scope: Scope) -> bool:
    known = _stored.setdefault(service, set())
    if stored:
        known.add(scope)
    return scope in known


# -- clusters ----------------------------------------------------------------------------------------------------------


async def _told_before(lawful: RuleLike, service: IksService, request: Request, caller: Identity) -> Response:
    """Tell the owner that was told for the cluster before."""
    known = _owners.setdefault(service, {})
    cluster = service.find_cluster(request)
    name, iam_id = known.setdefault(cluster.id, service.owner_of(cluster.scope))
    del lawful, caller
    return JSONResponse({"email": f"{name}@example.test", "id": iam_id, "name": name})


def _remembered(
    cluster: Cluster, state: State, _: Scope, __: str, ___: int, owner: str, name: str
) -> Cluster:
    _creators.setdefault(state, {})[cluster.id] = (name, owner)
    return cluster


async def _creator_of(lawful: RuleLike, service: IksService, request: Request, caller: Identity) -> Response:
    """Tell who created a cluster for the owner of the key of its place."""
    cluster = service.find_cluster(request)
    del lawful, caller
    name, iam_id = _creators[service.state][cluster.id]
    return JSONResponse({"email": f"{name}@example.test", "id": iam_id, "name": name})


def _asked(request: Request) -> tuple[str, ...]:
    scope = IksService.scope(request)
    return (request.method, request.url.path, *scope)


def _permits(service: IksService, request: Request, *_: Any) -> None:
    _permitted.setdefault(service, set()).add(_asked(request))


def _was_permitted(service: IksService, request: Request, identity: Identity, needed: Role) -> bool:
    del identity, needed
    return _asked(request) in _permitted.get(service, ())


def _of_gone_cluster(refused: RefusedError, service: IksService, request: Request) -> tuple[Cluster, Worker]:
    cluster = _gone.get(service.state, {}).get(request.path_params["cluster"])
    if cluster is None or request.path_params["worker"] not in cluster.workers:
        raise refused
    return cluster, cluster.workers[request.path_params["worker"]]


def _not_removed(
    lawful: RuleLike, state: State, cluster: Cluster, worker: Worker, operation: Operation
) -> None:
    """Remove a worker, which can still be asked for by its id when its cluster is gone."""
    lawful(state, cluster, worker, operation)
    if operation is Operation.REMOVE:
        kept = _gone.setdefault(state, {}).setdefault(
            cluster.id, Cluster(cluster.id, cluster.name, cluster.scope)
        )
        kept.workers[worker.id] = worker


def _gone_but_asked(service: IksService, request: Request) -> bool:
    """Whether a worker is asked for whose cluster is gone."""
    account = service.state.account(service.scope(request).account)
    return request.path_params["cluster"] not in account.clusters


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-first-listing-stays", ("iks-08",), "The first listing of permissions of a place is given again.", gives(State.infra_permissions, _of_first_listing)),
    ("iks-last-cluster-takes-credentials", ("iks-effects",), "The last cluster of a place takes its credentials along.", then(State.remove_cluster, _with_last_cluster)),
    ("iks-user-truncated", ("iks-02",), "The name of a user is stored in 24 characters.", _stores(lambda user: user[:_LONGEST])),
    ("iks-owner-told-before", ("iks-reset-owner",), "Once it was asked for, the owner told of a cluster stays.", instead(IksService.key_owner, _told_before)),
    ("iks-owner-is-creator", ("iks-key-scope", "iks-reset-owner"), "The owner told is who created the cluster.", gives(State.create_cluster, _remembered), instead(IksService.key_owner, _creator_of)),
    ("iks-permitted-path-stays", ("iks-16",), "What an administrator has asked for, a viewer may ask for as well.", then(IksService.check_role, _permits), unchecked(IksService.check_role, _was_permitted)),
    ("iks-dead-key-blocks-manual", ("iks-05", "iks-10"), "A dead API key blocks operations with manual credentials.", instead(State.check_manual, _blocked_by_dead_key)),
    ("iks-orphan-unrendered", ("iks-12",), "The message about an orphan shows its placeholder.", instead(State.orphan_error, lambda _, state, cluster, __: state.account(cluster.scope.account).lookup.value.replace("{id}", "<ID>").replace("{provider}", "<provider>"))),
    ("iks-workers-outlive-cluster", ("iks-removed",), "The workers of a deleted cluster can still be asked for.", instead(State.change_worker, _not_removed), on_refusal(IksService.find_worker, _of_gone_cluster, _gone_but_asked)),
    ("iks-storage-never-listed", ("iks-08",), "Permissions on storage are never listed as missing.", gives(State.shown_missing, lambda missing, *_: {one for one in missing if GROUP_OF.get(one, ("",))[0] != STORAGE})),
    ("iks-once-connected", ("iks-11",), "A place that was connected by its credentials stays so without them.", on_refusal(State.connected, _once_connected), gives(State.connected, _connects)),
    ("iks-stored-flag-stays", ("iks-05",), "The user configuration shows credentials that were unset.", gives(IksService.has_manual, _stays_stored)),
)  # fmt: skip

TENANT_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
