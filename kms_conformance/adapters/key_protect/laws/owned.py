"""What ownership is asked about: things in a key ring, under a parent, of an instance, beside others like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kms_conformance.adapters.key_protect.base import Escaped
from kms_conformance.adapters.key_protect.laws.listed import made_object
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.laws.request import Subjects

_NOWHERE = "00000000-0000-4000-8000-000000000000"
_OTHER_INSTANCE = "8d2f5c5e-6a1b-4f6e-8f0d-2b7a9c1e4d30"
_CREATED_LONG_AGO = "2001-01-01T00:00:00Z"
_CUT = 5
"""Characters that are cut off a name, so that what is left is nobody's name."""
_PART = 8
"""Characters at the beginning of a key's id: up to its first hyphen."""


def key_in_ring(kms: KeyProtectOperations) -> Subjects:
    """Make a root key with an alias and a ciphertext in a ring of its own, beside another ring and another key."""
    ring, elsewhere, alias = kms.new_ring(), kms.new_ring(), kms.short_name("mine")
    new_alias = kms.short_name("new")
    plaintext, inside, crn = kms.key_material(), kms.in_ring(ring), kms.crn()
    key = inside.create_root_key(aliases=[alias])
    bystander = kms.create_root_key()
    ciphertext = inside.wrap(key, plaintext).needed()["ciphertext"]
    marks = {
        "ring": ring,
        "elsewhere": elsewhere,
        "key": key.id,
        "name": key.name,
        "alias": alias,
        "new_alias": new_alias,
        "upper_alias": new_alias.upper(),
        "bystander": bystander.id,
        "bystander_name": bystander.name,
        "plaintext": plaintext,
        "ciphertext": ciphertext,
        "crn": crn,
        "new_crn": kms.crn() + "-new",
        "part_of_key": key.id[:_PART],
        "part_of_alias": alias[:-_CUT],
        "part_of_ring": ring[:-_CUT],
        "part_of_crn": crn[:-_CUT],
        "like_alias": _like(alias),
        "like_ring": _like(ring),
        "odd_crn": f"{crn}+a b%20é",
        "escaped_key": Escaped.of(key.id),
        "escaped_alias": Escaped.of(alias),
    }
    return Subjects(marks=marks | always(kms))


def registered_key(kms: KeyProtectOperations) -> Subjects:
    """Make a key with a registration that prevents nothing, beside another key."""
    subjects = key_in_ring(kms)
    kms.as_identity("service").create_registration(
        subjects.marks["key"], subjects.marks["crn"], description="mine"
    ).needed(200, 201)
    return subjects


def imported_key(kms: KeyProtectOperations) -> Subjects:
    """Import a root key into a ring of its own, beside another ring; its material is known."""
    ring, elsewhere = kms.new_ring(), kms.new_ring()
    key = kms.in_ring(ring).import_root_key()
    marks = always(kms) | {"ring": ring, "elsewhere": elsewhere, "key": key.id, "material": key.material}
    return Subjects(marks=marks)


def standard_key(kms: KeyProtectOperations) -> Subjects:
    """Make a standard key, whose payload not everybody may read, beside a root key."""
    key, bystander = kms.create_standard_key(), kms.create_root_key()
    marks = {"key": key.id, "name": key.name, "bystander": bystander.id}
    return Subjects(marks=marks | always(kms))


def plain(kms: KeyProtectOperations) -> Subjects:
    """Make two root keys of an instance that gives its keys no policies."""
    kms.demand_no_inherited_policies()
    key, bystander = kms.create_root_key(), kms.create_root_key()
    return Subjects(marks={"key": key.id, "bystander": bystander.id} | always(kms))


def ring(kms: KeyProtectOperations) -> Subjects:
    """Make an empty key ring, and names for more."""
    made = kms.new_ring()
    marks = {"ring": made, "upper_ring": made.upper(), "new_ring": kms.short_name("unasked")}
    return Subjects(marks=marks | always(kms))


def adapters(kms: KeyProtectOperations) -> Subjects:
    """Make two KMIP adapters, each with a client certificate; both have one of the same name as well."""
    key, shared = kms.create_root_key(), kms.short_name("shared")
    marks: dict[str, Any] = {"key": key.id, "shared": shared}
    for who in ("mine", "theirs"):
        name, certificate = kms.short_name(who), kms.short_name("cert")
        made = kms.create_adapter(key, name).needed()
        added = kms.add_certificate(name, certificate, kms.client_certificate()).needed()
        same = kms.add_certificate(name, shared, kms.client_certificate()).needed()
        marks |= {
            who: name,
            f"part_of_{who}": name[:-_CUT],
            f"like_{who}": _like(name),
            f"like_{who}_cert": _like(certificate),
            f"{who}_id": made["resources.0.id"],
            f"{who}_cert": certificate,
            f"part_of_{who}_cert": certificate[:-_CUT],
            f"{who}_cert_id": added["resources.0.id"],
            f"{who}_shared_id": same["resources.0.id"],
        }
    marks |= {
        "pem": kms.client_certificate(),
        "new_cert": kms.short_name("newcert"),
        "new_adapter": kms.short_name("newad"),
    }
    return Subjects(marks=marks | always(kms))


def bare_adapters(kms: KeyProtectOperations) -> Subjects:
    """Make two KMIP adapters without anything in them, and two client certificates."""
    key = kms.create_root_key()
    marks: dict[str, Any] = {who: kms.new_adapter(key) for who in ("mine", "theirs")}
    marks |= {"key": key.id, "new_cert": kms.short_name("newcert"), "new_adapter": kms.short_name("newad")}
    marks |= {name: kms.client_certificate() for name in ("pem", "pem2")}
    return Subjects(marks=marks | always(kms))


def objects(kms: KeyProtectOperations) -> Subjects:
    """Make two KMIP adapters, each with an object."""
    key = kms.create_root_key()
    marks: dict[str, Any] = {}
    for who in ("mine", "theirs"):
        name = kms.new_adapter(key)
        marks |= {who: name, f"{who}_object": made_object(kms, name)}
    return Subjects(marks=marks | always(kms))


def _like(name: str) -> str:
    """Return nobody's name: the underscore in the place of its last letter is a letter like any other."""
    return f"{name[:-1]}_"


def always(kms: KeyProtectOperations) -> dict[str, Any]:
    """Return what every case may name."""
    return {
        "nowhere": _NOWHERE,
        "instance": kms.case.instance,
        "instance_elsewhere": _OTHER_INSTANCE,
        "long_ago": _CREATED_LONG_AGO,
        "new_name": kms.name(),
        "new_ring_name": kms.short_name("newring"),
        "material": kms.key_material(),
    }


MAKERS: Mapping[str, Callable[[Any], Subjects]] = {
    "key-in-ring": key_in_ring,
    "registered-key": registered_key,
    "imported-key": imported_key,
    "standard-key": standard_key,
    "plain": plain,
    "ring": ring,
    "kmip-adapters": adapters,
    "bare-adapters": bare_adapters,
    "kmip-things": objects,
}
