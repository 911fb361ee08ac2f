"""Aliases."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")
NO_KEY = "11111111-2222-4333-8444-555555555555"


@covers("alias-names-key")
def test_alias(aws):
    """An alias is listed with its key and names it in requests."""
    key, alias = aws.key(), aws.alias_name()
    aws.alias(key, alias).succeeds(200)
    listed = aws.call("ListAliases", KeyId=key).succeeds(200).proof.counts("Aliases", 1)
    listed.shows("Aliases.0.AliasName", alias).shows("Aliases.0.TargetKeyId", key)
    aws.call("DescribeKey", KeyId=alias).succeeds(200).proof.shows("KeyMetadata.KeyId", key)


@covers("alias-names-key")
def test_alias_pages(aws):
    """The aliases of a key are listed page by page."""
    key = aws.key()
    names = [aws.alias_of(key) for _ in range(3)]
    aws.lists_each_once("ListAliases", "Aliases", "AliasName", names, KeyId=key, Limit=1)


@covers("alias-update")
def test_alias_update(aws):
    """An alias moves to another key, and what the first has encrypted stays readable."""
    key, other, plain = aws.key(), aws.key(), aws.plaintext()
    alias = aws.alias_of(key)
    sealed = aws.ciphertext(alias, plain)
    aws.call("UpdateAlias", AliasName=alias, TargetKeyId=other).succeeds(200)
    aws.call("DescribeKey", KeyId=alias).succeeds(200).proof.shows("KeyMetadata.KeyId", other)
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("alias-gone")
def test_deleted_alias(aws):
    """An alias that was deleted names no key any more."""
    alias = aws.alias_of(aws.key())
    aws.encrypt(alias).succeeds(200)
    aws.delete_alias(alias).succeeds(200)
    aws.encrypt(alias).is_refused("NotFoundException")
    aws.delete_alias(alias).is_refused("NotFoundException")


@covers("alias-gone")
def test_update_of_no_alias(aws):
    """An alias that was never made is not updated."""
    key, other = aws.key(), aws.key()
    aws.call("UpdateAlias", AliasName=aws.alias_of(key), TargetKeyId=other).succeeds(200)
    aws.call("UpdateAlias", AliasName=aws.alias_name(), TargetKeyId=key).is_refused("NotFoundException")


@covers("alias-no-key")
def test_alias_of_no_key(aws):
    """No alias is given to a key that does not exist."""
    aws.alias(aws.key()).succeeds(200)
    aws.alias(NO_KEY).is_refused("NotFoundException")


@covers("alias-twice")
@pytest.mark.parametrize("of", ["same", "other"])
def test_alias_twice(aws, of):
    """An alias that exists stays with its key."""
    key, alias = aws.key(), aws.alias_name()
    aws.alias(key, alias).succeeds(200)
    aws.alias(key if of == "same" else aws.key(), alias).is_refused("AlreadyExistsException")
    aws.call("DescribeKey", KeyId=alias).succeeds(200).shows("KeyMetadata.KeyId", key)


@covers("alias-form")
@pytest.mark.parametrize("sign", [" ", "!", "é"], ids=["blank", "mark", "accent"])
def test_alias_form(aws, sign):
    """A sign that aliases do not have makes no alias."""
    key = aws.key()
    aws.alias(key).succeeds(200)
    aws.alias(key, f"{aws.alias_name()}{sign}").is_refused("InvalidAliasNameException")


@covers("alias-prefix")
@pytest.mark.parametrize("prefix", ["", "alias/aws/"])
def test_alias_prefix(aws, prefix):
    """A name without the prefix of aliases, or with that of the vendor's own, makes no alias."""
    key = aws.key()
    aws.alias(key).succeeds(200)
    name = aws.alias_name().removeprefix("alias/")
    aws.alias(key, f"{prefix}{name}").is_refused_somehow()
