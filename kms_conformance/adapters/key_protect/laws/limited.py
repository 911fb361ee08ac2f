"""What limits and schedules are asked about: keys of each kind, names to give, material packed for an import token."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.adapters.key_protect.laws.owned import always
from kms_conformance.laws.request import Subjects
from kms_conformance.redaction.redactor import Secret

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_AES_KEYS = (16, 24, 32)
_BETWEEN_ZEROS = "AABhIGtleSB0aGF0IGhhcyB6ZXJvcyBhcm91bmQAAAA="
"""Material of 32 octets that begins and ends with zeros, in base64."""
_IMPORTS = 7


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
    """Pack material of each size, one with zeros around it, and of seven keys, for one import token that was fetched once."""
    token = kms.import_token()
    materials = [*map(kms.key_material, _AES_KEYS), Secret(_BETWEEN_ZEROS)]
    sizes = [kms.wrap_for_import(token, material).members() for material in materials]
    imports = [kms.wrap_for_import(token, kms.key_material()).members() for _ in range(_IMPORTS)]
    return Subjects(marks=_names(kms) | {"sizes": sizes, "imports": imports})


def key_under_two(kms: KeyProtectOperations) -> Subjects:
    """Make a root key whose deletion needs two users."""
    key = kms.create_root_key()
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed()
    return Subjects(marks=_names(kms) | {"key": key.id})


def kmip_key(kms: KeyProtectOperations) -> Subjects:
    """Make a root key for KMIP adapters."""
    return Subjects(marks=_names(kms) | {"key": kms.create_root_key().id})


def _names(kms: KeyProtectOperations) -> dict[str, Any]:
    """Return names of our own; ``pair`` has two characters, the fewest that an alias may have."""
    # Derived from run and case, so that a later judgement of the run finds the same names.
    first, second = hashlib.sha256(f"{kms.case.context.run} {kms.case.info.id}".encode()).digest()[:2]
    pair = _LETTERS[first % len(_LETTERS)] + _LETTERS[second % len(_LETTERS)]
    return always(kms) | {"stem": kms.short_name("many"), "pair": pair}


MAKERS: Mapping[str, Callable[[Any], Subjects]] = {
    "new-names": names,
    "root-key": root_key,
    "imported-keys": imported_keys,
    "key-with-aliases": key_with_aliases,
    "empty-ring": ring,
    "parcels": wrapped_materials,
    "key-under-two": key_under_two,
    "kmip-key": kmip_key,
}
