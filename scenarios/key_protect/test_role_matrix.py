"""The table of roles: what needs a writer or a manager is refused to a reader, one operation at a time."""

import pytest

from kms_conformance.api import covers, impact, needs, waits

ROTATION = {"rotation": {"interval_month": 3}}
ON_KEYS = {
    "put-policy": lambda kms, key: kms.put_policy(key, query="rotation", **ROTATION),
    "alias": lambda kms, key: kms.create_alias(key, kms.short_name("reader")),
    "old-disable": lambda kms, key: kms.old_action(key, "disable"),
    "old-rotate": lambda kms, key: kms.old_action(key, "rotate"),
    "force-delete": lambda kms, key: kms.delete_key(key, force=True),
}


@pytest.mark.parametrize("what", sorted(ON_KEYS))
@covers("role-reader-no-writes")
@needs(identity="reader")
def test_reader_writes_nothing(kms, what):
    """A reader can neither set a policy nor add an alias, nor disable, rotate or delete in any path form."""
    do, key = ON_KEYS[what], kms.create_root_key()
    control = do(kms, kms.create_root_key()).succeeds()
    do(kms.as_identity("reader"), key).is_refused("UNAUTHORIZED_ERR", control=control)
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    shown.lacks("resources.0.aliases").lacks("resources.0.lastRotateDate")
    kms.get_policies(key).succeeds(200).shows("metadata.collectionTotal", 0)


@pytest.mark.parametrize(
    ("action", "covered"),
    [
        pytest.param("enable", "role-reader-no-enable", marks=covers("role-reader-no-enable")),
        pytest.param("restore", "role-reader-no-restore", marks=covers("role-reader-no-restore")),
    ],
)
@needs(identity="reader")
@waits(31)
def test_reader_brings_nothing_back(kms, action, covered):
    """A reader can neither enable nor restore a key; a manager can."""
    key, reader = kms.import_root_key(), kms.as_identity("reader")
    kms.disable(key).succeeds(204) if action == "enable" else kms.delete_key(key).succeeds()
    kms.wait(31, "30 seconds between one action and the next")
    below = "the same request succeeds below"
    if action == "enable":
        reader.enable(key).is_refused("UNAUTHORIZED_ERR", control=below, requirement=covered)
        kms.enable(key).succeeds(204, requirement=covered)
        return
    refused = reader.restore_key(key, payload=key.material)
    refused.is_refused("UNAUTHORIZED_ERR", control=below, requirement=covered)
    kms.restore_key(key, payload=key.material).succeeds(201, requirement=covered)


@covers("role-reader-no-rings")
@needs(identity="reader", capability="key_rings")
def test_reader_changes_no_ring(kms):
    """A reader can neither create nor delete a key ring, nor move a key to one."""
    ring, key, reader = kms.new_ring(), kms.create_root_key(), kms.as_identity("reader")
    control = kms.patch_key(kms.create_root_key(), ring).succeeds(200)
    reader.patch_key(key, ring).is_refused("UNAUTHORIZED_ERR", control=control)
    name = kms.short_name("reader")
    reader.create_ring(name).is_refused("UNAUTHORIZED_ERR", control="new_ring")
    kms.list_rings(limit=5000).succeeds(200).lists_not("resources.*.id", name)
    spare = kms.new_ring()
    below = "the same request succeeds below"
    reader.delete_ring(spare).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.delete_ring(spare).succeeds(204)


@covers("role-reader-no-alias-delete")
@needs(identity="reader", capability="aliases")
def test_reader_removes_no_alias(kms):
    """A reader cannot remove an alias from a key."""
    key, alias = kms.create_root_key(), kms.short_name("alias")
    kms.create_alias(key, alias).needed(200, 201)
    below = "the same request succeeds below"
    kms.as_identity("reader").delete_alias(key, alias).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)
    kms.delete_alias(key, alias).succeeds(204)


@covers("role-reader-no-policy-overrides")
@needs(identity="reader")
def test_reader_creates_no_key_with_policies(kms):
    """A reader cannot create a key with policies of its own."""
    kms.create_key_with_policies().succeeds(201)
    name = kms.name()
    kms.as_identity("reader").create_key_with_policies(name=name).is_refused("UNAUTHORIZED_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("role-reader-no-instance-policies")
@needs(identity="reader", capability="instance_policies")
@impact("instance")
def test_reader_has_no_part_in_instance_policies(kms):
    """A reader can neither read nor set the policies of the instance."""
    reader = kms.as_identity("reader")
    read = kms.get_instance_policies().succeeds(200)
    reader.get_instance_policies().is_refused("UNAUTHORIZED_ERR", control=read)
    control = kms.set_instance_policy("rotation", interval_month=4).succeeds(204)
    off = kms.policy_body({"policy_type": "rotation", "policy_data": {"enabled": False}})
    reader.put_instance_policies(off, "rotation").is_refused("UNAUTHORIZED_ERR", control=control)
    kms.get_instance_policies("rotation").succeeds(200).shows("resources.0.policy_data.enabled", value=True)


@covers("role-reader-no-token-retrieval")
@needs(identity="reader", capability="import_tokens")
@impact("import-token")
def test_reader_retrieves_no_import_token(kms):
    """A reader cannot retrieve the import token, and the attempt uses up no retrieval."""
    kms.create_import_token(expiration=900, maxAllowedRetrievals=3).succeeds(200)
    kms.get_import_token().succeeds(200).shows("remainingRetrievals", 2)
    kms.as_identity("reader").get_import_token().is_refused("UNAUTHORIZED_ERR").lacks("payload")
    kms.get_import_token().succeeds(200).shows("remainingRetrievals", 1)


@covers("role-reader-no-authorisation")
@needs(identity=("reader", "approver"), capability="dual_auth")
@impact("litter")
def test_reader_authorises_no_deletion(kms):
    """A reader can neither authorise a deletion nor withdraw an authorisation."""
    key, reader = kms.create_root_key(), kms.as_identity("reader")
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).succeeds(200)
    below = "the same request succeeds below"
    reader.set_for_deletion(key).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.delete_key(key).is_refused(
        "AUTHORIZATIONS_NOT_MET", control=below, requirement="role-reader-no-authorisation"
    )
    kms.set_for_deletion(key).succeeds(204)
    kms.as_identity("reader").unset_for_deletion(key).is_refused(
        "UNAUTHORIZED_ERR", control="set for deletion"
    )
    kms.as_identity("approver").delete_key(key).succeeds(200, 204)


@covers("role-reader-no-kmip")
@needs(identity="reader", capability="kmip")
def test_reader_has_no_part_in_kmip(kms):
    """A reader can neither create nor list nor delete a KMIP adapter."""
    key, reader = kms.create_root_key(), kms.as_identity("reader")
    adapter = kms.new_adapter(key)
    read = kms.list_adapters(crk_id=key.id).succeeds(200)
    reader.list_adapters(crk_id=key.id).is_refused("UNAUTHORIZED_ERR", control=read)
    made = kms.get_adapter(adapter).succeeds(200)
    reader.create_adapter(key, kms.short_name("reader")).is_refused("UNAUTHORIZED_ERR", control=made)
    name, pem = kms.short_name("reader"), kms.client_certificate()
    below = "the same request succeeds below"
    reader.add_certificate(adapter, name, pem).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.add_certificate(adapter, name, pem).succeeds(201)
    reader.delete_adapter(adapter).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.delete_adapter(adapter).succeeds(204)


@covers("role-reader-reads-more")
@needs(identity="reader")
def test_reader_reads_versions_and_rewraps(kms):
    """A reader can list a key's versions and registrations, rewrap, and count keys."""
    key, reader, row = kms.create_root_key(), kms.as_identity("reader"), "role-reader-reads-more"
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    reader.rewrap(key, ciphertext).succeeds(200, requirement=row).lacks("plaintext", requirement=row)
    reader.list_versions(key).succeeds(200, requirement=row).counts("resources", 1, requirement=row)
    reader.list_registrations(key).succeeds(200, requirement=row)
    reader.count_keys().succeeds(200, requirement=row)


@covers("unauthorized-err-every-operation")
@needs(identity="outsider")
def test_nobody_uses_a_key(kms):
    """A caller without a role can neither read nor use nor delete a key."""
    uses_no_key(kms, kms.as_identity("outsider"), 401, 403)


@covers("unauthorized-err-every-operation-expired")
@needs(identity="expired")
def test_expired_token_uses_no_key(kms):
    """A caller with an expired token can neither read nor use nor delete a key."""
    uses_no_key(kms, kms.as_identity("expired"), 400, 401, 403)


def uses_no_key(kms, nobody, *statuses):
    """Expect that a caller is refused whatever is done with a key; ``statuses`` are those of a refused HEAD."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    body = {"ciphertext": wrapped["ciphertext"]}
    opened = kms.action(key, "unwrap", body).succeeds(200)
    read = kms.get_metadata(key).succeeds(200)
    nobody.get_metadata(key).is_refused("UNAUTHORIZED_ERR", control=read)
    nobody.action(key, "unwrap", body).is_refused("UNAUTHORIZED_ERR", control=opened).lacks("plaintext")
    nobody.wrap(key, kms.key_material()).is_refused("UNAUTHORIZED_ERR", control=wrapped).lacks("ciphertext")
    below = "the same request succeeds below"
    counted = kms.count_keys().succeeds(200)
    nobody.count_keys().is_refused_somehow(*statuses, control=counted)
    nobody.delete_key(key, force=True).is_refused("UNAUTHORIZED_ERR", control=below)
    kms.delete_key(key, force=True).succeeds()


SHOWN = ("name", "description", "tags", "state", "extractable", "createdBy", "creationDate", "lastUpdateDate")


@covers("role-reader-lists", "role-reader-reads-more")
@needs(identity="reader", capability="key_rings")
def test_reader_sees_what_a_manager_sees(kms):
    """A reader reads the same metadata, lists the same keys and counts as many as the manager who has made them."""
    inside, row = kms.in_ring(kms.new_ring()), "role-reader-lists"
    key = inside.create_root_key(description="seen by readers", tags=["seen"])
    standard, reader = inside.create_standard_key(), inside.as_identity("reader")
    inside.disable(key).succeeds(204)
    shown = kms.get_metadata(key).succeeds(200)
    read = reader.get_metadata(key).succeeds(200, requirement=row)
    for member in SHOWN:
        read.shows(f"resources.0.{member}", shown[f"resources.0.{member}"], requirement=row)
    listed = reader.list_keys().succeeds(200, requirement=row).counts("resources", 2, requirement=row)
    listed.lists("resources.*.id", key.id, requirement=row).lists(
        "resources.*.id", standard.id, requirement=row
    )
    reader.count_keys().has_header("key-total", "2", requirement="role-reader-reads-more")
