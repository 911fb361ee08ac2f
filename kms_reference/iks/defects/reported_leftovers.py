"""Defects after faults that others reported: soft deletion, clients kept beside their credentials, masks, flags kept.

Each is translated to this service where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse

from kms_reference.iks.app import IksService
from kms_reference.iks.defects.reported import SomebodyLate
from kms_reference.iks.identity import Role, role_of
from kms_reference.iks.messages import Message, Refusal, refusal
from kms_reference.iks.state import Cluster, Effective, ManualCredential, Scope, State, Worker
from kms_reference.switches import Change, Defect, gives, instead, refused_but, skipped, then, unchecked

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kms_reference.caller import Identity
    from kms_reference.iks.permissions import Operation
    from kms_reference.rules import RuleLike

_SHOWN: Final = 4
_unset: WeakKeyDictionary[State, set[tuple[Scope, str]]] = WeakKeyDictionary()
_failed: WeakKeyDictionary[State, set[Scope]] = WeakKeyDictionary()
_flags: WeakKeyDictionary[State, set[tuple[Scope, str, str]]] = WeakKeyDictionary()
_payloads: WeakKeyDictionary[IksService, set[str]] = WeakKeyDictionary()
_emails: WeakKeyDictionary[IksService, dict[Scope, str]] = WeakKeyDictionary()


# -- credentials -------------------------------------------------------------------------------------------------------


def _in_small_letters(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
    lawful(state, scope, credential._replace(user=credential.user.lower()))


def _note_unset(lawful: RuleLike, state: State, scope: Scope) -> None:
    credential = state.manual(scope)
    if credential is not None:
        _unset.setdefault(state, set()).add((scope, credential.user))
    lawful(state, scope)


def _not_again(lawful: RuleLike, state: State, scope: Scope, credential: ManualCredential) -> None:
    """Refuse a user who was unset in this place before."""
    if (scope, credential.user) in _unset.get(state, ()):
        raise Refusal(409, "Credentials of this user exist already.", kind="BadRequest")
    lawful(state, scope, credential)


def _of_user_everywhere(lawful: RuleLike, state: State, scope: Scope) -> None:
    """Unset the credentials of the place's user in every place of the account."""
    credential = state.manual(scope)
    lawful(state, scope)
    for place, other in list(state.credentials.items()):
        if credential is not None and place.account == scope.account and other.user == credential.user:
            del state.credentials[place]


def _note_failed(state: State, scope: Scope, _: Operation) -> None:
    _failed.setdefault(state, set()).add(scope)


def _forget_failed(state: State, scope: Scope, _: ManualCredential) -> None:
    _failed.setdefault(state, set()).discard(scope)


def _still_failed(lawful: RuleLike, state: State, scope: Scope, operation: Operation) -> None:
    """Go on with the credentials that failed until others are set."""
    if scope in _failed.get(state, ()):
        raise refusal(state, Message.INVALID_API_KEY)
    lawful(state, scope, operation)


async def _masked(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Any:
    """Show a viewer the beginning of the user's name."""
    answer = await lawful(service, request, handler, caller)
    credential = service.state.manual(service.scope(request))
    if credential is None or role_of(caller) is not Role.VIEWER:
        return answer
    return JSONResponse({"apiUser": credential.user[:_SHOWN] + "***"})


def _payload(request: Request) -> str:
    return "".join(request.headers.get("authorization", "").split(".")[1:2])


def _note_payload(service: IksService, request: Request, *_: Any) -> None:
    _payloads.setdefault(service, set()).add(_payload(request))


def _is_known(service: IksService, request: Request) -> bool:
    """Whether a token has the payload of one that was good."""
    payload = _payload(request)
    return bool(payload) and payload in _payloads.get(service, ())


# -- who may, and whose key ----------------------------------------------------------------------------------------------


def _reads(_: IksService, request: Request, *__: Any) -> bool:
    return request.method == "GET"


def _of_api_key(_: set[str], state: State, scope: Scope) -> set[str]:
    """List what the owner of the API key lacks, whatever credentials are set."""
    key = state.api_key(scope)
    return set() if key is None else state.account(scope.account).missing.get(key.owner, set())


async def _first_email(lawful: RuleLike, service: IksService, request: Request, caller: Identity) -> Response:
    """Tell the address of the first owner who was told for a place."""
    await lawful(service, request, caller)
    scope = service.find_cluster(request).scope
    name, iam_id = service.owner_of(scope)
    email = _emails.setdefault(service, {}).setdefault(scope, f"{name}@example.test")
    return JSONResponse({"email": email, "id": iam_id, "name": name})


def _has_manual(state: State, scope: Scope, *_: str) -> bool:
    return state.manual(scope) is not None


def _flags_stay(described: dict[str, Any], state: State, scope: Scope) -> dict[str, Any]:
    """Leave the flag of what was once insufficient."""
    known = _flags.setdefault(state, set())
    for group, needs in described.items():
        for need, view in needs.items() if isinstance(needs, dict) else ():
            if view["insufficient"]:
                known.add((scope, group, need))
            view["insufficient"] = (scope, group, need) in known
    return described


# -- workers -----------------------------------------------------------------------------------------------------------


def _adopted(_: State, __: Cluster, worker: Worker, effective: Effective) -> None:
    worker.account = effective.account


def _all_or_none(lawful: RuleLike, state: State, cluster: Cluster, worker: Worker) -> Any:
    """Take every worker of a cluster for an orphan where one is."""
    return any(lawful(state, cluster, one) for one in (worker, *cluster.workers.values()))


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("iks-user-in-small-letters", ("iks-02",), "The name of a user is stored in small letters.", instead(State.set_manual, _in_small_letters)),
    ("iks-unset-never-again", ("iks-03",), "Credentials that were unset are refused when they are set again.", instead(State.unset_manual, _note_unset), instead(State.set_manual, _not_again)),
    ("iks-token-known-by-payload", ("iks-14",), "A token that was once good is good with any signature.", then(IksService.check_role, _note_payload), unchecked(IksService.without_token, _is_known, gives=SomebodyLate)),
    ("iks-outsider-reads", ("iks-no-role",), "Whoever has a token reads.", unchecked(IksService.check_role, _reads)),
    ("iks-listing-of-api-key", ("iks-08",), "The listing of permissions is that of the API key's owner while credentials are set.", gives(State.shown_missing, _of_api_key)),
    ("iks-owner-keeps-email", ("iks-reset-owner",), "After a reset the key owner has the address of the one before.", instead(IksService.key_owner, _first_email)),
    ("iks-refused-change-adopts", ("iks-12",), "A refused change of an orphan moves it to the account of the credentials.", refused_but(State.check_account, _adopted)),
    ("iks-unset-does-not-heal", ("iks-06", "iks-05"), "After credentials failed, operations fail with their message although they are unset.", refused_but(State.check_manual, _note_failed), then(State.set_manual, _forget_failed), instead(State.check_api_key, _still_failed)),
    ("iks-reset-beside-manual-lost", ("iks-reset-owner",), "A reset does nothing while manual credentials are set.", skipped(State.reset_api_key, _has_manual)),
    ("iks-insufficient-after-grant", ("iks-08",), "What was insufficient stays so with an empty list.", gives(State.infra_permissions, _flags_stay)),
    ("iks-unset-by-user", ("iks-04",), "Unsetting reaches the same user's credentials in other places.", instead(State.unset_manual, _of_user_everywhere)),
    ("iks-one-orphan-is-all", ("iks-12",), "One orphan makes orphans of all workers of its cluster.", instead(State.is_orphan, _all_or_none)),
    ("iks-user-masked-for-viewer", ("iks-viewer-reads",), "A viewer is shown the beginning of the user's name.", instead(IksService.answer, _masked, lambda _, request, *__: request.method == "GET" and request.url.path.endswith("/credentials"))),
)  # fmt: skip

LEFTOVER_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
