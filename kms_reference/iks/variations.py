"""Variations: what no source fixes of statuses, texts, lists and members, and of when something is gone."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from starlette.responses import JSONResponse, PlainTextResponse, Response

from kms_reference.iks.app import IksService
from kms_reference.iks.messages import Message, Refusal, envelope, envelope_members, refusal
from kms_reference.iks.permissions import Operation
from kms_reference.iks.state import Cluster, State, Worker
from kms_reference.switches import Change, Variation, gives, instead, on_refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from kms_reference.caller import Identity
    from kms_reference.rules import RuleLike

_UNAUTHORIZED: Final = 401
_NO_CONTENT: Final = 204
_EARLIER: Final = {
    Message.NOT_CONNECTED: "Unable to connect to the IBM Cloud account. Ensure that you have a paid account.",
    Message.INSTANCE_NOT_FOUND: "The worker node instance \u2018{id}\u2019 cannot be found. Review \u2018{provider}\u2019 infrastructure user permissions",
    Message.INSTANCE_MISSING: "The worker node instance cannot be found. Review '{provider}' infrastructure user permissions.",
    Message.INSTANCE_UNIDENTIFIED: "The worker node instance cannot be identified. Review '{provider}' infrastructure user permissions.",
    Message.NO_CREDENTIALS: "No credentials set for resource group default.: The user credentials could not be found.",
    Message.INVALID_API_KEY: "Error: SoftLayer_Exception_User_Customer_Unauthorized: Invalid API key",
}
"""Texts of the same messages as earlier pages and the command line print them."""
_REGISTRY: Final = "The cluster could not be configured with the registry. Make sure that you have the Administrator role for IBM Cloud Container Registry."
_STATUSES: Final = {
    Message.NOT_AUTHORIZED: 401,
    Message.INSTANCE_NOT_FOUND: 409,
    Message.INSTANCE_MISSING: 400,
    Message.INSTANCE_UNIDENTIFIED: 422,
    Message.NO_CREDENTIALS: 400,
    Message.INVALID_API_KEY: 403,
}
"""Other statuses of refusals whose status no source tells."""
_TOLD_BY_WORKERS: Final = {Message.NOT_AUTHORIZED.value, Message.INVALID_API_KEY.value}
_told: Final[WeakKeyDictionary[Worker, str]] = WeakKeyDictionary()
"""What is wrong with a worker since its last change."""
_leaving: Final[WeakKeyDictionary[State, set[str]]] = WeakKeyDictionary()
"""Ids of workers and clusters that are being removed."""


# -- every answer ------------------------------------------------------------------------------------------------------


def _rewritten(change: Any) -> Change:
    """Rewrite the JSON of each success."""

    async def answer(
        lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
    ) -> Response:
        response: Response = await lawful(service, request, handler, caller)
        if not isinstance(response, JSONResponse):
            return response
        return JSONResponse(change(json.loads(bytes(response.body))), response.status_code)

    return instead(IksService.answer, answer)


def _turned(body: Any) -> Any:
    """Turn lists of things and the order of members."""
    if isinstance(body, list):
        return [_turned(entry) for entry in reversed(body)]
    return {name: body[name] for name in reversed(body)} if isinstance(body, dict) else body


def _with_more(body: Any) -> Any:
    if isinstance(body, list):
        return [_with_more(entry) for entry in body]
    return {**body, "crn": None, "features": {"a": True}} if isinstance(body, dict) else body


async def _empty_objects(
    lawful: RuleLike, service: IksService, request: Request, handler: Any, caller: Identity
) -> Response:
    """Answer changes with 200 and an empty object."""
    response: Response = await lawful(service, request, handler, caller)
    is_empty = response.status_code == _NO_CONTENT
    return JSONResponse({}, headers={"x-request-id": uuid.uuid4().hex}) if is_empty else response


# -- refusals ----------------------------------------------------------------------------------------------------------


def _earlier_text(refused: Refusal, _: Any, message: Message, /, **parts: str) -> Refusal:
    text = _EARLIER.get(message)
    if text is None:
        return refused
    return Refusal(refused.status, text.format(**parts), refused.code, refused.kind)


def _earlier_orphan(_: str, state: State, cluster: Cluster, worker: Worker) -> str:
    message = state.account(cluster.scope.account).lookup
    return _EARLIER[message].format(id=worker.id, provider="IBM Cloud")


def _other_status(refused: Refusal, _: Any, message: Message, /, **__: str) -> Refusal:
    status = _STATUSES.get(message, refused.status)
    return Refusal(status, refused.description, refused.code or "E0000", refused.kind or "Provisioning")


def _of_a_gateway(answer: Response, _: Any, refused: Refusal) -> Response:
    is_gateways = refused.status == _UNAUTHORIZED and not refused.code and refused.kind == "Authentication"
    return PlainTextResponse("Unauthorized", 401) if is_gateways else answer


def _bare_envelope(members: dict[str, object], *_: Any) -> dict[str, object]:
    return {name: value for name, value in members.items() if name not in {"incidentID", "type"}}


def _unauthorized(refused: Any, *_: Any) -> None:
    raise Refusal(_UNAUTHORIZED, refused.description, "E9999", refused.kind)


# -- permissions, owners, clusters ---------------------------------------------------------------------------------------


def _what_is_missing(described: dict[str, Any], *_: Any) -> dict[str, Any]:
    """Leave out what is sufficient: the flag, the need, and the list of a group in which nothing is missing."""
    return {
        name: {need: view for need, view in groups.items() if view["insufficient"]}
        if isinstance(groups, dict)
        else groups
        for name, groups in described.items()
    }


async def _service_owner(
    lawful: RuleLike, service: IksService, request: Request, caller: Identity
) -> Response:
    """Tell an owner that has no address: a service may be one."""
    response = await lawful(service, request, caller)
    return JSONResponse({**json.loads(bytes(response.body)), "email": ""})


def _bare_worker(described: dict[str, object], *_: Any) -> dict[str, object]:
    """Say nothing where nothing is wrong, and times in another form."""
    kept = {name: value for name, value in described.items() if value != ""}
    if "errorMessageDate" in kept:
        kept["errorMessageDate"] = "2026-11-30T06:54:02.123+0000"
    words = {"normal": "deployed", "critical": "unknown", "provision_failed": "deploy_failed"}
    return {**kept, "state": words.get(str(described["state"]), described["state"])}


def _other_ids(cluster: Cluster, state: State, *_: Any) -> Cluster:
    """Give clusters short ids, and workers ids of which one begins like another."""
    clusters = state.account(cluster.scope.account).clusters
    del clusters[cluster.id]
    cluster.id = "c" + base64.b32encode(uuid.uuid4().bytes)[:19].decode().lower()
    clusters[cluster.id] = cluster
    for number, worker in enumerate(cluster.workers.values(), start=1):
        worker.id = f"kube-{cluster.id}-{cluster.name[:16]}-default-{number:08x}"
    cluster.workers = {worker.id: worker for worker in cluster.workers.values()}
    return cluster


def _nothing_critical(body: Any) -> Any:
    if isinstance(body, dict) and not body.get("non_critical_errors", {"items": 1})["items"]:
        return {name: value for name, value in body.items() if name != "non_critical_errors"}
    return body


# -- where a refusal is told -------------------------------------------------------------------------------------------


def _on_workers(lawful: RuleLike, state: State, cluster: Cluster, count: int) -> list[Worker]:
    """Order workers although the credentials cannot, and let the workers tell it."""
    try:
        added: list[Worker] = lawful(state, cluster, count)
    except Refusal as refused:
        effective = state.effective(cluster.scope)
        if refused.description not in _TOLD_BY_WORKERS or effective is None:
            raise
        added = [
            Worker(f"kube-{cluster.id[:12]}-{uuid.uuid4().hex[:8]}", effective.account) for _ in range(count)
        ]
        for worker in added:
            _told.setdefault(worker, refused.description)
            cluster.workers[worker.id] = worker
    return added


def _on_worker(
    lawful: RuleLike, state: State, cluster: Cluster, worker: Worker, operation: Operation
) -> None:
    """Accept a change of a worker that cannot be done, and let the worker tell it."""
    try:
        lawful(state, cluster, worker, operation)
    except Refusal as refused:
        if refused.description in _TOLD_BY_WORKERS:
            _told[worker] = refused.description
        elif refused.code or not state.is_orphan(cluster, worker):
            raise
    else:
        _told.pop(worker, None)


# -- when something is gone --------------------------------------------------------------------------------------------


def _stays_a_while(
    lawful: RuleLike, state: State, cluster: Cluster, worker: Worker, operation: Operation
) -> None:
    lawful(state, cluster, worker, operation)
    if operation is Operation.REMOVE:
        cluster.workers[worker.id] = worker
        _leaving.setdefault(state, set()).add(worker.id)


def _cluster_stays(_: RuleLike, state: State, cluster: Cluster) -> None:
    _leaving.setdefault(state, set()).add(cluster.id)


def _is_leaving(described: dict[str, Any], service: IksService, *_: Any) -> dict[str, Any]:
    if described["id"] not in _leaving.get(service.state, ()):
        return described
    return {**described, "state": "deleting", **({"errorMessage": ""} if "errorMessage" in described else {})}


IKS_VARIATIONS: Final = (
    Variation("iks-lists-turned", "Lists and members are in the opposite order.", changes=(_rewritten(_turned),)),
    Variation("iks-more-members", "Answers and errors have members that no source names.", changes=(_rewritten(_with_more), gives(envelope_members, lambda members, *_: {**members, "severity": 2, "more": None}))),
    Variation("iks-empty-objects", "Changes are answered by 200 and an empty object.", changes=(instead(IksService.answer, _empty_objects),)),
    Variation("iks-earlier-texts", "Messages have the texts of earlier pages and of the command line.", changes=(gives(refusal, _earlier_text), gives(State.orphan_error, _earlier_orphan), gives(IksService.registry_errors, lambda errors, *_: [{"description": _REGISTRY, "code": "E1"} for _ in errors]))),
    Variation("iks-other-statuses", "Refusals have other statuses, codes and types where no source tells any.", changes=(gives(refusal, _other_status),)),
    Variation("iks-refused-by-a-gateway", "Callers without a good token are refused in plain text.", changes=(gives(envelope, _of_a_gateway),)),
    Variation("iks-bare-errors", "Errors have neither incident id nor type.", changes=(gives(envelope_members, _bare_envelope, lambda _, refused: refused.code != "P0005"),)),
    Variation("iks-viewer-unauthorized", "A lower role is refused by 401.", changes=(on_refusal(IksService.check_role, _unauthorized),)),
    Variation("iks-only-what-is-missing", "The listing of permissions leaves out what is sufficient.", changes=(gives(State.infra_permissions, _what_is_missing),)),
    Variation("iks-owner-without-address", "The key owner has no address.", changes=(instead(IksService.key_owner, _service_owner),)),
    Variation("iks-bare-workers", "Workers in order have no message, and states have other names.", changes=(gives(IksService.worker_view, _bare_worker),)),
    Variation("iks-other-ids", "Ids of clusters and workers have other forms.", changes=(gives(State.create_cluster, _other_ids),)),
    Variation("iks-nothing-critical-untold", "A new cluster without errors has no list of them.", changes=(_rewritten(_nothing_critical),)),
    Variation("iks-refusals-on-workers", "What credentials may not do is accepted, and told by the worker.", changes=(instead(State.add_workers, _on_workers), instead(State.change_worker, _on_worker), gives(State.worker_error, lambda text, _, __, worker: text or _told.get(worker, "")))),
    Variation("iks-removal-takes-time", "What is removed is shown as being removed.", changes=(instead(State.change_worker, _stays_a_while), instead(State.remove_cluster, _cluster_stays), gives(IksService.worker_view, _is_leaving), gives(IksService.cluster_view, _is_leaving))),
)  # fmt: skip
