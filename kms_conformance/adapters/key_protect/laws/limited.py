"""What limits and schedules are asked about: keys of each kind, names to give, material packed for an import token."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.adapters.key_protect.laws.owned import always
from kms_conformance.laws.request import Subjects
from kms_conformance.redaction.redactor import Secret

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_AES_KEYS = (16, 24, 32)
_BETWEEN_ZEROS = "AABhIGtleSB0aGF0IGhhcyB6ZXJvcyBhcm91bmQAAAA="
"""Material of 32 octets that begins and ends with zeros, in base64."""
_IMPORTS = 8
_CLIENTS = 7


def names(kms: KeyProtectOperations) -> Subjects:
    """Make nothing: names that nobody else has are enough."""
    return Subjects(marks=_names(kms))


def root_key(kms: KeyProtectOperations) -> Subjects:
    """Make a root key without policies, and a ciphertext of it."""
    kms.demand_no_inherited_policies()
    key, plaintext = kms.create_root_key(), kms.key_material()
    ciphertext = kms.wrap(key, plaintext).needed()["ciphertext"]
    return Subjects(
        marks=_names(kms)
        | {"key": key.id, "plaintext": plaintext, "ciphertext": ciphertext, "crn": kms.crn()}
    )


def busy_key(kms: KeyProtectOperations) -> Subjects:
    """Make a root key without policies beside a key ring to which it can be moved."""
    subjects = root_key(kms)
    return Subjects(marks=subjects.marks | {"ring": kms.new_ring()})


def busy_key_under_two(kms: KeyProtectOperations) -> Subjects:
    """Make such a key whose deletion needs two users."""
    subjects = busy_key(kms)
    kms.put_policy(subjects.marks["key"], query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed()
    return subjects


def imported_key_in_ring(kms: KeyProtectOperations) -> Subjects:
    """Import a root key with an alias into a key ring of its own."""
    ring, alias = kms.new_ring(), kms.short_name("gone")
    key = kms.in_ring(ring).import_root_key(aliases=[alias])
    marks = {"key": key.id, "payload": key.material, "ring": ring, "alias": alias, "crn": kms.crn()}
    return Subjects(marks=_names(kms) | marks)


def imported_keys(kms: KeyProtectOperations) -> Subjects:
    """Import two root keys, whose material is known: in every edition they can be restored."""
    key, other = kms.import_root_key(), kms.import_root_key()
    marks = {"key": key.id, "payload": key.material, "other": other.id, "other_payload": other.material}
    return Subjects(marks=_names(kms) | marks)


def key_with_aliases(kms: KeyProtectOperations) -> Subjects:
    """Make a root key that has three of its five aliases from the beginning."""
    stem = kms.short_name("three")
    key = kms.create_root_key(aliases=[f"{stem}-{letter}" for letter in "abc"])
    return Subjects(marks=_names(kms) | {"key": key.id})


def ring(kms: KeyProtectOperations) -> Subjects:
    """Make an empty key ring."""
    return Subjects(marks=_names(kms) | {"ring": kms.new_ring()})


def wrapped_materials(kms: KeyProtectOperations) -> Subjects:
    """Pack material of each size, one with zeros around it, and of eight keys, for one import token that was fetched once."""
    token = kms.import_token()
    materials = [*map(kms.key_material, _AES_KEYS), Secret(_BETWEEN_ZEROS)]
    sizes = [kms.wrap_for_import(token, material).members() for material in materials]
    imports = [kms.wrap_for_import(token, kms.key_material()).members() for _ in range(_IMPORTS)]
    first = {f"first_{name}": value for name, value in imports.pop().items()}
    return Subjects(marks=_names(kms) | first | {"sizes": sizes, "imports": imports})


def key_under_two(kms: KeyProtectOperations) -> Subjects:
    """Make a root key whose deletion needs two users."""
    key = kms.create_root_key()
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed()
    return Subjects(marks=_names(kms) | {"key": key.id})


def kmip_key(kms: KeyProtectOperations) -> Subjects:
    """Import a root key for KMIP adapters: how a key was made does not matter."""
    return Subjects(marks=_names(kms) | {"key": kms.import_root_key().id})


def kmip_certificates(kms: KeyProtectOperations) -> Subjects:
    """Make a KMIP adapter, and certificates of seven clients."""
    adapter = kms.new_adapter(kms.create_root_key())
    pems = [{"pem": kms.client_certificate()} for _ in range(_CLIENTS)]
    return Subjects(marks=_names(kms) | {"adapter": adapter, "pems": pems})


def _names(kms: KeyProtectOperations) -> dict[str, Any]:
    """Return names of our own.

    ``pair`` has two characters, the fewest that an alias may have, ``digits`` look like a number, ``nothing`` like none.
    """
    # Derived from run and case, so that a later judgement of the run finds the same names.
    octets = hashlib.sha256(f"{kms.case.context.run} {kms.case.info.id}".encode()).digest()
    pair = "".join(_LETTERS[octet % len(_LETTERS)] for octet in octets[:2])
    correlation = str(UUID(bytes=octets[:16], version=4))
    digits = f"00{int.from_bytes(octets[2:6]):010}"
    stem = kms.short_name("many")
    return always(kms) | {
        "stem": stem,
        "pair": pair,
        "digits": digits,
        # A word for nothing is a name like any other; on a shared instance somebody else may have it.
        "nothing": "null" if kms.alone else f"{stem}-null",
        "correlation": correlation,
    }


MAKERS: Mapping[str, Callable[[Any], Subjects]] = {
    "new-names": names,
    "root-key": root_key,
    "busy-key": busy_key,
    "busy-key-under-two": busy_key_under_two,
    "imported-key-in-ring": imported_key_in_ring,
    "imported-keys": imported_keys,
    "key-with-aliases": key_with_aliases,
    "empty-ring": ring,
    "parcels": wrapped_materials,
    "key-under-two": key_under_two,
    "kmip-key": kmip_key,
    "kmip-certificates": kmip_certificates,
}
