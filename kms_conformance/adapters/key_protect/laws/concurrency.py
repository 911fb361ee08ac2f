"""Things that are asked at the same moment: keys in each state, aliases, policies, rings, registrations, adapters, the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.evidence.members import pick
from kms_conformance.laws.concurrency import ConcurrentSubject, clock

_SETTLED = 31
_PURGEABLE = 4 * 3600 + 60
_DESTROYED = 5


@dataclass(frozen=True, slots=True)
class Maker:
    """How a thing is made, and how long it is waited for afterwards, in seconds, and why."""

    make: Callable[[Any], dict[str, Any]]
    wait: float = 0.0
    why: str = ""


def things(kms: KeyProtectOperations, what: str, number: int) -> Iterator[ConcurrentSubject]:
    """Make things of a kind; those that are waited for are made first and waited for once."""
    maker = MAKERS[what]
    kms.demand_no_inherited_policies()
    ahead, unsure = clock(kms.case)
    if not maker.wait:
        for place in range(number):
            made = _made(kms, maker, ahead, unsure)
            made.ahead = ahead
            # What is set for the whole instance is another value each time, so that an older one is told from it.
            made.marks["measured"] = place % 2 == 0
            yield made
        return
    things = [_made(kms, maker, ahead, unsure) for _ in range(number)]
    kms.wait(maker.wait, maker.why)
    yield from things


def _made(kms: KeyProtectOperations, maker: Maker, ahead: float, unsure: float) -> ConcurrentSubject:
    before = len(kms.case.exchanges)
    marks = maker.make(kms)
    for name in ("key", "other"):
        if name in marks:
            kms.case.clean_up.append(partial(_remove_survivor, kms, str(marks[name])))
    # What the instance's policies are for others is no part of the history.
    made = [one for one in kms.case.exchanges[before:] if one.operation != "getInstancePolicy"]
    return ConcurrentSubject(marks, [(exchange, ahead) for exchange in made], unsure)


def _remove_survivor(kms: KeyProtectOperations, key: str) -> None:
    """Delete a key whose deletion was answered with a success, and which was seen alive all the same."""
    if key in kms.case.own_things:
        return
    for exchange in reversed(kms.case.exchanges):
        if (
            exchange.operation == "getKeyMetadata"
            and key in exchange.sent.path
            and exchange.answer is not None
        ):
            if pick(exchange.answer.body, "resources.0.state") in {1, 2, 3}:
                kms.delete_key(key, force=True)
            return


def _named(kms: KeyProtectOperations, key: Key) -> dict[str, Any]:
    """Return what every case about a key may name."""
    return {
        "key": key.id,
        "alias": kms.short_name("first"),
        "second": kms.short_name("second"),
        "adapter": kms.short_name("adapter"),
        "crn": kms.crn(),
        "plaintext": kms.key_material(),
    }


def key(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key."""
    return _named(kms, kms.create_root_key())


def wrapped(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key that has wrapped."""
    marks = key(kms)
    answer = kms.wrap(marks["key"], marks["plaintext"]).needed()
    return {**marks, "wrapped": answer["ciphertext"]}


def key_beside_ring(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key in the default ring, beside another ring."""
    ring = kms.new_ring()
    return {**_named(kms, kms.create_root_key()), "ring": ring}


def busy(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key with an alias and a registration, beside another ring."""
    ring, old = kms.new_ring(), kms.short_name("old")
    made, service = kms.create_root_key(aliases=[old]), kms.as_identity("service")
    marks = {**_named(kms, made), "ring": ring, "old": old, "bucket": kms.crn()}
    service.create_registration(made, marks["bucket"], description="before").needed(200, 201)
    return marks


def busy_under_two(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make such a key whose deletion needs two users, and one has authorised it."""
    marks = busy(kms)
    kms.put_policy(marks["key"], query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed()
    kms.set_for_deletion(marks["key"]).needed()
    return marks


def busy_suspended(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make such a key and disable it."""
    marks = busy(kms)
    kms.disable(marks["key"]).needed()
    return marks


def busy_instance(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make two root keys, two rings and an adapter, and names for more of each."""
    made, other = kms.create_root_key(), kms.create_root_key()
    mine = {"mine": kms.new_adapter(made), "new_key": kms.name(), "another": kms.short_name("another")}
    return {**_named(kms, made), **mine, "other": other.id, "ring": kms.new_ring(), "ring2": kms.new_ring()}


def twins(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make two root keys, and names for the same things of each."""
    marks = _named(kms, kms.create_root_key())
    return {**marks, "other": kms.create_root_key().id, "other_plaintext": kms.key_material()}


def suspended(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a disabled root key."""
    made = kms.create_root_key()
    kms.disable(made).needed()
    return _named(kms, made)


def destroyed(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a deleted key of known material, which both editions restore."""
    made = kms.import_root_key()
    kms.delete_key(made).needed()
    return {**_named(kms, made), "material": made.material}


def purgeable(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make such a key, and one beside it."""
    return {**destroyed(kms), "other": kms.create_root_key().id}


def under_two(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key whose deletion needs two users."""
    made = kms.create_root_key()
    kms.put_policy(made, query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed()
    kms.as_identity("approver").get_metadata(made).needed()
    return _named(kms, made)


def authorised(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key whose deletion needs two users, and one has authorised it."""
    marks = under_two(kms)
    kms.set_for_deletion(marks["key"]).needed()
    return marks


def aliased(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make two root keys, the first with an alias."""
    old = kms.short_name("old")
    made = kms.create_root_key(aliases=[old])
    other = kms.create_root_key()
    return {**_named(kms, made), "other": other.id, "old": old}


def new_alias(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key, and the name of another one that is to have an alias."""
    return {**_named(kms, kms.create_root_key()), "new_key": kms.name()}


def instance_policies(kms: KeyProtectOperations) -> dict[str, Any]:
    """Set two policies of the instance."""
    kms.set_instance_policy("rotation", interval_month=2).needed()
    kms.set_instance_policy("metrics", enabled=False).needed()
    return {}


def nearly_full(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key with four aliases; five are the most."""
    return _named(kms, kms.create_root_key(aliases=[kms.short_name(f"alias{number}") for number in range(4)]))


def token(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make an import token for a single retrieval."""
    kms.create_import_token(expiration=900, maxAllowedRetrievals=1).needed()
    return {}


def registered(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key with a registration."""
    made, service = kms.create_root_key(), kms.as_identity("service")
    marks = {**_named(kms, made), "bucket": kms.crn()}
    service.create_registration(made, marks["bucket"], description="before").needed(200, 201)
    return marks


def unregistered(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a root key that a service can see, without a registration."""
    made = kms.create_root_key()
    kms.as_identity("service").get_metadata(made).needed()
    return _named(kms, made)


def ring(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make an empty key ring, and the names of two more."""
    marks = {"new_ring": kms.short_name("newring"), "new_key": kms.name()}
    return {**marks, "ring": kms.new_ring(), "another": kms.short_name("another")}


def adapter(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a KMIP adapter with a client certificate."""
    made = kms.create_root_key()
    name, certificate = kms.new_adapter(made), kms.short_name("cert")
    kms.add_certificate(name, certificate, kms.client_certificate()).needed()
    marks = {
        "mine": name,
        "cert": certificate,
        "new_cert": kms.short_name("newcert"),
        "third": kms.short_name("third"),
    }
    return {
        **_named(kms, made),
        **marks,
        "pem": kms.client_certificate(),
        "other_pem": kms.client_certificate(),
    }


def two_adapters(kms: KeyProtectOperations) -> dict[str, Any]:
    """Make a KMIP adapter with a client certificate, and another one of the same key."""
    marks = adapter(kms)
    return {**marks, "theirs": kms.new_adapter(marks["key"])}


MAKERS: Mapping[str, Maker] = {
    "key": Maker(key),
    "wrapped-key": Maker(wrapped),
    "key-beside-ring": Maker(key_beside_ring),
    "busy-key": Maker(busy),
    "busy-authorised-key": Maker(busy_under_two),
    "busy-suspended-key": Maker(busy_suspended, _SETTLED, "a disabled key is enabled after 30 seconds"),
    "busy-instance": Maker(busy_instance),
    "twins": Maker(twins),
    "suspended-key": Maker(suspended, _SETTLED, "a disabled key is enabled after 30 seconds"),
    "destroyed-key": Maker(destroyed, _SETTLED, "a deleted key is restored after 30 seconds"),
    "purgeable-key": Maker(purgeable, _PURGEABLE, "a deleted key is purged after four hours"),
    "key-under-two": Maker(under_two),
    "authorised-key": Maker(authorised),
    "alias": Maker(aliased),
    "new-alias": Maker(new_alias),
    "four-aliases": Maker(nearly_full),
    "instance-policies": Maker(instance_policies),
    "token": Maker(token),
    "registration": Maker(registered),
    "unregistered-key": Maker(unregistered),
    "ring": Maker(ring),
    "adapter": Maker(adapter),
    "two-adapters": Maker(two_adapters),
}
