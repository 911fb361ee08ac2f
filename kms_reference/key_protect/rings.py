"""Key rings: named groups of keys. `default` is always there."""

from __future__ import annotations

from typing import Any, Final

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_field, plain
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.key_protect.model import Key, State
from kms_reference.key_protect.names import check_ring_id
from kms_reference.key_protect.search import paged
from kms_reference.key_protect.wire import Call, Reply
from kms_reference.rules import rule

_PAGE: Final = 100
_MAX_PAGE: Final = 5_000


def list_rings(call: Call) -> Reply:
    """GET /key_rings."""
    return paged(call, "key_ring+json", ring_views(call), _MAX_PAGE, _PAGE)


@rule
def ring_views(call: Call) -> list[dict[str, Any]]:
    """Return the rings as lists show them, the default ring first."""
    views: list[dict[str, Any]] = [{"id": DEFAULT_RING}]
    views += [
        {"id": ring, "creationDate": stamp(created), "createdBy": created_by}
        for ring, (created, created_by) in call.instance.rings.items()
    ]
    return views


def create_ring(call: Call) -> Reply:
    """POST /key_rings/{id}: 201 without a body."""
    ring = call.args["ring"]
    check_ring_id(ring)
    check_ring_free(call, ring)
    call.instance.rings[ring] = [call.now, call.identity.iam_id]
    call.instance.changed = True
    return Reply(201)


@rule
def check_ring_free(call: Call, ring: str) -> None:
    """A key ring's id is unique in the instance. Raises 409."""
    if ring == DEFAULT_RING or ring in call.instance.rings:
        raise plain(409, "Key ring could not be created: a key ring with this id exists")


def delete_ring(call: Call) -> Reply:
    """DELETE /key_rings/{id}: empty, or with `force` when all its keys are destroyed."""
    ring = call.args["ring"]
    force = call.flag("force")
    if ring == DEFAULT_RING:
        raise bad_field("key_ring_id", "another one than the default key ring")
    if ring not in call.instance.rings:
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")
    keys = [key for key in call.instance.keys.values() if key.ring == ring]
    if not force:
        check_empty(call, keys)
    check_destroyed(call, keys)
    for key in keys:
        key.ring = DEFAULT_RING
        call.instance.touch(key)
    del call.instance.rings[ring]
    call.instance.changed = True
    return Reply(204)


@rule
def check_empty(_: Call, keys: list[Key]) -> None:
    """Without force a key ring is deleted when it holds no key. Raises KEY_RING_NOT_EMPTY_ERR."""
    if keys:
        raise RefusalError("KEY_RING_NOT_EMPTY_ERR")


@rule
def check_destroyed(_: Call, keys: list[Key]) -> None:
    """With force the keys of a ring are all destroyed. Raises KEY_RING_KEYS_NOT_DELETED_ERR."""
    if any(key.state != State.DESTROYED for key in keys):
        raise RefusalError("KEY_RING_KEYS_NOT_DELETED_ERR")
