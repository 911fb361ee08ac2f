"""Malformed and missing bodies: sections 1, 2, 4, 14 and 16."""

import pytest

from kms_conformance.api import covers

POLICY = "dualAuthDelete"


@covers("collection-total-mismatch-err", "precedence-p5")
def test_collection_total_two_for_one_policy(kms):
    """An instance policy request with one resource and collectionTotal 2 is refused."""
    control = kms.instance_policy_control()
    body = kms.policy_body(kms.policy_as_it_is(POLICY), total=2)
    kms.put_instance_policies(body, POLICY).is_refused(
        "COLLECTION_TOTAL_MISMATCH_ERR",
        control=control,
        requirement=("collection-total-mismatch-err", "precedence-p5"),
    )


@covers("body-query-param-mismatch-err", "precedence-p7")
def test_policy_that_the_query_does_not_name(kms):
    """A policy whose unknown policy_type is not the one named by the query is refused."""
    control = kms.instance_policy_control()
    body = kms.policy_body({**kms.policy_as_it_is(POLICY), "policy_type": "badName"})
    kms.put_instance_policies(body, POLICY).is_refused(
        "BODY_QUERY_PARAM_MISMATCH_ERR",
        control=control,
        requirement=("body-query-param-mismatch-err", "precedence-p7"),
    )


@covers("body-query-param-mismatch-err-other-policy")
def test_known_policy_that_the_query_does_not_name(kms):
    """A policy of another known type than the one named by the query is refused."""
    control = kms.instance_policy_control()
    body = kms.policy_body(kms.policy_as_it_is("metrics"))
    kms.put_instance_policies(body, POLICY).is_refused("BODY_QUERY_PARAM_MISMATCH_ERR", control=control)


@covers("num-collection-resource-err", "precedence-p6")
def test_same_policy_twice(kms):
    """With a query, an instance policy request with two resources is refused."""
    control = kms.instance_policy_control()
    same = kms.policy_as_it_is(POLICY)
    body = kms.policy_body(same, same)
    kms.put_instance_policies(body, POLICY).is_refused(
        "NUM_COLLECTION_RESOURCE_ERR",
        control=control,
        requirement=("num-collection-resource-err", "precedence-p6"),
    )


@covers("bad-body-err-extra-field", "bad-body-err", "precedence-p8")
def test_policy_with_an_extra_field(kms):
    """A policy resource with an unknown member is refused (example 1)."""
    control = kms.instance_policy_control()
    body = kms.policy_body({**kms.policy_as_it_is(POLICY), "extra_field": "junk data"})
    kms.put_instance_policies(body, POLICY).is_refused(
        "BAD_BODY_ERR",
        control=control,
        requirement=("bad-body-err-extra-field", "bad-body-err", "precedence-p8"),
    )


@covers("bad-body-err-two-keys", "precedence-p4")
def test_two_keys_in_one_request(kms):
    """A create-key request with two keys is refused (example 2)."""
    kms.create_key().succeeds(201)
    body = kms.key_body(kms.key_resource(), kms.key_resource(), collectionTotal=1)
    kms.create_key(body).is_refused("BAD_BODY_ERR", requirement=("bad-body-err-two-keys", "precedence-p4"))


@covers("bad-body-err-empty-metadata")
def test_empty_metadata(kms):
    """A create-key request with empty metadata is refused (example 3)."""
    kms.create_key().succeeds(201)
    body = kms.key_body(kms.key_resource(), collectionType=None, collectionTotal=None)
    kms.create_key(body).is_refused("BAD_BODY_ERR")


@covers("bad-body-err-no-resources")
def test_policy_without_resources(kms):
    """An instance policy request without resources is refused."""
    control = kms.instance_policy_control()
    body = {"metadata": kms.policy_body({})["metadata"]}
    kms.put_instance_policies(body, POLICY).is_refused("BAD_BODY_ERR", control=control)


@covers("bad-body-err-repeated-policy")
def test_same_policy_twice_without_query(kms):
    """Without a query, an instance policy request that holds one policy twice is refused."""
    control = kms.instance_policy_control()
    same = kms.policy_as_it_is(POLICY)
    kms.put_instance_policies(kms.policy_body(same, same)).is_refused("BAD_BODY_ERR", control=control)


@covers("bad-body-err-empty-key")
def test_empty_key(kms):
    """A key resource without any member is refused."""
    kms.create_key().succeeds(201)
    kms.create_key(kms.key_body({})).is_refused("BAD_BODY_ERR")


@covers("bad-body-err-not-json")
def test_body_that_is_no_json(kms):
    """A create-key request whose body is not JSON is refused."""
    kms.create_key().succeeds(201)
    kms.create_key(raw=b'{"metadata": ').is_refused("BAD_BODY_ERR")


@covers("no-body-err-unwrap", "no-body-err", "no-body-err-unwrap-with-body", "precedence-p10")
def test_unwrap_without_body(kms):
    """Unwrap without a body is refused; with the ciphertext it returns the plaintext."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(
        200, requirement="no-body-err-unwrap-with-body"
    )
    unwrapped.shows("plaintext", plaintext, requirement="no-body-err-unwrap-with-body")
    kms.action(key, "unwrap").is_refused(
        "NO_BODY_ERR", requirement=("no-body-err-unwrap", "no-body-err", "precedence-p10")
    )


@covers("no-body-err-rewrap", "no-body-err-rewrap-with-body")
def test_rewrap_without_body(kms):
    """Rewrap without a body is refused; with the ciphertext it returns a new one."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200, requirement="no-body-err-rewrap-with-body")
    kms.action(key, "rewrap").is_refused("NO_BODY_ERR")


@covers("invalid-field-err-plaintext", "invalid-field-err")
@pytest.mark.parametrize("plaintext", ["q+x3Qi;BVb8bPj$vVD", "no base64 at all!"])
def test_wrap_plaintext_that_is_no_base64(kms, plaintext):
    """Wrapping a plaintext that is not base64 is refused, and the answer names the field."""
    key = kms.create_root_key()
    kms.wrap(key, kms.key_material()).succeeds(200)
    refused = kms.wrap(key, plaintext).is_refused(
        "INVALID_FIELD_ERR",
        message="The field 'plaintext' must be: a base64 encoded key material",
        target=("field", "plaintext"),
        requirement=("invalid-field-err-plaintext", "invalid-field-err"),
    )
    refused.lacks("ciphertext")


@covers("invalid-field-err-ciphertext")
def test_unwrap_ciphertext_that_is_no_base64(kms):
    """Unwrapping a ciphertext that is not base64 is refused, and the answer names the field."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.unwrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.unwrap(key, f"{wrapped['ciphertext'][:-5]}$$$$$").is_refused(
        "INVALID_FIELD_ERR",
        message="The field 'ciphertext' must be: the original base64 encoded ciphertext from the wrap operation",
        target=("field", "ciphertext"),
    )


@covers("invalid-field-err-ciphertext-rewrap")
def test_rewrap_ciphertext_that_is_no_base64(kms):
    """Rewrapping a ciphertext that is not base64 is refused."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.rewrap(key, f"{wrapped['ciphertext'][:-5]}$$$$$").is_refused(
        "INVALID_FIELD_ERR", target=("field", "ciphertext")
    )
