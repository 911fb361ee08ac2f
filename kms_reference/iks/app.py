"""The operations of the Kubernetes Service that the credentials page needs.

Order of checks: token (401), role (403), headers (400), existence (404), body (400), then the operation itself.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kms_reference.iks import control
from kms_reference.iks.defects import ActiveDefects
from kms_reference.iks.identity import Identify, Identity, Role, role_of
from kms_reference.iks.messages import Message, Refusal, envelope, refusal
from kms_reference.iks.permissions import Operation
from kms_reference.iks.state import Cluster, ManualCredential, Scope, State, Worker

PREFIX = "/global"
CONTROL = "/_control/iks"
DEFAULT_ACCOUNT = "default"
DEFAULT_GROUP = "default"
DEFAULT_REGION = "us-south"
MAX_BODY = 1 << 20
MAX_WORKERS = 100

Clock = Callable[[], datetime]
Handler = Callable[[Request, Identity], Awaitable[Response]]


class IksService:
    """Credentials and clusters of all accounts.

    ``identify`` maps an ``Authorization`` header to an identity; ``clock`` dates the messages of workers.
    """

    def __init__(self, identify: Identify, clock: Clock | None = None, defects: Iterable[str] = ()) -> None:
        self._identify = identify
        self._clock = clock or (lambda: datetime.now(UTC))
        self._broken = ActiveDefects(defects)
        self._state = State(self._broken)

    def routes(self, prefix: str = PREFIX) -> list[Route]:
        """List the operations, below a prefix, and the control protocol."""
        table: list[tuple[str, str, Role, Handler]] = [
            ("GET", "/v1/credentials", Role.VIEWER, self._get_credentials),
            ("POST", "/v1/credentials", Role.ADMINISTRATOR, self._set_credentials),
            ("DELETE", "/v1/credentials", Role.ADMINISTRATOR, self._unset_credentials),
            ("GET", "/v1/infra-permissions", Role.VIEWER, self._infra_permissions),
            ("POST", "/v1/keys", Role.ADMINISTRATOR, self._reset_api_key),
            ("GET", "/v1/logging/{cluster}/clusterkeyowner", Role.VIEWER, self._key_owner),
            ("GET", "/v1/user-config", Role.VIEWER, self._user_config),
            ("GET", "/v1/clusters", Role.VIEWER, self._list_clusters),
            ("POST", "/v1/clusters", Role.ADMINISTRATOR, self._create_cluster),
            ("GET", "/v1/clusters/{cluster}", Role.VIEWER, self._get_cluster),
            ("DELETE", "/v1/clusters/{cluster}", Role.ADMINISTRATOR, self._delete_cluster),
            ("GET", "/v1/clusters/{cluster}/workers", Role.VIEWER, self._list_workers),
            ("POST", "/v1/clusters/{cluster}/workers", Role.OPERATOR, self._add_workers),
            ("GET", "/v1/clusters/{cluster}/workers/{worker}", Role.VIEWER, self._get_worker),
            ("PUT", "/v1/clusters/{cluster}/workers/{worker}", Role.OPERATOR, self._reload_worker),
            ("DELETE", "/v1/clusters/{cluster}/workers/{worker}", Role.OPERATOR, self._remove_worker),
        ]
        by_path: dict[str, dict[str, tuple[Role, Handler]]] = {}
        for method, path, role, handler in table:
            by_path.setdefault(path, {})[method] = (role, handler)
        documented = [
            Route(prefix + path, self._guarded(handlers), methods=list(handlers))
            for path, handlers in by_path.items()
        ]
        return [
            *documented,
            Route(f"{CONTROL}/instances/{{account}}/faults", self._control_fault, methods=["POST"]),
            Route(f"{CONTROL}/instances/{{account}}", self._control_forget, methods=["DELETE"]),
        ]

    # Who may ask what.

    def _guarded(self, handlers: dict[str, tuple[Role, Handler]]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handlers of one path: token and role first, refusals as envelopes."""

        async def endpoint(request: Request) -> Response:
            role, handler = handlers["GET" if request.method == "HEAD" else request.method]
            try:
                return await handler(request, await self._caller(request, role))
            except Refusal as refused:
                return envelope(refused, self._broken)

        return endpoint

    async def _caller(self, request: Request, needed: Role) -> Identity:
        identity = self._identify(request.headers.get("authorization"))
        if identity is None:
            workers = "/workers" in request.url.path and self._broken("iks-workers-without-token")
            if workers or self._broken("iks-no-token-accepted"):
                return _Nobody()
            if request.url.path.endswith("/v1/keys") and self._broken("iks-refused-reset-done"):
                await self._reset_api_key(request, _Nobody())
            status = 500 if self._broken("iks-no-token-as-500") else 401
            raise Refusal(status, "The token is missing, malformed or expired.", kind="Authentication")
        has = role_of(identity)
        if has < needed and not self._excused(request, has):
            if request.method == "POST" and self._broken("iks-refused-set-stored"):
                await self._set_credentials(request, identity)
            raise Refusal(
                403, "The identity does not have the role that the operation asks for.", kind="Authorization"
            )
        return identity

    def _excused(self, request: Request, has: Role) -> bool:
        """Tell whether a defect lets a viewer do what takes an administrator."""
        defects = {
            ("POST", "credentials"): "iks-viewer-sets",
            ("DELETE", "credentials"): "iks-viewer-unsets",
            ("POST", "keys"): "iks-viewer-resets",
        }
        defect = defects.get((request.method, request.url.path.rsplit("/", 1)[-1]))
        if "/clusters" in request.url.path:
            defect = "iks-viewer-changes-clusters"
        return defect is not None and has is Role.VIEWER and self._broken(defect)

    @staticmethod
    def _scope(request: Request, *, region_needed: bool = False) -> Scope:
        headers = request.headers
        region = headers.get("x-region", "")
        if region_needed and not region:
            raise Refusal(400, "The X-Region header is missing.", kind="BadRequest")
        # The generated SDK and other clients disagree about the name of the group header.
        group = (
            headers.get("x-auth-resource-group") or headers.get("x-auth-resource-group-id") or DEFAULT_GROUP
        )
        return Scope(
            headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT, region or DEFAULT_REGION, group
        )

    # Credentials and permissions.

    async def _get_credentials(self, request: Request, _: Identity) -> Response:
        credential = self._state.manual(self._scope(request, region_needed=True))
        if credential is None:
            raise refusal(Message.NO_CREDENTIALS, self._broken)
        body = {"apiUser": credential.user[::-1] if self._broken("iks-user-wrong") else credential.user}
        if self._broken("iks-key-echoed"):
            body["apiKey"] = credential.key
        return JSONResponse(body)

    async def _set_credentials(self, request: Request, _: Identity) -> Response:
        scope = self._scope(request, region_needed=True)
        user = request.headers.get("x-auth-softlayer-username", "")
        key = request.headers.get("x-auth-softlayer-apikey", "")
        if not user or not key:
            raise Refusal(400, "The infrastructure user name or API key is missing.", kind="BadRequest")
        self._state.set_manual(scope, ManualCredential(user, key))
        if self._broken("iks-key-echoed-on-set"):
            return JSONResponse({"apiUser": user, "apiKey": key})
        return Response(status_code=204)

    async def _unset_credentials(self, request: Request, _: Identity) -> Response:
        self._state.unset_manual(self._scope(request, region_needed=True))
        return Response(status_code=204)

    async def _infra_permissions(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self._state.infra_permissions(self._scope(request, region_needed=True)))

    async def _reset_api_key(self, request: Request, caller: Identity) -> Response:
        self._state.reset_api_key(self._scope(request, region_needed=True), caller.iam_id, caller.name)
        return Response(status_code=204)

    async def _key_owner(self, request: Request, _: Identity) -> Response:
        try:
            scope = self._cluster(request).scope
        except Refusal:
            if self._broken("iks-unknown-cluster-served"):
                return JSONResponse({"email": "", "id": "", "name": ""})
            raise
        key = self._state.api_key(scope)
        name, iam_id = (key.name, key.owner) if key else ("", "")
        manual = self._state.manual(scope)
        if manual is not None and self._broken("iks-owner-follows-manual"):
            name = iam_id = manual.user
        return JSONResponse({"email": f"{name}@example.test", "id": iam_id, "name": name})

    async def _user_config(self, request: Request, _: Identity) -> Response:
        stored = self._state.manual(self._scope(request)) is not None
        stored = (stored or self._broken("iks-stored-flag-on")) and not self._broken("iks-stored-flag-off")
        return JSONResponse({"freeEnabled": True, "storedIaasCredentials": stored})

    # Clusters and workers.

    def _cluster(self, request: Request) -> Cluster:
        wanted = request.path_params["cluster"]
        account = request.headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT
        for cluster in self._state.account(account).clusters.values():
            if wanted in (cluster.id, cluster.name):
                return cluster
        code = "G9999" if self._broken("iks-unknown-cluster-wrong-code") else "G0004"
        raise Refusal(404, "The specified cluster could not be found.", code, "General")

    def _worker(self, request: Request) -> tuple[Cluster, Worker]:
        cluster = self._cluster(request)
        worker = cluster.workers.get(request.path_params["worker"])
        if worker is None:
            raise Refusal(404, "The specified worker node could not be found.", "E0011")
        return cluster, worker

    def _describe_cluster(self, cluster: Cluster) -> dict[str, object]:
        scope = cluster.scope
        return {
            "id": cluster.id,
            "name": cluster.name,
            "region": scope.region,
            "resourceGroup": scope.group,
            "state": "normal",
            "workerCount": len(cluster.workers),
        }

    def _describe_worker(self, cluster: Cluster, worker: Worker) -> dict[str, object]:
        error = self._state.worker_error(cluster, worker)
        described: dict[str, object] = {
            "id": worker.id,
            "state": "provision_failed" if worker.order_refused else "critical" if error else "normal",
            "status": "Error" if error else "Ready",
            "errorMessage": error,
            "errorMessageDate": f"{self._clock():%Y-%m-%dT%H:%M:%SZ}" if error else "",
        }
        return described

    async def _list_clusters(self, request: Request, _: Identity) -> Response:
        account = self._state.account(request.headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT)
        return JSONResponse([self._describe_cluster(cluster) for cluster in account.clusters.values()])

    async def _create_cluster(self, request: Request, caller: Identity) -> Response:
        body = await _body(request)
        name, workers = body.get("name"), body.get("workerNum", 1)
        if not isinstance(name, str) or not name:
            raise Refusal(400, "The cluster has no name.", "G3917", "Cluster")
        scope = self._scope(request)
        cluster = self._state.create_cluster(scope, name, _count(workers), caller.iam_id, caller.name)
        items = []
        if self._state.lacks_registry_role(scope) and not self._broken("iks-registry-silent"):
            text = "Registry." if self._broken("iks-registry-wrong-text") else Message.REGISTRY_ROLE.value
            items.append({"description": text})
            if self._broken("iks-registry-without-cluster"):
                del self._state.account(scope.account).clusters[cluster.id]
        errors = {"incidentID": uuid.uuid4().hex, "items": items}
        return JSONResponse({"id": cluster.id, "non_critical_errors": errors}, 201)

    async def _get_cluster(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self._describe_cluster(self._cluster(request)))

    async def _delete_cluster(self, request: Request, _: Identity) -> Response:
        cluster = self._cluster(request)
        for worker in list(cluster.workers.values()):
            self._state.change_worker(cluster, worker, Operation.REMOVE)
        del self._state.account(cluster.scope.account).clusters[cluster.id]
        return Response(status_code=204)

    async def _list_workers(self, request: Request, _: Identity) -> Response:
        cluster = self._cluster(request)
        return JSONResponse([self._describe_worker(cluster, worker) for worker in cluster.workers.values()])

    async def _add_workers(self, request: Request, _: Identity) -> Response:
        cluster = self._cluster(request)
        body = await _body(request)
        added = self._state.add_workers(cluster, _count(body.get("workerNum", 1)))
        return JSONResponse([self._describe_worker(cluster, worker) for worker in added], 201)

    async def _get_worker(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self._describe_worker(*self._worker(request)))

    async def _reload_worker(self, request: Request, _: Identity) -> Response:
        cluster, worker = self._worker(request)
        body = await _body(request)
        if body.get("action") not in {"reload", "reboot", "os_reload"}:
            raise Refusal(400, "The action is none.", "G3917", "Cluster")
        self._state.change_worker(cluster, worker, Operation.RELOAD)
        return Response(status_code=204)

    async def _remove_worker(self, request: Request, _: Identity) -> Response:
        self._state.change_worker(*self._worker(request), Operation.REMOVE)
        return Response(status_code=204)

    # The control protocol of this reference.

    async def _control_fault(self, request: Request) -> Response:
        try:
            wanted = await _body(request)
            region = str(wanted.get("region", DEFAULT_REGION))
            scope = Scope(
                request.path_params["account"], region, str(wanted.get("resource_group", DEFAULT_GROUP))
            )
            control.apply(self._state, self._broken, scope, wanted)
        except (Refusal, control.UnknownFaultError) as wrong:
            return PlainTextResponse(str(wrong), 400)
        return Response(status_code=204)

    async def _control_forget(self, request: Request) -> Response:
        self._state.forget(request.path_params["account"])
        return Response(status_code=204)


class _Nobody:
    """Only under a defect: the caller without a token."""

    name = iam_id = "nobody"
    roles = ("Administrator",)
    kind = "user"


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_WORKERS:
        raise Refusal(400, "The number of workers is not a small number.", "G3917", "Cluster")
    return value


async def _body(request: Request) -> dict[str, Any]:
    """Read a JSON object; nothing at all is an empty one."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY:
            raise Refusal(413, "The request body is too large.", kind="BadRequest")
    try:
        decoded = json.loads(chunks) if chunks else {}
        # Half a surrogate pair is valid JSON and no text: it could not be answered either.
        json.dumps(decoded, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise Refusal(400, "The request body is not a JSON object.", "G3917", "Cluster")
    return decoded


def routes(identify: Identify, clock: Clock | None = None, defects: Iterable[str] = ()) -> list[Route]:
    """Make the routes of a fresh service below ``/global``."""
    return IksService(identify, clock, defects).routes()


def create_app(service: IksService) -> Starlette:
    """Serve the service alone, for tests and for a server of its own."""
    return Starlette(routes=service.routes())
