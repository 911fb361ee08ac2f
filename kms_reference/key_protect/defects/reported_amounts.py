"""Defects of size, number and what is remembered, after faults that others reported.

SeaweedFS, Kroxylicious, Vault, LocalStack, moto, Infisical and others; each is translated to this API where a source fixes
what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, key_input, search
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import Memory, of_operation
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.key_protect.wire import Call, Reply
from kms_reference.switches import After, Defect, gives, instead

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key, Version
    from kms_reference.rules import Draft, RuleLike

_CACHED: Final = 300.0
_A_MINUTE: Final = 60.0
_BYTE: Final = 256
_PAGE: Final = 20
_USES: Final = 128
_FEW: Final = 5

_known: Final = Memory()


# -- caches ----------------------------------------------------------------------------------------------------------


def _opened_before(lawful: RuleLike, call: Call, key: Key, raw: bytes, *more: Any) -> Any:
    """Open what was opened within five minutes without looking at the additional data."""
    cache = _known(call.instance, "opened")
    found = cache.get((key.id, raw))
    if found is not None and call.now < found[0] + _CACHED:
        return found[1]
    opened = lawful(call, key, raw, *more)
    cache[key.id, raw] = (call.now, opened)
    return opened


def _fresh_of_cache(lawful: RuleLike, call: Call, key: Key, plaintext: bytes, aad: list[str]) -> Any:
    """Give ciphertexts of the version that was the newest when one was asked for within five minutes."""
    version = key.newest
    seen, known = _known(call.instance, "newest").setdefault(key.id, (call.now, version))
    if call.now < seen + _CACHED:
        version = known
    else:
        _known(call.instance, "newest")[key.id] = (call.now, version)
    made = lawful(call, key, plaintext, aad)
    sealed = actions.sealed(call, version, plaintext, aad)
    return {**made, "ciphertext": sealed, "rewrappedKeyVersion": {"id": version.id}}


def _rights_of_before(rights: dict[str, Any], call: Call) -> dict[str, Any]:
    seen, known = _known(call.instance, "rights").setdefault("", (call.now, rights))
    if call.now < seen + _A_MINUTE:
        return dict(known)
    _known(call.instance, "rights")[""] = (call.now, rights)
    return rights


def _ring_remembered(lawful: RuleLike, call: Call) -> Reply:
    """Refuse a key ring that was not there within five minutes."""
    unknown = _known(call.instance, "rings")
    if call.ring is not None and call.now < unknown.get(call.ring, 0.0) + _CACHED:
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")
    try:
        reply: Reply = lawful(call)
    except RefusalError as refusal:
        if refusal.code == "KEY_RING_NOT_FOUND_ERR":
            unknown[call.ring] = call.now
        raise
    return reply


def _certificates_of_before(draft: Draft) -> None:
    call = draft.call
    adapter = call.instance.adapters[draft.resource["id"]]
    adapter.certificates.update(_known(call.instance, "adapters").get(adapter.name, {}))


def _note_certificates(lawful: RuleLike, call: Call) -> Reply:
    named = call.args["adapter"]
    for adapter in call.instance.adapters.values():
        if named in (adapter.id, adapter.name):
            _known(call.instance, "adapters")[adapter.name] = dict(adapter.certificates)
    reply: Reply = lawful(call)
    return reply


def _dates_of_before(draft: Draft) -> None:
    call = draft.call
    key = call.key_as_is()
    one = key.registrations[call.args["crn"]]
    one.created = _known(call.instance, "registered").setdefault((key.id, one.crn), one.created)


def _same_answer(lawful: RuleLike, call: Call) -> Reply:
    """Answer a request with the correlation id of an earlier one of the operation as that one."""
    name = call.headers.get("correlation-id")
    known = _known(call.instance, "answers")
    at = (call.operation.id, name)
    if name is None or at not in known:
        known[at] = lawful(call)
    reply: Reply = known[at]
    return reply


def _same_key(lawful: RuleLike, call: Call) -> Reply:
    """Take a creation with the body of another one within a minute for a repetition."""
    known = _known(call.instance, "bodies")
    at = (call.raw, call.ring)
    if at in known and call.now < known[at][0] + _A_MINUTE:
        reply: Reply = known[at][1]
        return reply
    reply = lawful(call)
    known[at] = (call.now, reply)
    return reply


# -- sizes -----------------------------------------------------------------------------------------------------------


def _cut(size: int) -> Any:
    def act(data: bytes, _: Call, __: str, name: str, *___: Any, **____: Any) -> bytes:
        return data[:size] if name == "plaintext" else data

    return act


def _without_zeros(data: bytes, _: Call, __: str, name: str, *___: Any, **____: Any) -> bytes:
    return data.rstrip(b"\0") if name == "plaintext" else data


def _few_bound(aad: list[str], *_: Any) -> list[str]:
    return aad[:_FEW]


def _short_tags(call: Call, tags: list[str]) -> None:
    del call
    while len(",".join(tags)) >= _BYTE:
        tags.pop()


def _cut_tags(lawful: RuleLike, call: Call, tags: list[str]) -> None:
    lawful(call, tags)
    _short_tags(call, tags)


# -- numbers ---------------------------------------------------------------------------------------------------------


def _used_up(version: Version, call: Call, key: Key) -> Version:
    used = _known(call.instance, "uses")
    used[key.id] = used.get(key.id, 0) + 1
    if used[key.id] > _USES:
        raise plain(500, "The key is used up")
    return version


def _short_page(result: tuple[int, int], call: Call, *_: Any) -> tuple[int, int]:
    return result if "limit" in call.query else (result[0], _PAGE)


def _one_byte(draft: Draft) -> None:
    if isinstance(draft.body, dict) and "remainingRetrievals" in draft.body:
        draft.body["remainingRetrievals"] %= _BYTE


AMOUNT_DEFECTS: Final = (
    Defect("opened-with-any-additional-data", "A ciphertext that was opened before opens with any additional data.", (), changes=(instead(actions.decrypted, _opened_before),)),
    Defect("fresh-ciphertext-of-cached-version", "For five minutes ciphertexts are made of the version that was the newest.", (), changes=(instead(actions.fresh, _fresh_of_cache),)),
    Defect("creation-rights-cached", "For a minute keys are created by the rights that held before.", (), changes=(gives(key_input.access_rights, _rights_of_before),)),
    Defect("unknown-ring-remembered", "For five minutes a key ring is unknown that was unknown before.", (), changes=(instead(answered, _ring_remembered, of_operation("createKey")),)),
    Defect("adapter-remembers-its-certificates", "A KMIP adapter that is made again has the certificates of before.", (), after=After("createKmipAdapter", _certificates_of_before), changes=(instead(answered, _note_certificates, of_operation("deleteKmipAdapter")),)),
    Defect("registration-remembers-its-date", "A resource that is registered again was registered when it was first.", (), after=After("createRegistration", _dates_of_before)),
    Defect("same-correlation-id-same-answer", "A request with the correlation id of an earlier one is not carried out.", (), changes=(instead(answered, _same_answer),)),
    Defect("same-creation-same-key", "Two creations with the same body within a minute make one key.", (), changes=(instead(answered, _same_key, of_operation("createKey")),)),
    Defect("plaintext-cut-to-256", "A plaintext is cut to 256 bytes.", (), changes=(gives(actions.decoded, _cut(_BYTE), lambda _, text, name, *__, **___: name == "plaintext" and len(text) > _BYTE),)),
    Defect("plaintext-without-last-zeros", "A plaintext loses its last zeros.", (), changes=(gives(actions.decoded, _without_zeros, lambda _, text, name, *__, **___: name == "plaintext" and text.endswith(("AAA=", "AA==", "AAAA"))),)),
    Defect("five-strings-bound", "Of the additional data five strings are bound.", (), changes=(gives(actions.bound, _few_bound, lambda _, aad: len(aad) > _FEW),)),
    Defect("tags-cut-to-255", "The tags of a key have 255 characters in all.", (), changes=(instead(key_input.check_new_tags, _cut_tags, lambda _, tags: len(",".join(tags)) >= _BYTE),)),
    Defect("key-used-up", "A key wraps 128 times.", (), changes=(gives(actions.wrapping_version, _used_up),)),
    Defect("versions-page-of-20", "Without a limit a page holds 20 versions.", (), changes=(gives(search.page, _short_page, of_operation("getKeyVersions")),)),
    Defect("registrations-page-of-20", "Without a limit a page holds 20 registrations.", (), changes=(gives(search.page, _short_page, of_operation("getRegistrations")),)),
    Defect("remaining-in-one-byte", "The retrievals that are left are counted in one byte.", (), _one_byte),
)  # fmt: skip
