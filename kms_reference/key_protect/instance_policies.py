"""Policies of the whole instance, and whom its network policies let in."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_body, bad_field, bad_query, unauthorized
from kms_reference.key_protect.key_policies import interval_fits, interval_words
from kms_reference.key_protect.model import InstancePolicy
from kms_reference.key_protect.wire import (
    POLICY_TYPE,
    Call,
    Collection,
    Members,
    Reply,
    collection,
    read_collection,
)
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.instance import Instance

ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "allowedNetwork": ("allowed_network",),
    "dualAuthDelete": (),
    "allowedIP": ("allowed_ip",),
    "keyCreateImportAccess": (
        "create_root_key",
        "create_standard_key",
        "import_root_key",
        "import_standard_key",
        "enforce_token",
    ),
    "metrics": (),
    "rotation": ("interval_month",),
}
PRIVATE_PORT: Final = 9_443
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DATA_MEMBERS: Final = ("enabled", "attributes")
_MAX_ADDRESSES: Final = 1_000
# The service's own idea of a private network: what is routed inside the cloud. Loopback is not.
_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "166.8.0.0/14", "fc00::/7")
)


@rule
def get_instance_policies(call: Call) -> Reply:
    """GET /instance/policies: all, or the one that the query names."""
    kind = _kind(call)
    views = [_view(name, policy) for name, policy in call.instance.policies.items() if kind in (None, name)]
    return Reply(200, collection("policy+json", views))


def put_instance_policies(call: Call) -> Reply:
    """PUT /instance/policies: everything is checked before anything is set."""
    kind = _kind(call)
    frame = read_collection(call.body())
    check_members(call, frame)
    _check_count(call, frame, kind)
    changes: dict[str, tuple[bool, dict[str, Any]]] = {}
    for resource in frame.resources:
        members = Members.of(resource, "resource")
        name = members.text("policy_type") or ""
        check_kind(call, kind, name)
        if name not in ATTRIBUTES:
            raise bad_field("policy_type", f"a valid string from one of this [{','.join(ATTRIBUTES)}]")
        check_once(call, changes, name)
        changes[name] = read_policy(call, name, members)
    check_available(call, changes)
    for name, (enabled, attributes) in changes.items():
        set_policy(call, name, enabled=enabled, attributes=attributes)
    return Reply(204)


@rule
def check_kind(_: Call, kind: str | None, name: str) -> None:
    """A policy that the query names is the one in the body. Raises BODY_QUERY_PARAM_MISMATCH_ERR."""
    if kind is not None and name != kind:
        raise RefusalError("BODY_QUERY_PARAM_MISMATCH_ERR")


@rule
def check_once(_: Call, changes: dict[str, tuple[bool, dict[str, Any]]], name: str) -> None:
    """A request holds each policy once. Raises BAD_BODY_ERR."""
    if name in changes:
        raise bad_body("Only one of each policy can be created")


@rule
def check_available(call: Call, changes: dict[str, tuple[bool, dict[str, Any]]]) -> None:
    """The account has the features that the policies ask for. Raises FEATURE_RESTRICTED_ERR."""
    enabled_here = not call.rules.varies("allowed-ip-not-enabled")
    restricted = "allowedIP" in changes and (
        "feature-restricted" in call.instance.faults or (changes["allowedIP"][0] and not enabled_here)
    )
    if restricted:
        raise RefusalError("FEATURE_RESTRICTED_ERR")


def get_allowed_ip_port(call: Call) -> Reply:
    """GET /instance/allowed_ip_port: the private port while an allowedIP policy is active."""
    policy = call.instance.policies.get("allowedIP")
    active = policy is not None and policy.enabled
    return Reply(
        200,
        collection("allowed_ip_metadata+json", [{"private_endpoint_port": PRIVATE_PORT}] if active else []),
    )


def check_network(instance: Instance, address: str, *, feature_text: bool) -> None:
    """Whether the instance's network policies let a caller from `address` in.

    Raises 401, or FEATURE_RESTRICTED_ERR for an IPv6 caller of a list that holds IPv4 only, where
    `feature_text` asks for what the page says of that case.
    """
    allowed = instance.policies.get("allowedIP")
    networks = instance.policies.get("allowedNetwork")
    if (allowed is None or not allowed.enabled) and (networks is None or not networks.enabled):
        return
    try:
        caller = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise unauthorized() from None
    if networks is not None and networks.enabled:
        check_allowed_network(instance, networks, caller)
    if allowed is not None and allowed.enabled:
        check_allowed_ip(instance, allowed, caller, feature_text=feature_text)


@rule
def check_allowed_network(_: Instance, policy: InstancePolicy, caller: Address) -> None:
    """Where only private networks are allowed, the caller is in one. Raises 401."""
    private = any(caller in network for network in _PRIVATE)
    if policy.attributes.get("allowed_network") == "private-only" and not private:
        raise unauthorized()


@rule
def check_allowed_ip(
    instance: Instance, policy: InstancePolicy, caller: Address, *, feature_text: bool
) -> None:
    """The caller is in one of the ranges. Raises as `check_network`."""
    ranges = allowed_ranges(instance, policy)
    if any(caller in network for network in ranges):
        return
    if feature_text and caller.version != 4 and all(network.version == 4 for network in ranges):  # noqa: PLR2004 - IP versions
        raise RefusalError("FEATURE_RESTRICTED_ERR")
    raise unauthorized()


@rule
def allowed_ranges(_: Instance, policy: InstancePolicy) -> list[Network]:
    """Return every range of an allowedIP policy."""
    return [ipaddress.ip_network(text, strict=False) for text in policy.attributes["allowed_ip"]]


def _kind(call: Call) -> str | None:
    kind = call.query.get("policy")
    if kind is not None and kind not in ATTRIBUTES:
        raise bad_query("policy", f"a valid string from one of this [{','.join(ATTRIBUTES)}]")
    return kind


@rule
def check_members(call: Call, frame: Collection) -> None:
    """Refuse members that the decoder does not know, before anything else is looked at. Raises BAD_BODY_ERR."""
    for resource in frame.resources:
        members = Members.of(resource, "resource")
        check_known(call, members, ("policy_type", "policy_data"))
        data = members.object("policy_data")
        if data is not None:
            check_known(call, data, DATA_MEMBERS)


@rule
def check_known(_: Call, members: Members, names: tuple[str, ...]) -> None:
    """An object has no other members than these. Raises BAD_BODY_ERR."""
    members.only(*names)


def _check_count(call: Call, frame: Collection, kind: str | None) -> None:
    if not frame.resources:
        raise bad_body("No resources were provided")
    check_total(call, frame)
    if frame.kind != POLICY_TYPE:
        raise bad_body(f"collectionType must be {POLICY_TYPE}")
    check_single(call, frame, kind)


@rule
def check_total(_: Call, frame: Collection) -> None:
    """The total counts the policies. Raises COLLECTION_TOTAL_MISMATCH_ERR."""
    if frame.total != len(frame.resources):
        raise RefusalError("COLLECTION_TOTAL_MISMATCH_ERR")


@rule
def check_single(_: Call, frame: Collection, kind: str | None) -> None:
    """With a query for one policy, the body holds one. Raises NUM_COLLECTION_RESOURCE_ERR."""
    if kind is not None and len(frame.resources) > 1:
        raise RefusalError("NUM_COLLECTION_RESOURCE_ERR")


@rule
def read_policy(call: Call, name: str, members: Members) -> tuple[bool, dict[str, Any]]:
    """Return whether the policy is enabled, and its attributes. Raises INVALID_FIELD_ERR, BAD_BODY_ERR."""
    data = members.object("policy_data")
    enabled = data.boolean("enabled") if data is not None else None
    if data is None or enabled is None:
        raise bad_field("enabled", "a boolean")
    attributes = data.object("attributes")
    if not ATTRIBUTES[name]:
        if attributes is not None:
            check_known(call, data, ("enabled",))
        return enabled, {}
    if not enabled:
        # Older clients send the network attribute even when they disable that policy.
        if attributes is not None and name != "allowedNetwork":
            raise bad_field("attributes", "absent when the policy is disabled")
        return False, {}
    if attributes is None:
        raise bad_field("attributes", "present when the policy is enabled")
    check_known(call, attributes, ATTRIBUTES[name])
    return True, _READERS[name](attributes)


def _read_network(attributes: Members) -> dict[str, Any]:
    value = attributes.text("allowed_network")
    if value not in ("public-and-private", "private-only"):
        raise bad_field("allowed_network", "public-and-private or private-only")
    return {"allowed_network": value}


def _read_addresses(attributes: Members) -> dict[str, Any]:
    texts = attributes.texts("allowed_ip")
    if not 1 <= len(texts) <= _MAX_ADDRESSES:
        raise bad_field("allowed_ip", f"between 1 and {_MAX_ADDRESSES} subnets in CIDR notation")
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise bad_field("allowed_ip", "subnets in CIDR notation") from None
    return {"allowed_ip": texts}


def _read_access(attributes: Members) -> dict[str, Any]:
    rights = {}
    for name in ATTRIBUTES["keyCreateImportAccess"]:
        value = attributes.boolean(name)
        rights[name] = value if value is not None else name != "enforce_token"
    return rights


def _read_rotation(attributes: Members) -> dict[str, Any]:
    interval = attributes.integer("interval_month")
    if interval is None or not interval_fits(interval):
        raise bad_field("interval_month", interval_words())
    return {"interval_month": interval}


_READERS: Final = {
    "allowedNetwork": _read_network,
    "allowedIP": _read_addresses,
    "keyCreateImportAccess": _read_access,
    "rotation": _read_rotation,
}


@rule
def set_policy(call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]) -> None:
    """Set the policy, with its new attributes only; who made it and when stay."""
    old = call.instance.policies.get(name)
    who = call.identity.iam_id
    call.instance.policies[name] = InstancePolicy(
        enabled=enabled,
        attributes=attributes,
        created=old.created if old else call.now,
        created_by=old.created_by if old else who,
        updated=call.now,
        updated_by=who,
    )
    call.instance.changed = True


def _view(name: str, policy: InstancePolicy) -> dict[str, Any]:
    data: dict[str, Any] = {"enabled": policy.enabled}
    if policy.attributes:
        data["attributes"] = policy.attributes
    return {
        "policy_type": name,
        "policy_data": data,
        "createdBy": policy.created_by,
        "creationDate": stamp(policy.created),
        "updatedBy": policy.updated_by,
        "lastUpdated": stamp(policy.updated),
    }
