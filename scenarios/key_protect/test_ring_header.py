"""The key ring header on every operation that takes it, and further rules of key rings."""

import pytest

from kms_conformance.api import covers, impact, needs, waits

key_rings = needs(capability="key_rings")
LOOKS = {
    "read": lambda kms, key, _: kms.get_key(key),
    "wrap": lambda kms, key, _: kms.wrap(key, kms.key_material()),
    "unwrap": lambda kms, key, ciphertext: kms.unwrap(key, ciphertext),
    "versions": lambda kms, key, _: kms.list_versions(key),
    "policies": lambda kms, key, _: kms.get_policies(key),
    "registrations": lambda kms, key, _: kms.list_registrations(key),
    "rotate": lambda kms, key, _: kms.rotate(key),
    "disable": lambda kms, key, _: kms.disable(key),
    "delete": lambda kms, key, _: kms.delete_key(key),
}


@pytest.mark.parametrize("what", sorted(LOOKS))
@covers("key-ring-lookup-every-operation")
@key_rings
def test_key_is_not_found_in_another_ring(kms, what):
    """An operation on a key does not find it when the header names another key ring."""
    ring, other, do = kms.new_ring(), kms.new_ring(), LOOKS[what]
    key = kms.in_ring(ring).create_root_key()
    ciphertext = kms.in_ring(ring).wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    below = "the same request succeeds below"
    do(kms.in_ring(other), key, ciphertext).is_refused("KEY_NOT_FOUND_ERR", control=below)
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    shown.lacks("resources.0.lastRotateDate")
    do(kms.in_ring(ring), key, ciphertext).succeeds()


@covers("key-ring-lookup-every-operation")
@needs(capability=("key_rings", "aliases"))
def test_alias_is_not_found_in_another_ring(kms):
    """A key is not found by its alias when the header names another key ring."""
    ring, other, alias = kms.new_ring(), kms.new_ring(), kms.short_name("ringed")
    key = kms.in_ring(ring).create_root_key(aliases=[alias])
    kms.in_ring(ring).get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)
    kms.in_ring(other).get_metadata(alias).is_refused("KEY_NOT_FOUND_ERR")


@covers("key-ring-holds-key")
@needs(capability=("key_rings", "import_tokens"))
@impact("import-token")
def test_key_by_token_in_a_ring(kms):
    """A key imported by token is in the key ring that the header names."""
    ring, parcel = kms.new_ring(), kms.wrap_for_import(kms.import_token(), kms.key_material())
    key = kms.in_ring(ring).create_key(**parcel.members()).succeeds(201)["resources.0.id"]
    kms.in_ring(ring).get_metadata(key).succeeds(200).agrees("resources.0.keyRingID", ring)


@covers("key-ring-holds-key", "key-ring-lookup")
@key_rings
def test_imported_keys_in_rings(kms):
    """Imported keys, and keys with policies of their own, are in the key ring that the header names only."""
    ring, other = kms.new_ring(), kms.new_ring()
    inside = kms.in_ring(ring)
    keys = [inside.import_root_key().id, inside.import_standard_key().id]
    keys.append(inside.create_key_with_policies().succeeds(201)["resources.0.id"])
    listed = inside.list_keys().succeeds(200).counts("resources", 3)
    for key in keys:
        listed.lists("resources.*.id", key)
        kms.get_metadata(key).succeeds(200).agrees("resources.0.keyRingID", ring)
    elsewhere = kms.in_ring(other).list_keys().succeeds(200)
    elsewhere.shows("metadata.collectionTotal", 0, requirement="key-ring-lookup")
    kms.in_ring(other).count_keys().succeeds(200).has_header("key-total", "0", requirement="key-ring-lookup")


@covers("key-ring-move-unknown", "key-ring-move-keeps-key")
@needs(capability=("key_rings", "aliases"))
@waits(600)
def test_moved_key_is_the_same(kms):
    """A key cannot be moved to an unknown key ring; moved to an existing one, it is the same key."""
    alias, plaintext, ring = kms.short_name("moved"), kms.key_material(), kms.new_ring()
    key, row = kms.create_root_key(aliases=[alias]), "key-ring-move-keeps-key"
    ciphertext = kms.wrap(key, plaintext).succeeds(200)["ciphertext"]
    below = "the same request succeeds below"
    unknown = kms.patch_key(key, kms.short_name("nowhere"))
    unknown.is_refused_somehow(control=below, requirement="key-ring-move-unknown")
    shown = kms.get_metadata(key).succeeds(200)
    shown.agrees("resources.0.keyRingID", "default", requirement="key-ring-move-unknown")
    moved = kms.patch_key(key, ring).succeeds(200).lacks("resources.0.payload", requirement=row)
    moved.shows("resources.0.id", key.id, requirement=row)
    to_none = kms.request("PATCH", f"/keys/{key}", {})
    to_none.is_refused_somehow(control=moved, requirement="key-ring-move-unknown")
    kms.wait(600, "a move may take ten minutes to be seen everywhere")
    kms.in_ring(ring).get_metadata(alias).succeeds(200, requirement=row).shows(
        "resources.0.id", key.id, requirement=row
    )
    kms.unwrap(key, ciphertext).succeeds(200, requirement=row).shows("plaintext", plaintext, requirement=row)


@covers("key-ring-force-live-keys", "key-ring-not-empty")
@key_rings
def test_ring_with_a_suspended_key(kms):
    """A key ring with a suspended key cannot be deleted, and `force=false` does not force it."""
    kms.delete_ring(kms.new_ring()).succeeds(204)
    ring = kms.new_ring()
    suspended, destroyed = kms.in_ring(ring).create_root_key(), kms.in_ring(ring).create_root_key()
    kms.disable(suspended).succeeds(204)
    kms.delete_key(destroyed).succeeds(200, 204)
    row = "key-ring-not-empty"
    kms.delete_ring(ring, force=False).is_refused("KEY_RING_NOT_EMPTY_ERR", requirement=row)
    refused = kms.delete_ring(ring, force=True)
    refused.is_refused("KEY_RING_KEYS_NOT_DELETED_ERR", requirement="key-ring-force-live-keys")
    kms.list_rings(limit=5000).succeeds(200).lists("resources.*.id", ring, requirement=row)
    kms.get_metadata(suspended).succeeds(200).agrees("resources.0.keyRingID", ring, requirement=row)


@covers("key-ring-names-case")
@key_rings
def test_ring_in_capitals(kms):
    """Key ring ids are case-sensitive: in capitals an id names another key ring."""
    ring = kms.new_ring()
    kms.in_ring(ring).create_key().succeeds(201)
    kms.in_ring(ring.upper()).create_key().is_refused("KEY_RING_NOT_FOUND_ERR")


@covers("key-ring-pages")
@key_rings
def test_pages_of_rings(kms):
    """Key rings are listed in pages and counted as a whole; the page after the last is empty."""
    ring = kms.new_ring()
    for offset in (0, 1):
        page = kms.list_rings(limit=1, offset=offset, totalCount=True).succeeds(200)
        page.counts("resources", 1).shows("metadata.totalCount")
    kms.list_rings(limit=5000, offset=1_000_000).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.list_rings(limit=5000).succeeds(200).lists("resources.*.id", ring)
