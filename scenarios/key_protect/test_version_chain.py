"""Keys that were rotated several times, or in another path form: versions, ciphertexts and limits."""

from kms_conformance.api import covers, waits


@covers("old-ciphertext-after-rotation", "old-ciphertext-returns-new", "wrap-uses-newest-version")
@waits(7202)
def test_three_rotations(kms):
    """After three rotations every ciphertext is unwrapped, and a fresh one of the newest version is returned."""
    key, plaintext = kms.import_root_key(), kms.key_material()
    wrapped = [kms.wrap(key, plaintext, ["bound"]).succeeds(200)]
    for number in range(3):
        if number:
            kms.wait(3601, "one rotation an hour")
        kms.rotate(key, payload=kms.key_material()).succeeds(204)
        wrapped.append(kms.wrap(key, plaintext, ["bound"]).succeeds(200))
    newest = kms.list_versions(key).succeeds(200).counts("resources", 4)["resources.0.id"]
    wrapped[-1].shows("keyVersion.id", newest, requirement="wrap-uses-newest-version")
    for old in wrapped[:-1]:
        opened = kms.unwrap(key, old["ciphertext"], ["bound"]).succeeds(200).shows("plaintext", plaintext)
        opened.shows("keyVersion.id", old["keyVersion.id"])
        opened.shows("rewrappedKeyVersion.id", newest, requirement="old-ciphertext-returns-new")
        fresh = kms.unwrap(key, opened["ciphertext"], ["bound"]).succeeds(200)
        fresh.shows("plaintext", plaintext).shows("keyVersion.id", newest)
        moved = kms.rewrap(key, old["ciphertext"], ["bound"]).succeeds(200)
        moved.shows("rewrappedKeyVersion.id", newest, requirement="old-ciphertext-returns-new")


@covers("key-rotation-not-permitted", "key-rotation-not-permitted-after-1h", "key-payload-req-err")
@waits(7202)
def test_limits_of_a_second_rotation(kms):
    """A second rotation, like the first, needs key material and keeps the hour to the next."""
    key = kms.import_root_key()
    for _ in range(2):
        kms.rotate(key, payload=kms.key_material()).succeeds(204)
        kms.rotate(key, payload=kms.key_material()).is_refused("KEY_ROTATION_NOT_PERMITTED")
        kms.wait(3601, "one rotation an hour")
        kms.rotate(key).is_refused("KEY_PAYLOAD_REQ_ERR", requirement="key-payload-req-err")
    kms.rotate(key, payload=kms.key_material()).succeeds(
        204, requirement="key-rotation-not-permitted-after-1h"
    )


@covers("key-rotation-not-permitted-after-1h")
@waits(3601)
def test_refused_rotation_does_not_count(kms):
    """A refused rotation does not extend the hour until the next one."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.wait(1800, "half of the hour")
    kms.rotate(key).is_refused(
        "KEY_ROTATION_NOT_PERMITTED", requirement="key-rotation-not-permitted-after-1h"
    )
    kms.wait(1801, "the other half")
    kms.rotate(key).succeeds(204, requirement="key-rotation-not-permitted-after-1h")


@covers("key-rotation-not-permitted", "old-action-form", "key-payload-req-err")
def test_limits_in_the_old_form(kms):
    """In the older path form, rotation is refused within the hour and without key material."""
    key, other, alias = kms.import_root_key(), kms.import_root_key(), kms.short_name("turns")
    kms.create_alias(key, alias).needed(200, 201)
    kms.old_action(key, "rotate", {"payload": kms.key_material()}).succeeds(
        204, requirement=("key-rotation-not-permitted", "old-action-form")
    )
    for reference in (key, alias):
        again = kms.old_action(reference, "rotate", {"payload": kms.key_material()})
        again.is_refused("KEY_ROTATION_NOT_PERMITTED")
    present = kms.rotate(alias, payload=kms.key_material())
    present.is_refused("KEY_ROTATION_NOT_PERMITTED", control="the same request in the older form")
    kms.old_action(other, "rotate").is_refused(
        "KEY_PAYLOAD_REQ_ERR", target=("field", "payload"), requirement="key-payload-req-err"
    )
    kms.action(other, "rotate", {}).is_refused(
        "KEY_PAYLOAD_REQ_ERR", requirement="key-payload-req-err", control="the same request in the older form"
    )


@covers("rotation-per-key", "key-rotation-not-permitted-first-at-once")
def test_rotation_of_two_keys(kms):
    """Rotating one key does not prevent the rotation of another."""
    rows = ("rotation-per-key", "key-rotation-not-permitted-first-at-once")
    for key in (kms.create_root_key(), kms.create_root_key()):
        kms.rotate(key).succeeds(204, requirement=rows)


@covers("rotation-keeps-key", "rotation-keeps-identity")
def test_rotated_key_is_the_same(kms):
    """Rotation keeps name, description, tags, alias and kind of a key, and adds its date."""
    alias = kms.short_name("stays")
    key = kms.import_root_key(description="kept by a rotation", tags=["kept"], aliases=[alias])
    before = kms.get_metadata(key).succeeds(200).lacks("resources.0.lastRotateDate")
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    after = kms.get_metadata(alias).succeeds(200)
    after.shows("resources.0.id", key.id, requirement="rotation-keeps-identity")
    after.shows("resources.0.name", key.name, requirement="rotation-keeps-identity")
    after.shows("resources.0.description", "kept by a rotation").lists("resources.0.tags", "kept")
    after.shows("resources.0.imported", value=True).shows("resources.0.state", 1)
    after.shows("resources.0.creationDate", before["resources.0.creationDate"])
    after.shows("resources.0.lastRotateDate").differs("resources.0.keyVersion.id", key.id)


@covers("wrap-of-new-keys-differs")
def test_generated_keys_differ(kms):
    """Two generated root keys do not unwrap each other's ciphertexts; two standard keys differ in material."""
    first, second = kms.create_root_key(), kms.create_root_key()
    kms.rotate(second).succeeds(204)
    for one, other in ((first, second), (second, first)):
        ciphertext = kms.wrap(one, kms.key_material()).succeeds(200)["ciphertext"]
        kms.unwrap(one, ciphertext).succeeds(200)
        kms.unwrap(other, ciphertext).is_refused_somehow().lacks("plaintext")
    material = kms.get_key(kms.create_standard_key()).succeeds(200)["resources.0.payload"]
    kms.get_key(kms.create_standard_key()).succeeds(200).differs("resources.0.payload", material)


@covers("rotation-changes-material")
def test_rotation_changes_the_material(kms):
    """A key with the older key material cannot unwrap what the newer version wraps."""
    material = kms.key_material()
    key, older = kms.import_root_key(material), kms.import_root_key(material)
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    kms.unwrap(key, ciphertext).succeeds(200)
    kms.unwrap(older, ciphertext).is_refused_somehow().lacks("plaintext")


@covers("versions-pages")
@waits(3601)
def test_pages_of_versions(kms):
    """Versions are listed in pages and counted as a whole."""
    key = kms.create_root_key()
    kms.rotate(key).succeeds(204)
    kms.wait(3601, "one rotation an hour")
    kms.rotate(key).succeeds(204)
    everything = kms.list_versions(key).succeeds(200).counts("resources", 3)
    first = kms.list_versions(key, limit=2, totalCount=True).succeeds(200).counts("resources", 2)
    first.shows("metadata.totalCount", 3).shows("resources.0.id", everything["resources.0.id"])
    second = kms.list_versions(key, limit=2, offset=2).succeeds(200).counts("resources", 1)
    second.shows("resources.0.id", everything["resources.2.id"]).shows("resources.0.id", key.id)
