"""Registrations: which cloud resources use a key. Written by services, read by everybody."""

from __future__ import annotations

from typing import Any, Final

from kms_reference.key_protect.clock import parse_stamp, stamp
from kms_reference.key_protect.errors import RefusalError, bad_field, bad_query, plain
from kms_reference.key_protect.model import Key, Registration, State
from kms_reference.key_protect.search import MAX_PAGE, PAGE, paged
from kms_reference.key_protect.wire import TYPE_PREFIX, Call, Members, Reply, collection, single_resource
from kms_reference.rules import rule

INPUT_TYPE: Final = TYPE_PREFIX + "registration_input+json"
ACK_TYPE: Final = TYPE_PREFIX + "event_acknowledge+json"
_LEAST_SEGMENTS: Final = 8
_MAX_CRN: Final = 512


def list_for_key(call: Call) -> Reply:
    """GET /keys/{id}/registrations, on deleted keys too."""
    return _list(call, [call.key()])


def list_for_all(call: Call) -> Reply:
    """GET /keys/registrations."""
    pattern = call.query.get("urlEncodedResourceCRNQuery", "")
    if "*" in ":".join(pattern.split(":")[:_LEAST_SEGMENTS]) and pattern != "*":
        raise bad_query("urlEncodedResourceCRNQuery", "without wildcards in the first eight segments")
    keys = [key for key in call.instance.keys.values() if call.ring in (None, key.ring)]
    return _list(call, keys)


def create_registration(call: Call) -> Reply:
    """POST .../registrations/{crn}: 201; writing one that exists replaces it and gives 200."""
    return _write(call, keep=False)


def replace_registration(call: Call) -> Reply:
    """PUT .../registrations/{crn}."""
    return _write(call, keep=False)


def update_registration(call: Call) -> Reply:
    """PATCH .../registrations/{crn}: members that are not given stay."""
    return _write(call, keep=True)


def delete_registration(call: Call) -> Reply:
    """DELETE .../registrations/{crn}."""
    key = call.key()
    registration = registered(call, key)
    if registration is None:
        raise plain(404, "Action could not be performed on key: the resource is not registered")
    _check_owner(call, registration)
    del key.registrations[registration.crn]
    call.instance.touch(key)
    return Reply(204)


def acknowledge_event(call: Call) -> Reply:
    """POST /event_ack: a service says that it acted on a key's change."""
    resource = single_resource(call.body(), ACK_TYPE, "Only one event may be acknowledged per request")
    if not resource.text("eventId"):
        raise bad_field("eventId", "the id of an event")
    timestamp = resource.text("timestamp")
    if timestamp is not None and parse_stamp(timestamp) is None:
        raise bad_field("timestamp", "a date and time in RFC 3339 format")
    resource.object("keyStateData")
    return Reply(204)


def _write(call: Call, *, keep: bool) -> Reply:
    key = call.key()
    crn = call.args["crn"]
    _check_crn(crn)
    check_root_key(call, key)
    check_active(call, key)
    members = Members({})
    if call.json() is not None:
        body = call.body()
        if body.get("resources") != [{}]:
            members = single_resource(body, INPUT_TYPE, "Only one registration per request is supported")
    old = registered(call, key)
    if old is None and keep:
        raise plain(404, "Action could not be performed on key: the resource is not registered")
    if old is not None:
        _check_owner(call, old)
    registration = _merged(call, key, crn, members, old, keep=keep)
    key.registrations[crn] = registration
    call.instance.touch(key)
    view = collection("registration+json", [view_of(call, key, registration)])
    return Reply(201 if old is None else 200, view)


@rule
def registered(call: Call, key: Key) -> Registration | None:
    """Return this key's registration of the resource that the path names."""
    return key.registrations.get(call.args["crn"])


@rule
def check_root_key(_: Call, key: Key) -> None:
    """Only root keys are registered. Raises KEY_ROOT_REQ_REG_ERR."""
    if key.extractable:
        raise RefusalError("KEY_ROOT_REQ_REG_ERR")


@rule
def check_active(_: Call, key: Key) -> None:
    """Only active keys are registered. Raises KEY_INVALID_STATE_ERR."""
    if key.state != State.ACTIVE:
        raise RefusalError("KEY_INVALID_STATE_ERR")


def _check_crn(crn: str) -> None:
    segments = crn.split(":")
    readable = crn.isprintable() and len(crn) <= _MAX_CRN
    if segments[0] != "crn" or len(segments) < _LEAST_SEGMENTS or not all(segments[1:5]) or not readable:
        raise bad_field("resourceCrn", "a cloud resource name down to the service instance at least")


def _check_owner(call: Call, registration: Registration) -> None:
    if registration.created_by != call.identity.iam_id:
        raise RefusalError("RESOURCE_OWNER_ERR")


def _merged(
    call: Call, key: Key, crn: str, members: Members, old: Registration | None, *, keep: bool
) -> Registration:
    kept = kept_registration(call, old, keep=keep)
    description = members.text("description")
    metadata = members.text("registrationMetadata")
    prevent = members.boolean("preventKeyDeletion")
    version_id = members.text("keyVersionId")
    ids = [version.id for version in key.versions]
    if version_id and version_id not in ids:
        raise bad_field("keyVersionId", "the id of a version of the key")
    if old is not None and version_id and old.version_id in ids:
        check_version(call, ids.index(version_id), ids.index(old.version_id))
    who = call.identity.iam_id
    return Registration(
        crn=crn,
        description=description if description is not None else (kept.description if kept else ""),
        prevent_deletion=prevent if prevent is not None else (kept.prevent_deletion if kept else False),
        metadata=metadata if metadata is not None else (kept.metadata if kept else None),
        version_id=version_id or (old.version_id if old else key.newest.id),
        created=old.created if old else call.now,
        created_by=old.created_by if old else who,
        updated=call.now,
        updated_by=who,
    )


@rule
def kept_registration(_: Call, old: Registration | None, *, keep: bool) -> Registration | None:
    """Return where members that the body does not give come from: only a PATCH keeps them."""
    return old if keep else None


@rule
def check_version(_: Call, new: int, old: int) -> None:
    """A registration does not go back to an older key version. Raises KEY_VERSION_INVALID."""
    if new < old:
        raise RefusalError("KEY_VERSION_INVALID")


def _list(call: Call, keys: list[Key]) -> Reply:
    pattern = call.query.get("urlEncodedResourceCRNQuery") or "*"
    prevented = call.flag("preventKeyDeletion") if "preventKeyDeletion" in call.query else None
    views = [
        view_of(call, key, registration)
        for key in keys
        for registration in key.registrations.values()
        if fits(call, registration.crn, pattern) and prevented in (None, registration.prevent_deletion)
    ]
    return paged(call, "registration+json", views, MAX_PAGE, PAGE)


@rule
def fits(_: Call, text: str, pattern: str) -> bool:
    """Whether the text matches the pattern, in which `*` stands for any text; linear, unlike a regular expression."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for part in middle:
        position = text.find(part, at)
        if position < 0:
            return False
        at = position + len(part)
    return len(text) - len(last) >= at and text.endswith(last)


def view_of(call: Call, key: Key, registration: Registration) -> dict[str, Any]:
    """Return a registration as replies show it; its metadata are for services only."""
    version = next((v for v in key.versions if v.id == registration.version_id), key.newest)
    view: dict[str, Any] = {
        "keyId": key.id,
        "keyName": key.name,
        "resourceCrn": registration.crn,
        "description": registration.description,
        "preventKeyDeletion": registration.prevent_deletion,
        "keyVersion": {"id": version.id, "creationDate": stamp(version.created)},
        "createdBy": registration.created_by,
        "creationDate": stamp(registration.created),
        "updatedBy": registration.updated_by,
        "lastUpdated": stamp(registration.updated),
    }
    if registration.metadata is not None and call.identity.kind == "service":
        view["registrationMetadata"] = registration.metadata
    return view
