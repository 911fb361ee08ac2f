"""Defects of what depends on who asks, and of aliases in searches, after faults that others reported.

Barbican, Vault, Keycloak, Infisical, GitLab and others; each is translated to this API where a source fixes what is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import keys, rings, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import of_operation
from kms_reference.key_protect.errors import plain
from kms_reference.key_protect.model import State
from kms_reference.key_protect.wire import Call, Reply
from kms_reference.switches import Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.search import Search, Test
    from kms_reference.rules import RuleLike


def _is_reader(call: Call, *_: Any) -> bool:
    return "Writer" not in call.identity.roles


def _own(operation: str) -> Change:
    """Select the keys that the caller has made."""

    def made(found: list[Key], call: Call, _: list[Test]) -> list[Key]:
        return [key for key in found if key.created_by == call.identity.iam_id]

    return gives(search.matching, made, lambda call, _: call.operation.id == operation)


def _givers_only(call: Call, key: Key, alias: str) -> None:
    if key.aliases.get(alias, [0, call.identity.iam_id])[1] != call.identity.iam_id:
        raise plain(404, "Action could not be performed on key: the key has no such alias")


def _alias_of_giver(lawful: RuleLike, call: Call) -> Reply:
    _givers_only(call, call.key(), call.args["alias"])
    reply: Reply = lawful(call)
    return reply


def _makers_only(call: Call, _: list[Key]) -> None:
    if call.instance.rings[call.args["ring"]][1] != call.identity.iam_id:
        raise plain(404, "Key ring could not be deleted: there is no such key ring")


def _as_sent(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    sent = call.body()["resources"][0].get("expirationDate")
    if sent and reply.body is not None and "expirationDate" in reply.body["resources"][0]:
        reply.body["resources"][0]["expirationDate"] = sent
    return reply


def _undescribed(reply: Reply, _: Call) -> Reply:
    reply.body["resources"][0].pop("description", None)
    return reply


def _active_only(found: list[Key], _: Call, __: list[Test]) -> list[Key]:
    return [key for key in found if key.state == State.ACTIVE]


def _first_alias(lawful: RuleLike, call: Call, text: Search, key: Key) -> Any:
    return lawful(call, text, replace(key, aliases=dict(list(key.aliases.items())[:1])))


def _living_aliases(lawful: RuleLike, call: Call, text: Search, key: Key) -> Any:
    return lawful(call, text, replace(key, aliases={}) if key.state == State.DESTROYED else key)


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("list-of-ones-own-keys", "A list holds the keys that the caller has made.", _own("getKeys")),
    ("count-of-ones-own-keys", "HEAD counts the keys that the caller has made.", _own("getKeyCollectionMetadata")),
    ("alias-removed-by-its-giver", "An alias is removed by who has given it.", instead(answered, _alias_of_giver, of_operation("deleteKeyAlias"))),
    ("ring-deleted-by-its-maker", "A key ring is deleted by who has made it.", then(rings.check_destroyed, _makers_only)),
    ("expiry-shown-as-sent", "The answer to a creation shows the expiration date as it was sent.", instead(answered, _as_sent, of_operation("createKey"))),
    ("reader-sees-no-description", "Metadata that a reader reads lack the description.", gives(keys.get_key_metadata, _undescribed, _is_reader)),
    ("reader-lists-active-only", "A reader's list leaves suspended keys out.", gives(search.matching, _active_only, _is_reader)),
    ("search-in-first-alias", "A search looks at the first alias of a key.", instead(search.found_by, _first_alias)),
    ("destroyed-not-searched-by-alias", "A search does not find a destroyed key by its alias.", instead(search.found_by, _living_aliases)),
)  # fmt: skip

ASKER_DEFECTS: Final = tuple(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS)
