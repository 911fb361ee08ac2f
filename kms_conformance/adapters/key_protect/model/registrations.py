"""Registrations of keys with other services, and their acknowledgement of events (1.3.11, 1.3.12, No. 9, 19, 30, 31, 33)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin
from kms_conformance.adapters.key_protect.model.bodies import flag, single
from kms_conformance.adapters.key_protect.model.callers import called
from kms_conformance.adapters.key_protect.model.facts import AbsentOrFalse, Equal, NoneOf, Optional, Rule
from kms_conformance.adapters.key_protect.model.paging import listing, page_of
from kms_conformance.adapters.key_protect.model.prediction import (
    ANY_REFUSAL,
    BODY_OR_FIELD,
    QUERY,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.shown import near
from kms_conformance.adapters.key_protect.model.state import (
    ACTIVE,
    DEACTIVATED,
    DESTROYED,
    UNKNOWN,
    Key,
    Registration,
    Unknown,
)

_WRONG_STATE = refusals((422,), "KEY_INVALID_STATE_ERR")
_ROOT_ONLY = refusals((422,), "KEY_ROOT_REQ_REG_ERR")
_OLDER = refusals((422,), "KEY_VERSION_INVALID")
_NOT_YOURS = refusals((403,), "RESOURCE_OWNER_ERR")
_WRITTEN = frozenset({200, 201, 204})
_SHORT_CRN = 8


def get_of_key(attempt: Attempt) -> Outcome:
    """GET /keys/{id}/registrations: also of a deleted key, until it is purged."""
    rules, key = begin(attempt)
    if key is not None and DEACTIVATED in attempt.states(key):
        rules.perhaps("registrations of a deactivated key", ANY_REFUSAL)
    return _listed(attempt, rules, [] if key is None else [key])


def get_of_all(attempt: Attempt) -> Outcome:
    """GET /keys/registrations."""
    rules, ring = Rules(), attempt.operation.ring
    query = attempt.operation.query.get("urlEncodedResourceCRNQuery")
    if query is not None and "*" in ":".join(query.split(":")[:_SHORT_CRN]):
        rules.perhaps("an asterisk in the first eight segments", QUERY)
    keys = [key for key in attempt.state.keys if ring is None or key.ring == ring]
    return _listed(attempt, rules, keys, everything=True)


def _listed(attempt: Attempt, rules: Rules, keys: list[Key], *, everything: bool = False) -> Outcome:
    page = page_of(attempt, rules)
    query = attempt.operation.query
    if attempt.bad_flag("preventKeyDeletion"):
        rules.perhaps("preventKeyDeletion that is no boolean", QUERY)
    required: dict[str, dict[str, Rule]] = {}
    possible: dict[str, dict[str, Rule]] = {}
    doubled = len({one.crn for key in keys for one in key.registrations}) < sum(
        len(key.registrations) for key in keys
    )
    for key in keys:
        for one in key.registrations:
            if not _matches(one.crn, query.get("urlEncodedResourceCRNQuery")):
                continue
            wanted = query.get("preventKeyDeletion")
            fits = wanted is None or isinstance(one.prevents, Unknown) or one.prevents == (wanted == "true")
            # Whether the list of all keys holds those of deleted keys is not stated.
            unsure = (isinstance(one.prevents, Unknown) and wanted is not None) or (
                everything and key.state == DESTROYED
            )
            # What preventKeyDeletion=false asks for, the others or all, is not stated.
            if fits and not unsure:
                required[one.crn] = _shown(attempt, key, one)
            elif fits or wanted == "false":
                possible[one.crn] = _shown(attempt, key, one)
    if doubled or (attempt.operation.ring is not None and any(key.moved for key in keys)):
        return attempt.answer(rules, Success(frozenset({200})))
    return attempt.answer(rules, Success(frozenset({200}), listing(page, "resourceCrn", required, possible)))


def _shown(attempt: Attempt, key: Key, one: Registration) -> dict[str, Rule]:
    facts: dict[str, Rule] = {"keyId": Equal(key.id), "keyName": Optional(Equal(key.name))}
    if one.changed is not None:
        facts["lastUpdated"] = Optional(near(attempt, one.changed))
        facts["updatedBy"] = called(attempt, one.owner)
    if isinstance(one.description, str):
        facts["description"] = Equal(one.description)
    if not isinstance(one.prevents, Unknown):
        facts["preventKeyDeletion"] = Equal(True) if one.prevents else AbsentOrFalse()
    if one.version:
        facts["keyVersion.id"] = Equal(one.version)
    if isinstance(one.metadata, str) and attempt.caller.service:
        # A record has a token in its place.
        facts["registrationMetadata"] = NoneOf(frozenset({""}))
    return facts


def _matches(crn: str, query: str | None) -> bool:
    if query is None:
        return True
    return re.fullmatch(".*".join(re.escape(part) for part in query.split("*")), crn) is not None


@dataclass(frozen=True, slots=True)
class _Given:
    """What a body says of a registration; ``None`` where it says nothing."""

    description: str | None = None
    prevents: bool | None = None
    metadata: str | None = None
    version: str | None = None


def create(attempt: Attempt) -> Outcome:
    """POST a registration; what one that exists gets is fixed nowhere."""
    rules, key, given, registration = _begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(_WRITTEN))
    fresh = _fresh(attempt, key, given)
    if registration is not None:
        rules.perhaps("a registration that exists", refusals((400, 409, 422)))
        fresh = replace(fresh, changed=None)
    return attempt.answer(rules, Success(_WRITTEN), attempt.state.put(_with(key, fresh)))


def replace_(attempt: Attempt) -> Outcome:
    """PUT a registration: it says what the body says, and nothing of what it said before."""
    rules, key, given, registration = _begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(_WRITTEN))
    if registration is None:
        rules.perhaps("replacing what is not there", ANY_REFUSAL)
    else:
        _versions(rules, key, registration, given)
    return attempt.answer(
        rules, Success(_WRITTEN), attempt.state.put(_with(key, _fresh(attempt, key, given)))
    )


def update(attempt: Attempt) -> Outcome:
    """PATCH a registration: what the body leaves out stays."""
    rules, key, given, registration = _begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(_WRITTEN))
    if registration is None:
        rules.perhaps("updating what is not there", ANY_REFUSAL)
        after = _fresh(attempt, key, given)
    else:
        _versions(rules, key, registration, given)
        after = replace(
            registration,
            description=registration.description if given.description is None else given.description,
            prevents=registration.prevents if given.prevents is None else given.prevents,
            metadata=registration.metadata if given.metadata is None else given.metadata,
            version=given.version or registration.version,
            changed=attempt.now,
        )
    return attempt.answer(rules, Success(_WRITTEN), attempt.state.put(_with(key, after)))


def delete(attempt: Attempt) -> Outcome:
    """DELETE a registration: of a deactivated or deleted key, no source speaks."""
    rules, key = begin(attempt)
    if key is None:
        return attempt.answer(rules, Success(_WRITTEN))
    if attempt.states(key) & {DEACTIVATED, DESTROYED}:
        rules.perhaps("registrations of a key that is not active", ANY_REFUSAL)
    crn = attempt.operation.path["resource_crn"]
    registration = next((one for one in key.registrations if one.crn == crn), None)
    if registration is None:
        rules.perhaps("deleting what is not there", ANY_REFUSAL)
    elif registration.owner != attempt.caller.name:
        rules.broken(_NOT_YOURS)
    left = tuple(one for one in key.registrations if one.crn != crn)
    return attempt.answer(rules, Success(_WRITTEN), attempt.state.put(replace(key, registrations=left)))


def acknowledge(attempt: Attempt) -> Outcome:
    """POST /event_ack: no effect that this API shows is known."""
    rules = Rules()
    single(rules, attempt.operation.body, "event_acknowledge+json", missing=BODY_OR_FIELD)
    rules.perhaps("which events are known", ANY_REFUSAL)
    return attempt.answer(rules, Success(frozenset({200, 204})))


def _begin(attempt: Attempt) -> tuple[Rules, Key | None, _Given, Registration | None]:
    rules, key = begin(attempt)
    resource = _resource(rules, attempt.operation.body)
    given = _Given(
        description=_text(rules, resource, "description"),
        prevents=flag(rules, resource, "preventKeyDeletion"),
        metadata=_text(rules, resource, "registrationMetadata"),
        version=_text(rules, resource, "keyVersionId"),
    )
    if key is None:
        return rules, None, given, None
    if key.standard:
        rules.broken(_ROOT_ONLY)
    states = attempt.states(key)
    if ACTIVE not in states:
        rules.broken(_WRONG_STATE)
    elif states != {ACTIVE}:
        rules.perhaps("state", _WRONG_STATE)
    if given.version is not None and given.version not in {version.id for version in key.versions}:
        rules.perhaps("a version that is not known", ANY_REFUSAL)
    registration = next(
        (one for one in key.registrations if one.crn == attempt.operation.path["resource_crn"]), None
    )
    if registration is not None and registration.owner != attempt.caller.name:
        rules.broken(_NOT_YOURS)
    return rules, key, given, registration


def _resource(rules: Rules, body: Any) -> dict[str, Any]:
    """Return the resource; all of its members may be left out."""
    resources = body.get("resources") if isinstance(body, dict) else None
    if isinstance(resources, list) and resources == [{}]:
        rules.perhaps("an empty registration", BODY_OR_FIELD)
        return {}
    return single(rules, body, "registration_input+json") or {}


def _text(rules: Rules, resource: dict[str, Any], name: str) -> str | None:
    value = resource.get(name)
    if value is None or isinstance(value, str):
        return value
    rules.broken(BODY_OR_FIELD)
    return None


def _versions(rules: Rules, key: Key, registration: Registration, given: _Given) -> None:
    order = [version.id for version in key.versions]
    if (
        given.version in order
        and registration.version in order
        and order.index(given.version) < order.index(registration.version)
    ):
        rules.broken(_OLDER)
    elif given.version and not registration.version:
        rules.perhaps("the version that is registered", _OLDER)


def _fresh(attempt: Attempt, key: Key, given: _Given) -> Registration:
    is_known = len(key.versions) == 1 and "#" not in key.newest.id and not key.may_have_rotated(attempt.now)
    version = given.version or (key.newest.id if is_known else "")
    return Registration(
        crn=attempt.operation.path["resource_crn"],
        owner=attempt.caller.name,
        description=given.description,
        prevents=bool(given.prevents),
        metadata=given.metadata if given.metadata is not None else UNKNOWN,
        version=version,
        at=attempt.now,
        changed=attempt.now,
    )


def _with(key: Key, one: Registration) -> Key:
    others = tuple(other for other in key.registrations if other.crn != one.crn)
    return replace(key, registrations=(*others, one))
