"""Key rings: created, filled, searched and deleted."""

from kms_conformance.api import covers, needs, waits

key_rings = needs(capability="key_rings")


@covers("key-ring-default", "key-ring-create", "key-ring-delete")
@key_rings
def test_life_of_a_ring(kms):
    """A key ring is created, listed beside the default one, and deleted while it is empty."""
    ring = kms.short_name("ring")
    kms.create_ring(ring).succeeds(201, requirement="key-ring-create")
    listed = (
        kms.list_rings(limit=5000)
        .succeeds(200)
        .lists("resources.*.id", "default", requirement="key-ring-default")
    )
    listed.lists("resources.*.id", ring, requirement="key-ring-create")
    kms.delete_ring(ring).succeeds(204, requirement="key-ring-delete")
    kms.list_rings(limit=5000).succeeds(200).lists_not("resources.*.id", ring, requirement="key-ring-delete")


@covers("key-ring-holds-key", "key-ring-lookup", "key-ring-count")
@key_rings
def test_key_in_a_ring(kms):
    """A key created in a key ring is found in that ring, and not in another."""
    ring, other = kms.new_ring(), kms.new_ring()
    key = kms.in_ring(ring).create_root_key()
    shown = kms.in_ring(ring).get_metadata(key).succeeds(200).agrees("resources.0.keyRingID", ring)
    shown.shows("resources.0.id", key.id)
    kms.in_ring(ring).list_keys().succeeds(200).lists("resources.*.id", key.id)
    kms.in_ring(ring).count_keys().succeeds(200).has_header("key-total", "1", requirement="key-ring-count")
    kms.in_ring(other).get_metadata(key).is_refused("KEY_NOT_FOUND_ERR", requirement="key-ring-lookup")
    kms.in_ring(other).list_keys().succeeds(200).lists_not(
        "resources.*.id", key.id, requirement="key-ring-lookup"
    )


@covers("key-ring-move", "law-relations-keys-ring")
@key_rings
@waits(600)
def test_move_key(kms):
    """A key can be moved to another key ring; the move is visible everywhere after ten minutes."""
    ring, key = kms.new_ring(), kms.create_root_key()
    moved = kms.patch_key(key, ring).succeeds(200, requirement="key-ring-move")
    moved.shows("resources.0.keyRingID", ring)
    kms.wait(600, "a move may take ten minutes to be seen everywhere")
    kms.in_ring(ring).get_metadata(key).succeeds(200, requirement="key-ring-move").agrees(
        "resources.0.keyRingID", ring
    )
    for each, number in ((ring, 1), ("default", 0)):
        listed = kms.in_ring(each).list_keys(search=key.name).succeeds(200)
        listed.shows("metadata.collectionTotal", number, requirement="law-relations-keys-ring")
    kms.in_ring(ring).count_keys().has_header("key-total", "1", requirement="law-relations-keys-ring")


@covers("key-ring-unknown")
@key_rings
def test_unknown_ring(kms):
    """Creating a key in a key ring that does not exist is refused."""
    kms.in_ring(kms.new_ring()).create_key().succeeds(201)
    name = kms.name()
    kms.in_ring(kms.short_name("nowhere")).create_key(name=name).is_refused("KEY_RING_NOT_FOUND_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("key-ring-not-empty", "key-ring-force-live-keys")
@key_rings
def test_ring_with_a_live_key(kms):
    """A key ring that holds an active key cannot be deleted, even with force."""
    kms.delete_ring(kms.new_ring()).succeeds(204)
    ring = kms.new_ring()
    key = kms.in_ring(ring).create_root_key()
    kms.delete_ring(ring).is_refused("KEY_RING_NOT_EMPTY_ERR")
    kms.delete_ring(ring, force=True).is_refused(
        "KEY_RING_KEYS_NOT_DELETED_ERR", requirement="key-ring-force-live-keys"
    )
    kms.in_ring(ring).get_metadata(key).succeeds(200).agrees("resources.0.keyRingID", ring)


@covers("key-ring-not-empty", "key-ring-force-live-keys")
@key_rings
def test_ring_with_an_idle_key(kms):
    """A key ring that holds a suspended key, or a standard key, cannot be deleted, even with force."""
    kms.delete_ring(kms.new_ring()).succeeds(204)
    ring, other = kms.new_ring(), kms.new_ring()
    kms.disable(kms.in_ring(ring).create_root_key()).succeeds(204)
    kms.in_ring(other).create_standard_key()
    for each in (ring, other):
        kms.delete_ring(each).is_refused("KEY_RING_NOT_EMPTY_ERR")
        kms.delete_ring(each, force=True).is_refused(
            "KEY_RING_KEYS_NOT_DELETED_ERR", requirement="key-ring-force-live-keys"
        )


@covers("key-ring-force-deleted-keys", "key-ring-not-empty", "law-ownership-released")
@key_rings
@waits(600)
def test_ring_with_a_deleted_key(kms):
    """A key ring that holds only deleted keys can be deleted with force; they move to the default ring for good."""
    kms.delete_ring(kms.new_ring(), force=True).succeeds(204, requirement="law-ownership-released")
    ring = kms.new_ring()
    key = kms.in_ring(ring).create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.delete_ring(ring).is_refused("KEY_RING_NOT_EMPTY_ERR", requirement="key-ring-not-empty")
    kms.delete_ring(ring, force=True).succeeds(204, requirement="key-ring-force-deleted-keys")
    row = "key-ring-force-deleted-keys"
    kms.wait(600, "a move may take ten minutes to be seen everywhere")
    moved = kms.in_ring("default").get_metadata(key).proof.succeeds(200, requirement=row)
    moved.agrees("resources.0.keyRingID", "default", requirement=row)
    kms.list_rings(limit=5000).proof.lists_not("resources.*.id", ring, requirement=row)
    # Made again, it is as empty as any new one.
    kms.create_ring(ring).needed()
    kms.delete_ring(ring).succeeds(204, requirement="law-ownership-released")


@covers("key-ring-default-stays", "key-ring-default-reserved")
@key_rings
def test_default_ring_stays(kms):
    """The default key ring can be neither deleted nor created."""
    kms.delete_ring(kms.new_ring()).succeeds(204)
    kms.delete_ring("default").is_refused_somehow()
    # As a plain request: what it would create, no clean-up may delete.
    again = kms.request("POST", "/key_rings/default")
    again.is_refused_somehow(
        control="another key ring is created above", requirement="key-ring-default-reserved"
    )
    kms.list_rings(limit=5000).succeeds(200).lists("resources.*.id", "default")
