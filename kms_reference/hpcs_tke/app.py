"""The TKE service: list the crypto units of an instance, pass a request to one of them.

Errors of the service are plain text: no source shows an error body of it. Order of checks: token, role, instance,
unit, body. A token that is missing or unusable, and one without the Manager role, are 401 as the documented
message says; an unknown instance or unit is 404; a body without ``request`` is 400.
"""

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kms_reference.caller import Identify, Identity
from kms_reference.hpcs_tke.identity import is_manager
from kms_reference.hpcs_tke.unit import (
    FAILOVER,
    OPERATIONAL,
    RECOVERY,
    CryptoUnit,
    Location,
)
from kms_reference.rules import Rules, rule

MAX_BODY = 1 << 20
"""Octets of a request body; more is 413."""

CONTROL = "/_control/hpcs_tke"
MAX_UNITS = 8
"""Units of one kind that the control protocol gives to an instance."""

_GROUPS = {OPERATIONAL: "hsms", RECOVERY: "source_hsms", FAILOVER: "failover_hsms"}

Clock = Callable[[], datetime]


class _BodyTooLargeError(Exception):
    pass


class TkeService:
    """Instances and their crypto units.

    ``identify`` maps an ``Authorization`` header to an identity; ``clock`` is accepted for symmetry with the
    other endpoints: nothing here depends on time except tokens, which ``identify`` judges.
    """

    def __init__(self, identify: Identify, clock: Clock | None = None, rules: Rules | None = None) -> None:
        self._identify = identify
        self._clock = clock
        self.rules = rules if rules is not None else Rules()
        self.instances: dict[str, dict[str, CryptoUnit]] = {}
        self._serials = 0

    def provision(self, instance_id: str, operational: int = 1, recovery: int = 1, failover: int = 0) -> None:
        """Give an instance fresh crypto units in imprint mode; units it had are gone."""
        units: dict[str, CryptoUnit] = {}
        counts = {OPERATIONAL: operational, RECOVERY: recovery, FAILOVER: failover}
        for kind, count in counts.items():
            for _ in range(count):
                self._serials += 1
                serial = f"93AA{self._serials:04X}"[-8:]
                host = f"AZ{len(units) % 3 + 1}-CS{len(units) + 1}"
                location = Location("us-south", host, 2 + len(units) % 2, 3 + len(units))
                unit = CryptoUnit(self.new_id(), kind, location, serial, self.rules)
                units[unit.hsm_id] = unit
        self.instances[instance_id] = units

    @rule
    def new_id(self) -> str:
        """Make the id of a unit."""
        return uuid.uuid4().hex

    def remove(self, instance_id: str) -> bool:
        """Forget an instance; answer whether it was there."""
        return self.instances.pop(instance_id, None) is not None

    def units(self, instance_id: str) -> list[CryptoUnit]:
        """List the units of an instance.

        Raises:
            KeyError: unknown instance.
        """
        return list(self.instances[instance_id].values())

    @rule
    def crypto_ready(self, instance_id: str) -> bool:
        """Tell whether the KMS of this instance may wrap: every operational unit has a current master key.

        An instance without crypto units here is not guarded by any, so it is ready.
        """
        units = self.instances.get(instance_id)
        if units is None:
            return True
        operational = [unit for unit in units.values() if unit.kind == OPERATIONAL]
        return all(unit.domain.registers.current is not None for unit in operational)

    def routes(self) -> list[Route]:
        """List the two operations of the service and its control protocol."""
        return [
            Route("/v1/tke/{crypto_instance}/hsms", self._list, methods=["GET"]),
            Route("/v1/tke/{crypto_instance}/hsms/{hsm_id}", self._send, methods=["POST"]),
            Route(f"{CONTROL}/instances/{{instance}}", self._control_instance, methods=["PUT", "DELETE"]),
            Route(f"{CONTROL}/instances/{{instance}}/faults", self._control_fault, methods=["POST"]),
        ]

    # The documented operations.

    def _refused(self, request: Request) -> Response | None:
        """Answer a caller who may not use the instance; nothing for one who may."""
        header = request.headers.get("authorization")
        return None if self.accepts(header, self.identity_of(request)) else self.unauthorized(request)

    def identity_of(self, request: Request) -> Identity | None:
        """Find whose token a request carries; nobody's where it carries none that is good."""
        return self._identify(request.headers.get("authorization"))

    @rule
    def accepts(self, header: str | None, identity: Identity | None) -> bool:  # noqa: ARG002 - a defect asks for the header
        """Tell whether a caller is served: a manager whose token is good."""
        return identity is not None and is_manager(identity)

    @rule
    def unauthorized(self, request: Request) -> Response:  # noqa: ARG002 - a defect asks for the request
        """Refuse a caller."""
        return PlainTextResponse("Unauthorized", 401)

    async def _list(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        units = self.instances.get(request.path_params["crypto_instance"])
        return self.unknown_instance() if units is None else JSONResponse(self.listed(units))

    @rule
    def unknown_instance(self) -> Response:
        """Refuse the list of an instance that has no units."""
        return PlainTextResponse("Not Found", 404)

    @rule
    def listed(self, units: dict[str, CryptoUnit]) -> dict[str, object]:
        """Describe units in groups by their kind."""
        body: dict[str, object] = {
            "metadata": [{"collectionType": "application/json", "collectionTotal": len(units)}]
        }
        for kind, name in _GROUPS.items():
            listed = [unit.listing() for unit in units.values() if unit.kind == kind]
            if listed or kind == OPERATIONAL:
                body[name] = listed
        return body

    async def _send(self, request: Request) -> Response:
        # Starlette asks whether an endpoint is a coroutine function, which a rule does not tell.
        return await self.send(request)

    @rule
    async def send(self, request: Request) -> Response:
        """Pass a request to a unit, for a caller who may use it."""
        try:
            body = await _read_body(request)
        except _BodyTooLargeError:
            return self._refused(request) or PlainTextResponse("Request body too large", 413)
        return self._refused(request) or self.pass_on(request, body)

    def pass_on(self, request: Request, body: bytes) -> Response:
        """Answer with what the unit that the path names says to the request."""
        unit = self.find_unit(request.path_params["crypto_instance"], request.path_params["hsm_id"])
        if unit is None:
            return self.unknown_unit()
        text = _request_member(body)
        return self.without_request() if text is None else self.answered(unit, text)

    @rule
    def find_unit(self, instance: str, hsm_id: str) -> CryptoUnit | None:
        """Find a unit of an instance."""
        return self.instances.get(instance, {}).get(hsm_id)

    @rule
    def unknown_unit(self) -> Response:
        """Refuse a request for a unit that is not there."""
        return PlainTextResponse("Not Found", 404)

    @rule
    def without_request(self) -> Response:
        """Refuse a body without a request."""
        return PlainTextResponse("Bad Request", 400)

    @rule
    def answered(self, unit: CryptoUnit, text: str) -> Response:
        """Answer with the unit's response; its refusals are responses too."""
        return JSONResponse({"response": unit.answer(text)})

    # The control protocol of this reference.

    async def _control_instance(self, request: Request) -> Response:
        instance = request.path_params["instance"]
        if request.method == "DELETE":
            return Response(status_code=204 if self.remove(instance) else 404)
        wanted = _json_object(await request.body())
        counts = {
            kind: wanted.get(kind, default)
            for kind, default in ((OPERATIONAL, 1), (RECOVERY, 1), (FAILOVER, 0))
        }
        if not all(isinstance(count, int) and 0 <= count <= MAX_UNITS for count in counts.values()):
            return PlainTextResponse(f"unit counts are numbers from 0 to {MAX_UNITS}", 400)
        self.provision(instance, *(cast("int", count) for count in counts.values()))
        return JSONResponse(
            {"instance": instance, "units": [unit.listing() for unit in self.units(instance)]}, 201
        )

    async def _control_fault(self, request: Request) -> Response:
        units = self.instances.get(request.path_params["instance"])
        if units is None:
            return PlainTextResponse("Not Found", 404)
        wanted = _json_object(await request.body())
        if wanted.get("fault") != "module-imprint":
            return PlainTextResponse("the fault of a crypto unit is module-imprint", 400)
        chosen = [unit for unit in units.values() if wanted.get("hsm_id") in (None, unit.hsm_id)]
        for unit in chosen:
            unit.module.imprint = not wanted.get("clear", False)
        return Response(status_code=204 if chosen else 404)


async def _read_body(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY:
            raise _BodyTooLargeError
    return bytes(chunks)


def _json_object(body: bytes) -> dict[str, object]:
    try:
        decoded = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _request_member(body: bytes) -> str | None:
    text = _json_object(body).get("request")
    return text if isinstance(text, str) else None


def routes(identify: Identify, clock: Clock | None = None, rules: Rules | None = None) -> list[Route]:
    """Routes of a fresh service without instances; keep a :class:`TkeService` to reach its ``crypto_ready``."""
    return TkeService(identify, clock, rules).routes()


def create_app(service: TkeService) -> Starlette:
    """Serve the service alone, for tests and for a server of its own."""
    return Starlette(routes=service.routes())
