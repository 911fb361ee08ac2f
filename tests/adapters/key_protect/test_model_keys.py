"""The model of keys: what may be answered, against sequences that the sources show."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.model import APPROVER, OUTSIDER, PURGER, READER, SERVICE
from kms_conformance.adapters.key_protect.model.facts import date_of

HOUR, DAY = 3600.0, 86400.0
MATERIAL = base64.b64encode(b"m" * 32).decode()
CRN = "crn:v1:bluemix:public:cos:global:a/0:1:bucket:b"
ROOT, OTHER = "key#0", "key#1"


def registered(modelled: Any, *, prevents: bool = False) -> Any:
    """Return an instance in which a service has registered the first key."""
    body = {
        "metadata": {
            "collectionType": "application/vnd.ibm.kms.registration_input+json",
            "collectionTotal": 1,
        },
        "resources": [{"preventKeyDeletion": prevents}],
    }
    return modelled.done("createRegistration", ROOT, path={"resource_crn": CRN}, body=body, caller=SERVICE)


STORIES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "a new key wraps": (lambda s: s, "wrapKey", "200"),
    "a suspended key does not wrap": (
        lambda s: s.done("disableKey", ROOT),
        "wrapKey",
        "409 KEY_ACTION_INVALID_STATE_ERR",
    ),
    "a suspended key is not enabled at once": (
        lambda s: s.done("disableKey", ROOT),
        "enableKey",
        "409 REQ_TOO_EARLY_ERR",
    ),
    "a suspended key is enabled after 30 s": (
        lambda s: s.done("disableKey", ROOT).later(35),
        "enableKey",
        "204",
    ),
    "unwrap needs a body": (lambda s: s, "unwrapKey", "400 NO_BODY_ERR"),
    "rewrap needs a body": (lambda s: s, "rewrapKey", "400 NO_BODY_ERR"),
    "an active key is not enabled": (lambda s: s, "enableKey", "409 KEY_ACTION_INVALID_STATE_ERR"),
    "a key is rotated at once": (lambda s: s, "rotateKey", "204"),
    "a key is rotated once an hour": (
        lambda s: s.done("rotateKey", ROOT),
        "rotateKey",
        "409 KEY_ROTATION_NOT_PERMITTED",
    ),
    "a key is rotated after an hour": (
        lambda s: s.done("rotateKey", ROOT).later(HOUR + 5),
        "rotateKey",
        "204",
    ),
    "a deleted key is gone for deletion": (
        lambda s: s.done("deleteKey", ROOT),
        "deleteKey",
        "410 KEY_DELETED_ERR",
    ),
    "a living key is not restored": (
        lambda s: s,
        "restoreKey",
        "400 or 409 or 409 KEY_ACTION_INVALID_STATE_ERR or 422",
    ),
    "a purged key is not found": (
        lambda s: s.done("deleteKey", ROOT).later(5 * HOUR).done("purgeKey", ROOT, caller=PURGER),
        "getKeyMetadata",
        "404 KEY_NOT_FOUND_ERR or 410",
    ),
    "a registered key is held": (registered, "deleteKey", "409 PROTECTED_RESOURCE_ERR"),
    "a key under retention is held": (
        lambda s: registered(s, prevents=True),
        "deleteKey",
        "409 PREV_KEY_DEL_ERR or 409 PROTECTED_RESOURCE_ERR",
    ),
    "a key without dual authorisation is not set for deletion": (
        lambda s: s,
        "setKeyForDeletion",
        "409 NOT_DUAL_AUTH_ERR",
    ),
}


@pytest.mark.parametrize("title", STORIES)
def test_answers_of_a_root_key(modelled: Any, title: str) -> None:
    """What the sources show of a generated root key is what the model allows, and nothing else."""
    before, name, expected = STORIES[title]
    assert before(modelled.key()).may(name, ROOT) == expected


@pytest.mark.parametrize("name", ["wrapKey", "rotateKey", "disableKey", "enableKey"])
def test_standard_keys_are_no_root_keys(modelled: Any, name: str) -> None:
    """An action for root keys on an active standard key is refused by its kind; its state may be told too."""
    assert "400 KEY_ROOT_REQ_ERR" in modelled.key(extractable=True).may(name, ROOT)


def test_purge_waits_four_hours(modelled: Any) -> None:
    """Purging is refused before four hours and to somebody without the role, and succeeds after."""
    deleted = modelled.key().done("deleteKey", ROOT)
    assert deleted.may("purgeKey", ROOT, caller=PURGER) == "409 REQ_TOO_EARLY_ERR"
    assert deleted.later(5 * HOUR).may("purgeKey", ROOT, caller=PURGER) == "200 or 204"
    assert deleted.later(5 * HOUR).ask("purgeKey", ROOT)[0].success is None


def test_editions_differ_in_what_is_restored(modelled: Any) -> None:
    """The page restores imported root keys only and with their material, today's service any without a body."""
    deleted = modelled.key().done("deleteKey", ROOT).later(40)
    assert "400 KEY_IMPT_REQ_ERR" in deleted.may("restoreKey", ROOT)
    today = replace(deleted, state=replace(deleted.state, edition="service"))
    assert today.may("restoreKey", ROOT) == "201"


@pytest.mark.parametrize(("seconds", "code"), [(31 * DAY, "KEY_RESTORE_EXPIRED"), (5, "REQ_TOO_EARLY_ERR")])
def test_restore_has_its_time(modelled: Any, seconds: float, code: str) -> None:
    """A key is restored neither within 30 seconds nor after 30 days."""
    imported = modelled.key(payload=MATERIAL).done("deleteKey", ROOT).later(seconds)
    prediction, _ = imported.ask("restoreKey", ROOT)
    assert prediction.success is None
    assert code in str(prediction)


def test_an_expired_key_is_not_restored(modelled: Any) -> None:
    """After its expiration date a deleted key is not restored, and the answer says so."""
    deleted = modelled.key(expirationDate=date_of(modelled.now + 60)).done("deleteKey", ROOT).later(120)
    prediction, _ = deleted.ask("restoreKey", ROOT)
    assert prediction.success is None
    assert "KEY_EXPIRED_ERR" in str(prediction)


def test_a_restored_key_is_what_it_was(modelled: Any) -> None:
    """Restoring brings back name, ring, aliases, versions and registrations, and drops an authorisation."""
    before = registered(modelled.key(aliases=["one"], tags=["red"])).policy(
        ROOT, dualAuthDelete={"enabled": True}
    )
    deleted = before.done("setKeyForDeletion", ROOT).done(
        "deleteKey", ROOT, query={"force": "true"}, caller=APPROVER
    )
    after = deleted.later(40).done("restoreKey", ROOT).state.key(ROOT)
    deleted_key = before.state.key(ROOT)
    assert (after.state, after.name, after.aliases, after.versions) == (
        1,
        deleted_key.name,
        deleted_key.aliases,
        deleted_key.versions,
    )
    assert (after.registrations, after.authorised) == (deleted_key.registrations, ())


def test_two_users_delete(modelled: Any) -> None:
    """With dual authorisation the second user deletes, the first does not, and after a week nobody does."""
    dual = modelled.key().policy(ROOT, dualAuthDelete={"enabled": True})
    assert dual.may("deleteKey", ROOT) == "409 AUTHORIZATIONS_NOT_MET"
    given = dual.done("setKeyForDeletion", ROOT)
    assert given.may("deleteKey", ROOT) == "409 AUTHORIZATIONS_NOT_MET"
    assert given.may("deleteKey", ROOT, caller=APPROVER) == "200 or 204"
    assert given.later(8 * DAY).may("deleteKey", ROOT, caller=APPROVER) == "409 AUTHORIZATIONS_NOT_MET"
    taken = given.done("unsetKeyForDeletion", ROOT)
    assert taken.may("deleteKey", ROOT, caller=APPROVER) == "409 AUTHORIZATIONS_NOT_MET"


def test_dual_authorisation_stays(modelled: Any) -> None:
    """Once enabled, dual authorisation is never turned off."""
    dual = modelled.key().policy(ROOT, dualAuthDelete={"enabled": True})
    body = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.policy+json", "collectionTotal": 1},
        "resources": [{"type": "application/vnd.ibm.kms.policy+json", "dualAuthDelete": {"enabled": False}}],
    }
    assert dual.ask("putPolicy", ROOT, body=body)[0].success is None


def test_several_broken_rules_allow_several_refusals(modelled: Any) -> None:
    """Where no source gives the order of two rules, either refusal is allowed (P19)."""
    held = registered(modelled.key()).policy(ROOT, dualAuthDelete={"enabled": True})
    assert held.may("deleteKey", ROOT) == "409 AUTHORIZATIONS_NOT_MET or 409 PROTECTED_RESOURCE_ERR"


def test_who_may_ask(modelled: Any) -> None:
    """A role that is too low is refused by 401; somebody without access hears nothing else."""
    one = modelled.key()
    assert one.may("deleteKey", ROOT, caller=OUTSIDER) == "401 or 403"
    assert one.ask("disableKey", ROOT, caller=READER)[0].success is None
    assert one.may("wrapKey", ROOT, caller=READER) == "200"


def test_a_ring_header_hides_the_keys_of_others(modelled: Any) -> None:
    """Under the header of another ring a key is not found, whatever is asked of it."""
    made = modelled.done("createKeyRing", path={"key_ring_id": "one"}).key()
    moved = made.done("patchKey", "key#0", body={"keyRingID": "one"})
    assert moved.may("wrapKey", "key#0", ring="default") == "404 KEY_NOT_FOUND_ERR"
    assert moved.may("wrapKey", "key#0", ring="one") == "200"


def test_expiry_may_be_seen_an_hour_late(modelled: Any) -> None:
    """Within an hour of its expiration date a key may still be active; afterwards it does not wrap."""
    lenient = replace(
        modelled, state=replace(modelled.state, timing=replace(modelled.state.timing, expiry=HOUR))
    )
    one = lenient.key(expirationDate=date_of(modelled.now + 60))
    assert one.later(120).may("wrapKey", ROOT) == "200 or 409 KEY_ACTION_INVALID_STATE_ERR"
    assert one.later(2 * HOUR).may("wrapKey", ROOT) == "409 KEY_ACTION_INVALID_STATE_ERR"
