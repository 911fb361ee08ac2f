"""Defects of what is remembered too long, done once too often or not at all, and cut short, after faults that others reported.

Stores of idempotency keys, caches of answers, a check across two records without a transaction, pages and batches of a fixed
size. Each is translated to this API where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import (
    import_tokens,
    key_policies,
    kmip,
    rings,
    search,
)
from kms_reference.key_protect.defects.conditions import Memory, answering, of_operation
from kms_reference.key_protect.defects.laws_concurrency import read_early
from kms_reference.key_protect.errors import RefusalError
from kms_reference.key_protect.wire import Reply
from kms_reference.switches import Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import ImportToken, Key
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import RuleLike

_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_TAKEN: Final = 8
_PAGE: Final = 20

_known: Final = Memory()


# -- remembered too long -------------------------------------------------------------------------------------------------


def _opened_before(lawful: RuleLike, call: Call) -> Reply:
    """Open for an hour what was opened before, whatever the state of the key."""
    key, opened = call.key(), _known(call.instance, "opened")
    try:
        reply: Reply = lawful(call)
    except RefusalError as refusal:
        kept = opened.get((key.id, call.raw))
        if kept is None or refusal.code != "KEY_ACTION_INVALID_STATE_ERR" or call.now > kept[0] + _HOUR:
            raise
        return Reply(200, dict(kept[1]))
    opened[key.id, call.raw] = (call.now, dict(reply.body))
    return reply


def _token_of_caller(token: ImportToken | None, call: Call) -> ImportToken | None:
    """Give a caller the token that it has retrieved before, while that lives."""
    held = _known(call.instance, "tokens")
    kept = held.get(call.identity.iam_id)
    if kept is not None and kept.remaining > 0 and call.now < kept.created + kept.life:
        return kept  # type: ignore[no-any-return]
    held[call.identity.iam_id] = token
    return token


def _new_token(call: Call) -> None:
    _known(call.instance, "tokens").pop(call.identity.iam_id, None)


def _cached(what: str) -> RuleLike:
    """Return a rule that gives for a minute what it gave before."""

    def act(found: Any, call: Call) -> Any:
        kept = _known(call.instance, "inherited").get(what)
        if kept is not None and call.now < kept[0] + _MINUTE:
            return kept[1]
        _known(call.instance, "inherited")[what] = (call.now, found)
        return found

    return act


# -- done once -----------------------------------------------------------------------------------------------------------


def _set_once(lawful: RuleLike, call: Call) -> Reply:
    """Answer a policy that was set within ten minutes as set, and keep what there is."""
    key, seen = call.key(), _known(call.instance, "set")
    rotation, dual_auth, updated = key.rotation, key.dual_auth, key.updated
    reply: Reply = lawful(call)
    if call.now < seen.get((key.id, call.raw), 0.0):
        key.rotation, key.dual_auth, key.updated = rotation, dual_auth, updated
    seen[key.id, call.raw] = call.now + 10 * _MINUTE
    return reply


# -- two records without a transaction -----------------------------------------------------------------------------------


def _everywhere(call: Call) -> set[str]:
    return {one.fingerprint for each in call.instance.adapters.values() for one in each.certificates.values()}


def _in_two_adapters() -> tuple[Change, ...]:
    """Add a certificate that no other adapter had before a pause."""
    early, reading = read_early("addKmipClientCertificate", _everywhere)

    def check(lawful: RuleLike, call: Call, fingerprint: str) -> None:
        own = {one.fingerprint for one in kmip.adapter_of(call).certificates.values()}
        if fingerprint in own or fingerprint in early.get(id(call), set()):
            lawful(call, fingerprint)

    return reading, instead(kmip.check_certificate_free, check)


# -- cut short -----------------------------------------------------------------------------------------------------------


def _eight_taken(call: Call, keys: list[Key]) -> None:
    for key in keys[_TAKEN:]:
        call.instance.remove(key)


def _short_page(lawful: RuleLike, call: Call, most: int, _: int) -> tuple[int, int]:
    page: tuple[int, int] = lawful(call, most, _PAGE)
    return page


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("opened-before-opens-on", "What a key has opened it opens for an hour more, whatever its state.", answering("unwrapKey", _opened_before)),
    ("token-cached-for-caller", "Who has retrieved an import token gets it again when somebody else has replaced it.", gives(import_tokens.current_token, _token_of_caller), then(import_tokens.post_import_token, _new_token)),
    ("inheritance-cached", "For a minute new keys inherit the policies that held before.", gives(key_policies.inherits_dual_auth, _cached("dual")), gives(key_policies.inherited_rotation, _cached("rotation"))),
    ("policy-of-before-left-out", "A policy of a key is not set to what it was set to within the last ten minutes.", answering("putPolicy", _set_once)),
    ("certificate-in-two-adapters", "Two adapters are given the same client certificate at once.", *_in_two_adapters()),
    ("ring-deletion-takes-eight-home", "Of the keys of a ring that is deleted by force eight go to the default ring, and the others are gone.", then(rings.check_destroyed, _eight_taken)),
    ("adapters-page-of-20", "Without a limit a page holds 20 KMIP adapters.", instead(search.page, _short_page, of_operation("getKmipAdapters"))),
)  # fmt: skip

LEFTOVER_DEFECTS: Final = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
