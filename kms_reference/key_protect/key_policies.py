"""Rotation and dual-authorisation policies of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_body, bad_field, bad_query
from kms_reference.key_protect.instance import new_id
from kms_reference.key_protect.key_view import crn
from kms_reference.key_protect.model import Key, KeyPolicy, State
from kms_reference.key_protect.wire import (
    POLICY_TYPE,
    Call,
    Members,
    Reply,
    check_frame,
    collection,
    read_collection,
)
from kms_reference.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kms_reference.key_protect.model import InstancePolicy

KINDS: Final = ("dualAuthDelete", "rotation")
_INTERVALS: Final = (1, 12)
_ROTATION_ON_STANDARD: Final = "Rotation policy cannot be set on a standard key"


def get_policies(call: Call) -> Reply:
    """GET /keys/{id}/policies."""
    key = call.key()
    kinds = (_kind(call),) if "policy" in call.query else KINDS
    return Reply(200, collection("policy+json", _views(call, key, kinds)))


def put_policies(call: Call) -> Reply:
    """PUT /keys/{id}/policies: everything is checked before anything is set."""
    key = call.key()
    frame = read_collection(call.body())
    if not frame.resources:
        raise bad_body("No resources were provided")
    check_frame(frame, POLICY_TYPE)
    wanted = _wanted(call, frame.resources)
    if key.state == State.DESTROYED:
        raise RefusalError("KEY_ACTION_INVALID_STATE_ERR")
    changes = {kind: _read(call, kind, members, key) for kind, members in wanted.items()}
    for kind, policy in changes.items():
        _set(key, kind, policy)
    call.instance.touch(key, call.now)
    return Reply(200, collection("policy+json", _views(call, key, changes)))


def inherit(call: Call, key: Key) -> None:
    """Give a new key its policies from the instance's."""
    if inherits_dual_auth(call):
        key.dual_auth = _fresh(call, enabled=True)
    rotation = inherited_rotation(call)
    if rotation is not None and not key.extractable and not key.imported:
        key.rotation = _fresh(call, enabled=True, interval=rotation.attributes.get("interval_month", 1))


@rule
def inherits_dual_auth(call: Call) -> bool:
    """Whether new keys come under dual authorisation: while the instance has the policy enabled."""
    policy = call.instance.policies.get("dualAuthDelete")
    return policy is not None and policy.enabled


@rule
def inherited_rotation(call: Call) -> InstancePolicy | None:
    """Return the instance's rotation policy while it is enabled."""
    policy = call.instance.policies.get("rotation")
    return policy if policy is not None and policy.enabled else None


def read_overrides(call: Call, resource: Members, key: Key) -> None:
    """Return the policy members of POST /keys_with_policy_overrides. Raises KEY_ROOT_REQ_ERR, INVALID_FIELD_ERR."""
    for kind in KINDS:
        members = resource.object(kind)
        if members is not None:
            _set(key, kind, _read(call, kind, members, key))


def _kind(call: Call) -> str:
    kind = call.query["policy"]
    if kind not in KINDS:
        raise bad_query("policy", f"a valid string from one of this [{','.join(KINDS)}]")
    return kind


def _wanted(call: Call, resources: list[Any]) -> dict[str, Members]:
    query = _kind(call) if "policy" in call.query else None
    if query is not None and len(resources) > 1:
        raise RefusalError("NUM_COLLECTION_RESOURCE_ERR")
    wanted: dict[str, Members] = {}
    for resource in resources:
        members = Members.of(resource, "resource")
        present = [kind for kind in KINDS if members.has(kind)]
        if query is not None and present != [query]:
            raise RefusalError("BODY_QUERY_PARAM_MISMATCH_ERR")
        if not present:
            raise bad_body("resource has zero value or is empty")
        kind_of_resource = members.text("type")
        if kind_of_resource not in (None, "", POLICY_TYPE):
            raise bad_field("type", POLICY_TYPE)
        for kind in present:
            policy = members.object(kind)
            assert policy is not None
            if kind in wanted:
                raise bad_body("Only one of each policy can be created")
            wanted[kind] = policy
    return wanted


def _read(call: Call, kind: str, members: Members, key: Key) -> KeyPolicy:
    enabled = members.boolean("enabled")
    if kind == "dualAuthDelete":
        if enabled is None:
            raise bad_field("enabled", "a boolean")
        check_stays_on(call, key, enabled=enabled)
        return renewed(call, key.dual_auth, enabled=enabled)
    check_rotatable(call, key)
    if key.imported:
        raise bad_field("rotation", "set only on a key whose material the service made")
    interval = members.integer("interval_month")
    if interval is None:
        if enabled is None:
            raise bad_field("interval_month", interval_words())
        interval = key.rotation.interval if key.rotation is not None else 0
        if enabled and not interval:
            raise bad_field("interval_month", interval_words())
    else:
        check_interval(call, interval)
    return renewed(call, key.rotation, enabled=enabled is not False, interval=interval)


@rule
def check_stays_on(_: Call, key: Key, *, enabled: bool) -> None:
    """Dual authorisation of a key is not switched off. Raises INVALID_FIELD_ERR."""
    if key.dual_auth is not None and key.dual_auth.enabled and not enabled:
        raise bad_field("dualAuthDelete", "enabled once it was enabled for the key")


@rule
def check_rotatable(_: Call, key: Key) -> None:
    """Only root keys have a rotation policy. Raises KEY_ROOT_REQ_ERR."""
    if key.extractable:
        raise RefusalError("KEY_ROOT_REQ_ERR", suffix=_ROTATION_ON_STANDARD)


@rule
def check_interval(_: Call, interval: int) -> None:
    """The interval is 1 to 12 months. Raises INVALID_FIELD_ERR."""
    if not interval_fits(interval):
        raise bad_field("interval_month", interval_words())


def interval_fits(interval: int) -> bool:
    """Whether the interval is 1 to 12 months."""
    return _INTERVALS[0] <= interval <= _INTERVALS[1]


def interval_words() -> str:
    """Return what an interval must be."""
    return f"an integer between {_INTERVALS[0]} and {_INTERVALS[1]} (inclusive)"


def _fresh(call: Call, *, enabled: bool, interval: int = 0) -> KeyPolicy:
    return renewed(call, None, enabled=enabled, interval=interval)


def renewed(call: Call, old: KeyPolicy | None, *, enabled: bool, interval: int = 0) -> KeyPolicy:
    """Return a policy as the caller sets it now; one that was there keeps its id and its birth."""
    who = call.identity.iam_id
    return KeyPolicy(
        id=old.id if old else new_id(call.instance),
        enabled=enabled,
        created=old.created if old else call.now,
        created_by=old.created_by if old else who,
        updated=call.now,
        updated_by=who,
        interval=interval,
    )


def _set(key: Key, kind: str, policy: KeyPolicy) -> None:
    if kind == "rotation":
        key.rotation = policy
    else:
        key.dual_auth = policy


def _views(call: Call, key: Key, kinds: Iterable[str]) -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = []
    for kind in kinds:
        policy = key.rotation if kind == "rotation" else key.dual_auth
        if policy is None:
            continue
        content: dict[str, Any] = {"enabled": policy.enabled}
        if kind == "rotation" and policy.interval:
            content["interval_month"] = policy.interval
        views.append(
            {
                "type": POLICY_TYPE,
                "id": policy.id,
                "crn": crn(call, "policy", policy.id),
                "createdBy": policy.created_by,
                "creationDate": stamp(policy.created),
                "updatedBy": policy.updated_by,
                "lastUpdateDate": stamp(policy.updated),
                kind: content,
            }
        )
    return views
