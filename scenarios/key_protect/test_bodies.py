"""Bodies that are refused before anything else is looked at: sections 1, 2, 4, 14 and 16."""

import pytest

from kms_conformance.api import covers

POLICY = "dualAuthDelete"


@covers("collection-total-mismatch-err", "precedence-p5")
def test_collection_total_two_for_one_policy(kms):
    """One resource whose collectionTotal is 2 is refused."""
    control = kms.instance_policy_control()
    body = kms.policy_body(kms.policy_as_it_is(POLICY), total=2)
    kms.put_instance_policies(body, POLICY).is_refused("COLLECTION_TOTAL_MISMATCH_ERR", control=control)


@covers("body-query-param-mismatch-err", "precedence-p7")
def test_policy_that_the_query_does_not_name(kms):
    """The first policy_type must be the one that the query names."""
    control = kms.instance_policy_control()
    body = kms.policy_body({**kms.policy_as_it_is(POLICY), "policy_type": "badName"})
    kms.put_instance_policies(body, POLICY).is_refused("BODY_QUERY_PARAM_MISMATCH_ERR", control=control)


@covers("body-query-param-mismatch-err-other-policy")
def test_known_policy_that_the_query_does_not_name(kms):
    """A policy of another known kind than the query names is refused as well."""
    control = kms.instance_policy_control()
    body = kms.policy_body(kms.policy_as_it_is("metrics"))
    kms.put_instance_policies(body, POLICY).is_refused("BODY_QUERY_PARAM_MISMATCH_ERR", control=control)


@covers("num-collection-resource-err", "precedence-p6")
def test_same_policy_twice(kms):
    """With a query, only one policy may be sent."""
    control = kms.instance_policy_control()
    same = kms.policy_as_it_is(POLICY)
    body = kms.policy_body(same, same)
    kms.put_instance_policies(body, POLICY).is_refused("NUM_COLLECTION_RESOURCE_ERR", control=control)


@covers("bad-body-err-extra-field", "bad-body-err", "precedence-p8")
def test_policy_with_an_extra_field(kms):
    """A resource with a member that no policy has is refused (example 1)."""
    control = kms.instance_policy_control()
    body = kms.policy_body({**kms.policy_as_it_is(POLICY), "extra_field": "junk data"})
    kms.put_instance_policies(body, POLICY).is_refused("BAD_BODY_ERR", control=control)


@covers("bad-body-err-two-keys", "precedence-p4")
def test_two_keys_in_one_request(kms):
    """One request creates one key (example 2)."""
    kms.create_key().succeeds(201)
    body = kms.key_body(kms.key_resource(), kms.key_resource(), collectionTotal=1)
    kms.create_key(body).is_refused("BAD_BODY_ERR")


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
    """Without a query several policies may be sent, but each only once."""
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
    """A body that is not JSON is refused."""
    kms.create_key().succeeds(201)
    kms.create_key(raw=b'{"metadata": ').is_refused("BAD_BODY_ERR")


@covers("no-body-err-unwrap", "no-body-err", "no-body-err-unwrap-with-body", "precedence-p10")
def test_unwrap_without_body(kms):
    """Unwrap needs a body; with it, the same request reveals the plaintext."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    wrapped = kms.wrap(key, plaintext).succeeds(200)
    unwrapped = kms.unwrap(key, wrapped["ciphertext"]).succeeds(
        200, requirement="no-body-err-unwrap-with-body"
    )
    unwrapped.shows("plaintext", plaintext, requirement="no-body-err-unwrap-with-body")
    kms.action(key, "unwrap").is_refused("NO_BODY_ERR")


@covers("no-body-err-rewrap", "no-body-err-rewrap-with-body")
def test_rewrap_without_body(kms):
    """Rewrap needs a body; with it, the same request gives a ciphertext."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200, requirement="no-body-err-rewrap-with-body")
    kms.action(key, "rewrap").is_refused("NO_BODY_ERR")


@covers("invalid-field-err-plaintext", "invalid-field-err")
@pytest.mark.parametrize("plaintext", ["q+x3Qi;BVb8bPj$vVD", "no base64 at all!"])
def test_wrap_plaintext_that_is_no_base64(kms, plaintext):
    """A plaintext that is not base64 is refused, and the answer names the field."""
    key = kms.create_root_key()
    kms.wrap(key, kms.key_material()).succeeds(200)
    refused = kms.wrap(key, plaintext).is_refused(
        "INVALID_FIELD_ERR",
        message="The field 'plaintext' must be: a base64 encoded key material",
        target=("field", "plaintext"),
    )
    refused.lacks("ciphertext")


@covers("invalid-field-err-ciphertext")
def test_unwrap_ciphertext_that_is_no_base64(kms):
    """A ciphertext that is not base64 is refused, and the answer names the field."""
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
    """Rewrap looks at its ciphertext as unwrap does."""
    key = kms.create_root_key()
    wrapped = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.rewrap(key, wrapped["ciphertext"]).succeeds(200)
    kms.rewrap(key, f"{wrapped['ciphertext'][:-5]}$$$$$").is_refused(
        "INVALID_FIELD_ERR", target=("field", "ciphertext")
    )
