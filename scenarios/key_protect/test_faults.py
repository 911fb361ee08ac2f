"""Refusals that only the control protocol can provoke: sections 11, 20, 21 and 32."""

from kms_conformance.api import covers, impact, needs

by_fault = needs(control=True, capability="faults")


@covers("incomplete-metadata-err", "incomplete-metadata-err-delete")
@by_fault
def test_corrupt_metadata(kms):
    """A key with corrupt metadata is reported as such, and can be deleted as the message advises."""
    key = kms.create_root_key()
    kms.get_metadata(key).succeeds(200)
    kms.get_key(key).succeeds(200)
    kms.fault("corrupt-metadata", key=key)
    kms.get_metadata(key).is_refused("INCOMPLETE_METADATA_ERR").lacks("resources.0.id")
    kms.get_key(key).is_refused("INCOMPLETE_METADATA_ERR").lacks("resources.0.id")
    kms.delete_key(key).succeeds(200, 204, requirement="incomplete-metadata-err-delete")


@covers("invalid-sig-exp-err")
@by_fault
def test_rewrap_with_a_broken_signature(kms):
    """A rewrap whose signature is invalid is refused and returns no ciphertext or plaintext."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]
    kms.rewrap(key, ciphertext).succeeds(200).lacks("plaintext")
    kms.fault("bad-signature", key=key)
    kms.rewrap(key, ciphertext).is_refused("INVALID_SIG_EXP_ERR").lacks("ciphertext").lacks("plaintext")


@covers("config-rule-conflict-err")
@by_fault
@impact("instance")
def test_change_against_a_configuration_rule(kms):
    """A change that the account's configuration rules forbid is refused; without the rule it succeeds."""
    kms.create_key().succeeds(201)
    kms.fault("config-rule")
    name = kms.name()
    kms.create_key(name=name).is_refused("CONFIG_RULE_CONFLICT_ERR")
    kms.list_keys(search=name).succeeds(200).shows("metadata.collectionTotal", 0)
    kms.clear_fault("config-rule")
    kms.create_key(name=name).succeeds(201)


@covers("feature-restricted-err-fault")
@needs(control=True, capability=("faults", "allowed_ip"))
@impact("allowed-ip")
def test_feature_that_is_not_enabled(kms):
    """Setting the allowedIP policy succeeds where the feature is enabled and is refused where it is not."""
    kms.restrict_addresses(kms.everywhere_but_here()).succeeds(204)
    kms.set_instance_policy("allowedIP", enabled=False).succeeds(204)
    kms.fault("feature-restricted")
    kms.set_instance_policy("allowedIP", allowed_ip=kms.everywhere_but_here()).is_refused(
        "FEATURE_RESTRICTED_ERR"
    )
    policy = kms.get_instance_policies("allowedIP").succeeds(200)
    policy.lists_not("resources.*.policy_data.enabled", value=True)
