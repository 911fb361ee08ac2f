"""The TKE service: list the crypto units of an instance, pass a request to one of them.

Errors of the service are plain text: no source shows an error body of it. Order of checks: token, role, instance,
unit, body. A token that is missing or unusable, and one without the Manager role, are 401 as the documented
message says; an unknown instance or unit is 404; a body without ``request`` is 400.
"""

import json
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kms_reference.hpcs_tke.defects import ActiveDefects
from kms_reference.hpcs_tke.identity import Identify, is_manager
from kms_reference.hpcs_tke.unit import (
    FAILOVER,
    OPERATIONAL,
    RECOVERY,
    CryptoUnit,
    Location,
    ModuleRefusedError,
)

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

    def __init__(self, identify: Identify, clock: Clock | None = None, defects: Iterable[str] = ()) -> None:
        self._identify = identify
        self._clock = clock
        self._broken = ActiveDefects(defects)
        self._instances: dict[str, dict[str, CryptoUnit]] = {}
        self._refused_once = False
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
                unit = CryptoUnit(uuid.uuid4().hex, kind, location, serial, self._broken)
                units[unit.hsm_id] = unit
        self._instances[instance_id] = units

    def remove(self, instance_id: str) -> bool:
        """Forget an instance; answer whether it was there."""
        return self._instances.pop(instance_id, None) is not None

    def units(self, instance_id: str) -> list[CryptoUnit]:
        """List the units of an instance.

        Raises:
            KeyError: unknown instance.
        """
        return list(self._instances[instance_id].values())

    def crypto_ready(self, instance_id: str) -> bool:
        """Tell whether the KMS of this instance may wrap: every operational unit has a current master key.

        An instance without crypto units here is not guarded by any, so it is ready.
        """
        units = self._instances.get(instance_id)
        if units is None or self._broken("tke-always-crypto-ready"):
            return True
        operational = [unit for unit in units.values() if unit.kind == OPERATIONAL]
        enough = any if self._broken("tke-one-unit-ready") else all
        return enough(unit.domain.registers.current is not None for unit in operational)

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
        identity = self._identify(header)
        broken = self._broken
        if broken("tke-fresh-token-refused") and self._refused_once:
            return self._unauthorized(request)
        if identity is None:
            accepted = (
                broken("tke-missing-token-accepted") if header is None else broken("tke-bad-token-accepted")
            )
        else:
            any_role = bool(identity.roles) and broken("tke-reader-accepted")
            accepted = is_manager(identity) or any_role or broken("tke-stranger-accepted")
        if accepted:
            return None
        self._refused_once = True
        return self._unauthorized(request)

    def _unauthorized(self, request: Request) -> Response:
        broken = self._broken
        if broken("tke-unauthorized-as-empty-list"):
            return JSONResponse({"metadata": [], "hsms": []})
        if broken("tke-unauthorized-leaks-units"):
            units = self._instances.get(request.path_params["crypto_instance"], {})
            return JSONResponse({"hsms": [unit.listing() for unit in units.values()]}, 401)
        for status in (400, 404, 500):
            if broken(f"tke-unauthorized-as-{status}"):
                return PlainTextResponse("Unauthorized", status)
        return PlainTextResponse("Unauthorized", 401)

    async def _list(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        units = self._instances.get(request.path_params["crypto_instance"])
        if units is None:
            if self._broken("tke-unknown-instance-empty-list"):
                return JSONResponse({"metadata": [], "hsms": []})
            return PlainTextResponse("Not Found", 500 if self._broken("tke-unknown-instance-500") else 404)
        body: dict[str, object] = {
            "metadata": [{"collectionType": "application/json", "collectionTotal": len(units)}]
        }
        for kind, name in _GROUPS.items():
            listed = [unit.listing() for unit in units.values() if unit.kind == kind]
            if listed or kind == OPERATIONAL:
                body[name] = listed
        if self._broken("tke-list-without-hsms"):
            del body["hsms"]
        return JSONResponse(body)

    async def _send(self, request: Request) -> Response:
        try:
            body = await _read_body(request)
        except _BodyTooLargeError:
            return self._refused(request) or PlainTextResponse("Request body too large", 413)
        refused = self._refused(request)
        if refused is not None:
            if self._broken("tke-unauthorized-after-execution"):
                self._pass_on(request, body)
            return refused
        return self._pass_on(request, body)

    def _pass_on(self, request: Request, body: bytes) -> Response:
        units = self._instances.get(request.path_params["crypto_instance"], {})
        if self._broken("tke-unit-of-any-instance"):
            units = {hsm_id: unit for each in self._instances.values() for hsm_id, unit in each.items()}
        unit = units.get(request.path_params["hsm_id"])
        if unit is None and units and self._broken("tke-unknown-unit-is-first"):
            unit = next(iter(units.values()))
        if unit is None:
            return PlainTextResponse("Not Found", 500 if self._broken("tke-unknown-unit-500") else 404)
        text = _request_member(body)
        if text is None:
            if self._broken("tke-missing-request-empty-answer"):
                return JSONResponse({"response": ""})
            return PlainTextResponse("Bad Request", 500 if self._broken("tke-bad-json-500") else 400)
        try:
            return JSONResponse({"response": unit.answer(text)})
        except ModuleRefusedError:
            return PlainTextResponse("Bad Request", 400)
        except RuntimeError:
            # Only the defect that stands for a crash gets here.
            return PlainTextResponse("Internal Server Error", 500)

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
        units = self._instances.get(request.path_params["instance"])
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


def routes(identify: Identify, clock: Clock | None = None, defects: Iterable[str] = ()) -> list[Route]:
    """Routes of a fresh service without instances; keep a :class:`TkeService` to reach its ``crypto_ready``."""
    return TkeService(identify, clock, defects).routes()


def create_app(service: TkeService) -> Starlette:
    """Serve the service alone, for tests and for a server of its own."""
    return Starlette(routes=service.routes())
