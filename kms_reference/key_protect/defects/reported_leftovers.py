"""Defects of what is remembered too long, done once too often or not at all, and cut short, after faults that others reported.

Stores of idempotency keys, caches of answers and of what was not found, indexes that a change does not reach, checks across
two records without a transaction, pages and batches of a fixed size. Each is translated to this API where a source fixes what
is right.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import (
    import_tokens,
    instance_policies,
    key_policies,
    kmip,
    registrations,
    rings,
    search,
)
from kms_reference.key_protect.app import Exchange
from kms_reference.key_protect.defects.conditions import Memory, answering, of_operation
from kms_reference.key_protect.defects.laws_concurrency import WINDOW, read_early
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.wire import Reply, collection
from kms_reference.switches import Change, Defect, gives, instead, then

if TYPE_CHECKING:
    from kms_reference.key_protect.model import ImportToken, Key, KmipAdapter
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import RuleLike

_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_TAKEN: Final = 8
_RANGES: Final = 100
_PAGE: Final = 20

_known: Final = Memory()


# -- remembered too long -------------------------------------------------------------------------------------------------


def _missed(lawful: RuleLike, call: Call) -> KmipAdapter:
    """Go on not finding a name for five minutes."""
    missed, name = _known(call.instance, "missed"), call.args["adapter"]
    if call.now < missed.get(name, 0.0):
        raise plain(404, "KMIP adapter could not be retrieved: it does not exist")
    try:
        found: KmipAdapter = lawful(call)
    except RefusalError:
        missed[name] = call.now + 5 * _MINUTE
        raise
    return found


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


def _note_prevention(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    key = call.key()
    prevents = key.registrations[call.args["crn"]].prevent_deletion
    _known(call.instance, "prevents").setdefault((key.id, call.args["crn"]), prevents)
    return reply


def _forget_prevention(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    _known(call.instance, "prevents").pop((call.key().id, call.args["crn"]), None)
    return reply


def _by_old_index(lawful: RuleLike, call: Call) -> Reply:
    """Leave out registrations that were made with another word on deletion than is asked for."""
    if "preventKeyDeletion" not in call.query:
        reply: Reply = lawful(call)
        return reply
    wanted, made = call.flag("preventKeyDeletion"), _known(call.instance, "prevents")
    kept = {key.id: key.registrations for key in call.instance.keys.values()}
    for key in call.instance.keys.values():
        key.registrations = {
            crn: one for crn, one in key.registrations.items() if made.get((key.id, crn), wanted) == wanted
        }
    try:
        reply = lawful(call)
    finally:
        for key in call.instance.keys.values():
            key.registrations = kept[key.id]
    return reply


# -- done once -----------------------------------------------------------------------------------------------------------


def _replaced_once(lawful: RuleLike, call: Call) -> Reply:
    """Carry out no replacement that equals the last one, whatever has changed since."""
    key, last = call.key(), _known(call.instance, "replaced")
    old = key.registrations.get(call.args["crn"])
    if old is not None and last.get((key.id, old.crn)) == call.raw:
        return Reply(200, collection("registration+json", [registrations.view_of(call, key, old)]))
    reply: Reply = lawful(call)
    last[key.id, call.args["crn"]] = call.raw
    return reply


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


async def _retrieval_given_back(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Write the token back as it was when an import by token began."""
    token = call.instance.import_token
    remaining = 0 if token is None else token.remaining
    by_token = b"encryptedNonce" in call.raw
    if by_token:
        await asyncio.sleep(WINDOW)
    reply: Reply = await lawful(exchange, call)
    if by_token and token is not None:
        token.remaining = remaining
    return reply


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
    ("unknown-adapter-remembered", "For five minutes a KMIP adapter is unknown whose name was unknown before.", instead(kmip.adapter_of, _missed)),
    ("opened-before-opens-on", "What a key has opened it opens for an hour more, whatever its state.", answering("unwrapKey", _opened_before)),
    ("token-cached-for-caller", "Who has retrieved an import token gets it again when somebody else has replaced it.", gives(import_tokens.current_token, _token_of_caller), then(import_tokens.post_import_token, _new_token)),
    ("inheritance-cached", "For a minute new keys inherit the policies that held before.", gives(key_policies.inherits_dual_auth, _cached("dual")), gives(key_policies.inherited_rotation, _cached("rotation"))),
    ("retention-indexed-when-made", "A list of registrations that prevent a deletion goes by what they were made with.", answering("createRegistration", _note_prevention), answering("deleteRegistration", _forget_prevention), answering("getRegistrationsAllKeys", _by_old_index), answering("getRegistrations", _by_old_index)),
    ("same-replacement-left-out", "A registration is not replaced by what it was replaced by last, whatever has changed it since.", answering("replaceRegistration", _replaced_once)),
    ("policy-of-before-left-out", "A policy of a key is not set to what it was set to within the last ten minutes.", answering("putPolicy", _set_once)),
    ("import-gives-back-retrieval", "An import by token gives back a retrieval that was made in between.", instead(Exchange.answer, _retrieval_given_back, lambda _, call: call.operation.id == "createKey")),
    ("certificate-in-two-adapters", "Two adapters are given the same client certificate at once.", *_in_two_adapters()),
    ("ring-deletion-takes-eight-home", "Of the keys of a ring that is deleted by force eight go to the default ring, and the others are gone.", then(rings.check_destroyed, _eight_taken)),
    ("ranges-cut-to-a-hundred", "An allowedIP policy lets in the first 100 of its ranges.", gives(instance_policies.allowed_ranges, lambda ranges, *_: ranges[:_RANGES])),
    ("adapters-page-of-20", "Without a limit a page holds 20 KMIP adapters.", instead(search.page, _short_page, of_operation("getKmipAdapters"))),
    ("objects-page-of-20", "Without a limit a page holds 20 KMIP objects.", instead(search.page, _short_page, of_operation("getKmipObjects"))),
)  # fmt: skip

LEFTOVER_DEFECTS: Final = tuple(
    Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS
)
