"""Two instances: a key of one cannot be read, used or changed through the other."""

import pytest

from kms_conformance.api import covers, needs

OTHER = "8d2f5c5e-6a1b-4f6e-8f0d-2b7a9c1e4d30"
ROW = "instances-are-separate"
DEEDS = {
    "metadata": lambda kms, key, _: kms.get_metadata(key),
    "wrap": lambda kms, key, _: kms.wrap(key, kms.key_material()),
    "unwrap": lambda kms, key, ciphertext: kms.unwrap(key, ciphertext),
    "versions": lambda kms, key, _: kms.list_versions(key),
    "policies": lambda kms, key, _: kms.get_policies(key),
    "rotate": lambda kms, key, _: kms.rotate(key),
    "disable": lambda kms, key, _: kms.disable(key),
    "delete": lambda kms, key, _: kms.delete_key(key),
}


@pytest.mark.parametrize("deed", sorted(DEEDS))
@covers(ROW)
def test_key_through_another_instance(kms, deed):
    """An operation on a key through another instance is refused and changes nothing."""
    key, do = kms.create_root_key(), DEEDS[deed]
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    other, below = kms.with_headers(bluemix_instance=OTHER), "the same request succeeds below"
    refused = do(other, key, ciphertext).is_refused_somehow(401, 403, 404, control=below)
    refused.lacks("plaintext").lacks("resources.0.id")
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    shown.lacks("resources.0.lastRotateDate")
    do(kms, key, ciphertext).succeeds()


@covers(ROW)
@needs(capability="aliases")
def test_alias_and_list_of_another_instance(kms):
    """A key is neither listed nor found by its alias through another instance."""
    alias = kms.short_name("apart")
    key = kms.create_root_key(aliases=[alias])
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)
    other = kms.with_headers(bluemix_instance=OTHER)
    other.get_metadata(alias).is_refused_somehow(401, 403, 404).lacks("resources.0.id")
    kms.list_keys(search=key.name).succeeds(200).lists("resources.*.id", key.id)
    elsewhere = other.list_keys(search=key.name)
    if elsewhere.ok:
        elsewhere.succeeds(200).shows("metadata.collectionTotal", 0)
    else:
        elsewhere.is_refused_somehow(401, 403, 404)
