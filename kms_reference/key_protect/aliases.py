"""Aliases: further names of a key, unique in the instance."""

from __future__ import annotations

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.names import MAX_ALIASES, check_alias
from kms_reference.key_protect.wire import Call, Reply, collection


def create_alias(call: Call) -> Reply:
    """POST /keys/{id}/aliases/{alias}."""
    key = call.key()
    alias = call.args["alias"]
    if not call.broken("alias-form-unchecked"):
        check_alias(alias)
    if alias in call.instance.alias_index and not call.broken("alias-used-twice"):
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")
    if len(key.aliases) >= MAX_ALIASES:
        raise RefusalError("KEY_ALIAS_QUOTA_ERR")
    key.aliases[alias] = [call.now, call.identity.iam_id]
    call.instance.alias_index[alias] = key.id
    call.instance.touch(key, call.now)
    view = {
        "keyId": key.id,
        "alias": alias,
        "createdBy": call.identity.iam_id,
        "creationDate": stamp(call.now),
    }
    return Reply(200 if call.rules.varies("alias-200") else 201, collection("alias+json", [view]))


def delete_alias(call: Call) -> Reply:
    """DELETE /keys/{id}/aliases/{alias}."""
    key = call.key()
    alias = call.args["alias"]
    if call.broken("alias-of-anybody-deleted"):
        key = call.instance.find(alias) or key
    if alias not in key.aliases:
        raise plain(404, "Action could not be performed on key: the key has no such alias")
    del key.aliases[alias]
    if call.instance.alias_index.get(alias) == key.id and not call.broken("alias-outlives-deletion"):
        del call.instance.alias_index[alias]
    call.instance.touch(key, call.now)
    return Reply(204)
