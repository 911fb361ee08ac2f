"""Key policies."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")


@covers("policy-default")
def test_default_policy(aws):
    """A key has the policy default and no other."""
    key = aws.key()
    aws.call("ListKeyPolicies", KeyId=key).succeeds(200).counts("PolicyNames", 1).lists(
        "PolicyNames", "default"
    )
    aws.call("GetKeyPolicy", KeyId=key, PolicyName="default").succeeds(200).shows("Policy")


@covers("policy-kept")
def test_policy_is_kept(aws):
    """A policy that was read is put again and read again."""
    key = aws.key()
    policy = aws.call("GetKeyPolicy", KeyId=key, PolicyName="default").needed(200)["Policy"]
    for _ in range(2):
        aws.call("PutKeyPolicy", KeyId=key, PolicyName="default", Policy=policy).succeeds(200)
    aws.same_policy(aws.call("GetKeyPolicy", KeyId=key, PolicyName="default").succeeds(200), policy)


@covers("policy-malformed")
@pytest.mark.parametrize(
    "text",
    ["no JSON", "{}", '{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}'],
    ids=["text", "empty", "effect"],
)
def test_malformed_policy(aws, text):
    """What is no policy does not replace the policy."""
    key = aws.key()
    asked = {"KeyId": key, "PolicyName": "default"}
    policy = aws.call("GetKeyPolicy", **asked).needed(200)["Policy"]
    aws.call("PutKeyPolicy", **asked, Policy=policy).succeeds(200)
    aws.call("PutKeyPolicy", **asked, Policy=text).is_refused("MalformedPolicyDocumentException")
    aws.same_policy(aws.call("GetKeyPolicy", **asked).succeeds(200), policy)


@covers("policy-name")
def test_other_policy_name(aws):
    """A policy of another name is neither read nor put."""
    key = aws.key()
    policy = aws.call("GetKeyPolicy", KeyId=key, PolicyName="default").succeeds(200)["Policy"]
    aws.call("GetKeyPolicy", KeyId=key, PolicyName="other").is_refused_somehow()
    aws.call("PutKeyPolicy", KeyId=key, PolicyName="default", Policy=policy).succeeds(200)
    aws.call("PutKeyPolicy", KeyId=key, PolicyName="other", Policy=policy).is_refused_somehow()
