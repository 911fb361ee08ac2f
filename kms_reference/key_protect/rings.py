"""Key rings: named groups of keys. `default` is always there."""

from __future__ import annotations

from typing import Any, Final

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_field, plain
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.key_protect.model import State
from kms_reference.key_protect.names import check_ring_id
from kms_reference.key_protect.search import paged
from kms_reference.key_protect.wire import Call, Reply

_PAGE: Final = 100
_MAX_PAGE: Final = 5_000


def list_rings(call: Call) -> Reply:
    """GET /key_rings."""
    views: list[dict[str, Any]] = [{"id": DEFAULT_RING}]
    views += [
        {"id": ring, "creationDate": stamp(created), "createdBy": created_by}
        for ring, (created, created_by) in call.instance.rings.items()
    ]
    if call.broken("default-ring-missing"):
        del views[0]
    return paged(call, "key_ring+json", views, _MAX_PAGE, _PAGE)


def create_ring(call: Call) -> Reply:
    """POST /key_rings/{id}: 201 without a body."""
    ring = call.args["ring"]
    check_ring_id(ring)
    if ring == DEFAULT_RING or ring in call.instance.rings:
        raise plain(409, "Key ring could not be created: a key ring with this id exists")
    call.instance.rings[ring] = [call.now, call.identity.iam_id]
    call.instance.changed = True
    return Reply(201)


def delete_ring(call: Call) -> Reply:
    """DELETE /key_rings/{id}: empty, or with `force` when all its keys are destroyed."""
    ring = call.args["ring"]
    force = call.flag("force")
    if ring == DEFAULT_RING:
        raise bad_field("key_ring_id", "another one than the default key ring")
    if ring not in call.instance.rings:
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")
    keys = [key for key in call.instance.keys.values() if key.ring == ring]
    if keys and not force and not call.broken("full-key-ring-deleted"):
        raise RefusalError("KEY_RING_NOT_EMPTY_ERR")
    living = [key for key in keys if key.state != State.DESTROYED]
    if call.broken("suspended-keys-lose-ring"):
        living = [key for key in living if key.state != State.SUSPENDED]
    if living and not call.broken("full-key-ring-deleted"):
        raise RefusalError("KEY_RING_KEYS_NOT_DELETED_ERR")
    for key in keys:
        key.ring = DEFAULT_RING
        call.instance.touch(key)
    del call.instance.rings[ring]
    call.instance.changed = True
    return Reply(204)
