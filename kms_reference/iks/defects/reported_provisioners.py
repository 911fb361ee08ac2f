"""Defects after faults that others reported: provisioners of Kubernetes clusters, and exchanges of tokens.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kms_reference.iks import control
from kms_reference.iks.app import DEFAULT_GROUP, DEFAULT_REGION, IksService
from kms_reference.iks.defects.reported import SomebodyLate, is_token
from kms_reference.iks.identity import Role, role_of
from kms_reference.iks.messages import Message, Refusal, refusal
from kms_reference.iks.state import ApiKey, Cluster, Effective, ManualCredential, Scope, State, Worker
from kms_reference.switches import Change, Defect, gives, instead, then, unchecked

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.caller import Identity
    from kms_reference.rules import RuleLike

_names: WeakKeyDictionary[IksService, dict[Scope, str]] = WeakKeyDictionary()
"""Name of the first owner of the API key of each place."""
_used: WeakKeyDictionary[State, dict[Scope, ManualCredential | None]] = WeakKeyDictionary()
_of_callers: WeakKeyDictionary[State, dict[str, dict[Scope, ManualCredential]]] = WeakKeyDictionary()


def _for_every_place(state: State, _: Scope, credential: ManualCredential) -> None:
    for place, other in state.credentials.items():
        if other.user == credential.user:
            state.credentials[place] = credential


def _newest(cluster: Cluster, worker: Worker) -> Worker:
    return list(cluster.workers.values())[-1] if cluster.workers else worker


def _newest_is_orphan(lawful: RuleLike, state: State, cluster: Cluster, worker: Worker) -> Any:
    return lawful(state, cluster, _newest(cluster, worker))


def _newest_checked(
    lawful: RuleLike, state: State, cluster: Cluster, worker: Worker, effective: Effective
) -> Any:
    return lawful(state, cluster, _newest(cluster, worker), effective)


def _names_first(lawful: RuleLike, state: State, cluster: Cluster, worker: Worker) -> Any:
    return lawful(state, cluster, next(iter(cluster.workers.values()), worker))


def _late_change(service: IksService, request: Request) -> bool:
    return request.method != "GET" and is_token(service, request)


def _first_name(owner: tuple[str, str], service: IksService, scope: Scope) -> tuple[str, str]:
    return _names.setdefault(service, {}).setdefault(scope, owner[0]), owner[1]


def _all_granted(_: RuleLike, state: State, scope: Scope, __: str) -> None:
    for lacking in state.account(scope.account).missing.values():
        lacking.clear()


def _dead_for_others(lawful: RuleLike, state: State, scope: Scope, owner: str, name: str) -> None:
    before = state.api_key(scope)
    lawful(state, scope, owner, name)
    after = state.api_key(scope)
    if before is not None and after is not None and before.owner != owner:
        after.dead = before.dead


def _in_default_place(lawful: RuleLike, state: State, scope: Scope, *arguments: Any) -> Any:
    if state.manual(Scope(scope.account, DEFAULT_REGION, DEFAULT_GROUP)) in state.deleted:
        raise refusal(state, Message.INVALID_API_KEY)
    return lawful(state, scope, *arguments)


def _places_of_account(state: State, account: str) -> list[Scope]:
    return [place for place in state.credentials if place.account == account]


def _of_any_place(lawful: RuleLike, state: State, scope: Scope) -> Any:
    places = _places_of_account(state, scope.account)
    return lawful(state, places[0] if places and scope not in places else scope)


def _first_used(credential: ManualCredential | None, state: State, scope: Scope) -> Any:
    """Return the credentials of a place that were used first since the last reset."""
    return _used.setdefault(state, {}).setdefault(scope, credential)


def _forget_used(state: State, scope: Scope, *_: str) -> None:
    _used.setdefault(state, {}).pop(scope, None)


def _without_owner(owner: tuple[str, str], service: IksService, scope: Scope) -> tuple[str, str]:
    return ("", "") if service.has_manual(scope) else owner


def _refused_to_viewer(service: IksService, request: Request, identity: Identity, needed: Role) -> None:
    del needed
    if role_of(identity) < Role.OPERATOR:
        raise Refusal(403, "The identity does not have the role.", kind="Authorization")
    del service, request


async def _of_caller(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Any:
    """Keep the credentials of each caller apart."""
    mine = _of_callers.setdefault(service.state, {}).setdefault(caller.iam_id, {})
    service.state.credentials = mine
    return await lawful(service, request, handler, caller)


def _of_default(lawful: RuleLike, service: IksService, scope: Scope) -> Any:
    default = Scope(scope.account, DEFAULT_REGION, DEFAULT_GROUP)
    return lawful(service, default if service.state.api_key(default) else scope)


def _in_every_account(state: State, scope: Scope, owner: str, name: str) -> None:
    for account in state.accounts():
        for place in account.api_keys:
            if place[1:] == scope[1:]:
                account.api_keys[place] = ApiKey(owner, name)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-one-key-per-user", ("iks-04",), "A new key of a user replaces that user's key in every place.", then(State.set_manual, _for_every_place)),
    ("iks-orphans-taken-over", ("iks-12",), "A new worker takes the older workers of its cluster into its account.", instead(State.is_orphan, _newest_is_orphan), instead(State.check_account, _newest_checked)),
    ("iks-orphan-named-after-first", ("iks-12",), "The message about an orphan names the first worker of the cluster.", instead(State.orphan_error, _names_first)),
    ("iks-expired-token-changes", ("iks-14",), "An expired token changes what it may not read.", unchecked(IksService.without_token, _late_change, gives=SomebodyLate)),
    ("iks-owner-keeps-name", ("iks-reset-owner",), "After a reset the key owner has the name of the one before.", gives(IksService.owner_of, _first_name)),
    ("iks-first-missing-alone", ("iks-08",), "Of several missing permissions one is listed.", gives(State.shown_missing, lambda missing, *_: set(sorted(missing)[:1]))),
    ("iks-one-grant-is-all", ("iks-08",), "Granting one permission grants all.", instead(control.grant, _all_granted)),
    ("iks-reset-by-others-does-not-heal", ("iks-10",), "An API key that cannot be exchanged is replaced by a reset of its owner only.", instead(State.reset_api_key, _dead_for_others)),
    ("iks-created-by-default-place", ("iks-04",), "A cluster is made with the credentials of the default region and group.", instead(State.create_cluster, _in_default_place)),
    ("iks-stored-anywhere", ("iks-04",), "The user configuration tells of credentials of any region and group.", gives(IksService.has_manual, lambda stored, service, scope: stored or bool(_places_of_account(service.state, scope.account)))),
    ("iks-permissions-of-any-place", ("iks-04",), "The listing of permissions is that of credentials in another place.", instead(State.infra_permissions, _of_any_place)),
    ("iks-credentials-from-before-reset", ("iks-04", "iks-05"), "Operations use the credentials that were used first since the last reset.", gives(State.counting, _first_used), then(State.reset_api_key, _forget_used)),
    ("iks-no-owner-with-manual", ("iks-05",), "While manual credentials are set no key owner is told.", gives(IksService.owner_of, _without_owner)),
    ("iks-viewer-reads-nothing", ("iks-viewer-reads",), "A viewer may not read.", then(IksService.check_role, _refused_to_viewer)),
    ("iks-credentials-of-each-caller", ("iks-02",), "Each user has credentials of their own.", instead(IksService.answer, _of_caller)),
    ("iks-owner-of-default-place", ("iks-key-scope", "iks-sequences"), "The key owner told is that of the default region and group.", instead(IksService.owner_of, _of_default)),
    ("iks-stored-in-any-account", ("iks-04", "iks-05"), "The user configuration tells of credentials of any account.", gives(IksService.has_manual, lambda stored, service, scope: stored or any(place[1:] == scope[1:] for place in service.state.credentials))),
    ("iks-reset-in-every-account", ("iks-key-scope", "iks-sequences"), "A reset reaches the same region and group of other accounts.", then(State.reset_api_key, _in_every_account)),
    ("iks-registry-of-manual", ("iks-13",), "With manual credentials the registry role of the key owner is not looked at.", gives(IksService.registry_errors, lambda errors, service, cluster: [] if service.has_manual(cluster.scope) else errors)),
)  # fmt: skip

PROVISIONER_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
