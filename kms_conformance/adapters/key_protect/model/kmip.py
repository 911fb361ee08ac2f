"""KMIP adapters, their client certificates and objects (1.3.9, 1.3.10, operations 36 to 46)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import UUID, Attempt, Outcome
from kms_conformance.adapters.key_protect.model.bodies import is_kmip_name, single
from kms_conformance.adapters.key_protect.model.facts import (
    Absent,
    Equal,
    NoneOf,
    Optional,
    Rule,
)
from kms_conformance.adapters.key_protect.model.paging import listing, page_of
from kms_conformance.adapters.key_protect.model.prediction import (
    ANY_REFUSAL,
    BAD_REQUEST,
    BODY_OR_FIELD,
    FIELD,
    QUERY,
    Learn,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.shown import below
from kms_conformance.adapters.key_protect.model.state import (
    ACTIVE,
    DESTROYED,
    Adapter,
    Certificate,
    Instance,
    KmipObject,
)

_ABSENT = refusals((404,))
_NAME_TAKEN = refusals((400, 409), "KMIP_ADAPTER_DUPLICATE_NAME_ERR")
_BAD_KEY = refusals((400, 409, 422), "NATIVE_INVALID_CRK_ERR")
_NO_KEY = refusals((400, 404), "NATIVE_CRK_ID_NOT_FOUND_ERR")
_CERT_TAKEN = refusals((400, 409), "KMIP_CERT_DUPLICATE_ERR")
_CERT_NAME_TAKEN = refusals((400, 409), "KMIP_CERT_DUPLICATE_NAME_ERR")
_MOST_PAGE, _DEFAULT_PAGE = 200, 100
_SHOWN_STATES = frozenset({1, 2, 3, 4})
_LONGEST = 240


def get_adapters(attempt: Attempt) -> Outcome:
    """GET /kmip_adapters, all or those of one root key."""
    rules = Rules()
    page = page_of(attempt, rules, default=_DEFAULT_PAGE, most=_MOST_PAGE)
    key = attempt.operation.query.get("crk_id")
    if key is not None and not UUID.fullmatch(key):
        rules.perhaps("a crk_id that is no UUID", QUERY)
    if key is not None and not any(one.id == key for one in attempt.state.keys):
        rules.perhaps("adapters of a key that is not there", _ABSENT | BAD_REQUEST)
    wanted = {one.id: _adapter(one) for one in attempt.state.adapters if key is None or one.key == key}
    return attempt.answer(rules, Success(frozenset({200}), listing(page, "id", wanted)))


def create_adapter(attempt: Attempt) -> Outcome:
    """POST /kmip_adapters: on an active root key; one that expires only where that is allowed."""
    rules = Rules()
    resource = single(rules, attempt.operation.body, "kmip_adapter+json")
    if attempt.bad_flag("allowExpiringKey"):
        rules.perhaps("allowExpiringKey that is no boolean", QUERY)
    if resource is None:
        return attempt.answer(rules, Success(frozenset({201})))
    name, description = _name(rules, resource), resource.get("description")
    if description is not None and (not isinstance(description, str) or len(description) > _LONGEST):
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
    if resource.get("profile") != "native_1.0":
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
    data = resource.get("profile_data")
    key = data.get("crk_id") if isinstance(data, dict) else None
    if not isinstance(key, str):
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
    else:
        _check_key(attempt, rules, key)
    if name and any(one.name == name for one in attempt.state.adapters):
        rules.broken(_NAME_TAKEN)
    symbol = f"adapter#{attempt.state.serial}"
    adapter = Adapter(symbol, name, key if isinstance(key, str) else "", attempt.now, description)
    facts: dict[str, Rule] = {
        "metadata.collectionTotal": Equal(1),
        "resources.0.id": NoneOf(frozenset(one.id for one in attempt.state.adapters)),
        **below("resources.0", _adapter(adapter)),
    }
    learn: tuple[Learn, ...] = (
        ("resources.0.name", _rename_adapter(symbol, "name")),
        ("resources.0.id", _rename_adapter(symbol, "id")),
    )
    after = replace(attempt.state.put_adapter(adapter), serial=attempt.state.serial + 1)
    return attempt.answer(rules, Success(frozenset({201}), facts, learn=learn), after)


def get_adapter(attempt: Attempt) -> Outcome:
    """GET /kmip_adapters/{id or name}."""
    rules, adapter = _begin(attempt)
    facts = {} if adapter is None else below("resources.0", _adapter(adapter))
    return attempt.answer(rules, Success(frozenset({200}), facts))


def delete_adapter(attempt: Attempt) -> Outcome:
    """DELETE /kmip_adapters/{id or name}: its certificates are free again."""
    rules, adapter = _begin(attempt)
    if adapter is None:
        return attempt.answer(rules, Success(frozenset({204})))
    if any(one.state in {0, *_SHOWN_STATES} for one in adapter.objects):
        rules.perhaps("deleting an adapter that has objects", ANY_REFUSAL)
    left = tuple(one for one in attempt.state.adapters if one.id != adapter.id)
    return attempt.answer(rules, Success(frozenset({204})), replace(attempt.state, adapters=left))


def get_objects(attempt: Attempt) -> Outcome:
    """GET the objects of an adapter, in states 1 to 4 where none is asked for."""
    rules, adapter = _begin(attempt)
    page = page_of(attempt, rules, default=_DEFAULT_PAGE)
    states = _states(attempt, rules)
    if adapter is None:
        return attempt.answer(rules, Success(frozenset({200})))
    required: dict[str, dict[str, Rule]] = {
        one.id: {} for one in adapter.objects if one.state and one.state in states
    }
    possible: dict[str, dict[str, Rule]] = {one.id: {} for one in adapter.objects if one.state == 0}
    return attempt.answer(rules, Success(frozenset({200}), listing(page, "id", required, possible)))


def get_object(attempt: Attempt) -> Outcome:
    """GET one object."""
    rules, adapter = _begin(attempt)
    one = _object(attempt, rules, adapter)
    return attempt.answer(
        rules, Success(frozenset({200}), {} if one is None else {"resources.0.id": Equal(one.id)})
    )


def delete_object(attempt: Attempt) -> Outcome:
    """DELETE an object: by force in whatever state; without, an active one may be refused."""
    rules, adapter = _begin(attempt)
    if attempt.bad_flag("force"):
        rules.perhaps("a force that is no boolean", QUERY)
    one = _object(attempt, rules, adapter)
    if adapter is None or one is None:
        return attempt.answer(rules, Success(frozenset({204})))
    if not attempt.flag("force"):
        rules.perhaps("deleting an active object without force", refusals((409,)))
    if one.state not in _SHOWN_STATES:
        rules.perhaps("deleting a destroyed object", ANY_REFUSAL)
    # Whether it is shown as destroyed, in state 5 or 6, or is gone, is not stated.
    objects = tuple(KmipObject(other.id, 0) if other.id == one.id else other for other in adapter.objects)
    return attempt.answer(
        rules, Success(frozenset({204})), attempt.state.put_adapter(replace(adapter, objects=objects))
    )


def get_certificates(attempt: Attempt) -> Outcome:
    """GET the client certificates of an adapter, without their PEM."""
    rules, adapter = _begin(attempt)
    page = page_of(attempt, rules, default=_DEFAULT_PAGE, most=_MOST_PAGE)
    if adapter is None:
        return attempt.answer(rules, Success(frozenset({200})))
    entries: dict[str, dict[str, Rule]] = {
        one.id: {"name": Equal(one.name), "certificate": Absent()} for one in adapter.certificates
    }
    return attempt.answer(rules, Success(frozenset({200}), listing(page, "id", entries)))


def add_certificate(attempt: Attempt) -> Outcome:
    """POST a client certificate: it belongs to one adapter, and its name is unique within it."""
    rules, adapter = _begin(attempt)
    resource = single(rules, attempt.operation.body, "kmip_client_certificate+json")
    if resource is None or adapter is None:
        return attempt.answer(rules, Success(frozenset({201})))
    name, pem = _name(rules, resource), resource.get("certificate")
    if (
        not isinstance(pem, str)
        or "-----BEGIN CERTIFICATE-----" not in pem
        or "-----END CERTIFICATE-----" not in pem
    ):
        rules.broken(FIELD | BODY_OR_FIELD if pem is None else FIELD)
    pem = pem.strip() if isinstance(pem, str) else ""
    if any(one.pem == pem for other in attempt.state.adapters for one in other.certificates):
        rules.broken(_CERT_TAKEN)
    if name and any(one.name == name for one in adapter.certificates):
        rules.broken(_CERT_NAME_TAKEN)
    symbol = f"certificate#{attempt.state.serial}"
    certificate = Certificate(symbol, name, pem, attempt.now)
    facts: dict[str, Rule] = {
        "resources.0.id": NoneOf(frozenset(one.id for one in adapter.certificates)),
        "resources.0.name": Equal(name) if name else NoneOf(frozenset()),
        # Whether the PEM text comes back as it was sent, blanks included, is not stated.
        "resources.0.certificate": Optional(NoneOf(frozenset())),
    }
    learn: tuple[Learn, ...] = (
        ("resources.0.name", _rename_certificate(adapter.id, symbol, "name")),
        ("resources.0.id", _rename_certificate(adapter.id, symbol, "id")),
    )
    after = attempt.state.put_adapter(replace(adapter, certificates=(*adapter.certificates, certificate)))
    after = replace(after, serial=after.serial + 1)
    return attempt.answer(rules, Success(frozenset({201}), facts, learn=learn), after)


def get_certificate(attempt: Attempt) -> Outcome:
    """GET a client certificate with its PEM."""
    rules, adapter = _begin(attempt)
    one = _certificate(attempt, rules, adapter)
    facts: dict[str, Rule] = {}
    if one is not None:
        facts = {
            "resources.0.id": Equal(one.id),
            "resources.0.name": Equal(one.name),
            "resources.0.certificate": NoneOf(frozenset()),
        }
    return attempt.answer(rules, Success(frozenset({200}), facts))


def delete_certificate(attempt: Attempt) -> Outcome:
    """DELETE a client certificate: through its own adapter only; it is free again."""
    rules, adapter = _begin(attempt)
    one = _certificate(attempt, rules, adapter)
    if adapter is None or one is None:
        return attempt.answer(rules, Success(frozenset({204})))
    left = tuple(other for other in adapter.certificates if other.id != one.id)
    return attempt.answer(
        rules, Success(frozenset({204})), attempt.state.put_adapter(replace(adapter, certificates=left))
    )


def with_object(state: Instance, adapter_id: str, object_id: str) -> Instance:
    """Return the state after a KMIP client made an object: nothing of this API does."""
    adapter = next(one for one in state.adapters if one.id == adapter_id)
    return state.put_adapter(replace(adapter, objects=(*adapter.objects, KmipObject(object_id))))


def _begin(attempt: Attempt) -> tuple[Rules, Adapter | None]:
    rules, named = Rules(), attempt.operation.path["adapter_id"]
    adapter = next((one for one in attempt.state.adapters if named in {one.id, one.name}), None)
    if adapter is None:
        rules.broken(_ABSENT)
    return rules, adapter


def _check_key(attempt: Attempt, rules: Rules, named: str) -> None:
    key = next((one for one in attempt.state.keys if one.id == named), None)
    if key is None:
        if any(named in one.aliases for one in attempt.state.keys):
            rules.perhaps("an alias as crk_id", ANY_REFUSAL)
        else:
            # What is no UUID breaks the form of the member too.
            rules.broken(_NO_KEY if UUID.fullmatch(named) else _NO_KEY | BAD_REQUEST)
        return
    if key.standard or (key.expires is not None and not attempt.flag("allowExpiringKey")):
        rules.broken(_BAD_KEY)
    if key.state == DESTROYED:
        rules.perhaps("an adapter on a deleted key", ANY_REFUSAL)
    elif attempt.states(key) != {ACTIVE}:
        rules.perhaps("an adapter on a key that is not active", ANY_REFUSAL)


def _name(rules: Rules, resource: dict[str, Any]) -> str:
    name = resource.get("name")
    if name is None:
        return ""
    if not is_kmip_name(name):
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
        return ""
    return str(name)


def _adapter(one: Adapter) -> dict[str, Rule]:
    facts: dict[str, Rule] = {
        "name": Equal(one.name) if one.name else NoneOf(frozenset()),
        "profile": Equal("native_1.0"),
        "profile_data.crk_id": Equal(one.key),
        "description": Equal(one.description) if one.description else Absent(),
    }
    if "#" not in one.id:
        facts["id"] = Equal(one.id)
    return facts


def _states(attempt: Attempt, rules: Rules) -> frozenset[int]:
    text = attempt.operation.query.get("state")
    if text is None:
        return _SHOWN_STATES
    parts: Sequence[str] = text.split(",")
    if not all(part.isdigit() and 1 <= int(part) <= 6 for part in parts):  # noqa: PLR2004 - states of KMIP
        rules.broken(QUERY)
        return frozenset()
    return frozenset(int(part) for part in parts)


def _object(attempt: Attempt, rules: Rules, adapter: Adapter | None) -> KmipObject | None:
    named = attempt.operation.path["object_id"]
    one = (
        next((candidate for candidate in adapter.objects if candidate.id == named), None) if adapter else None
    )
    if adapter is not None and one is None:
        rules.broken(_ABSENT if UUID.fullmatch(named) else _ABSENT | BAD_REQUEST)
    elif one is not None and one.state == 0:
        rules.perhaps("a destroyed object", _ABSENT | refusals((410,)))
    return one


def _certificate(attempt: Attempt, rules: Rules, adapter: Adapter | None) -> Certificate | None:
    named = attempt.operation.path["cert_id"]
    one = (
        next(
            (candidate for candidate in adapter.certificates if named in {candidate.id, candidate.name}), None
        )
        if adapter
        else None
    )
    if adapter is not None and one is None:
        rules.broken(_ABSENT)
    return one


def _rename_adapter(symbol: str, member: str) -> Any:
    def take(state: Instance, value: Any) -> Instance:
        changed = tuple(
            (replace(one, id=value) if member == "id" else replace(one, name=value))
            if one.id == symbol
            else one
            for one in state.adapters
        )
        return replace(state, adapters=changed) if isinstance(value, str) else state

    return take


def _rename_certificate(adapter_id: str, symbol: str, member: str) -> Any:
    def take(state: Instance, value: Any) -> Instance:
        if not isinstance(value, str):
            return state
        adapter = next(one for one in state.adapters if one.id == adapter_id)
        changed = tuple(
            (replace(one, id=value) if member == "id" else replace(one, name=value))
            if one.id == symbol
            else one
            for one in adapter.certificates
        )
        return state.put_adapter(replace(adapter, certificates=changed))

    return take
