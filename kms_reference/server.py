"""The reference on a real socket: in a thread (`Server`) or in the foreground (`serve_forever`)."""

from __future__ import annotations

import json
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, cast

import uvicorn
from starlette.applications import Starlette

from kms_reference.defects import rules_of
from kms_reference.errors import DataFileError, ServerError
from kms_reference.key_protect.app import TOKEN_PATHS, KeyProtect
from kms_reference.key_protect.control import PREFIX, control
from kms_reference.key_protect.model import StoreError
from kms_reference.key_protect.operations import API_ROOT
from kms_reference.key_protect.server_state import ClockKind, ServerState
from kms_reference.protocol import Protocol
from kms_reference.services import attach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from pathlib import Path
    from types import TracebackType

    from starlette.routing import BaseRoute
    from starlette.types import Receive, Send

__all__ = ["EDITIONS", "DataFileError", "Server", "ServerError", "serve_forever"]

EDITIONS = ("page", "service")
_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 10.0
_BACKLOG = 512
_OWN_PATHS = (f"{API_ROOT}/", f"{PREFIX}/instances/", *TOKEN_PATHS)
"""Paths of Key Protect, its token issuer and its control path, below which no other endpoint has a route."""


class Server:
    """A Key Protect endpoint on a socket of its own, and the two other systems beside it.

    `data` is a file that keeps the state (default: memory), `clock` is `virtual` (the control path moves
    it) or `real`, `defects` and `variations` are names of `ALL_DEFECTS` and `VARIATIONS`, `public_url` is
    what `base_url` says when clients reach the server under another address. `extra_routes` mounts further
    endpoints on the same socket. `seed` is a file with keys to begin with (see :mod:`kms_reference.seed`). Raises ServerError, of which UnknownSwitchError says that a name is unknown.
    """

    def __init__(  # noqa: PLR0917 - the options of `serve`, in its order
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        data: Path | None = None,
        clock: ClockKind = "virtual",
        edition: str = "page",
        defects: Iterable[str] = (),
        variations: Iterable[str] = (),
        public_url: str | None = None,
        extra_routes: Callable[[ServerState], list[BaseRoute]] | None = None,
        seed: Path | None = None,
    ) -> None:
        if edition not in EDITIONS:
            raise ServerError(f"edition {edition!r} is not one of {', '.join(EDITIONS)}")
        if clock not in ("virtual", "real"):
            raise ServerError(f"clock {clock!r} is not one of virtual, real")
        self._rules = rules_of(edition, defects, variations)
        self._host, self._port, self._bound_port = host, port, 0
        self._data, self._clock = data, clock
        self._public_url = public_url
        self._extra_routes, self._seed = extra_routes, seed
        self._thread: threading.Thread | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._socket: socket.socket | None = None
        self._failure: list[BaseException] = []
        self.server_state: ServerState | None = None
        self.app: KeyProtect | None = None

    # -- where things are ------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Base URL without a final slash; known once the server has started."""
        if self._public_url is not None:
            return self._public_url.rstrip("/")
        if not self._bound_port:
            raise ServerError("the server has no address before it is started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._bound_port}"

    @property
    def control_url(self) -> str:
        """Root of the control path."""
        return f"{self.base_url}/_control"

    @property
    def iam_url(self) -> str:
        """Where API keys are exchanged for tokens."""
        return f"{self.base_url}/identity/token"

    @property
    def api_keys(self) -> dict[str, str]:
        """Throw-away API key by name of identity."""
        if self.server_state is None:
            raise ServerError("the server has no identities before it is started")
        return self.server_state.issuer.api_keys

    @property
    def moves_clocks(self) -> bool:
        """Whether the control path moves the clocks of instances."""
        return self._clock == "virtual"

    @property
    def crashes(self) -> list[BaseException]:
        """Errors of the reference itself, which clients saw as a 500."""
        return self.app.crashes if self.app is not None else []

    def advance(self, instance: str, seconds: float) -> None:
        """Move the virtual clock of an instance, as the control path does. Raises ServerError."""
        request = json.dumps({"advance_seconds": seconds}).encode()
        if self.server_state is None:
            raise ServerError("the server has no clock before it is started")
        status, answer = control(self.server_state, "POST", f"/_control/instances/{instance}/clock", request)
        if answer is None or "error" in answer:
            raise ServerError(f"the clock of {instance} cannot be moved ({status}): {answer}")

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind, serve in a daemon thread, return once requests are accepted. Raises ServerError."""
        server = self._bind()
        self._thread = threading.Thread(target=self._serve, args=(server,), name="kms-reference", daemon=True)
        started = threading.Event()
        self._on_started(server, started.set)
        self._thread.start()
        if not started.wait(_START_TIMEOUT):
            self.stop()
            raise ServerError("the server did not start in time")
        if self._failure:
            raise ServerError(f"the server did not start: {self._failure[0]}")
        return self

    def stop(self) -> None:
        """Close the socket and the data file; does nothing when not running."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT)
            self._thread = None
        self._close()

    def run(self, on_ready: Callable[[Server], None] | None = None) -> None:
        """Serve in the foreground until SIGINT or SIGTERM; `on_ready` is called once requests are accepted."""
        server = self._bind()
        if on_ready is not None:
            self._on_started(server, lambda: on_ready(self))
        # uvicorn raises the signal again after its shutdown; leaving is what was asked for, so ignore that.
        before = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            server.run(sockets=[cast("socket.socket", self._socket)])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._close()
        if self._failure:
            raise self._failure[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- inside ----------------------------------------------------------------------------------

    def _bind(self) -> uvicorn.Server:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # With the protocol named, asyncio turns Nagle's algorithm off; without, answers wait 40 ms for an acknowledgement.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((self._host, self._port))
            self._socket.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            self._socket.close()
            self._socket = None
            raise ServerError(f"cannot listen on {self._host}:{self._port}: {error}") from error
        self._bound_port = self._socket.getsockname()[1]
        try:
            self.server_state = ServerState(self._rules, self._clock, self._data)
        except StoreError as error:
            self._close()
            raise DataFileError(str(error)) from error
        self.server_state.issuer.issuer = f"{self.base_url}/identity"
        self.app = KeyProtect(self.server_state)
        application = self._application()
        if self._seed is not None:
            from kms_reference.seed import create_seed_keys  # noqa: PLC0415 - brings an HTTP client, which few servers need

            try:
                create_seed_keys(application, self.server_state, self._seed)
            except BaseException:
                self._close()
                raise
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                application,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        return self._uvicorn

    def _application(self) -> Any:
        assert self.server_state is not None
        assert self.app is not None
        further = self._extra_routes(self.server_state) if self._extra_routes is not None else []
        routed = Starlette(routes=[*further, *attach(self.server_state)])
        # Not a mount: its pattern does not match a path with an encoded line break.
        routed.router.default = self.app
        routed.router.redirect_slashes = False
        return routed if further else _Application(self.app, routed)

    def _on_started(self, server: uvicorn.Server, ready: Callable[[], None]) -> None:
        original = server.startup

        async def startup(sockets: list[socket.socket] | None = None) -> None:
            await original(sockets=sockets)
            try:
                ready()
            except Exception as error:  # noqa: BLE001 - handed to the caller of run
                self._failure.append(error)
                server.should_exit = True

        server.startup = startup  # type: ignore[method-assign]  # uvicorn has no other hook after listening

    def _serve(self, server: uvicorn.Server) -> None:
        server.run(sockets=[cast("socket.socket", self._socket)])

    def _close(self) -> None:
        if self.server_state is not None:
            self.server_state.close()
        if self._socket is not None:
            self._socket.close()


class _Application:
    """Key Protect answers what is below its own paths at once: a router would try every other route first."""

    def __init__(self, key_protect: KeyProtect, routed: Starlette) -> None:
        self._key_protect, self._routed = key_protect, routed

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_own = str(scope.get("path", "")).startswith(_OWN_PATHS)
        await (self._key_protect if is_own else self._routed)(scope, receive, send)


def serve_forever(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    data: Path | None = None,
    clock: ClockKind = "virtual",
    edition: str = "page",
    defects: Iterable[str] = (),
    variations: Iterable[str] = (),
    public_url: str | None = None,
    extra_routes: Callable[[ServerState], list[BaseRoute]] | None = None,
    seed: Path | None = None,
    on_ready: Callable[[Server], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. Arguments as of `Server`. Raises ServerError."""
    server = Server(host, port, data, clock, edition, defects, variations, public_url, extra_routes, seed)
    server.run(on_ready)
