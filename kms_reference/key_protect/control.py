"""The control path: move an instance's clock, break something on purpose.

Any KMS may offer it; it is meant for loopback and asks for no token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import MAX_OFFSET, stamp
from kms_reference.key_protect.kmip import make_object
from kms_reference.key_protect.wire import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.instance import Instance
    from kms_reference.key_protect.server_state import ServerState

PREFIX: Final = "/_control"
KEY_FAULTS: Final = ("corrupt-metadata", "bad-signature")
COUNTED_FAULTS: Final = ("drop-connection", "delay", "rate-limit", "unavailable")
STANDING_FAULTS: Final = ("config-rule", "feature-restricted", "source-address")
_MAX_DELAY: Final = 600.0
_MAX_COUNT: Final = 1_000_000
Answer = tuple[int, dict[str, Any] | None]


class ControlError(Exception):
    """A control request that makes no sense: its status and one sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def control(server_state: ServerState, method: str, path: str, raw: bytes) -> Answer:
    """Serve one request below `/_control`: status and JSON body."""
    try:
        instance, serve = _find(server_state, method, path)
        answer = serve(instance, _object(raw))
    except ControlError as error:
        return error.status, {"error": str(error)}
    instance.sweep(instance.now())
    server_state.save(instance)
    return answer


def _find(
    server_state: ServerState, method: str, path: str
) -> tuple[Instance, Callable[[Instance, dict[str, Any]], Answer]]:
    segments = path.removeprefix(PREFIX).strip("/").split("/")
    if len(segments) != 3 or segments[0] != "instances" or not UUID.fullmatch(segments[1]):  # noqa: PLR2004 - instances/{id}/{what}
        raise ControlError(404, "the control paths are instances/{id}/clock, .../faults and .../kmip_objects")
    serve = {"clock": _clock, "faults": _faults, "kmip_objects": _kmip_objects}.get(segments[2])
    if serve is None or (serve is _clock and server_state.clock == "real"):
        raise ControlError(404, f"no control path {segments[2]!r} here")
    if method != "POST":
        raise ControlError(405, "control paths take POST")
    return server_state.instance(segments[1]), serve


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ControlError(400, "the body must be a JSON object")
    return value


def _number(body: dict[str, Any], name: str, low: float, high: float) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ControlError(400, f"{name} must be a number from {low:g} to {high:g}")
    return value


def _clock(instance: Instance, body: dict[str, Any]) -> Answer:
    instance.offset += _number(body, "advance_seconds", 0, MAX_OFFSET - instance.offset)
    instance.changed = True
    return 200, {"now": stamp(instance.now())}


def _faults(instance: Instance, body: dict[str, Any]) -> Answer:
    fault, clear = body.get("fault"), body.get("clear", False)
    if not isinstance(clear, bool):
        raise ControlError(400, "clear must be a boolean")
    if fault in KEY_FAULTS:
        _key_fault(instance, body.get("key"), str(fault), on=not clear)
    elif fault in COUNTED_FAULTS or fault in STANDING_FAULTS:
        _instance_fault(instance, body, str(fault), clear=clear)
    else:
        names = ", ".join((*KEY_FAULTS, *COUNTED_FAULTS, *STANDING_FAULTS))
        raise ControlError(400, f"fault must be one of {names}")
    return 204, None


def _key_fault(instance: Instance, reference: object, fault: str, *, on: bool) -> None:
    key = instance.find(reference) if isinstance(reference, str) else None
    if key is None:
        raise ControlError(404, "key must be the id or alias of a key of this instance")
    if fault == "corrupt-metadata":
        key.corrupt = on
    else:
        key.bad_signature = on
    instance.touch(key)


def _instance_fault(instance: Instance, body: dict[str, Any], fault: str, *, clear: bool) -> None:
    if clear:
        instance.faults.pop(fault, None)
        return
    settings: dict[str, Any] = {}
    if "count" in body:
        settings["count"] = int(_number(body, "count", 1, _MAX_COUNT))
    elif fault in COUNTED_FAULTS:
        settings["count"] = 1
    if fault == "delay":
        settings["seconds"] = _number(body, "seconds", 0, _MAX_DELAY)
    if fault == "source-address":
        if not isinstance(body.get("address"), str):
            raise ControlError(400, "address must be an IP address")
        settings["address"] = body["address"]
    instance.faults[fault] = settings


def take_fault(instance: Instance, fault: str) -> dict[str, Any] | None:
    """Return the fault's settings if it hits this request; counts it."""
    settings = instance.faults.get(fault)
    if settings is None:
        return None
    if "count" in settings:
        settings["count"] -= 1
        if settings["count"] <= 0:
            del instance.faults[fault]
    return settings


def _kmip_objects(instance: Instance, body: dict[str, Any]) -> Answer:
    """Stands in for a KMIP client that makes a key through an adapter."""
    reference = body.get("adapter")
    adapter = next((a for a in instance.adapters.values() if reference in (a.id, a.name)), None)
    if adapter is None:
        raise ControlError(404, "adapter must be the id or name of a KMIP adapter of this instance")
    thing = make_object(adapter, instance.now())
    instance.changed = True
    return 200, {"id": thing.id}
