"""Aliases: further names of a key, unique in the instance."""

from __future__ import annotations

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.model import Key
from kms_reference.key_protect.names import MAX_ALIASES, check_alias
from kms_reference.key_protect.wire import Call, Reply, collection
from kms_reference.rules import rule


def create_alias(call: Call) -> Reply:
    """POST /keys/{id}/aliases/{alias}."""
    key = call.key()
    alias = call.args["alias"]
    check_form(call, alias)
    check_free(call, alias)
    check_quota(call, key)
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


@rule
def check_form(_: Call, alias: str) -> None:
    """An alias has the documented form. Raises INVALID_FIELD_ERR."""
    check_alias(alias)


@rule
def check_free(call: Call, alias: str) -> None:
    """An alias stands for one key of the instance. Raises KEY_ALIAS_NOT_UNIQUE_ERR."""
    if alias in call.instance.alias_index:
        raise RefusalError("KEY_ALIAS_NOT_UNIQUE_ERR")


@rule
def check_quota(_: Call, key: Key) -> None:
    """A key has five aliases at most. Raises KEY_ALIAS_QUOTA_ERR."""
    if len(key.aliases) >= MAX_ALIASES:
        raise RefusalError("KEY_ALIAS_QUOTA_ERR")


def delete_alias(call: Call) -> Reply:
    """DELETE /keys/{id}/aliases/{alias}."""
    key = key_of_deletion(call)
    alias = call.args["alias"]
    if alias not in key.aliases:
        raise plain(404, "Action could not be performed on key: the key has no such alias")
    del key.aliases[alias]
    release(call, key, alias)
    call.instance.touch(key, call.now)
    return Reply(204)


@rule
def key_of_deletion(call: Call) -> Key:
    """Return the key that loses the alias: the one that the path names."""
    return call.key()


@rule
def release(call: Call, key: Key, alias: str) -> None:
    """Let the alias stand for no key any more."""
    if call.instance.alias_index.get(alias) == key.id:
        del call.instance.alias_index[alias]
