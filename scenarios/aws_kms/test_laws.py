"""What holds of all operations: whichever name a key is called by, and whatever was refused."""

import pytest

from kms_conformance.api import Inconclusive, covers, impact

pytestmark = impact("keys")
READS = {
    "DescribeKey": "KeyMetadata",
    "GetKeyPolicy": "Policy",
    "ListAliases": "Aliases",
    "ListKeyPolicies": "PolicyNames",
    "ListResourceTags": "Tags",
}
TAG = {"TagKey": "kept", "TagValue": "as it is"}
REFUSED = {
    "ScheduleKeyDeletion": ({"PendingWindowInDays": 6}, {"PendingWindowInDays": 31}),
    "UpdateKeyDescription": ({"Description": "d" * 8193},),
    "TagResource": ({"Tags": [{"TagKey": "aws:of-theirs", "TagValue": "1"}]},),
    "PutKeyPolicy": ({"PolicyName": "other", "Policy": "{}"}, {"PolicyName": "default", "Policy": "{"}),
    "CancelKeyDeletion": ({},),
    "UpdateAlias": ({"AliasName": "alias/kmsct-no-such-alias"},),
    "DeleteAlias": ({"AliasName": "alias/kmsct-no-such-alias"},),
}


def read(aws, operation, key):
    """Ask for what an operation shows of a key."""
    return aws.call(
        operation, KeyId=key, **({"PolicyName": "default"} if operation == "GetKeyPolicy" else {})
    )


def evidence(answer, member):
    """Return a member as evidence shows it, where what is not known to be public has a token."""
    return answer.exchange.answer.body[member]


def rich_key(aws):
    """Create a key with an alias and a tag as a precondition; return its id and the alias."""
    key = aws.key()
    alias = aws.alias_of(key)
    aws.call("TagResource", KeyId=key, Tags=[TAG]).needed(200)
    return key, alias


@covers("key-id-or-arn")
@pytest.mark.parametrize("operation", READS)
def test_id_and_arn(aws, operation):
    """A key's id and its ARN get the same answer."""
    key, _ = rich_key(aws)
    member = READS[operation]
    shown = read(aws, operation, key).succeeds(200)
    read(aws, operation, aws.arn(key)).succeeds(200).shows(member, evidence(shown, member))


@covers("key-identifiers")
@pytest.mark.parametrize("form", ["alias", "ARN of the alias"])
def test_alias_is_described(aws, form):
    """An alias and its ARN get the same description of their key as its id."""
    key, alias = rich_key(aws)
    shown = aws.call("DescribeKey", KeyId=key).succeeds(200)
    name = alias if form == "alias" else str(shown["KeyMetadata.Arn"]).replace(f"key/{key}", alias)
    aws.call("DescribeKey", KeyId=name).succeeds(200).shows("KeyMetadata", evidence(shown, "KeyMetadata"))


@covers("refused-unchanged")
@pytest.mark.parametrize("operation", REFUSED)
def test_refused_change(aws, operation):
    """A change that is refused has changed nothing of the key: state, description, tags, aliases and policy."""
    key, _ = rich_key(aws)
    before = {name: evidence(read(aws, name, key).needed(200), member) for name, member in READS.items()}
    named = "TargetKeyId" if operation == "UpdateAlias" else "KeyId"
    for members in REFUSED[operation]:
        of_key = {} if operation == "DeleteAlias" else {named: key}
        answer = aws.call(operation, **of_key, **members).not_judged()
        if answer.ok:
            raise Inconclusive(f"{operation} is accepted here, which a case of its own tells")
        for name, member in READS.items():
            read(aws, name, key).succeeds(200).shows(member, before[name])
