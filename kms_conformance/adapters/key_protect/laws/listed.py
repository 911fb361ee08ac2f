"""What lists are asked about: keys of each kind, date and state, their versions and registrations, rings, KMIP's things."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.evidence.dates import moment_of
from kms_conformance.laws.request import Subjects
from kms_conformance.run.outcomes import Inconclusive

_DAY = 86_400
_HOUR = 3_601
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


def shown(kms: KeyProtectOperations, key: Key | str, **known: Any) -> dict[str, Any]:
    """Return a key as its metadata show it, with what we know of it ourselves."""
    resource = kms.get_metadata(key).needed()["resources.0"]
    if not isinstance(resource, dict):
        raise Inconclusive("the key's metadata are no object")
    return {**resource, **known}


def keys(kms: KeyProtectOperations) -> Subjects:
    """Keys in one ring, some made and changed before a moment and some after it; one more in another ring."""
    ring, other, stem = kms.new_ring(), kms.new_ring(), kms.name("list")
    inside, days = kms.in_ring(ring), [kms.later(day * _DAY) for day in (10, 20, 30)]
    first = inside.create_root_key(
        name=f"{stem}-0", tags=["red", "blue"], description="of a list", expirationDate=days[0]
    )
    imported = inside.import_root_key(name=f"{stem}-1", expirationDate=days[1])
    standard = inside.create_standard_key(name=f"{stem}-2")
    apart = kms.in_ring(other).create_root_key(name=f"{stem}-3")
    early = inside.create_root_key(name=f"{stem}-4-odd")
    late = inside.import_root_key(name=f"{stem}-5-odd", expirationDate=days[1])
    suspended = inside.create_root_key(name=f"{stem}-6-odd")
    kms.rotate(first).needed()
    kms.delete_key(early).needed()
    kms.disable(suspended).needed()
    moment = _after(shown(kms, suspended)["lastUpdateDate"], seconds=2)
    kms.wait(5, "dates have whole seconds")
    last = inside.create_root_key(name=f"{stem}-7-odd", expirationDate=days[2])
    given = inside.import_standard_key(name=f"{stem}-8-odd")
    kms.rotate(last).needed()
    kms.disable(imported).needed()
    kms.delete_key(late).needed()
    states = {imported: 2, suspended: 2, early: 5, late: 5}
    made = (first, imported, standard, apart, early, late, suspended, last, given)
    entries = kms.case.read(
        [
            partial(shown, kms, key, keyRingID=other if key is apart else ring, state=states.get(key, 1))
            for key in made
        ]
    )
    marks = {"ring": ring, "other": other, "stem": stem, "moment": moment, "key": first.id}
    marks |= {"day10": days[0], "day20": days[1], "day20_east": _elsewhere(days[1], 2), "day30": days[2]}
    return Subjects(entries, marks)


def names(kms: KeyProtectOperations) -> Subjects:
    """Keys with a word in the name, in an alias, elsewhere or nowhere."""
    seed = f"{kms.case.context.run} {kms.case.info.id}"
    # An I has another small letter in one language, which has nothing to do with names.
    word, stem = f"Zeti{hashlib.sha256(seed.encode()).hexdigest()[:6]}", kms.short_name("word")
    ring, alias = kms.new_ring(), f"{stem}-{word.lower()}"
    inside = kms.in_ring(ring)
    named: list[tuple[str, dict[str, Any]]] = [
        (f"{stem}-1-{word}", {}),
        (f"{stem}-2-{word.upper()}-tail", {}),
        (f"{stem}-3-plain", {"aliases": [alias, f"{stem}-2-{word}"]}),
        (f"{stem}-4-plain", {"description": word, "tags": [word]}),
        # What a query or a pattern gives a meaning is a part of this name.
        (f"{stem}-5 one+two%41é", {}),
        (f"{stem}-6-{word[:-1]}_", {"aliases": [f"{stem}-6", f"{stem}-six"]}),
        (f"{stem}-7-{word}", {"aliases": [f"{stem}-7", f"{stem}-gone"]}),
    ]
    # However a key is created, a search finds it.
    paths = ("/keys", "/keys_with_policy_overrides")
    made = [
        (inside.create_root_key(path=paths[number % 2], name=name, **more), more)
        for number, (name, more) in enumerate(named)
    ]
    kms.delete_key(made[-1][0]).needed()
    apart = kms.create_root_key(name=f"{stem}-8-{word}")
    entries: list[dict[str, Any]] = [
        {"id": key.id, "name": key.name, "state": 1, "keyRingID": ring, **more} for key, more in made
    ]
    entries[-1]["state"] = 5
    entries.append({"id": apart.id, "name": apart.name, "state": 1, "keyRingID": "default"})
    marks = {
        "ring": ring,
        "word": word,
        "lower": word.lower(),
        "upper": word.upper(),
        "alias": alias,
        "stem": stem,
    }
    fifth = made[4][0].id
    marks |= {"second": named[1][0], "fifth": fifth, "part_of_fifth": fifth[4:23], "part": word[2:-1]}
    return Subjects(entries, marks)


def versions(kms: KeyProtectOperations, *, rotations: int = 1) -> Subjects:
    """Return the versions of a key, newest last, beside another rotated key; more than one rotation takes an hour each."""
    key, other = kms.create_root_key(), kms.create_root_key()
    entries: list[dict[str, Any]] = []
    for number in range(rotations + 1):
        if number > 1:
            kms.wait(_HOUR, "a key is rotated once an hour")
        if number:
            kms.rotate(key).needed()
        resource = shown(kms, key)
        entries.append({**resource["keyVersion"], "key": key.id})
    kms.rotate(other).needed()
    entries.append({**shown(kms, other)["keyVersion"], "key": other.id})
    return Subjects(entries, {"key": key.id, "newest": entries[-2]["id"]})


def many_versions(kms: KeyProtectOperations) -> Subjects:
    """Return seven versions of a key."""
    return versions(kms, rotations=6)


def registrations(kms: KeyProtectOperations) -> Subjects:
    """Buckets that use two keys in two rings, some of them held by a retention policy."""
    ring, service = kms.new_ring(), kms.as_identity("service")
    key, other = kms.in_ring(ring).create_root_key(), kms.create_root_key()
    base = kms.crn().rpartition(":")[0]
    entries = []
    for owner, name, held in (
        (key, "photos-1", True),
        (key, "photos-2", False),
        (key, "films-1", False),
        (other, "photos-3", False),
        (other, "films-2", True),
    ):
        crn = f"{base}:{name}"
        service.create_registration(
            owner, crn, description=name, preventKeyDeletion=held, registrationMetadata="for the service"
        ).needed(200, 201)
        entries.append(
            {
                "resourceCrn": crn,
                "keyId": owner.id,
                "description": name,
                "preventKeyDeletion": held,
                "ring": ring if owner is key else "default",
            }
        )
    return Subjects(entries, {"key": key.id, "other": other.id, "base": base, "ring": ring})


def rings(kms: KeyProtectOperations) -> Subjects:
    """Three rings of ours, beside the one that every instance has."""
    made = [kms.new_ring() for _ in range(3)]
    return Subjects([{"id": ring} for ring in ("default", *made)], {"ring": made[0]})


def adapters(kms: KeyProtectOperations) -> Subjects:
    """Three KMIP adapters in front of two root keys."""
    key, other, unused = kms.create_root_key(), kms.create_root_key(), kms.create_root_key()
    entries = []
    for owner in (key, other, key):
        name = kms.short_name("adapter")
        made = kms.create_adapter(owner, name).needed()
        entries.append({"id": made["resources.0.id"], "name": name, "crk_id": owner.id})
    return Subjects(entries, {"key": key.id, "other": other.id, "unused": unused.id})


def certificates(kms: KeyProtectOperations) -> Subjects:
    """Three client certificates of one adapter, one of another."""
    key = kms.create_root_key()
    adapter, other = kms.new_adapter(key), kms.new_adapter(key)
    entries = []
    for owner in (adapter, adapter, other, adapter):
        name = kms.short_name("cert")
        made = kms.add_certificate(owner, name, kms.client_certificate()).needed()
        entries.append({"id": made["resources.0.id"], "name": name, "adapter": owner})
    return Subjects(entries, {"adapter": adapter, "other": other})


def objects(kms: KeyProtectOperations) -> Subjects:
    """Objects that clients made through one adapter, one of them destroyed, and one through another adapter."""
    key = kms.create_root_key()
    adapter, other = kms.new_adapter(key), kms.new_adapter(key)
    entries: list[dict[str, Any]] = [
        {"id": made_object(kms, owner), "state": 2, "adapter": owner}
        for owner in (adapter, other, adapter, adapter, adapter)
    ]
    kms.delete_kmip_object(adapter, entries[2]["id"], force=True).needed()
    entries[2]["state"] = 5
    return Subjects(entries, {"adapter": adapter, "other": other})


def made_object(kms: KeyProtectOperations, adapter: str) -> str:
    """Let a KMIP client make an object, which is destroyed when the case ends: before, its adapter cannot be deleted."""
    thing = kms.make_kmip_object(adapter)

    def destroy() -> None:
        kms.delete_kmip_object(adapter, thing, force=True)

    kms.case.clean_up.append(destroy)
    return thing


def policies(kms: KeyProtectOperations) -> Subjects:
    """Two policies of one key, and one of another."""
    key, other = kms.create_root_key(), kms.create_root_key()
    entries = []
    for owner, kind, policy in (
        (key, "rotation", {"interval_month": 3}),
        (key, "dualAuthDelete", {"enabled": False}),
        (other, "rotation", {"interval_month": 5}),
    ):
        put = kms.put_policy(owner, query=kind, **{kind: policy}).needed()
        entries.append({"id": put["resources.0.id"], "kind": kind, "key": owner.id})
    return Subjects(entries, {"key": key.id, "other": other.id})


def instance_policies(kms: KeyProtectOperations) -> Subjects:
    """Two policies of the instance."""
    kinds: Mapping[str, dict[str, Any]] = {"rotation": {"interval_month": 4}, "metrics": {}}
    for kind, attributes in kinds.items():
        kms.set_instance_policy(kind, **attributes).needed()
    return Subjects([{"policy_type": kind} for kind in kinds])


def _elsewhere(date: str, hours: int) -> str:
    """Return a date as a clock shows it that is some hours ahead of UTC."""
    return f"{_after(date, hours * 3_600).removesuffix('Z')}+{hours:02}:00"


def _after(date: str, seconds: float) -> str:
    moment = moment_of(date)
    if moment is None:
        raise Inconclusive("the key's lastUpdateDate is no date")
    return (moment + timedelta(seconds=seconds)).strftime(_SECONDS)


MAKERS: Mapping[str, Callable[[Any], Subjects]] = {
    "keys": keys,
    "names": names,
    "versions": versions,
    "many-versions": many_versions,
    "registrations": registrations,
    "rings": rings,
    "adapters": adapters,
    "certificates": certificates,
    "objects": objects,
    "policies": policies,
    "instance-policies": instance_policies,
}
