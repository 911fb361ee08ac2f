"""Keys are created, imported and read, and root keys do not return their key material."""

from kms_conformance.api import covers, waits


@covers("create-root-key", "state-after-create")
def test_create_root_key(kms):
    """A root key is created active, not imported, with an id, a name and a CRN."""
    name = kms.name()
    answer = kms.create_key(name=name, extractable=False)
    answer.succeeds(201).shows("resources.0.name", name)
    answer.shows("resources.0.state", 1, requirement="state-after-create")
    answer.shows("resources.0.extractable", value=False).shows("resources.0.imported", value=False)
    answer.shows("resources.0.crn").shows("resources.0.deleted", value=False)


@covers("create-standard-key")
def test_create_standard_key(kms):
    """A standard key is created extractable and active."""
    answer = kms.create_key(extractable=True)
    answer.succeeds(201).shows("resources.0.extractable", value=True).shows("resources.0.state", 1)


@covers("read-back", "metadata")
def test_read_back(kms):
    """A new key is found under its id, with its name and description."""
    name = kms.name()
    key = kms.create_root_key(name=name, description="made by the conformance suite")
    for row, answer in (("read-back", kms.get_key(key)), ("metadata", kms.get_metadata(key))):
        answer.succeeds(200, requirement=row)
        answer.shows("resources.0.id", key.id, requirement=row)
        answer.shows("resources.0.name", name, requirement=row)
        answer.shows("resources.0.description", "made by the conformance suite", requirement=row)
        answer.shows("resources.0.state", 1, requirement=row)


@covers("root-key-material-never-returned")
def test_root_key_material_stays_inside(kms):
    """No reply contains the key material of a root key, generated or imported."""
    generated, imported = kms.create_root_key(), kms.import_root_key()
    for key in (generated, imported):
        kms.get_key(key).succeeds(200).lacks("resources.0.payload")
        kms.get_metadata(key).succeeds(200).lacks("resources.0.payload")
        kms.list_versions(key).succeeds(200).lists_not("resources.*.payload", key.material)
    kms.list_keys(limit=200).succeeds(200).counts("resources.*.payload", 0)


@covers("standard-key-payload", "metadata-standard-no-payload")
def test_standard_key_material_comes_back(kms):
    """Only reading a standard key returns its key material."""
    material = kms.key_material()
    key = kms.import_standard_key(material)
    kms.get_key(key).succeeds(200).shows("resources.0.payload", material)
    kms.get_metadata(key).succeeds(200).lacks(
        "resources.0.payload", requirement="metadata-standard-no-payload"
    )


@covers("generated-standard-key-payload")
def test_generated_standard_key_has_material(kms):
    """A standard key created without key material gets generated material of 32 bytes, which stays and can be imported."""
    key = kms.create_standard_key()
    made = kms.get_key(key).succeeds(200).shows("resources.0.payload")
    material = made["resources.0.payload"]
    kms.create_key(extractable=True, payload=material).succeeds(201)
    made.shows("resources.0.payload", kms.of_octets(32, material))
    kms.get_key(key).succeeds(200).shows("resources.0.payload", material)


@covers("import-root-key", "import-root-key-usable")
def test_import_root_key(kms):
    """An imported root key is shown as imported, and wraps."""
    answer = kms.create_key(extractable=False, payload=kms.key_material())
    answer.succeeds(201).shows("resources.0.imported", value=True).lacks("resources.0.payload")
    kms.wrap(answer["resources.0.id"], kms.key_material()).succeeds(200, requirement="import-root-key-usable")


@covers("import-standard-key")
def test_import_standard_key(kms):
    """An imported standard key is shown as imported."""
    answer = kms.create_key(extractable=True, payload=kms.key_material())
    answer.succeeds(201).shows("resources.0.imported", value=True)


@covers("import-root-key-bad-length")
def test_import_material_of_no_aes_length(kms):
    """Importing a root key of 17 bytes is refused: key material has 16, 24 or 32 bytes."""
    for size in (16, 24, 32):
        kms.create_key(payload=kms.key_material(size)).succeeds(201)
    kms.create_key(payload=kms.key_material(17)).is_refused_somehow()


@covers("create-names-not-unique")
def test_names_need_not_be_unique(kms):
    """Two keys can have the same name; their ids differ."""
    name = kms.name()
    first = kms.create_root_key(name=name)
    kms.create_key(name=name).succeeds(201).differs("resources.0.id", first.id)


@covers("key-not-found-err", "key-not-found-err-action", "key-not-found-err-delete")
def test_unknown_key(kms):
    """Requests for a key that does not exist are answered with not found."""
    key, unknown = kms.create_root_key(), "00000000-0000-4000-8000-000000000000"
    kms.get_key(key).succeeds(200)
    kms.get_key(unknown).is_refused("KEY_NOT_FOUND_ERR")
    kms.wrap(key, kms.key_material()).succeeds(200)
    kms.wrap(unknown, kms.key_material()).is_refused(
        "KEY_NOT_FOUND_ERR", requirement="key-not-found-err-action"
    )
    kms.delete_key(key).succeeds()
    kms.delete_key(unknown).is_refused("KEY_NOT_FOUND_ERR", requirement="key-not-found-err-delete")


@covers("state-after-delete", "deleted-key-readable", "deleted-key-dates", "deleted-key-not-listed")
def test_deleted_key_stays_readable(kms):
    """A deleted key is destroyed at once, can still be read, and is left out of the list."""
    key = kms.create_root_key()
    kms.list_keys(search=key.name).succeeds(200).lists("resources.*.id", key.id)
    kms.delete_key(key).succeeds()
    answer = kms.get_metadata(key).succeeds(200, requirement="deleted-key-readable")
    answer.shows("resources.0.state", 5).shows("resources.0.deleted", value=True)
    answer.shows("resources.0.deletionDate", requirement="deleted-key-dates")
    kms.list_keys(search=key.name).lists_not("resources.*.id", key.id, requirement="deleted-key-not-listed")


@covers("key-action-invalid-state-err-enable-expired", "precedence-p12")
@waits(62)
def test_enable_expired_key(kms):
    """An expired key cannot be enabled (example 2 of the section)."""
    key = kms.create_root_key(expirationDate=kms.later(60))
    control = kms.create_root_key()
    kms.disable(control).succeeds(204)
    kms.wait(62, "the key's expiration date passes")
    kms.enable(control).succeeds(204)
    kms.enable(key).is_refused(
        "KEY_ACTION_INVALID_STATE_ERR",
        requirement=("key-action-invalid-state-err-enable-expired", "precedence-p12"),
    )


@covers("create-minimal")
def test_created_key_echoes_the_request(kms):
    """The reply to a creation repeats what was asked for and shows the key as not imported, not deleted."""
    name = kms.name()
    answer = kms.create_key(name=name, description="echoed by the reply", extractable=False).succeeds(201)
    answer.shows("resources.0.name", name).shows("resources.0.description", "echoed by the reply")
    answer.shows("resources.0.extractable", value=False).shows("resources.0.imported", value=False)
    answer.shows("resources.0.deleted", value=False)


@covers("create-expiration-shown")
def test_expiration_date_is_shown(kms):
    """A key shows the expiration date that it was created with."""
    answer = kms.create_key(expirationDate=kms.later(7200)).succeeds(201).shows("resources.0.expirationDate")
    kms.get_metadata(answer["resources.0.id"]).succeeds(200).shows("resources.0.expirationDate")


@covers("create-with-tags")
def test_create_with_tags(kms):
    """Tags given at creation are shown on the key."""
    answer = kms.create_key(tags=["conformance", "two words"]).succeeds(201)
    shown = kms.get_metadata(answer["resources.0.id"]).succeeds(200).lists("resources.0.tags", "conformance")
    shown.lists("resources.0.tags", "two words")


@covers("create-expiration-in-past")
def test_expiration_date_in_the_past(kms):
    """Creating a key with an expiration date in the past is refused."""
    kms.create_key(expirationDate=kms.later(7200)).succeeds(201)
    kms.create_key(expirationDate=kms.later(-7200)).is_refused_somehow()


@covers("create-name-too-short")
def test_name_of_one_character(kms):
    """Creating a key with a name of one character is refused."""
    kms.create_key().succeeds(201)
    kms.create_key(name="k").is_refused_somehow()


@covers("prefer-minimal")
def test_minimal_representation(kms):
    """The reply names the new key even to a client that prefers a minimal one."""
    answer = kms.preferring("minimal").create_key().succeeds(201, requirement="prefer-minimal")
    kms.get_metadata(answer["resources.0.id"]).succeeds(200)


@covers("import-payload-not-base64")
def test_import_material_that_is_no_base64(kms):
    """Importing key material that is not base64 is refused."""
    kms.create_key(payload=kms.key_material()).succeeds(201)
    kms.create_key(payload=kms.harmless("not even base64!")).is_refused_somehow()


@covers("instances-are-separate")
def test_key_of_another_instance(kms):
    """A key is not found in another instance."""
    key = kms.create_root_key()
    kms.get_key(key).succeeds(200)
    other = kms.with_headers(bluemix_instance="5a0c7e1d-0f3b-4b1e-9b57-3d1f6c2a8e90")
    other.get_key(key).is_refused_somehow(401, 403, 404).lacks("resources.0.id")


@covers("deleted-key-not-listed", "list-state-filter")
def test_deleted_key_on_request(kms):
    """Deleted keys are listed only when their state is asked for."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds(200, 204)
    kms.list_keys(search=key.name).succeeds(200).shows("metadata.collectionTotal", 0)
    asked = kms.list_keys(search=key.name, state="5").succeeds(200)
    asked.lists("resources.*.id", key.id, requirement="list-state-filter")
