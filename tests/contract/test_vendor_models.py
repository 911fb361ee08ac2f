"""The contract against the models of the vendor's generated client, which is its view of the API's description."""

from __future__ import annotations

import inspect
import json
from importlib.resources import files
from typing import Any

import pytest
import yaml
from keyprotect import IbmKeyProtectApiV2
from keyprotect import ibm_key_protect_api_v2 as vendor

OPENAPI = yaml.safe_load(
    files("kms_conformance.contracts").joinpath("key_protect/openapi.yaml").read_text("utf-8")
)
_METHODS = ("get", "head", "post", "put", "patch", "delete")
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for item in OPENAPI["paths"].values()
    for method, operation in item.items()
    if method in _METHODS
}
_BODIES = {"bluemix_instance", "metadata", "resources", "expiration", "max_allowed_retrievals"}
_RENAMED = {"id": {"adapter_id", "object_id", "cert_id"}, "total_count": {"totalCount"}}
MODELS = {
    "kmip-objects": "KMIPObject",
    "kmip-certificates": "KMIPClientPartialCertificate",
    "kmip-adapters": "KMIPAdapter",
    "registrations": "RegistrationResource",
    "key-rings": "KeyRing",
    "key-policies": "GetMultipleKeyPoliciesResource",
    "instance-policies": "InstancePolicyResource",
}


def plain(name: str) -> str:
    """Return a name without its style: camelCase, snake_case and header names are the same."""
    return name.replace("_", "").replace("-", "").lower()


def methods() -> list[str]:
    """Return the names of the client's operations."""
    own = {"new_instance", "construct_service_url", "__init__"}
    return [
        name for name, _ in vars(IbmKeyProtectApiV2).items() if name not in own and not name.startswith("_")
    ]


def parameters(operation: dict[str, Any]) -> set[str]:
    """Return the names of an operation's parameters, without style."""
    shared = OPENAPI["components"]["parameters"]
    given = [
        shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in operation["parameters"]
    ]
    return {plain(one["name"]) for one in given}


@pytest.mark.parametrize(
    "method", [name for name in methods() if inspect.isfunction(getattr(IbmKeyProtectApiV2, name))]
)
def test_every_parameter_of_the_client_is_in_the_contract(method: str) -> None:
    """Each operation of the client is there, with each of its parameters; bodies are compared elsewhere."""
    operations_by_name = {plain(name): operation for name, operation in OPERATIONS.items()}
    operation = operations_by_name[plain(method)]
    offered = parameters(operation)
    for name in inspect.signature(getattr(IbmKeyProtectApiV2, method)).parameters:
        if name in {"self", "kwargs", *_BODIES} or name.endswith("_body"):
            continue
        assert offered & {plain(each) for each in {name} | _RENAMED.get(name, set())}, name


@pytest.mark.parametrize(("schema", "model"), MODELS.items())
def test_no_schema_of_a_reply_wants_what_the_client_calls_optional(schema: str, model: str) -> None:
    """A server whose replies the client reads without complaint is not refused for a member left out."""
    text = files("kms_conformance.schemas").joinpath(f"{schema}.schema.json").read_text("utf-8")
    wanted = set(json.loads(text)["properties"]["resources"]["items"].get("required", ()))
    signature = inspect.signature(getattr(vendor, model).__init__).parameters.values()
    required = {plain(one.name) for one in signature if one.default is inspect.Parameter.empty}
    # Seen in every documented or observed reply, whatever the client says.
    shown = {"registrations": {"keyId", "resourceCrn"}, "key-rings": {"id"}}.get(schema, set())
    assert {plain(name) for name in wanted - shown} <= required
