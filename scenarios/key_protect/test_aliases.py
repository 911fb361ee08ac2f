"""Aliases: additional names of a key."""

import pytest

from kms_conformance.api import covers, needs, waits

aliases = needs(capability="aliases")


@covers("alias-create", "alias-addresses-key", "read-by-alias")
@aliases
def test_alias_addresses_the_key(kms):
    """An alias can be used wherever the key's id can."""
    key, alias, plaintext = kms.create_root_key(), kms.short_name("alias"), kms.key_material()
    kms.create_alias(key, alias).succeeds(200, 201).shows("resources.0.alias", alias)
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id, requirement="alias-addresses-key")
    kms.get_key(alias).succeeds(200).shows("resources.0.id", key.id, requirement="read-by-alias")
    ciphertext = kms.wrap(alias, plaintext).succeeds(200, requirement="alias-addresses-key")["ciphertext"]
    kms.unwrap(key, ciphertext).succeeds(200).shows("plaintext", plaintext, requirement="alias-addresses-key")


@covers("create-with-aliases")
@aliases
def test_create_with_aliases(kms):
    """Aliases given at creation are shown on the key and address it."""
    first, second = kms.short_name("one"), kms.short_name("two")
    key = kms.create_root_key(aliases=[first, second])
    shown = (
        kms.get_metadata(second)
        .succeeds(200, requirement="create-with-aliases")
        .shows("resources.0.id", key.id)
    )
    shown.lists("resources.0.aliases", first).lists("resources.0.aliases", second)


@covers("alias-delete", "alias-gone", "law-relations-keys-search")
@aliases
@waits(300)
def test_alias_is_removed(kms):
    """A removed alias addresses no key after five minutes, and no search finds it; the key itself stays."""
    key, alias, searched = kms.create_root_key(), kms.short_name("alias"), "law-relations-keys-search"
    kms.create_alias(key, alias).needed(200, 201)
    kms.get_metadata(alias).succeeds(200)
    found = kms.list_keys(search=alias[:-1]).succeeds(200)
    found.lists("resources.*.id", key.id, requirement=searched)
    kms.delete_alias(key, alias).succeeds(204)
    kms.wait(300, "a removed alias may be seen for some minutes")
    kms.get_metadata(alias).is_refused("KEY_NOT_FOUND_ERR", requirement="alias-gone")
    kms.get_metadata(key).succeeds(200).lists_not("resources.0.aliases", alias)
    found = kms.list_keys(search=alias[:-1]).succeeds(200)
    found.shows("metadata.collectionTotal", 0, requirement=searched)


@covers("alias-unique")
@aliases
def test_alias_is_unique(kms):
    """An alias cannot be given to a second key and still addresses the first."""
    first, second, alias = kms.create_root_key(), kms.create_root_key(), kms.short_name("alias")
    kms.create_alias(first, alias).needed(200, 201)
    kms.create_alias(second, alias).is_refused("KEY_ALIAS_NOT_UNIQUE_ERR")
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", first.id)


@covers("alias-at-most-five")
@aliases
def test_sixth_alias(kms):
    """A sixth alias of a key is refused."""
    key = kms.create_root_key()
    for number in range(5):
        kms.create_alias(key, kms.short_name(f"no{number}")).needed(200, 201)
    kms.create_alias(key, kms.short_name("no6")).is_refused("KEY_ALIAS_QUOTA_ERR")


@pytest.mark.parametrize(
    "alias",
    [
        pytest.param("policies", marks=covers("alias-reserved")),
        pytest.param("3c1f7a52-86c8-4a50-8a2a-920ae71f86dc", marks=covers("alias-uuid")),
    ],
)
@aliases
def test_word_that_is_no_alias(kms, alias):
    """Reserved words of the API's paths, and UUIDs, are refused as aliases."""
    key = kms.create_root_key()
    kms.create_alias(key, kms.short_name("alias")).needed(200, 201)
    kms.create_alias(key, alias).is_refused_somehow()
