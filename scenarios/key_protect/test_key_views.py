"""What replies show of a key, and that no reply shows its key material."""

from kms_conformance.api import covers, near, waits

HOUR, DAY = 3600, 86400


@covers("crn-names-key")
def test_crn_names_instance_and_key(kms):
    """A key's CRN ends with its instance and its id, in every reply that shows it."""
    made = kms.create_key().succeeds(201)
    key = made["resources.0.id"]
    pattern = f":{kms.case.instance.lower()}:key:{key}$"
    made.matches("resources.0.crn", pattern)
    for answer in (kms.get_key(key), kms.get_metadata(key)):
        answer.succeeds(200).matches("resources.0.crn", pattern)


@covers("created-date-shown")
@waits(2)
def test_dates_of_a_new_key(kms):
    """Metadata show when a key was created and changed, and by whom."""
    key, other, row = kms.create_root_key(), kms.create_root_key(), "created-date-shown"
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.createdBy", requirement=row)
    days = "|".join(kms.later(86400 * off)[:10] for off in (-1, 0, 1))
    shown.matches("resources.0.creationDate", f"^({days})")
    again = kms.get_metadata(other).succeeds(200)
    again.shows("resources.0.createdBy", shown["resources.0.createdBy"])
    kms.wait(2, "dates have whole seconds")
    kms.rotate(key).succeeds(204)
    later = kms.get_metadata(key).succeeds(200)
    later.shows("resources.0.creationDate", shown["resources.0.creationDate"])
    later.differs("resources.0.lastUpdateDate", shown["resources.0.lastUpdateDate"])


@covers("deleted-key-deadlines", "deleted-key-dates")
def test_deadlines_of_a_deleted_key(kms):
    """A deleted key shows until when it can be restored, and from when it can be and will be purged."""
    key = kms.create_root_key()
    kms.delete_key(key).succeeds()
    row = "deleted-key-deadlines"
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.deletedBy", requirement=row)
    shown.shows("resources.0.deletionDate", requirement="deleted-key-dates")
    deleted = shown["resources.0.deletionDate"]
    shown.matches("resources.0.restoreExpirationDate", near(deleted, seconds=30 * DAY), requirement=row)
    shown.matches("resources.0.purgeAllowedFrom", near(deleted, seconds=4 * HOUR), requirement=row)
    shown.matches("resources.0.purgeScheduledOn", near(deleted, seconds=90 * DAY), requirement=row)
    shown.shows("resources.0.restoreAllowed", value=True, requirement=row)
    shown.shows("resources.0.purgeAllowed", value=False, requirement=row)


@covers("create-expiration-shown")
def test_expiration_date_is_the_one_given(kms):
    """A key shows exactly the expiration date that it was given, and none otherwise."""
    later = kms.later(7200)
    for made in (
        kms.create_key(expirationDate=later),
        kms.create_key(expirationDate=later, payload=kms.key_material()),
    ):
        made.succeeds(201).matches("resources.0.expirationDate", f"^{later[:19]}")
        shown = kms.get_metadata(made["resources.0.id"]).succeeds(200)
        shown.matches("resources.0.expirationDate", f"^{later[:19]}")
    kms.get_metadata(kms.create_root_key()).succeeds(200).lacks("resources.0.expirationDate")


@covers("create-members-kept")
def test_members_of_a_key_are_kept(kms):
    """Name, description and tags of a key are shown exactly as they were given."""
    name = kms.name("Some.Name")[:70] + " with Blanks"
    tags, words = ["one", "Two words"], "Keeps CAPITALS, blanks and äöü."
    for members in ({}, {"payload": kms.key_material()}, {"extractable": True}):
        made = kms.create_key(name=name, description=words, tags=tags, **members).succeeds(201)
        shown = kms.get_metadata(made["resources.0.id"]).succeeds(200)
        for answer in (made, shown):
            answer.shows("resources.0.name", name).shows("resources.0.description", words)
        shown.lists("resources.0.tags", "one").lists("resources.0.tags", "Two words").counts(
            "resources.0.tags", 2
        )


@covers("root-key-material-never-returned", "prefer-representation-create", "prefer-representation-delete")
def test_representations_hide_the_material(kms):
    """No view of an imported root key contains its key material, in whatever state the key is."""
    asking = kms.preferring("representation")
    made = asking.create_key(payload=kms.key_material()).succeeds(201).lacks("resources.0.payload")
    made.shows("resources.0.creationDate", requirement="prefer-representation-create")
    key = kms.import_root_key()
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.get_key(key).succeeds(200).lacks("resources.0.payload")
    kms.disable(key).succeeds(204)
    for answer in (kms.get_key(key), kms.get_metadata(key)):
        answer.succeeds(200).lacks("resources.0.payload")
    deleted = asking.delete_key(key).succeeds(200, requirement="prefer-representation-delete")
    deleted.lacks("resources.0.payload").shows(
        "resources.0.state", 5, requirement="prefer-representation-delete"
    )
    for answer in (kms.get_key(key), kms.get_metadata(key)):
        answer.succeeds(200).lacks("resources.0.payload")


@covers("root-key-material-never-returned")
@waits(31)
def test_material_is_in_no_member_and_no_header(kms):
    """No member and no header of a reply contains the key material of an imported root key."""
    first, second = kms.key_material(), kms.key_material()
    made = kms.create_key(payload=first).succeeds(201)
    key = made["resources.0.id"]
    replies = [made, kms.rotate(key, payload=second).succeeds(204), kms.get_key(key), kms.get_metadata(key)]
    replies += [kms.list_versions(key), kms.wrap(key), kms.delete_key(key)]
    kms.wait(31, "30 seconds between delete and restore")
    replies.append(kms.restore_key(key, payload=first))
    for answer in replies:
        answer.succeeds()
        answer.hides("first material", first).hides("second material", second)


@covers("deleted-standard-key-readable")
def test_deleted_standard_key(kms):
    """A deleted standard key can be read as deleted; its key material is returned only before."""
    material = kms.key_material()
    key = kms.import_standard_key(material)
    for _ in range(2):
        kms.get_key(key).succeeds(200).shows("resources.0.payload", material)
    kms.delete_key(key).succeeds()
    for answer in (kms.get_key(key), kms.get_metadata(key)):
        answer.succeeds(200).shows("resources.0.state", 5).shows("resources.0.deleted", value=True)
