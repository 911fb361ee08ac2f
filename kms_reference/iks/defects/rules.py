"""Single defects of this endpoint: each breaks one promise, so that a suite can prove that it would notice."""

from typing import Any, Final, Never

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from kms_reference.iks import control
from kms_reference.iks.app import IksService
from kms_reference.iks.identity import Role, role_of
from kms_reference.iks.messages import Message, Refusal, envelope, envelope_members, refusal
from kms_reference.iks.permissions import GROUP_OF, Operation
from kms_reference.iks.state import LINKED, ApiKey, Cluster, Effective, ManualCredential, Scope, State, Worker
from kms_reference.rules import RefusedError, RuleLike
from kms_reference.switches import (
    Change,
    Defect,
    gives,
    instead,
    on_refusal,
    refused_but,
    skipped,
    then,
    unchecked,
)

_EXCHANGE: Final = (Message.TOKEN_EXCHANGE, Message.TOKEN_EXCHANGE_WITH_MESSAGE)
_ORPHANS: Final[set[str]] = set()
"""Ids of workers that were orphans once; ids are unique among all servers."""


class Nobody:
    """The caller without a token."""

    name = iam_id = "nobody"
    roles = ("Administrator",)
    kind = "user"


def _with(refused: Refusal, **members: Any) -> Refusal:
    for name, value in members.items():
        setattr(refused, name, value)
    return refused


def _refused_with(*messages: Message, **members: Any) -> Change:
    """Refuse with other members where one of these messages is sent."""

    def sent(_: Any, message: Message, /, **__: str) -> bool:
        return message in messages

    return gives(refusal, lambda refused, *_, **__: _with(refused, **members), sent)


def _viewer_may(method: str, word: str) -> Change:
    """Let a viewer do what takes an administrator."""

    def asked(_: IksService, request: Request, identity: Any, __: Role) -> bool:
        last = request.url.path.rsplit("/", 1)[-1]
        return (request.method, last) == (method, word) and role_of(identity) is Role.VIEWER

    return unchecked(IksService.check_role, asked)


def _server_error(*_: Any) -> Never:
    raise Refusal(500, "The token is missing, malformed or expired.", kind="Authentication")


async def _owner_of_nothing(lawful: RuleLike, service: IksService, request: Request, caller: Any) -> Any:
    try:
        return await lawful(service, request, caller)
    except Refusal:
        return JSONResponse({"email": "", "id": "", "name": ""})


def _without_cluster(errors: list[Any], service: IksService, cluster: Cluster) -> list[Any]:
    if errors:
        del service.state.account(cluster.scope.account).clusters[cluster.id]
    return errors


def _still_deleted(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
    old = state.manual(scope)
    lawful(state, scope, credential)
    if old in state.deleted:
        state.deleted[credential] = scope


def _unset_in_every_account(state: State, scope: Scope) -> None:
    for other in [other for other in state.credentials if other[1:] == scope[1:]]:
        del state.credentials[other]


def _still_dead(lawful: RuleLike, state: State, scope: Scope, owner: str, name: str) -> None:
    old = state.api_key(scope)
    lawful(state, scope, owner, name)
    state.account(scope.account).api_keys[scope].dead = old is not None and old.dead


def _same_owner(lawful: RuleLike, state: State, scope: Scope, owner: str, name: str) -> None:
    old = state.api_key(scope)
    lawful(state, scope, *((owner, name) if old is None else (old.owner, old.name)))


def _keys_of_all_places(state: State, scope: Scope, owner: str, name: str) -> None:
    keys = state.account(scope.account).api_keys
    keys.update({other: ApiKey(owner, name) for other in keys})


def _of_any_place(found: ManualCredential | None, state: State, scope: Scope) -> ManualCredential | None:
    others = (held for where, held in state.credentials.items() if where.account == scope.account)
    return found or next(others, None)


def _not_connected(state: State, _: Scope) -> Never:
    raise refusal(state, Message.NOT_CONNECTED)


def _with_key(refused: RefusedError, state: State, scope: Scope, _: Operation) -> Never:
    credential = state.counting(scope)
    assert isinstance(refused, Refusal)
    assert credential is not None
    raise _with(refused, description=f"{refused.description} {credential.key}")


def _orphan_for_ever(orphan: bool, _: State, __: Cluster, worker: Worker) -> bool:
    if orphan:
        _ORPHANS.add(worker.id)
    return worker.id in _ORPHANS


def _all_insufficient(described: dict[str, Any], *_: Any) -> dict[str, Any]:
    for needs in described.values():
        for need in needs.values() if isinstance(needs, dict) else ():
            need["insufficient"] = True
    return described


def _unset_elsewhere(state: State, scope: Scope, *_: Any) -> None:
    for other in [other for other in state.credentials if other.account == scope.account and other != scope]:
        del state.credentials[other]


def _owner_lost(state: State, scope: Scope) -> None:
    keys = state.account(scope.account).api_keys
    if scope in keys:
        keys[scope] = ApiKey(Nobody.iam_id, Nobody.name)


def _removed_from_others(state: State, cluster: Cluster, *_: Any) -> None:
    for other in state.account(cluster.scope.account).clusters.values():
        if other is not cluster and other.workers:
            other.workers.popitem()


def _asked(request: Request, method: str, word: str) -> bool:
    """Tell whether a request has a method and a path whose last collection has this name."""
    return request.method == method and word in request.url.path.rsplit("/", 2)[1:]


def _clusters(service: IksService, request: Request) -> dict[str, Cluster]:
    return service.state.account(service.scope(request).account).clusters


def _deleted_all_the_same(service: IksService, request: Request, *_: Any) -> None:
    _clusters(service, request).pop(request.path_params["cluster"], None)


def _reload_removes(service: IksService, request: Request) -> None:
    names = request.path_params
    _clusters(service, request)[names["cluster"]].workers.pop(names["worker"], None)


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-no-credentials-as-200", ("iks-01",), "Credentials that are not set are answered with 200.", _refused_with(Message.NO_CREDENTIALS, status=200)),
    ("iks-no-credentials-wrong-code", ("iks-01",), "Credentials that are not set have another code.", _refused_with(Message.NO_CREDENTIALS, code="E0052")),
    ("iks-no-credentials-wrong-text", ("iks-01",), "Credentials that are not set have another text.", _refused_with(Message.NO_CREDENTIALS, description="Not found.")),
    ("iks-set-not-stored", ("iks-02",), "Credentials that were set are not there.", skipped(State.set_manual)),
    ("iks-user-wrong", ("iks-02",), "The wrong user is shown.", gives(IksService.credential_view, lambda view, *_: {"apiUser": view["apiUser"][::-1]})),
    ("iks-key-echoed", ("iks-02",), "The infrastructure key is shown with its user.", gives(IksService.credential_view, lambda view, _, credential: {**view, "apiKey": credential.key})),
    ("iks-key-echoed-on-set", ("iks-02",), "Setting credentials answers with the key.", instead(IksService.stored, lambda _, __, credential: JSONResponse({"apiUser": credential.user, "apiKey": credential.key}))),
    ("iks-second-set-ignored", ("iks-set-last-wins",), "The first credentials win over later ones.", skipped(State.set_manual, lambda state, scope, _: state.manual(scope) is not None)),
    ("iks-unset-does-nothing", ("iks-03",), "Unset credentials stay.", skipped(State.unset_manual)),
    ("iks-unset-everywhere", ("iks-03", "iks-04"), "Unsetting reaches other regions and groups.", then(State.unset_manual, lambda state, _: state.credentials.clear())),
    ("iks-region-ignored", ("iks-04",), "Credentials of one region count in all.", gives(State.place, lambda place, *_: place._replace(region=""))),
    ("iks-group-ignored", ("iks-04",), "Credentials of one resource group count in all.", gives(State.place, lambda place, *_: place._replace(group=""))),
    ("iks-account-ignored", ("iks-04",), "Credentials of one account count in all.", gives(State.place, lambda place, *_: place._replace(account=""))),
    ("iks-api-key-before-manual", ("iks-05",), "The API key wins over manual credentials.", instead(State.effective, lambda _, state, scope: Effective(state.api_key(scope).owner, LINKED, manual=False), lambda state, scope: state.api_key(scope) is not None)),
    ("iks-stored-flag-off", ("iks-05",), "The user configuration never shows manual credentials.", gives(IksService.has_manual, lambda *_: False)),
    ("iks-stored-flag-on", ("iks-05",), "The user configuration always shows manual credentials.", gives(IksService.has_manual, lambda *_: True)),
    ("iks-owner-follows-manual", ("iks-05",), "The key owner changes with manual credentials.", gives(IksService.owner_of, lambda _, service, scope: (service.state.manual(scope).user,) * 2, lambda service, scope: service.state.manual(scope) is not None)),
    ("iks-reset-clears-manual", ("iks-06",), "Resetting the API key removes manual credentials.", then(State.reset_api_key, lambda state, scope, *_: state.unset_manual(scope))),
    ("iks-reset-heals-manual", ("iks-06",), "Resetting the API key revives a deleted manual key.", then(State.reset_api_key, lambda state, scope, *_: state.deleted.pop(state.manual(scope), None))),
    ("iks-deleted-key-works", ("iks-06",), "A manual key that was deleted upstream still works.", unchecked(State.check_manual)),
    ("iks-deleted-key-insufficient", ("iks-06",), "A deleted manual key shows as missing permissions.", gives(State.shown_missing, lambda *_: set(GROUP_OF), lambda state, scope: state.manual(scope) in state.deleted)),
    ("iks-invalid-api-key-wrong-text", ("iks-06",), "A deleted manual key has another text.", _refused_with(Message.INVALID_API_KEY, description="The key is not valid.")),
    ("iks-set-anew-does-not-heal", ("iks-07",), "A new manual key does not help after a deleted one.", instead(State.set_manual, _still_deleted)),
    ("iks-missing-permission-works", ("iks-08",), "A missing permission does not matter.", unchecked(State.check_permissions)),
    ("iks-missing-permission-hidden", ("iks-08",), "A missing permission is not listed.", gives(State.shown_missing, lambda *_: set())),
    ("iks-insufficient-without-list", ("iks-08",), "Insufficient permissions come without their names.", gives(State.need_view, lambda view, *_: {**view, "missingPermissions": []})),
    ("iks-permission-in-wrong-group", ("iks-08",), "A missing permission is listed in another group.", gives(State.group_of, lambda place, *_: (next(group for group, _ in GROUP_OF.values() if group != place[0]), place[1]))),
    ("iks-insufficient-as-text", ("iks-08-shape",), "The listing says insufficient as a text.", gives(State.need_view, lambda view, *_: {**view, "insufficient": str(view["insufficient"])})),
    ("iks-grant-unseen", ("iks-08",), "A permission that was granted stays missing.", skipped(control.grant)),
    ("iks-not-authorized-wrong-text", ("iks-08", "iks-msg-not-authorized"), "A missing permission has another text.", _refused_with(Message.NOT_AUTHORIZED, description="Forbidden.")),
    ("iks-order-permission-silent", ("iks-msg-item-permission",), "An item ordered without permission shows nothing.", gives(State.order_error, lambda *_: "")),
    ("iks-dead-key-works", ("iks-09",), "A dead API key still works.", unchecked(State.check_api_key)),
    ("iks-token-exchange-as-500", ("iks-09",), "A dead API key is a server error.", _refused_with(*_EXCHANGE, status=500)),
    ("iks-token-exchange-wrong-code", ("iks-09-code",), "A dead API key has another code.", _refused_with(*_EXCHANGE, code="P0006")),
    ("iks-token-exchange-wrong-type", ("iks-09-code",), "A dead API key has another type.", _refused_with(*_EXCHANGE, kind="Provisioning")),
    ("iks-token-exchange-wrong-text", ("iks-09",), "A dead API key has another text.", _refused_with(*_EXCHANGE, description="Token failure.")),
    ("iks-reset-does-not-heal", ("iks-10",), "Resetting does not replace a dead API key.", instead(State.reset_api_key, _still_dead)),
    ("iks-reset-one-cluster-owner", ("iks-10",), "Resetting leaves the old key owner.", instead(State.reset_api_key, _same_owner)),
    ("iks-unlinked-account-works", ("iks-11",), "A cluster is made without an infrastructure account.", on_refusal(State.connected, lambda _, state, scope: state.effective(scope), lambda state, scope: state.effective(scope) is not None)),
    ("iks-not-connected-wrong-text", ("iks-11",), "An unlinked account has another text.", _refused_with(Message.NOT_CONNECTED, description="No account.")),
    ("iks-unlinked-ignores-manual", ("iks-11",), "Manual credentials do not help an unlinked account.", then(State.connected, _not_connected, lambda state, scope: state.account(scope.account).unlinked)),
    ("iks-orphan-hidden", ("iks-12",), "A worker of another account looks well.", gives(State.is_orphan, lambda *_: False)),
    ("iks-orphan-without-id", ("iks-12",), "The orphan's message lacks its quotes and id.", gives(State.orphan_error, lambda text, _, __, worker: text.replace(f"'{worker.id}'", ""))),
    ("iks-orphan-stays", ("iks-12",), "A worker stays orphaned when its account is back.", gives(State.is_orphan, _orphan_for_ever)),
    ("iks-orphan-operable", ("iks-12",), "A worker of another account can be removed.", unchecked(State.check_account)),
    ("iks-registry-silent", ("iks-13",), "A missing registry role shows nowhere.", gives(IksService.registry_errors, lambda *_: [])),
    ("iks-registry-wrong-text", ("iks-13",), "A missing registry role has another text.", gives(IksService.registry_errors, lambda errors, *_: [{"description": "Registry."} for _ in errors])),
    ("iks-no-token-accepted", ("iks-14",), "A request without a token is served.", unchecked(IksService.without_token, gives=Nobody)),
    ("iks-no-token-as-500", ("iks-14",), "A request without a token is a server error.", on_refusal(IksService.without_token, _server_error)),
    ("iks-unknown-cluster-served", ("iks-15",), "An unknown cluster has a key owner.", instead(IksService.key_owner, _owner_of_nothing)),
    ("iks-unknown-cluster-wrong-code", ("iks-15-code",), "An unknown cluster has another code.", gives(IksService.unknown_cluster, lambda refused, _: _with(refused, code="G9999"))),
    ("iks-viewer-sets", ("iks-16",), "A viewer sets credentials.", _viewer_may("POST", "credentials")),
    ("iks-viewer-unsets", ("iks-16",), "A viewer unsets credentials.", _viewer_may("DELETE", "credentials")),
    ("iks-viewer-resets", ("iks-16",), "A viewer resets the API key.", _viewer_may("POST", "keys")),
    ("iks-refused-set-stored", ("iks-16",), "Credentials of a refused request are stored.", refused_but(IksService.check_role, lambda service, request, *_: service.store_credentials(request) if request.method == "POST" else None)),
    ("iks-html-errors", ("iks-envelope",), "Errors are HTML.", instead(envelope, lambda _, __, refused: HTMLResponse(f"<p>{refused.description}</p>", refused.status))),
    ("iks-kms-envelope", ("iks-envelope",), "Errors have the KMS's envelope.", gives(envelope_members, lambda _, __, refused: {"metadata": {"collectionTotal": 1}, "resources": [{"errorMsg": refused.description}]})),
    ("iks-numeric-incident", ("iks-envelope",), "The incident id is a number.", gives(envelope_members, lambda members, *_: {**members, "incidentID": 7})),
    ("iks-operations-of-any-place", ("iks-04",), "Operations use credentials that are set elsewhere.", gives(State.counting, _of_any_place)),
    ("iks-unset-in-every-account", ("iks-04",), "Unsetting reaches other accounts.", then(State.unset_manual, _unset_in_every_account)),
    ("iks-user-cut", ("iks-02",), "A user is stored without what follows the at sign.", instead(State.set_manual, lambda lawful, state, scope, credential: lawful(state, scope, credential._replace(user=credential.user.partition("@")[0])))),
    ("iks-same-user-ignored", ("iks-07",), "A new key of the same user is not stored.", skipped(State.set_manual, lambda state, scope, credential: (old := state.manual(scope)) is not None and old.user == credential.user)),
    ("iks-key-in-error", ("iks-no-secret",), "A refusal shows the infrastructure key.", on_refusal(State.check_manual, _with_key)),
    ("iks-deleted-key-removes", ("iks-06",), "Workers are removed with a key that was deleted.", unchecked(State.check_manual, lambda _, __, operation: operation is Operation.REMOVE)),
    ("iks-dead-key-removes", ("iks-09",), "Workers are removed with a dead API key.", unchecked(State.check_api_key, lambda _, __, operation: operation is Operation.REMOVE)),
    ("iks-key-of-all-places", ("iks-key-scope",), "A reset reaches other regions and groups.", then(State.reset_api_key, _keys_of_all_places)),
    ("iks-every-group-insufficient", ("iks-08",), "All groups are insufficient when one is.", gives(State.infra_permissions, _all_insufficient, lambda state, scope: bool(state.shown_missing(scope)))),
    ("iks-refused-reset-done", ("iks-14",), "A reset without a token is refused and done.", refused_but(IksService.without_token, lambda service, request: service.reset(request, Nobody()), lambda _, request: request.url.path.endswith("/v1/keys"))),
    ("iks-workers-without-token", ("iks-14",), "Workers are shown without a token.", unchecked(IksService.without_token, lambda _, request: "/workers" in request.url.path, gives=Nobody)),
    ("iks-viewer-changes-clusters", ("iks-viewer-clusters",), "A viewer changes clusters.", unchecked(IksService.check_role, lambda _, request, identity, __: "/clusters" in request.url.path and role_of(identity) is Role.VIEWER)),
    ("iks-registry-without-cluster", ("iks-13",), "With a missing registry role no cluster stays.", gives(IksService.registry_errors, _without_cluster)),
    ("iks-description-missing", ("iks-envelope",), "Errors have no description.", gives(envelope_members, lambda members, *_: {name: value for name, value in members.items() if name != "description"})),
    ("iks-reset-unsets-elsewhere", ("iks-effects",), "A reset removes the credentials of other places.", then(State.reset_api_key, _unset_elsewhere)),
    ("iks-create-unsets-elsewhere", ("iks-effects",), "A new cluster removes the credentials of other places.", then(State.create_cluster, _unset_elsewhere)),
    ("iks-unset-changes-owner", ("iks-effects",), "Unsetting credentials takes the API key from its owner.", then(State.unset_manual, _owner_lost)),
    ("iks-worker-removed-from-others", ("iks-effects",), "Removing a worker removes one from each other cluster.", then(State.change_worker, _removed_from_others, lambda _, __, ___, operation: operation is Operation.REMOVE)),
    ("iks-all-clusters-deleted", ("iks-effects",), "Deleting a cluster deletes all of the account.", then(State.remove_cluster, lambda state, cluster: state.account(cluster.scope.account).clusters.clear())),
    ("iks-refused-deletion-done", ("iks-viewer-clusters",), "A viewer's deletion is refused and done.", refused_but(IksService.check_role, _deleted_all_the_same, lambda _, request, *__: _asked(request, "DELETE", "clusters"))),
    ("iks-refused-worker-takes-key", ("iks-viewer-clusters",), "A viewer who may not add a worker becomes the key owner.", refused_but(IksService.check_role, lambda service, request, identity, _: service.reset(request, identity), lambda _, request, *__: _asked(request, "POST", "workers"))),
    ("iks-refused-reload-removes", ("iks-14",), "A reload without a token is refused and removes the worker.", refused_but(IksService.without_token, _reload_removes, lambda _, request: _asked(request, "PUT", "workers"))),
)  # fmt: skip

DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
