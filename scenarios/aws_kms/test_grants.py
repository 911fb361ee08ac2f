"""Grants."""

import pytest

from kms_conformance.api import covers, impact, needs

pytestmark = [impact("keys"), needs(capability="aws_grants")]


@covers("grants")
def test_grant(aws):
    """A grant is listed with its key and operations."""
    key = aws.key()
    made = aws.grant(key, Name="reader", Operations=["Decrypt"]).succeeds(200)
    listed = aws.call("ListGrants", KeyId=key).succeeds(200).proof.counts("Grants", 1)
    listed.shows("Grants.0.GrantId", made["GrantId"]).shows("Grants.0.KeyId", aws.arn(key))
    listed.shows("Grants.0.Name", "reader").shows("Grants.0.Operations", ["Decrypt"])


@covers("grants")
def test_grant_pages(aws):
    """The grants of a key are listed page by page."""
    key = aws.key()
    made = [aws.grant(key, Name=f"grant-{number}").needed(200)["GrantId"] for number in range(3)]
    aws.lists_each_once("ListGrants", "Grants", "GrantId", made, KeyId=key, Limit=1)


@covers("grant-repeats")
def test_grant_twice(aws):
    """A grant that is made twice with one name has one id."""
    key = aws.key()
    first = aws.grant(key, Name="reader").succeeds(200)["GrantId"]
    aws.grant(key, Name="reader").succeeds(200).shows("GrantId", first)
    aws.call("ListGrants", KeyId=key).succeeds(200).proof.counts("Grants", 1)


@covers("grant-revoked")
def test_revoked_grant(aws):
    """A revoked grant is gone."""
    key = aws.key()
    grant = aws.grant(key).needed(200)["GrantId"]
    aws.call("RevokeGrant", KeyId=key, GrantId=grant).succeeds(200)
    aws.call("ListGrants", KeyId=key).succeeds(200).proof.counts("Grants", 0)
    aws.call("RevokeGrant", KeyId=key, GrantId=grant).is_refused("NotFoundException")


@covers("grant-retired")
@pytest.mark.parametrize("by", ["token", "id"])
def test_retired_grant(aws, by):
    """A grant is retired by its token, or by key and id."""
    key = aws.key()
    made = aws.grant(key, RetiringPrincipal=aws.principal(key)).needed(200)
    by_id = {"KeyId": aws.arn(key), "GrantId": made["GrantId"]}
    aws.call("RetireGrant", **({"GrantToken": made["GrantToken"]} if by == "token" else by_id)).succeeds(200)
    aws.call("ListGrants", KeyId=key).succeeds(200).proof.counts("Grants", 0)


@covers("grant-operations")
@pytest.mark.parametrize("operations", [["ScheduleKeyDeletion"], ["encrypt"]], ids=["management", "spelling"])
def test_operations_of_no_grant(aws, operations):
    """No grant is made of operations that are not granted."""
    key = aws.key()
    aws.grant(key).succeeds(200)
    aws.grant(key, Operations=operations).is_refused("ValidationException")
