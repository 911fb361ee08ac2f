"""The operations of a system, as its OpenAPI document has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_METHODS = {"get", "put", "post", "delete", "patch", "head"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the OpenAPI document.

    ``schemas`` maps a success status to the name of the schema of its body; ``secret_paths`` are the members of a
    success that may carry secret material. ``defaults`` are the values that query parameters have where a request leaves
    them out, as they are written in a query. ``selector`` tells operations of one path apart. ``hidden`` ones are for other services: an endpoint may lack them.
    """

    id: str
    method: str
    path: str
    schemas: Mapping[int, str]
    statuses: tuple[int, ...]
    secret_paths: tuple[str, ...] = ()
    hidden: bool = False
    selector: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of an OpenAPI document, their paths behind the path of its first server."""
    operations = []
    servers = document.get("servers") or [{}]
    root = str(servers[0].get("url", "")).rstrip("/")
    for place, item in document["paths"].items():
        path, _, selector = place.partition("#")
        for method, body in item.items():
            if method not in _METHODS:
                continue
            responses = {
                int(status): answer for status, answer in body["responses"].items() if str(status).isdigit()
            }
            operations.append(
                Operation(
                    id=body["operationId"],
                    method=method.upper(),
                    path=root + path,
                    schemas={
                        status: name
                        for status, answer in responses.items()
                        if (name := _schema_name(document, answer))
                    },
                    statuses=tuple(responses),
                    secret_paths=tuple(body.get("x-secret-response", ())),
                    hidden=bool(body.get("x-service-only")),
                    selector=selector,
                    defaults=_defaults(document, [*item.get("parameters", ()), *body.get("parameters", ())]),
                )
            )
    return operations


def _defaults(document: Mapping[str, Any], parameters: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the defaults of an operation's query parameters, as texts."""
    known = document.get("components", {}).get("parameters", {})
    found = (known[one["$ref"].rsplit("/", 1)[-1]] if "$ref" in one else one for one in parameters)
    return {
        one["name"]: str(one["schema"]["default"]).lower()
        for one in found
        if one["in"] == "query" and "default" in one.get("schema", {})
    }


def _schema_name(document: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Return the name of the schema file that a response's body refers to, or ``""``."""
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    for media in answer.get("content", {}).values():
        schema = media.get("schema", {})
        reference = str(schema.get("$ref", ""))
        if reference.startswith("#/components/schemas/"):
            reference = str(document["components"]["schemas"][reference.rsplit("/", 1)[-1]].get("$ref", ""))
        if reference.endswith(".schema.json"):
            return reference.rsplit("/", 1)[-1].removesuffix(".schema.json")
    return ""
