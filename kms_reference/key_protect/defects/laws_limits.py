"""Defects at the edge of a limit, from some number of things on, or the second time that a time has passed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import (
    actions,
    aliases,
    import_tokens,
    instance_policies,
    key_input,
    key_policies,
    keys,
    kmip,
    rings,
    search,
)
from kms_reference.key_protect.clock import DAY
from kms_reference.key_protect.defects.conditions import of_operation
from kms_reference.key_protect.errors import RefusalError, bad_field
from kms_reference.key_protect.instance import HOUR, NEVER, Instance
from kms_reference.switches import Change, Defect, gives, instead, on_refusal, then, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.key_protect.model import ImportToken, Key, KeyPolicy
    from kms_reference.key_protect.wire import Call, Members
    from kms_reference.rules import RefusedError, RuleLike

_EARLY = "req-too-early-err"
_ROTATION = "key-rotation-not-permitted"
_TOKEN = "import-token-expired-err"  # noqa: S105 - an anchor of the page

_WEEK: Final = 7 * DAY
_HANDFUL: Final = 5
_MONTHS_OF_31: Final = 31 * DAY
_YEAR: Final = 12

# What a defect remembers, by the ids of keys and instances and the nonces of import tokens.
_done: dict[tuple[str, str], int] = {}
_deleted: dict[str, float] = {}
_expired: dict[str, float] = {}


def _count(what: str, thing: str) -> int:
    """Count one more; return how often it was counted before."""
    before = _done.get((what, thing), 0)
    _done[what, thing] = before + 1
    return before


def _enabled_before(key: Key) -> bool:
    return ("enabled", key.id) in _done


def _counting(what: str) -> Callable[..., None]:
    def act(_: Call, key: Key, *__: Any) -> None:
        _count(what, key.id)

    return act


# -- bounds ------------------------------------------------------------------------------------------------------------


def _length(member: str, size: Callable[[str], int], *, least: int = 0) -> Change:
    """Measure the length of a member of a new key by `size`, or ask for at least `least` characters."""

    def act(lawful: RuleLike, call: Call, name: str, value: str, bounds: tuple[int, int]) -> None:
        lawful(call, name, "x" * size(value), (max(bounds[0], least), bounds[1]))

    def shows(_: Call, name: str, value: str, *__: Any) -> bool:
        return name == member and (len(value) < least or size(value) != len(value))

    return instead(key_input.check_length, act, shows)


def _octets(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _bounded(member: str, low: int, high: int) -> Change:
    """Let a member of an import token have other bounds."""

    def act(lawful: RuleLike, call: Call, members: Members, name: str, bounds: tuple[int, int, int]) -> Any:
        return lawful(call, members, name, (low, high, bounds[2]))

    return instead(import_tokens.bounded, act, lambda _, __, name, *___: name == member)


def _default(member: str, value: int) -> Change:
    def act(lawful: RuleLike, call: Call, members: Members, name: str, bounds: tuple[int, int, int]) -> Any:
        return lawful(call, members, name, (*bounds[:2], value))

    return instead(import_tokens.bounded, act, lambda _, __, name, *___: name == member)


def _refused_tags(is_refused: Callable[[list[str]], bool]) -> Change:
    def act(_: Call, tags: list[str]) -> None:
        if is_refused(tags):
            raise bad_field("tags", "other ones")

    return then(key_input.check_new_tags, act, lambda _, tags: is_refused(tags))


def _let_in(sign: str) -> Change:
    return unchecked(key_input.check_new_tags, lambda _, tags: any(sign in tag for tag in tags))


def _refused_aliases(is_refused: Callable[[str], bool]) -> tuple[Change, ...]:
    def one(_: Call, alias: str) -> None:
        if is_refused(alias):
            raise bad_field("alias", "another one")

    def each(call: Call, given: list[str]) -> None:
        for alias in given:
            one(call, alias)

    return (
        then(aliases.check_form, one, lambda _, alias: is_refused(alias)),
        then(key_input.check_new_aliases, each, lambda _, given: any(map(is_refused, given))),
    )


def _word(*words: str) -> tuple[Change, ...]:
    return (
        unchecked(aliases.check_form, lambda _, alias: alias in words),
        unchecked(key_input.check_new_aliases, lambda _, given: bool(set(given) & set(words))),
    )


def _added_only(lawful: RuleLike, call: Call, key: Key) -> None:
    """Count the aliases that were given later, and not those that the key was created with."""
    later = {alias: made for alias, made in key.aliases.items() if made[0] != key.created}
    lawful(call, replace(key, aliases=later))


def _ever_given(lawful: RuleLike, call: Call, key: Key) -> None:
    """Count every alias that was ever added to the key."""
    lawful(call, key)
    if _count("alias", key.id) >= _HANDFUL:
        raise RefusalError("KEY_ALIAS_QUOTA_ERR")


def _aad(_: RefusedError, __: Call, ___: Key, members: Members, ____: str) -> list[str]:
    return members.texts("aad")


def _short_aad(_: Call, __: Key, members: Members, subject: str) -> None:
    if any(_octets(item) > 255 for item in members.texts("aad")):  # noqa: PLR2004 - the documented bound
        raise bad_field("aad", "shorter", subject=subject)


def _aad_below(_: Call, __: Key, members: Members, subject: str) -> None:
    if any(len(item) >= 255 for item in members.texts("aad")):  # noqa: PLR2004 - the documented bound
        raise bad_field("aad", "shorter", subject=subject)


def _with_aad(_: Call, __: Key, members: Members, ___: str) -> bool:
    return members.has("aad")


def _first_aad_long(_: Call, __: Key, members: Members, ___: str) -> bool:
    return len((members.texts("aad") or [""])[0]) <= 255  # noqa: PLR2004 - the documented bound


def _instance_interval(value: int) -> Callable[..., None]:
    def act(result: Any, _: Call, name: str, __: Members) -> Any:
        if name == "rotation" and result[1].get("interval_month") == value:
            raise bad_field("interval_month", key_policies.interval_words())
        return result

    return act


def _any_interval(_: RefusedError, __: Call, ___: str, members: Members) -> Any:
    data = members.object("policy_data")
    attributes = data.object("attributes") if data is not None else None
    return True, {"interval_month": attributes.integer("interval_month") if attributes is not None else 1}


def _interval_refused(value: int) -> Callable[..., None]:
    def act(_: Call, interval: int) -> None:
        if interval == value:
            raise bad_field("interval_month", key_policies.interval_words())

    return act


# -- many --------------------------------------------------------------------------------------------------------------


def _over_a_handful(_: Call, key: Key, *__: Any) -> bool:
    return len(key.versions) > _HANDFUL


def _newest_five(lawful: RuleLike, call: Call, key: Key, *more: Any) -> Any:
    return lawful(call, replace(key, versions=key.versions[-_HANDFUL:]), *more)


def _stale(lawful: RuleLike, call: Call, key: Key, plaintext: bytes, aad: list[str]) -> Any:
    """From some versions on, give ciphertexts of the one before the newest."""
    return lawful(call, replace(key, versions=key.versions[:-1]), plaintext, aad)


def _five_imports(_: Call, token: ImportToken, __: bytes | None) -> None:
    if _count("import", token.nonce) >= _HANDFUL:
        raise RefusalError("INCORRECT_NONCE_ERR")


def _fourth_fetch(_: Call, token: ImportToken) -> None:
    if token.allowed - token.remaining > _HANDFUL - 2:
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")


def _few_registrations(lawful: RuleLike, call: Call, key: Key) -> None:
    """Let the last two registrations of a key that had more count no longer."""
    if len(key.registrations) > 2:  # noqa: PLR2004 - the defect's own number
        _count("registrations", key.id)
    elif ("registrations", key.id) in _done:
        return
    lawful(call, key)


def _first_prevents(_: RuleLike, __: Call, key: Key) -> bool:
    """Look at the first registrations only."""
    return any(use.prevent_deletion for use in list(key.registrations.values())[:_HANDFUL])


def _first_destroyed(lawful: RuleLike, call: Call, keys: list[Key]) -> None:
    lawful(call, keys[:_HANDFUL])


# -- times -------------------------------------------------------------------------------------------------------------


def _due(make: Callable[[float, Key, KeyPolicy], float]) -> Change:
    """Let a rotation policy run at another moment: `make(due, key, policy)`."""

    def act(due: float, _: Instance, key: Key) -> float:
        assert key.rotation is not None
        return make(due, key, key.rotation)

    return gives(Instance.rotation_due, act)


def _longer_month(due: float, _: Key, policy: KeyPolicy) -> float:
    return due + policy.interval * (_MONTHS_OF_31 - 30 * DAY)


def _short_year(due: float, _: Key, policy: KeyPolicy) -> float:
    return due - policy.interval * 2 * DAY if policy.interval == _YEAR else due


def _half_a_year(due: float, _: Key, policy: KeyPolicy) -> float:
    return due - max(0, policy.interval - _YEAR // 2) * 30 * DAY


def _since_creation(due: float, key: Key, policy: KeyPolicy) -> float:
    return NEVER if policy.created == key.created and key.rotated is not None else due


def _not_expiring(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    if not _enabled_before(key):
        lawful(instance, key, now)


def _not_expiring_restored(lawful: RuleLike, instance: Instance, key: Key, now: float) -> None:
    if ("restored", key.id) not in _done:
        lawful(instance, key, now)


def _expiry_moved(call: Call, key: Key, _: Any) -> None:
    assert key.expires is not None
    key.expires += call.now + DAY - key.created


def _first_deletion(_: Call, key: Key) -> None:
    if key.deleted is not None:
        _deleted.setdefault(key.id, key.deleted)


def _since_first(moment: float, _: Call, key: Key) -> float:
    return min(moment, _deleted.get(key.id, moment))


def _purged_since_first(due: float, _: Instance, key: Key) -> float:
    return min(due, _deleted[key.id] + 90 * DAY) if key.id in _deleted else due


def _counted_from_first(lawful: RuleLike, call: Call, key: Key) -> None:
    """Let a new authorisation stand no longer than the one before, while that one would still stand."""
    was = key.authorized
    lawful(call, key)
    if call.now - was < _WEEK:
        key.authorized = was


def _second_stands(lawful: RuleLike, call: Call, key: Key) -> None:
    was = key.authorized
    lawful(call, key)
    if was:
        key.authorized = call.now + 365 * DAY


def _not_settling(what: str) -> Change:
    """Check the 30 seconds the first time only."""

    def act(refusal: RefusedError, _: Call, key: Key, __: str) -> None:
        if (what, key.id) not in _done:
            raise refusal

    return on_refusal(keys.check_settled, act)


def _from_enabled(refusal: RefusedError, _: Call, key: Key, *__: Any) -> None:
    if not _enabled_before(key):
        raise refusal


def _synced_twice(refusal: RefusedError, _: Call, key: Key) -> None:
    if _done.get(("synced", key.id), 0) < 2:  # noqa: PLR2004 - the defect's own number
        raise refusal


def _of_old_token(lawful: RuleLike, call: Call) -> Any:
    """Let a new token live as long as the one before, while that one lives."""
    old = call.instance.import_token
    reply = lawful(call)
    token = call.instance.import_token
    if old is not None and token is not None and call.now < old.created + old.life:
        token.created = old.created
    return reply


def _second_never_expires(refusal: RefusedError, call: Call, token: ImportToken) -> None:
    """Let only the first token of an instance that expires be refused; later ones never expire."""
    if token.created == _expired.setdefault(call.instance.id, token.created):
        raise refusal


def _an_hour(call: Call, token: ImportToken) -> None:
    if call.now >= token.created + HOUR:
        raise RefusalError("IMPORT_TOKEN_EXPIRED_ERR")


def _page_of(most: int) -> Change:
    """Cut a page at `most` entries without refusing the larger limit."""

    def act(result: tuple[int, int], *_: Any) -> tuple[int, int]:
        return result[0], min(result[1], most)

    return gives(search.page, act, of_operation("getKeys"))


def _default_page(result: tuple[int, int], call: Call, *_: Any) -> tuple[int, int]:
    return result if "limit" in call.query else (result[0], 100)


_OVERRIDES = of_operation("createKeyWithPoliciesOverrides")

_QUANTITY_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("name-in-octets", (), "The length of a name counts octets.", _length("name", _octets)),
    ("name-of-two-refused", (), "A name of two characters is refused.", _length("name", len, least=3)),
    ("description-in-octets", (), "The length of a description counts octets.", _length("description", _octets)),
    ("description-of-two-refused", (), "A description of two characters is refused.", _length("description", len, least=3)),
    ("name-unbounded-with-overrides", (), "A key that is created with policies may have a name of any length.", unchecked(key_input.check_length, lambda call, name, *_: name == "name" and _OVERRIDES(call))),
    ("thirty-tags-refused", (), "Thirty tags are refused.", _refused_tags(lambda tags: len(tags) >= 30)),  # noqa: PLR2004 - the documented bound
    ("sixth-tag-lost", (), "Of the tags of a key five are kept.", then(key_input.check_new_tags, lambda _, tags: tags.__delitem__(slice(_HANDFUL, None)), lambda _, tags: len(tags) > _HANDFUL)),
    ("tag-in-octets", (), "The length of a tag counts octets.", _refused_tags(lambda tags: any(_octets(tag) > 30 for tag in tags))),  # noqa: PLR2004 - the documented bound
    ("first-tag-checked-only", (), "Only the first tag is looked at.", unchecked(key_input.check_new_tags, lambda _, tags: 1 < len(tags) <= 30 and "|" not in tags[0])),  # noqa: PLR2004 - the documented bound
    ("tag-with-bar", (), "A tag may hold a vertical bar.", _let_in("|")),
    ("tag-with-comma", (), "A tag may hold a comma.", _let_in(",")),
    ("tag-with-ampersand", (), "A tag may hold an ampersand.", _let_in("&")),
    ("alias-of-two-refused", (), "An alias of two characters is refused.", *_refused_aliases(lambda alias: len(alias) <= 2)),  # noqa: PLR2004 - the documented bound
    ("alias-of-ninety-refused", (), "An alias of 90 characters is refused.", *_refused_aliases(lambda alias: len(alias) >= 90)),  # noqa: PLR2004 - the documented bound
    ("alias-rewrap", (), "A key may have the alias rewrap.", *_word("rewrap", "unwrap")),
    ("alias-of-policies-and-rings", (), "The words for policies, rings and registrations are free as aliases.", *_word("policy", "ring", "rings", "registration", "registrations")),
    ("alias-quota-without-first", (), "Aliases that a key was created with do not count.", instead(aliases.check_quota, _added_only)),
    ("alias-quota-of-ever", (), "A removed alias still counts.", instead(aliases.check_quota, _ever_given)),
    ("root-material-of-48", (), "A root key may have material of 48 or 64 bytes.", unchecked(key_input.check_root_size, lambda _, data: len(data) in {48, 64})),
    ("root-material-of-31", (), "The size of a root key's material is off by one.", unchecked(key_input.check_root_size, lambda _, data: len(data) in {15, 23, 31})),
    ("rotation-material-of-48", (), "A version may have material of 48 bytes.", unchecked(key_input.check_root_size, lambda call, data: len(data) % 16 == 0 and call.operation.id == "rotateKey")),
    ("standard-material-unbounded-with-overrides", (), "A standard key that is created with policies may have material of any size.", unchecked(key_input.check_standard_size, lambda call, _: _OVERRIDES(call))),
    ("aad-unbounded", (), "Additional data may have any length.", on_refusal(actions.read_aad, _aad)),
    ("aad-of-255-refused", (), "Additional data of 255 characters are refused.", then(actions.read_aad, _aad_below, _with_aad)),
    ("aad-in-octets", (), "The length of additional data counts octets.", then(actions.read_aad, _short_aad, _with_aad)),
    ("aad-first-checked-only", (), "Of the additional data the first string is looked at.", on_refusal(actions.read_aad, _aad, _first_aad_long)),
    ("interval-unbounded-with-overrides", (), "A key may be created with any rotation interval.", unchecked(key_policies.check_interval, lambda call, _: _OVERRIDES(call))),
    ("interval-of-year-refused-with-overrides", (), "A key cannot be created with a rotation interval of twelve months.", then(key_policies.check_interval, _interval_refused(12), lambda call, _: _OVERRIDES(call))),
    ("instance-interval-of-one-refused", (), "The instance's rotation interval cannot be one month.", gives(instance_policies.read_policy, _instance_interval(1))),
    ("instance-interval-of-year-refused", (), "The instance's rotation interval cannot be twelve months.", gives(instance_policies.read_policy, _instance_interval(12))),
    ("instance-interval-of-none", (), "The instance's rotation interval may be zero.", on_refusal(instance_policies.read_policy, _any_interval, lambda _, name, members: name == "rotation" and "'interval_month': 0" in repr(members))),
    ("token-of-a-day-refused", (), "An import token cannot live for a whole day.", _bounded("expiration", 300, 86_399)),
    ("token-retrieved-twice-by-default", (), "An import token is fetched twice where the request does not say.", _default("maxAllowedRetrievals", 2)),
    ("kmip-description-unbounded", (), "A KMIP adapter's description may have any length.", unchecked(kmip.check_description)),
    ("newest-five-open", (_ROTATION,), "Only the newest five versions open their ciphertexts.", instead(actions.decrypted, _newest_five, _over_a_handful)),
    ("sixth-version-drops-first", (_ROTATION,), "A key keeps six versions.", then(actions.add_version, lambda _, key, __: key.versions.__delitem__(slice(None, -6)))),
    ("fresh-ciphertext-of-older-version", (_ROTATION,), "From the sixth version on, unwrapping gives a ciphertext of the version before the newest.", instead(actions.fresh, _stale, _over_a_handful)),
    ("sixth-import-refused", ("incorrect-nonce-err",), "An import token imports five keys.", then(import_tokens.check_nonce, _five_imports)),
    ("fifth-retrieval-refused", (_TOKEN,), "An import token is fetched four times at most.", then(import_tokens.check_retrievals, _fourth_fetch)),
    ("few-registrations-do-not-count", ("protected-resource-err",), "The last two registrations of a key that had more do not protect it.", instead(keys.check_registrations, _few_registrations)),
    ("sixth-registration-does-not-retain", ("prev-key-del-err",), "Only the first five registrations of a key are asked whether they prevent its deletion.", instead(keys.deletion_prevented, _first_prevents, lambda _, key: len(key.registrations) > _HANDFUL)),
    ("sixth-key-of-ring-not-looked-at", (), "With force a ring is deleted when its first five keys are destroyed.", instead(rings.check_destroyed, _first_destroyed, lambda _, found: len(found) > _HANDFUL)),
    ("page-of-100", (), "Without a limit a page holds 100 keys.", gives(search.page, _default_page, of_operation("getKeys"))),
    ("page-cut-to-200", (), "A page holds 200 keys at most, whatever its limit.", _page_of(200)),
)  # fmt: skip

_SCHEDULE_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("token-of-five-minutes-by-default", (_TOKEN,), "An import token lives for five minutes where the request does not say.", _default("expiration", 300)),
    ("rotation-policy-runs-once", (), "A rotation policy runs once only.", _due(lambda due, key, _: NEVER if len(key.versions) > 1 else due)),
    ("rotation-policy-runs-twice", (), "A rotation policy runs twice only.", _due(lambda due, key, _: NEVER if len(key.versions) > 2 else due)),  # noqa: PLR2004 - the defect's own number
    ("months-of-31-days", (), "The months of a rotation interval have 31 days.", _due(_longer_month)),
    ("year-of-28-day-months", (), "A rotation interval of twelve months counts 28 days each.", _due(_short_year)),
    ("interval-cut-to-half-a-year", (), "A rotation interval of more than six months counts as six.", _due(_half_a_year)),
    ("policy-of-creation-runs-once", (), "A rotation policy that came with the key runs once only.", _due(_since_creation)),
    ("no-expiry-after-enabling", ("key-expired-err",), "A key that was enabled again never expires.", then(actions.resume, _counting("enabled")), instead(Instance.expire, _not_expiring)),
    ("no-expiry-after-restore", ("key-expired-err",), "A key that was restored never expires.", then(keys.revive, _counting("restored")), instead(Instance.expire, _not_expiring_restored)),
    ("rotation-moves-expiry", ("key-expired-err",), "A rotation moves the expiration date by a day.", then(actions.add_version, _expiry_moved, lambda _, key, __: key.expires is not None)),
    ("purge-counts-from-first-deletion", (_EARLY,), "The four hours before a purge run from the first deletion.", then(keys.destroy, _first_deletion), gives(keys.purgeable_since, _since_first)),
    ("restore-counts-from-first-deletion", ("key-restore-expired",), "The 30 days for a restore run from the first deletion.", then(keys.destroy, _first_deletion), gives(keys.restorable_since, _since_first)),
    ("restored-key-purges-itself", (), "A restored key goes 90 days after its first deletion.", then(keys.destroy, _first_deletion), gives(Instance.purge_due, _purged_since_first)),
    ("auto-purge-on-day-80", (), "A deleted key goes of itself after 80 days.", gives(Instance.purge_due, lambda due, *_: due - 10 * DAY)),
    ("authorisation-counts-from-first", ("authorizations-not-met",), "A new authorisation lapses with the one before.", instead(actions.authorize, _counted_from_first)),
    ("second-authorisation-stands", ("authorizations-not-met",), "The second authorisation of a deletion does not lapse.", instead(actions.authorize, _second_stands)),
    ("token-life-cut-to-an-hour", (_TOKEN,), "No import token lives longer than an hour.", then(import_tokens.check_life, _an_hour)),
    ("token-keeps-life-of-the-one-before", (_TOKEN,), "A new import token expires with the one before.", instead(import_tokens.post_import_token, _of_old_token)),
    ("second-token-never-expires", (_TOKEN,), "An import token made after another has expired does not expire.", on_refusal(import_tokens.check_life, _second_never_expires)),
    ("hour-forgotten-after-third-rotation", (_ROTATION,), "After its third rotation a key is rotated as often as is asked.", unchecked(actions.check_hour, lambda _, key, __: len(key.versions) > 3)),  # noqa: PLR2004 - the defect's own number
    ("enabling-ends-the-hour", (_ROTATION,), "A key that was enabled is rotated as often as is asked.", then(actions.resume, _counting("enabled")), on_refusal(actions.check_hour, _from_enabled)),
    ("enabled-again-at-once", (_EARLY,), "Only the first enabling waits for 30 seconds.", then(actions.resume, _counting("enabled")), _not_settling("enabled")),
    ("restored-again-at-once", (_EARLY,), "Only the first restore waits for 30 seconds.", then(keys.revive, _counting("restored")), _not_settling("restored")),
    ("synced-again-at-once", (_EARLY,), "Only the first two syncs wait for an hour.", then(actions.check_sync, _counting("synced")), on_refusal(actions.check_sync, _synced_twice)),
    ("enabling-is-no-notification", (_EARLY,), "Enabling a key does not put off a sync.", then(actions.resume, lambda _, key: setattr(key, "notified", None))),
)  # fmt: skip

QUANTITY_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _QUANTITY_ROWS
)
SCHEDULE_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _SCHEDULE_ROWS
)
