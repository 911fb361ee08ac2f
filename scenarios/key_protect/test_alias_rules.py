"""Further cases on aliases: in every path, at creation, and after a key is purged."""

import pytest

from kms_conformance.api import covers, needs, waits

aliases = needs(capability="aliases")


@covers("alias-addresses-key")
@aliases
def test_alias_in_every_path(kms):
    """An alias can be used for the key's id to rotate, disable, give a policy to and delete a key."""
    alias, plaintext = kms.short_name("paths"), kms.key_material()
    key = kms.create_root_key(aliases=[alias])
    ciphertext = kms.wrap(alias, plaintext).succeeds(200)["ciphertext"]
    kms.rotate(alias).succeeds(204)
    kms.unwrap(alias, ciphertext).succeeds(200).shows("plaintext", plaintext)
    kms.rewrap(alias, ciphertext).succeeds(200)
    kms.list_versions(alias).succeeds(200).counts("resources", 2)
    kms.put_policy(alias, query="rotation", rotation={"interval_month": 3}).succeeds(200)
    kms.get_policies(key, "rotation").succeeds(200).counts("resources", 1)
    kms.disable(alias).succeeds(204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 2)
    kms.delete_key(alias).succeeds(200, 204)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 5)
    kms.delete_key(alias).is_refused("KEY_DELETED_ERR", requirement="alias-addresses-key")


@covers("alias-case")
@aliases
def test_alias_in_capitals(kms):
    """Aliases are case-sensitive: in capitals an alias addresses no key, or another one."""
    alias = kms.short_name("case")
    key, other = kms.create_root_key(aliases=[alias]), kms.create_root_key()
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)
    kms.get_metadata(alias.upper()).is_refused("KEY_NOT_FOUND_ERR")
    kms.create_alias(other, alias.upper()).succeeds(200, 201)
    kms.get_metadata(alias.upper()).succeeds(200).shows("resources.0.id", other.id)
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)


@pytest.mark.parametrize(
    "alias", ["x", "with blank", "dotted.name", "a" * 91, "wrap", "keys", "metadata", "versions"]
)
@covers("alias-form")
@aliases
def test_alias_of_another_form(kms, alias):
    """A malformed or reserved alias is refused, when it is added and when a key is created with it."""
    key = kms.create_root_key()
    kms.create_alias(key, kms.short_name("alias")).succeeds(200, 201)
    kms.create_alias(key, alias).is_refused_somehow()
    kms.create_key(aliases=[alias]).is_refused_somehow()
    kms.get_metadata(key).succeeds(200).lists_not("resources.0.aliases", alias)


@covers("alias-unique-at-creation", "alias-at-most-five-at-creation")
@aliases
def test_aliases_at_creation(kms):
    """Creating a key with an alias of another key, or with six aliases, is refused."""
    alias, name = kms.short_name("taken"), kms.name("taken")
    key = kms.create_root_key(aliases=[alias])
    taken = kms.create_key(name=name, aliases=[alias])
    taken.is_refused("KEY_ALIAS_NOT_UNIQUE_ERR", requirement="alias-unique-at-creation")
    kms.get_metadata(alias).succeeds(200).shows(
        "resources.0.id", key.id, requirement="alias-unique-at-creation"
    )
    listed = kms.list_keys(search=name).succeeds(200)
    listed.shows("metadata.collectionTotal", 0, requirement="alias-unique-at-creation")
    six = [f"{alias}-{number}" for number in range(6)]
    kms.create_key(aliases=six[:5]).succeeds(201)
    kms.create_key(aliases=[f"{each}-b" for each in six]).is_refused_somehow(
        requirement="alias-at-most-five-at-creation"
    )


@covers("alias-of-other-key", "alias-delete")
@aliases
@waits(300)
def test_alias_of_another_key(kms):
    """An alias can be removed from its own key only, and can then be given to another key."""
    key, other, alias = kms.create_root_key(), kms.create_root_key(), kms.short_name("own")
    kms.create_alias(key, alias).needed(200, 201)
    below = "the same request succeeds below"
    kms.delete_alias(other, alias).is_refused_somehow(control=below, requirement="alias-of-other-key")
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id, requirement="alias-of-other-key")
    kms.delete_alias(key, alias).succeeds(204, requirement="alias-delete")
    kms.wait(300, "a removed alias may be seen for some minutes")
    kms.create_alias(other, alias).succeeds(200, 201)
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", other.id)


@covers("alias-free-after-purge", "purge-gone-everywhere")
@needs(identity="purger", capability="aliases")
@waits(14460)
def test_purged_key_is_gone_everywhere(kms):
    """A purged key is not listed, found or restored, and its alias can be given to another key."""
    alias, row = kms.short_name("purged"), "purge-gone-everywhere"
    key = kms.import_root_key(aliases=[alias])
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    kms.delete_key(key).succeeds(200, 204)
    kms.list_keys(search=key.name, state="5").succeeds(200).counts("resources", 1)
    kms.wait(14460, "four hours between delete and purge")
    purger = kms.as_identity("purger")
    purger.purge_key(key).succeeds(200, 204)
    kms.get_metadata(alias).is_refused("KEY_NOT_FOUND_ERR", control="purged", requirement=row)
    listed = kms.list_keys(search=key.name, state="5").succeeds(200)
    listed.shows("metadata.collectionTotal", 0, requirement=row)
    for answer in (purger.purge_key(key), kms.delete_key(key), kms.get_key(key)):
        answer.is_refused("KEY_NOT_FOUND_ERR", control="purged", requirement=row)
    kms.restore_key(key, payload=key.material).is_refused(
        "KEY_NOT_FOUND_ERR", control="purged", requirement=row
    )
    kms.create_alias(kms.create_root_key(), alias).succeeds(200, 201, requirement="alias-free-after-purge")
