"""The ASGI application: takes a request apart, finds its operation, writes the reply.

Order of checks: token, instance header, network, path and method, role, then the operation's own
(the key it names, its body, the rules). Handlers are ordinary functions that run one after the other
on the event loop, so no two requests ever see each other's half-done work.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from kms_reference.key_protect import control
from kms_reference.key_protect.errors import INSTANCE_HEADER, RefusalError, envelope, plain, unauthorized
from kms_reference.key_protect.http_messages import read_body, write_reply
from kms_reference.key_protect.import_tokens import attach_pair, needs_pair
from kms_reference.key_protect.instance_policies import check_network
from kms_reference.key_protect.model import StoreError
from kms_reference.key_protect.operations import API_ROOT, BY_ACTION, match
from kms_reference.key_protect.wire import UUID, Call, Operation, Reply
from kms_reference.rules import Draft, rule

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from kms_reference.key_protect.http_messages import Receive, Send
    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.instance import Instance
    from kms_reference.key_protect.operations import Match
    from kms_reference.key_protect.rsa_pairs import Pair
    from kms_reference.key_protect.server_state import ServerState

TOKEN_PATHS: Final = ("/identity/token", "/oidc/token")
TRANSPORT: Final = "kms_reference.transport"
"""Key of the connection's transport in the scope's extensions, where the server offers it."""
NO_MASTER_KEY: Final = "Bad Request: rpc error: code = Unknown desc = CKR_IBM_WK_NOT_INITIALIZED"
"""What HPCS says while a crypto unit has no master key."""
_NEED_MASTER_KEY: Final = frozenset(
    {"createKey", "createKeyWithPoliciesOverrides", "wrapKey", "unwrapKey", "rewrapKey", "rotateKey"}
)
_REQUEST: Final = "Request could not be processed"
_RETRY_AFTER: Final = "1"
_READING: Final = ("GET", "HEAD")
_NO_SPACE: Final = 507
_LISTS: Final = frozenset({"state"})
"""Query parameters that hold a list; older clients send `state=1&state=2` for `state=1,2`."""


_log = logging.getLogger(__name__)


class KeyProtect:
    """The Key Protect endpoint, its token issuer and its control path as one ASGI application."""

    def __init__(self, server_state: ServerState) -> None:
        self.server_state = server_state
        self.crashes: list[BaseException] = []
        """Errors of the reference itself; the tests want this empty."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        try:
            raw = await read_body(receive, headers)
        except RefusalError as refusal:
            draft = self._refused(refusal, None, _REQUEST)
        except ConnectionError:
            return
        else:
            draft_or_none = await self._serve(scope, path, headers, raw)
            if draft_or_none is None:
                return
            draft = draft_or_none
        await write_reply(draft, headers, scope["method"], send)

    async def _serve(
        self, scope: MutableMapping[str, Any], path: str, headers: dict[str, str], raw: bytes
    ) -> Draft | None:
        method: str = scope["method"]
        if path in TOKEN_PATHS:
            return self._token(method, raw)
        if path.startswith(control.PREFIX):
            try:
                status, body = control.control(self.server_state, method, path, raw)
            except StoreError as error:
                status, body = _NO_SPACE, {"error": _not_written(error)}
            return Draft(None, None, status, {}, body)
        exchange = Exchange(self, scope, path, headers, raw)
        try:
            draft = await exchange.run()
        except RefusalError as refusal:
            draft = self._refused(refusal, exchange.operation, exchange.words, exchange.call)
        except Exception as error:  # noqa: BLE001 - a client must see an envelope, the tests the error
            self.crashes.append(error)
            _log.exception("the reference failed on %s %s", scope["method"], path)
            draft = self._refused(plain(500, "the reference failed"), exchange.operation, _REQUEST)
        if draft is None:
            return None
        rules = self.server_state.rules
        for effect in rules.after:
            if effect.follows(draft):
                effect.change(draft)
        draft = self._kept(draft, exchange)
        for mutate in rules.mutators:
            mutate(draft)
        return draft

    def _kept(self, draft: Draft, exchange: Exchange) -> Draft:
        """Write what the request changed; a write that cannot be stored is refused, a read is answered."""
        if exchange.instance is None:
            return draft
        try:
            self.server_state.save(exchange.instance)
        except StoreError as error:
            refusal = plain(_NO_SPACE, _not_written(error))
            if not draft.refused and exchange.scope["method"] not in _READING:
                return self._refused(refusal, exchange.operation, _REQUEST)
        return draft

    def _token(self, method: str, raw: bytes) -> Draft:
        if method != "POST":
            return Draft(
                None, None, 405, {"allow": "POST"}, {"errorCode": "BXNIM0100E", "errorMessage": "Use POST."}
            )
        status, body = self.server_state.issuer.exchange(raw)
        return Draft(None, None, status, {"cache-control": "no-store"}, body)

    def _refused(
        self, refusal: RefusalError, operation: Operation | None, words: str, call: Call | None = None
    ) -> Draft:
        body = envelope(refusal, words, self.server_state.rules)
        return Draft(
            operation.id if operation else None,
            refusal.code,
            refusal.status,
            dict(refusal.headers),
            body,
            call,
            refused=True,
        )


class Exchange:
    """One request to the API itself; what is known of it so far is there for its refusal."""

    def __init__(
        self,
        app: KeyProtect,
        scope: MutableMapping[str, Any],
        path: str,
        headers: dict[str, str],
        raw: bytes,
    ) -> None:
        self.server_state = app.server_state
        self.rules = app.server_state.rules
        self.scope = scope
        self.path = path
        self.headers = headers
        self.raw = raw
        self.operation: Operation | None = None
        self.instance: Instance | None = None
        self.call: Call | None = None

    @property
    def words(self) -> str:
        """What the error summary says could not be done."""
        return self.operation.words(self.rules) if self.operation else _REQUEST

    async def run(self) -> Draft | None:
        """Answer; None when the connection was cut on purpose. Raises RefusalError."""
        matched = match(self.path.removeprefix(API_ROOT)) if self.path.startswith(API_ROOT + "/") else None
        query = _query(self.scope["query_string"])
        method = self.asked_method()
        action_form = (
            matched is not None
            and method == "POST"
            and "deleteKey" in (op.id for op in matched.methods.values())
        )
        if matched is not None:
            self.operation = (
                BY_ACTION.get(query.get("action", "")) if action_form else matched.methods.get(method)
            )
        if self.rules.varies("router-before-authentication"):
            self._route(matched, action_form=action_form)
        identity = self.server_state.issuer.authenticate(self.headers.get("authorization"))
        instance = self.instance = self._find_instance(identity)
        now = instance.now()
        instance.sweep(now)
        self.check_caller(instance, identity)
        if not await self._interfere(instance):
            return None
        operation, args = self._route(matched, action_form=action_form)
        self._check_rights(identity, operation)
        call = self.call = Call(
            operation,
            args,
            query,
            self.headers,
            self.raw,
            identity,
            instance,
            self.server_state,
            now,
        )
        if operation.id in _NEED_MASTER_KEY and not self.server_state.crypto_ready(instance.id):
            raise RefusalError(status=400, summary=NO_MASTER_KEY)
        await self.prepare(call)
        call.now = instance.now()
        reply = await self.answer(call)
        return Draft(operation.id, None, reply.status, reply.headers, reply.body, call)

    def _route(self, matched: Match | None, *, action_form: bool) -> tuple[Operation, dict[str, str]]:
        """Return what is asked for, and the arguments of its path. Raises 404, 405, INVALID_QUERY_PARAM_ERR."""
        if matched is None:
            raise plain(404, "The requested path does not exist")
        if self.operation is None:
            raise _no_operation(matched.methods, action_form=action_form)
        return self.operation, matched.args

    def _find_instance(self, identity: Identity) -> Instance:
        instance_id = self.instance_id()
        self.check_member(identity)
        return self.server_state.instance(instance_id)

    @rule
    async def answer(self, call: Call) -> Reply:
        """Answer the call: from reading what it is about to writing it nothing else is done."""
        return answered(call)

    @rule
    def asked_method(self) -> str:
        """Return the method of the request: that of its first line, whatever its headers say."""
        method: str = self.scope["method"]
        return method

    @rule
    def instance_id(self) -> str:
        """Return the UUID of the instance that the header names. Raises 400."""
        instance_id = self.headers.get("bluemix-instance", "").strip()
        if not UUID.fullmatch(instance_id):
            raise RefusalError(status=400, summary=INSTANCE_HEADER)
        return instance_id

    @rule
    def check_member(self, identity: Identity) -> None:
        """The caller has some role on the instance. Raises 401."""
        if not identity.roles:
            raise unauthorized()

    @rule
    def check_caller(self, instance: Instance, identity: Identity) -> None:
        """Network policies; services come from inside, and one operation stays reachable for everybody."""
        if identity.kind == "service" or (self.operation and self.operation.id == "getAllowedIPPort"):
            return
        seen_as = control.take_fault(instance, "source-address")
        peer = self.scope.get("client") or ("127.0.0.1", 0)
        check_network(instance, seen_as["address"] if seen_as else peer[0], feature_text=self.rules.page)

    async def _interfere(self, instance: Instance) -> bool:
        """Faults that hit any request of the instance; False when the connection was cut."""
        if not instance.faults:
            return True
        delay = control.take_fault(instance, "delay")
        if delay is not None:
            await asyncio.sleep(delay["seconds"])
        if control.take_fault(instance, "drop-connection") is not None:
            transport = self.scope.get("extensions", {}).get(TRANSPORT)
            if transport is not None:
                transport.abort()
                # Let the loop notice, so that nothing is written to the dead connection.
                await asyncio.sleep(0)
            return False
        if control.take_fault(instance, "rate-limit") is not None:
            raise plain(429, "The rate limit was exceeded", retry_after=_RETRY_AFTER)
        if control.take_fault(instance, "unavailable") is not None:
            raise plain(503, "The service is not available", retry_after=_RETRY_AFTER)
        return True

    def _check_rights(self, identity: Identity, operation: Operation) -> None:
        if operation.service_only:
            self.check_service(identity)
            return
        self.check_role(identity, operation)
        self.check_configuration(operation)

    @rule
    def check_service(self, identity: Identity) -> None:
        """Registrations are written by services. Raises SERVICE_ONLY_ERR."""
        if identity.kind != "service":
            raise RefusalError("SERVICE_ONLY_ERR")

    @rule
    def check_role(self, identity: Identity, operation: Operation) -> None:
        """The caller has a role that the operation asks for. Raises 401."""
        # A service that deletes a key is refused by the handler, with another code.
        refused_later = identity.kind == "service" and operation.id == "deleteKey"
        if not operation.roles.intersection(identity.roles) and not refused_later:
            raise unauthorized()

    @rule
    def check_configuration(self, operation: Operation) -> None:
        """Configuration rules allow what the operation writes. Raises CONFIG_RULE_CONFLICT_ERR."""
        assert self.instance is not None
        if operation.writes and control.take_fault(self.instance, "config-rule") is not None:
            raise RefusalError("CONFIG_RULE_CONFLICT_ERR")

    @rule
    async def prepare(self, call: Call) -> None:
        """Fetch what a handler needs and would have to wait for."""
        if call.operation.id == "postImportToken":
            self.server_state.pairs.warm_up()
        if call.operation.id == "getImportToken" and needs_pair(call.instance):
            future: Future[Pair] = Future()
            self.server_state.pairs.request(future)
            attach_pair(call.instance, *await asyncio.wrap_future(future))


@rule
def answered(call: Call) -> Reply:
    """Let the operation answer; it looks at its own parameters, headers and members only. Raises RefusalError."""
    return call.operation.handler(call)


def _not_written(error: StoreError) -> str:
    _log.error("the data file cannot be written: %s", error)
    return f"the data file cannot be written: {error}"


def _query(text: bytes) -> dict[str, str]:
    """Return the query's parameters: the first of a name, but all of a list that was given piece by piece."""
    pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True)
    query = dict(reversed(pairs))
    for name in _LISTS.intersection(query):
        query[name] = ",".join(value for given, value in pairs if given == name)
    return query


def _no_operation(methods: dict[str, Operation], *, action_form: bool) -> RefusalError:
    if action_form:
        return RefusalError(
            "INVALID_QUERY_PARAM_ERR",
            message=f"The query_param 'action' must be: one of {', '.join(sorted(BY_ACTION))}",
            target=("query_param", "action"),
            subject="Action could not be performed on key",
        )
    return plain(405, "The method is not allowed on this path", allow=", ".join(sorted(methods)))
