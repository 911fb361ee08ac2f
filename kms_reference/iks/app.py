"""The operations of the Kubernetes Service that the credentials page needs.

Order of checks: token (401), role (403), headers (400), existence (404), body (400), then the operation itself.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kms_reference.caller import Identify, Identity
from kms_reference.iks import control
from kms_reference.iks.identity import Role, role_of
from kms_reference.iks.messages import Message, Refusal, envelope, refusal
from kms_reference.iks.permissions import Operation
from kms_reference.iks.state import Cluster, ManualCredential, Scope, State, Worker
from kms_reference.rules import Rules, rule

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

    def __init__(self, identify: Identify, clock: Clock | None = None, rules: Rules | None = None) -> None:
        self._identify = identify
        self._clock = clock or (lambda: datetime.now(UTC))
        self.rules = rules if rules is not None else Rules()
        self.state = State(self.rules)

    def routes(self, prefix: str = PREFIX) -> list[Route]:
        """List the operations, below a prefix, and the control protocol."""
        table: list[tuple[str, str, Role, Handler]] = [
            ("GET", "/v1/credentials", Role.VIEWER, self._get_credentials),
            ("POST", "/v1/credentials", Role.ADMINISTRATOR, self._set_credentials),
            ("DELETE", "/v1/credentials", Role.ADMINISTRATOR, self._unset_credentials),
            ("GET", "/v1/infra-permissions", Role.VIEWER, self._infra_permissions),
            ("POST", "/v1/keys", Role.ADMINISTRATOR, self._reset_api_key),
            ("GET", "/v1/logging/{cluster}/clusterkeyowner", Role.VIEWER, self.key_owner),
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
                return await self.answer(request, handler, self._caller(request, role))
            except Refusal as refused:
                return envelope(self, refused)

        return endpoint

    @rule
    async def answer(self, request: Request, handler: Handler, caller: Identity) -> Response:
        """Answer a caller: from reading what it is about to writing it nothing else is done."""
        return await handler(request, caller)

    def _caller(self, request: Request, needed: Role) -> Identity:
        identity = self._identify(request.headers.get("authorization"))
        if identity is None:
            return self.without_token(request)
        self.check_role(request, identity, needed)
        return identity

    @rule
    def without_token(self, request: Request) -> Identity:  # noqa: ARG002 - a defect asks for the request
        """Refuse a caller without a usable token.

        Raises:
            Refusal: 401.
        """
        raise Refusal(401, "The token is missing, malformed or expired.", kind="Authentication")

    @rule
    def check_role(self, request: Request, identity: Identity, needed: Role) -> None:  # noqa: ARG002 - as above
        """Refuse a caller with a lower role than the operation asks for.

        Raises:
            Refusal: 403.
        """
        if role_of(identity) < needed:
            text = "The identity does not have the role that the operation asks for."
            raise Refusal(403, text, kind="Authorization")

    @staticmethod
    def scope(request: Request, *, region_needed: bool = False) -> Scope:
        """Read the scope that the headers name.

        Raises:
            Refusal: 400 when the region is missing and needed.
        """
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
        credential = self.state.manual(self.scope(request, region_needed=True))
        if credential is None:
            raise refusal(self, Message.NO_CREDENTIALS)
        return JSONResponse(self.credential_view(credential))

    @rule
    def credential_view(self, credential: ManualCredential) -> dict[str, str]:
        """Describe manual credentials: the user, never the key."""
        return {"apiUser": credential.user}

    async def _set_credentials(self, request: Request, _: Identity) -> Response:
        return self.stored(self.store_credentials(request))

    @rule
    def store_credentials(self, request: Request) -> ManualCredential:
        """Set the credentials that the headers hold.

        Raises:
            Refusal: 400 when a header is missing.
        """
        scope = self.scope(request, region_needed=True)
        user = request.headers.get("x-auth-softlayer-username", "")
        key = request.headers.get("x-auth-softlayer-apikey", "")
        if not user or not key:
            raise Refusal(400, "The infrastructure user name or API key is missing.", kind="BadRequest")
        credential = ManualCredential(user, key)
        self.state.set_manual(scope, credential)
        return credential

    @rule
    def stored(self, credential: ManualCredential) -> Response:  # noqa: ARG002 - a defect asks for the credential
        """Answer that credentials are set, without showing them."""
        return Response(status_code=204)

    async def _unset_credentials(self, request: Request, _: Identity) -> Response:
        self.state.unset_manual(self.scope(request, region_needed=True))
        return Response(status_code=204)

    async def _infra_permissions(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self.state.infra_permissions(self.scope(request, region_needed=True)))

    async def _reset_api_key(self, request: Request, caller: Identity) -> Response:
        self.reset(request, caller)
        return Response(status_code=204)

    def reset(self, request: Request, caller: Identity) -> None:
        """Replace the API key of the scope that the headers name by one of the caller's.

        Raises:
            Refusal: 400 when the region is missing.
        """
        self.state.reset_api_key(self.scope(request, region_needed=True), caller.iam_id, caller.name)

    @rule
    async def key_owner(self, request: Request, _: Identity) -> Response:
        """Tell who owns the API key of a cluster.

        Raises:
            Refusal: 404 for an unknown cluster.
        """
        name, iam_id = self.owner_of(self.find_cluster(request).scope)
        return JSONResponse({"email": f"{name}@example.test", "id": iam_id, "name": name})

    @rule
    def owner_of(self, scope: Scope) -> tuple[str, str]:
        """Tell name and id of the owner of a scope's API key, whatever manual credentials are set."""
        key = self.state.api_key(scope)
        return (key.name, key.owner) if key else ("", "")

    async def _user_config(self, request: Request, _: Identity) -> Response:
        stored = self.has_manual(self.scope(request))
        return JSONResponse({"freeEnabled": True, "storedIaasCredentials": stored})

    @rule
    def has_manual(self, scope: Scope) -> bool:
        """Tell whether manual credentials are set in a scope."""
        return self.state.manual(scope) is not None

    # Clusters and workers.

    @rule
    def find_cluster(self, request: Request) -> Cluster:
        """Find the cluster that the path names by id or name, among those of the account.

        Raises:
            Refusal: 404 for an unknown one.
        """
        wanted = request.path_params["cluster"]
        account = request.headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT
        for cluster in self.state.account(account).clusters.values():
            if wanted in (cluster.id, cluster.name):
                return cluster
        raise self.unknown_cluster()

    @rule
    def unknown_cluster(self) -> Refusal:
        """Make the refusal of a cluster that is not there."""
        return Refusal(404, "The specified cluster could not be found.", "G0004", "General")

    @rule
    def find_worker(self, request: Request) -> tuple[Cluster, Worker]:
        """Find the worker that the path names, among those of its cluster.

        Raises:
            Refusal: 404 for an unknown cluster or worker.
        """
        cluster = self.find_cluster(request)
        worker = cluster.workers.get(request.path_params["worker"])
        if worker is None:
            raise Refusal(404, "The specified worker node could not be found.", "E0011")
        return cluster, worker

    @rule
    def cluster_view(self, cluster: Cluster) -> dict[str, object]:
        """Describe a cluster."""
        scope = cluster.scope
        return {
            "id": cluster.id,
            "name": cluster.name,
            "region": scope.region,
            "resourceGroup": scope.group,
            "state": "normal",
            "workerCount": len(cluster.workers),
        }

    @rule
    def worker_view(self, cluster: Cluster, worker: Worker) -> dict[str, object]:
        """Describe a worker, and what is wrong with it."""
        error = self.state.worker_error(cluster, worker)
        described: dict[str, object] = {
            "id": worker.id,
            "state": "provision_failed" if worker.order_refused else "critical" if error else "normal",
            "status": "Error" if error else "Ready",
            "errorMessage": error,
            "errorMessageDate": f"{self._clock():%Y-%m-%dT%H:%M:%SZ}" if error else "",
        }
        return described

    async def _list_clusters(self, request: Request, _: Identity) -> Response:
        account = self.state.account(request.headers.get("x-auth-resource-account") or DEFAULT_ACCOUNT)
        return JSONResponse([self.cluster_view(cluster) for cluster in account.clusters.values()])

    async def _create_cluster(self, request: Request, caller: Identity) -> Response:
        body = await _body(request)
        name, workers = body.get("name"), body.get("workerNum", 1)
        if not isinstance(name, str) or not name:
            raise Refusal(400, "The cluster has no name.", "G3917", "Cluster")
        scope = self.scope(request)
        cluster = self.state.create_cluster(scope, name, _count(workers), caller.iam_id, caller.name)
        errors = {"incidentID": uuid.uuid4().hex, "items": self.registry_errors(cluster)}
        return JSONResponse({"id": cluster.id, "non_critical_errors": errors}, 201)

    @rule
    def registry_errors(self, cluster: Cluster) -> list[dict[str, str]]:
        """List what is wrong with the registry of a new cluster, which is made all the same (message 8)."""
        lacks = self.state.lacks_registry_role(cluster.scope)
        return [{"description": Message.REGISTRY_ROLE.value}] if lacks else []

    async def _get_cluster(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self.cluster_view(self.find_cluster(request)))

    async def _delete_cluster(self, request: Request, _: Identity) -> Response:
        cluster = self.find_cluster(request)
        for worker in list(cluster.workers.values()):
            self.state.change_worker(cluster, worker, Operation.REMOVE)
        self.state.remove_cluster(cluster)
        return Response(status_code=204)

    async def _list_workers(self, request: Request, _: Identity) -> Response:
        cluster = self.find_cluster(request)
        return JSONResponse([self.worker_view(cluster, worker) for worker in cluster.workers.values()])

    async def _add_workers(self, request: Request, _: Identity) -> Response:
        cluster = self.find_cluster(request)
        body = await _body(request)
        added = self.state.add_workers(cluster, _count(body.get("workerNum", 1)))
        return JSONResponse([self.worker_view(cluster, worker) for worker in added], 201)

    async def _get_worker(self, request: Request, _: Identity) -> Response:
        return JSONResponse(self.worker_view(*self.find_worker(request)))

    async def _reload_worker(self, request: Request, _: Identity) -> Response:
        cluster, worker = self.find_worker(request)
        body = await _body(request)
        if body.get("action") not in {"reload", "reboot", "os_reload"}:
            raise Refusal(400, "The action is none.", "G3917", "Cluster")
        self.state.change_worker(cluster, worker, Operation.RELOAD)
        return Response(status_code=204)

    async def _remove_worker(self, request: Request, _: Identity) -> Response:
        self.state.change_worker(*self.find_worker(request), Operation.REMOVE)
        return Response(status_code=204)

    # The control protocol of this reference.

    async def _control_fault(self, request: Request) -> Response:
        try:
            wanted = await _body(request)
            region = str(wanted.get("region", DEFAULT_REGION))
            scope = Scope(
                request.path_params["account"], region, str(wanted.get("resource_group", DEFAULT_GROUP))
            )
            control.apply(self.state, scope, wanted)
        except (Refusal, control.UnknownFaultError) as error:
            return PlainTextResponse(str(error), 400)
        return Response(status_code=204)

    async def _control_forget(self, request: Request) -> Response:
        self.state.forget(request.path_params["account"])
        return Response(status_code=204)


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


def routes(identify: Identify, clock: Clock | None = None, rules: Rules | None = None) -> list[Route]:
    """Make the routes of a fresh service below ``/global``."""
    return IksService(identify, clock, rules).routes()


def create_app(service: IksService) -> Starlette:
    """Serve the service alone, for tests and for a server of its own."""
    return Starlette(routes=service.routes())
